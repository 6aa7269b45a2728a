"""Rules that people set, as a sentence with gaps: tried on the last 30 days, then set; the list of those there are."""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components import glass, plain, wording
from components.address import ward_names
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import Form, read_own, redirect
from components.line_answer import answered
from components.tongue import N_, _, said
from components.visitor import current
from pipelines.engine.alarms.own_rules import EXAMPLE
from pipelines.engine.asking import Misasked
from pipelines.engine.figures import digits
from pipelines.engine.model import PRIORITIES
from pipelines.engine.people.roles import Forbidden

TYPED = ("name", "tell", "watches", "ward", "asset", "side", "limit", "minutes", "priority", "instruction", "reason")
GIVEN = {"side": "above", "minutes": "5", "priority": "medium"}
DID = {
    "set": N_("The rule is set and watched from now on."),
    "end": N_("The rule has ended; its alarms have left the list."),
}
LOOK_FIRST = N_("The rule was changed since it was tried. Look at what it would have rung now, then set it.")
MOST_SHOWN = 20


@dataclass(frozen=True)
class Tried:
    """What the page shows beside the form: words about it, the backtest, and which rule that was of."""

    words: str = ""
    refused: bool = False
    status: int = 200
    told: Mapping[str, Any] | None = None
    fields: Mapping[str, str] = field(default_factory=lambda: GIVEN)


class RulesPage:
    """The address of the rules."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"rules": plain.by_method(self._ask, self._sent)}

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = query(scope)
        typed = {**GIVEN, **{name: asked[name][:500] for name in TYPED if name in asked}}
        words = _(DID[asked["did"]]) if asked.get("did") in DID else ""
        await self._show(scope, send, Tried(words, fields=typed))

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = Form()
        try:
            form = await read_own(scope, receive)
            tried = await DEEDS.get(form.one("do"), _try)(form)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await self._show(scope, send, Tried(said(_plainly(error.words)), True, status, None, _typed(form)))
        if tried is None:
            return await answer(scope, send, 303, b"", redirect(glass.href("rules", did=form.one("do"))))
        return await self._show(scope, send, tried)

    async def _show(self, scope: Scope, send: Send, tried: Tried) -> None:
        await plain.give(scope, send, await asyncio.to_thread(page, tried), tried.status)


async def _try(form: Form) -> Tried | None:
    typed = _typed(form)
    told = await asyncio.to_thread(glass.town().rules.backtest, wanted(typed), current().actor)
    return Tried(told=told, fields=typed)


async def _set(form: Form) -> Tried | None:
    """Set the rule that was tried; another one is tried first, and one above the budget needs a reason."""
    typed, rules = _typed(form), glass.town().rules
    told = await asyncio.to_thread(rules.backtest, wanted(typed), current().actor)
    if form.one("tried") != fingerprint(typed):
        return Tried(_(LOOK_FIRST), True, 409, told, typed)
    try:
        await answered(rules.set(wanted(typed), told, current().actor))
    except Misasked as error:
        return Tried(said(error.words), True, error.status, told, typed)
    return None


async def _end(form: Form) -> Tried | None:
    await answered(glass.town().rules.end(form.one("id"), current().actor))
    return None


DEEDS = {"try": _try, "set": _set, "end": _end}


def wanted(typed: Mapping[str, str]) -> dict[str, Any]:
    """The rule that a form describes, as the API has it."""
    place = f"asset:{typed['asset']}" if typed["asset"] else f"ward:{typed['ward']}" if typed["ward"] else ""
    same = {name: typed[name] for name in ("name", "tell", "watches", "side", "priority", "instruction", "reason")}
    return {**same, "area": place, "limit": _number(typed["limit"]), "minutes": _number(typed["minutes"] or "0")}


def _number(text: str) -> float | str:
    """The number of a field; what is none stays text and is refused in words."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _typed(form: Form) -> dict[str, str]:
    return {name: form.one(name).strip() for name in TYPED}


def fingerprint(typed: Mapping[str, str]) -> str:
    """What tells two rules apart; the reason is none of the rule's matter."""
    told = "\n".join(typed.get(name, "") for name in TYPED if name != "reason")
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _plainly(words: str) -> str:
    """The words without the example in JSON, which belongs to the API."""
    return words.replace(EXAMPLE, "").strip()


# the page -------------------------------------------------------------------------------------------------------------


def page(tried: Tried) -> bytes:
    """The whole page; who may not read is asked to sign in."""
    actor, town = current().actor, glass.town()
    if not actor.may("read"):
        return plain.document(_("Rules"), plain.content("rules_closed.html"))
    body = plain.content(
        "rules.html", tried=tried, typed={name: tried.fields.get(name, "") for name in TYPED},
        told=_told(tried.told) if tried.told else None, tried_of=fingerprint(tried.fields),
        things=_things(), wards=ward_names(), receivers=town.rules.vocabulary.receivers, priorities=PRIORITIES,
        rules=town.rules.rules(actor),
    )  # fmt: skip
    return plain.document(_("Rules"), body, extra=("plain/fresh.js",))


def _things() -> dict[str, list[tuple[str, str]]]:
    """Domain -> what may be watched of it: id and words with the unit."""
    titles, found = {one.name: _(one.title) for one in glass.town().domains}, dict[str, list[tuple[str, str]]]()
    for domain, id, words, unit in glass.town().rules.vocabulary.words():
        told = f"{said(words)} ({wording.unit(unit)})" if wording.unit(unit) else said(words)
        found.setdefault(titles[domain], []).append((id, told))
    return found


def _told(told: Mapping[str, Any]) -> dict[str, Any]:
    """The backtest in words: each firing with its time and span."""
    report, zone = told["report"], glass.town().zone
    rows = [
        {
            "thing": one["thing"],
            "at": wording.clock(one["at"], zone),
            "lasted": wording.age((one["until"] - one["at"]).total_seconds()) if one["until"] else _("until now"),
            "value": wording.number(one["value"], digits(one["value"])),
        }
        for one in report["shown"][:MOST_SHOWN]
    ]
    more = report["firings"] - len(rows)
    return {
        "words": said(told["words"]),
        "sentence": said(told["rule"]["sentence"]),
        "rows": rows,
        "more": more,
        "report": report,
    }
