"""The shift log: what rang, what is open, put aside or stale, what was noted; to be printed and handed over."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from components import glass, performance, plain, wording
from components.asgi import App, Receive, Scope, Send, answer, query
from components.console_page import owners
from components.console_view import ASIDE, WAITING, ConsoleView, alarms, in_words
from components.forms import Form, read_own, redirect
from components.happened import spoken
from components.tongue import N_, _
from components.tongue import said as translated
from components.visitor import current
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.model import PRIORITIES
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.people.shift import Said

PERIODS = {
    "": N_("Since the last hand-over"),
    "8": N_("8 hours"),
    "12": N_("12 hours"),
    "24": N_("24 hours"),
    "168": N_("7 days"),
}
# Without a hand-over in the last week, the log shows an ordinary shift.
USUAL = timedelta(hours=8)
# ISA-18.2 judges an alarm system over thirty days.
MONTH = timedelta(days=30)
CALM_FEEDS = ("live", "waiting")
DID = {"note": N_("Noted."), "handover": N_("Handed over.")}


class ShiftPage:
    """The addresses of the shift log."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"shift": plain.by_method(self._ask, self._sent)}

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        did = query(scope).get("did", "")
        await self._show(scope, send, _hours(scope), _(DID[did]) if did in DID else "")

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        hours, form = _hours(scope), Form()
        try:
            form = await read_own(scope, receive)
            to = form.one("to") if form.one("do") == "handover" else ""
            if form.one("do") == "handover" and not to:
                raise Misasked(_("Name who takes over."))
            await glass.town().shift.note(current().actor, form.one("words"), to)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await self._show(scope, send, hours, translated(error.words), status=status, typed=form.one("words"))
        return await answer(scope, send, 303, b"", redirect(glass.href("shift", hours=hours, did=form.one("do"))))

    async def _show(
        self, scope: Scope, send: Send, hours: str, said: str, *, status: int = 200, typed: str = ""
    ) -> None:
        body = await asyncio.to_thread(page, hours, said, typed, refused=status != 200)
        await plain.give(scope, send, body, status)


def _hours(scope: Scope) -> str:
    """The period that is asked for; empty where it is none."""
    hours = query(scope).get("hours", "")
    return hours if hours in PERIODS else ""


def page(hours: str, said: str, typed: str, *, refused: bool) -> bytes:
    """The whole page; who may not see who did what is asked to sign in."""
    if not current().actor.may_everywhere("read"):
        return plain.document(_("Shift log"), plain.content("shift_closed.html"))
    log, periods = _log(hours), {key: _(words) for key, words in PERIODS.items()}
    body = plain.content(
        "shift.html", **log, hours=hours, periods=periods, said=said, refused=refused, typed=typed,
        owners=owners() if current().actor.may("operate") else [],
    )  # fmt: skip
    return plain.document(_("Shift log"), body, extra=("plain/shift.js", "plain/fresh.js"))


def _log(hours: str) -> dict[str, Any]:
    """Everything on the sheet, from the beginning of the shift until now."""
    town, state, actor = glass.town(), glass.state(), current().actor
    now, trouble = town.now(), ""
    notes: Sequence[Said] = ()
    handed: Said | None = None
    try:
        handed = town.shift.begun(actor, now)
        start = now - timedelta(hours=int(hours)) if hours else handed.at if handed else now - USUAL
        notes = town.shift.said(actor, start)
    except StoreError as error:
        start, trouble = now - USUAL, _("The notes cannot be read at the moment: {error}", error=error)
    past = town.alarms.history(actor, None, start)
    rang = past.filter(pl.col("annunciated"))
    rows = [in_words(alarm, ConsoleView()) for alarm in alarms()]
    month = town.alarms.performance(actor, now - MONTH, now)
    shift = town.alarms.performance(actor, start, now)
    return {
        "measures": performance.table(shift["whole"], month["whole"], month["stale"]),
        "worst": performance.worst(month["whole"]),
        "gathered": town.alarms.incidents(actor, start, now),
        "now": now,
        "start": start,
        "handed": handed,
        "notes": notes,
        "trouble": trouble,
        "rang": _answered(rang, past),
        "counts": {name: rang.filter(priority=name).height for name in PRIORITIES},
        "open": [row for row in rows if row["active"] or row["state"] in WAITING],
        "aside": [row for row in rows if row["state"] in ASIDE],
        "feeds": [feed for feed in state["feeds"].values() if _stale(feed)],
        "span": wording.age((now - start).total_seconds()),
    }


def _stale(feed: Mapping[str, Any]) -> bool:
    return feed["state"] not in CALM_FEEDS or bool(feed.get("sensors_silent"))


def _answered(rang: pl.DataFrame, past: pl.DataFrame) -> list[dict[str, Any]]:
    """What rang, newest first, each with who acknowledged it and after how long."""
    acks: dict[str, list[tuple[datetime, str]]] = {}
    for row in past.filter(event="acknowledge").iter_rows(named=True):
        acks.setdefault(row["alarm"], []).append((row["noted_at"], row["who"]))
    found = []
    for row in reversed(spoken(rang)):
        ack = next(((at, who) for at, who in acks.get(row["alarm"], []) if at >= row["noted_at"]), None)
        waited = wording.age((ack[0] - row["noted_at"]).total_seconds()) if ack else ""
        found.append(
            {
                **row,
                "answer": _("{who} after {age}", who=ack[1], age=waited) if ack else _("not acknowledged in this time"),
            }
        )
    return found
