"""How the office's pages of filed requests are drawn; whoever may not act on them is told to sign in."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from components import filing_page, glass, plain, said, wording
from components.address import ward_names
from components.tongue import N_, _
from components.tongue import said as translated
from components.visitor import current
from pipelines.engine.asking import Misasked
from pipelines.engine.filing import numbers
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.posted import Posted
from pipelines.engine.filing.report import CHANNELS, in_words

SURE = N_("Tick that you are sure: what is erased cannot be brought back.")
WAYS = {"counter": N_("At the counter"), "phone": N_("By phone"), "paper": N_("On paper")}
DID = {"change": N_("Kept. Everybody can see it."), "erase": N_("Erased.")}
PERSONAL = {
    "name": N_("Name"), "phone": N_("Phone"), "email": N_("Mail"), "place": N_("Where"),
    "description": N_("What is wrong"), "media_url": N_("Address of a picture"),
}  # fmt: skip
LINES = 500


def closed() -> bytes:
    """What somebody sees who may not act on requests."""
    return plain.document(_("Requests"), plain.content("cases_closed.html", words=""))


def trouble(words: str) -> bytes:
    """What is shown when the requests cannot be read."""
    return plain.document(_("Requests"), plain.content("cases_closed.html", words=words))


def listed(*, whole: bool) -> bytes:
    """The open requests that were filed here, or all."""
    actor = current().actor
    if not actor.may("operate"):
        return closed()
    town = glass.town()
    found = town.filing.cases(actor, open_only=not whole)
    services, wards = town.filing.services(), ward_names()
    rows = [
        {
            "case": one, "service": _called(services, one.row["service_code"]), "ward": wards.get(one.row["ward"], ""),
            "since": wording.clock(one.filed_at, town.zone, town.now()),
        }
        for one in found
    ]  # fmt: skip
    return plain.document(_("Requests"), plain.content("cases.html", rows=rows, whole=whole, most=LINES))


def _called(services: Mapping[str, Mapping[str, Any]], code: str) -> str:
    """What a service is called; its code, where the town has taken it from its list."""
    return str(services[code]["service_name"]) if code in services else code


def entry(sent: Posted, mistake: Misasked | None, number: str) -> bytes:
    """The form for what comes by phone, on paper or at the counter."""
    if not current().actor.may("operate") or glass.town().filing.table is None:
        return closed()
    key = sent.one("key") if mistake else ""
    try:
        key = key or glass.town().filing.new_key()
    except Misasked as refused:
        mistake = mistake or refused
    body = plain.content(
        "cases_new.html", groups=filing_page.groups(), wards=ward_names(), ways={way: _(WAYS[way]) for way in CHANNELS},
        typed={name: sent.one(name) for name in (*filing_page.NAMES, "channel", "received")}, key=key,
        words=translated(mistake.words) if mistake else "", wrong=mistake.field if isinstance(mistake, Faulty) else "",
        number=numbers.tidy(number) or "", again=bool(sent.files),
    )  # fmt: skip
    return plain.document(_("Enter a request"), body)


def case(number: str, *, mistake: Misasked | None, typed: str, did: str) -> tuple[bool, bytes]:
    """One request with what is personal about it, and what may be done; whether there is one of this number."""
    actor = current().actor
    if not actor.may("operate"):
        return True, closed()
    town = glass.town()
    known = numbers.tidy(number) or number.strip()[:64]
    found = town.filing.case(known, actor)
    words = translated(mistake.words) if mistake else ""
    if found is None:
        return False, plain.document(_("Requests"), plain.content("cases_none.html", number=known, words=words))
    kept, row = found
    lines = [(_(title), kept.personal[name]) for name, title in PERSONAL.items() if name in kept.personal]
    if "lat" in kept.personal:
        lines.append((_("Position"), f"{kept.personal['lat']:.5f}, {kept.personal['lon']:.5f}"))
    body = plain.content(
        "cases_case.html", case=kept, row=row, lines=lines, states=_states(), words=words,
        typed=typed or row["status_notes"], did=_(DID[did]) if did in DID else "", days=_days(row),
        ward=ward_names().get(row["ward"], row["ward"] or ""),
        erased_at=said.day(datetime.fromisoformat(kept.erased[0]), town.zone) if kept.erased else "",
    )  # fmt: skip
    return True, plain.document(_("Request {number}", number=known), body)


def _states() -> dict[str, str]:
    """The office's states with what they are called."""
    return {state: _(in_words(state)) for state in glass.town().filing.states}


def _days(row: dict[str, Any]) -> dict[str, str]:
    zone = glass.town().zone
    named = {
        "requested_datetime": _("Received"), "expected_datetime": _("Promised by"),
        "first_response_at": _("First answered"), "closed_at": _("Closed"), "reopened_at": _("Came back"),
    }  # fmt: skip
    return {title: said.day(row[name], zone) for name, title in named.items() if row[name]}
