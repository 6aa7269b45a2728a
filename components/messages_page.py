"""Messages about alarms: who is on duty, what was sent, what waits or failed and why, and a test of each channel."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from components import glass, plain, wording
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import read_own, redirect
from components.line_answer import answered
from components.tongue import N_, _, said
from components.visitor import current
from pipelines.engine.asking import Misasked
from pipelines.engine.delivery.room import COLUMNS
from pipelines.engine.forms import streamed
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.spans import of_frame

SENT, OPEN = pl.col("sent_at").is_not_null(), pl.col("next_at").is_not_null()
SHOWN = {"": N_("All"), "sent": N_("Sent"), "waiting": N_("Waiting"), "failed": N_("Given up")}
NARROWED = {"sent": SENT, "waiting": ~SENT & OPEN, "failed": ~SENT & ~OPEN}
MOST_SHOWN = 200


@dataclass(frozen=True)
class Outcome:
    """What became of a test, in words."""

    words: str = ""
    refused: bool = False
    status: int = 200


class MessagesPage:
    """The addresses of the messages."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            "messages": plain.by_method(self._ask, self._sent), "messages.csv": plain.read_only(self._csv)
        }  # fmt: skip

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = query(scope)
        await self._show(scope, send, asked, _tested(asked.get("tested", "")))

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            channel, address = form.one("channel"), form.one("address").strip()[:200]
            await _test(channel, address)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await self._show(scope, send, query(scope), Outcome(said(error.words), True, status))
        return await answer(scope, send, 303, b"", redirect(glass.href("messages", tested=channel)))

    async def _show(self, scope: Scope, send: Send, asked: Mapping[str, str], outcome: Outcome) -> None:
        body = await asyncio.to_thread(page, asked.get("show", ""), outcome)
        await plain.give(scope, send, body, outcome.status)

    async def _csv(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Exactly the messages that the page at the same query shows, and those that are more."""
        try:
            rows = await asyncio.to_thread(messages, query(scope).get("show", ""))
        except Forbidden as error:
            status = 403 if error.known else 401
            return await answer(scope, send, status, error.words.encode(), [(b"content-type", b"text/plain")])
        wanted = of_frame("messages", rows, COLUMNS)
        body = await asyncio.to_thread(lambda: b"".join(streamed(wanted, wanted.frames(), "csv")))
        headers = [
            (b"content-type", b"text/csv; charset=utf-8"), (b"cache-control", b"no-store"),
            (b"content-disposition", b'attachment; filename="messages.csv"'), (b"x-content-type-options", b"nosniff"),
        ]  # fmt: skip
        return await answer(scope, send, 200, body, headers)


def _tested(channel: str) -> Outcome:
    """What the address says of a test just made, of channels that there are only."""
    known = [one.name for one in glass.town().post.channels]
    if channel not in known:
        return Outcome()
    return Outcome(_("The channel {channel} has taken a test message.", channel=channel))


async def _test(channel: str, address: str) -> None:
    current().actor.check_everywhere("operate")
    known = {one.name: one for one in glass.town().post.channels}
    if channel not in known:
        raise Misasked(_("This channel is unknown. Load the page again."))
    if known[channel].needs_address and not address:
        raise Misasked(_("Say to which number or address the test message by {channel} goes.", channel=channel))
    await answered(glass.town().post.try_channel(channel, address, current().actor))


def messages(show: str) -> pl.DataFrame:
    """The messages of a view, newest first (shape: room.COLUMNS).

    Raises Forbidden.
    """
    rows = glass.town().post.messages(current().actor)
    return rows.filter(NARROWED[show]) if show in NARROWED else rows


def page(show: str, outcome: Outcome) -> bytes:
    """The whole page; for those who act, since it names people and their numbers."""
    actor, town = current().actor, glass.town()
    if not actor.may_everywhere("operate"):
        return plain.document(_("Messages"), plain.content("messages_closed.html"))
    found, show = messages(show), show if show in NARROWED else ""
    shown = {key: _(words) for key, words in SHOWN.items()}
    body = plain.content(
        "messages.html", show=show, shown=shown, outcome=outcome, rows=_rows(found.head(MOST_SHOWN).to_dicts()),
        total=found.height, channels=town.post.channels, duty=town.post.on_duty(actor, town.now()),
        csv=glass.href("messages.csv", show=show),
    )  # fmt: skip
    return plain.document(_("Messages"), body, extra=("plain/fresh.js",))


def _rows(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "clock": wording.clock(row["made_at"], glass.town().zone), "became": _became(row)} for row in found]


def _became(row: Mapping[str, Any]) -> str:
    """What became of one message, in words."""
    zone = glass.town().zone
    if row["sent_at"]:
        return _("sent {clock}", clock=wording.clock(row["sent_at"], zone))
    if row["next_at"] is None:
        return _(
            "given up after {tries}: {words}", tries=wording.count(row["tries"], "try", "tries"), words=row["words"]
        )
    if not row["tries"]:
        return _("waits to be sent")
    tried = wording.count(row["tries"], "try", "tries")
    return _(
        "waits after {tries}, next at {clock}: {words}",
        tries=tried,
        clock=wording.clock(row["next_at"], zone),
        words=row["words"],
    )
