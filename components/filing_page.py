"""How the residents' form is drawn, and what is told when a request was filed."""

from collections.abc import Mapping
from typing import Any

from components import glass, public_page
from components.address import ward_names
from components.tongue import _, n_
from components.tongue import said as translated
from pipelines.engine.asking import Misasked
from pipelines.engine.filing import numbers
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.nearby import Alike
from pipelines.engine.filing.posted import Posted

NAMES = ("service", "ward", "place", "description", "name", "phone", "email")
DAY_S = 86_400


def form(sent: Posted, mistake: Misasked | None, alike: Alike | None) -> bytes:
    """The form with what was typed, what is wrong, and who else has reported the same."""
    room, settings = glass.town().filing, glass.town().settings.filing
    key, trouble = _key(sent, mistake)
    mistake = mistake or trouble
    return public_page.written(
        "public_file.html", _("Report a problem"), groups=groups(), wards=ward_names(), key=key,
        explained=any(row["description"] for row in room.services().values()),
        typed={name: sent.one(name) for name in NAMES}, again=bool(sent.files), open=room.is_open,
        words=translated(mistake.words) if mistake else "", wrong=mistake.field if isinstance(mistake, Faulty) else "",
        alike=alike, hint=hint(alike), days=int(settings.keep.total_seconds() // DAY_S), contact=settings.contact,
    )  # fmt: skip


def _key(sent: Posted, mistake: Misasked | None) -> tuple[str, Misasked | None]:
    """The key of the form: the one it came with, so that it is filed once; a new one where that is of no use."""
    room, before = glass.town().filing, sent.one("key")
    if not room.is_open:
        return "", None
    if before and not (isinstance(mistake, Faulty) and mistake.fault == "outdated"):
        return before, None
    try:
        return room.new_key(), None
    except Misasked as trouble:
        return "", trouble


def groups() -> dict[str, list[Mapping[str, Any]]]:
    """What may be asked for, by what it belongs to."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in glass.town().filing.services().values():
        found.setdefault(row["group"] or _("Other matters"), []).append(row)
    return found


def hint(alike: Alike | None) -> str:
    """How many have reported the same close by, in words."""
    if alike is None:
        return ""
    if alike.by_ward:
        return n_(
            "{n} person reported this in your ward this week.", "{n} people reported this in your ward this week.",
            alike.people,
        )  # fmt: skip
    return n_(
        "{n} person reported this within 200 m this week.", "{n} people reported this within 200 m this week.",
        alike.people,
    )  # fmt: skip


def filed(typed: str) -> bytes:
    """What is told of a request that was filed; of what is no number of ours, that there is none."""
    number = numbers.tidy(typed)
    if number is None:
        return public_page.request_page(typed)[1]
    return public_page.written("public_filed.html", _("Your request was filed"), number=number)
