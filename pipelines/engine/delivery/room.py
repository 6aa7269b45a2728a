"""What a page or an API call may ask of delivery: what was sent, who is on duty, whether a channel works, warnings."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.alarms.record import Alarm
from pipelines.engine.asking import Misasked
from pipelines.engine.delivery import cap
from pipelines.engine.delivery.channels import Channel
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.noticing import notice
from pipelines.engine.delivery.outbox import Letter
from pipelines.engine.model import KINDS, Column
from pipelines.engine.people.roles import Actor
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Settings
from pipelines.engine.state_delivery import read_newest

if TYPE_CHECKING:
    from pipelines.engine.line_client import LineClient

COLUMNS = (
    Column(name="made_at", kind="instant", meaning="When the message was made."),
    Column(name="sent_at", kind="instant", meaning="When the channel took it; empty while it waits."),
    Column(name="receiver", meaning="Receiver in town.toml."),
    Column(name="channel", meaning="Channel by which it goes."),
    Column(name="address", personal=True, meaning="Number or mail address."),
    Column(name="subject", meaning="What it is about."),
    Column(name="tries", kind="integer", meaning="How often it was tried."),
    Column(name="next_at", kind="instant", meaning="When it is tried next; empty when sent or given up."),
    Column(name="words", meaning="Why the last try failed."),
    Column(name="id", meaning="The message's own name; a channel is given it with every try."),
)
NEWEST = 5_000
NO_CAP = "This town publishes no CAP warnings; town.toml [delivery.cap] says whether it does."


class PostRoom:
    """The messages of a town, from outside the line."""

    def __init__(self, settings: Settings, line: "LineClient", registers: Registers) -> None:
        self._settings, self._line, self._rota = settings, line, registers.rota
        self._wards = {ward: name or ward for ward, name in registers.wards.select("ward", "name").iter_rows()}

    def messages(self, actor: Actor) -> pl.DataFrame:
        """The newest messages, newest first (shape: COLUMNS).

        Raises Forbidden.
        """
        actor.check_everywhere("operate")
        return frame(read_newest(self._settings.store / "state.sqlite", NEWEST))

    @property
    def channels(self) -> list[Channel]:
        """The channels of this town; none where it tells nobody."""
        return list(self._settings.delivery.channels.values()) if self._settings.delivery else []

    def on_duty(self, actor: Actor, now: datetime) -> dict[str, tuple[str, ...]]:
        """Role -> who has it now.

        Raises Forbidden.
        """
        actor.check_everywhere("operate")
        roles = dict.fromkeys(shift.role for shift in self._rota.shifts)
        return {role: self._rota.on_duty(role, now) for role in roles}

    async def try_channel(
        self, channel: str, address: str, actor: Actor
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Send a test message; status, answer and headers of the line.

        Raises Forbidden, and httpx.TransportError when the line does not run.
        """
        actor.check_everywhere("operate")
        return await self._line.try_channel(channel, address)

    def feed(self, alarms: Iterable[Mapping[str, Any]], base: str, now: datetime) -> bytes:
        """The Atom feed of warnings, of the alarms on the board; `base` is where it stands unless the town says so.

        Raises Misasked where the town publishes none.
        """
        warnings, plan = self._warnings(), self._settings.delivery
        base = f"{plan.link.rstrip('/')}/cap/" if plan and plan.link else base
        return cap.feed(warnings, self._notices(alarms), self._settings.name, base, now)

    def warning(self, alarms: Iterable[Mapping[str, Any]], identifier: str) -> bytes:
        """One CAP message.

        Raises Misasked when nothing on the board has this identifier, or the town publishes none.
        """
        warnings, plan = self._warnings(), self._settings.delivery
        for one in warnings.published(self._notices(alarms)):
            if cap.identifier(one) == identifier:
                return cap.message(warnings, one, self._settings.name, plan.link if plan else "")
        raise Misasked("There is no such warning any more; /cap/feed.xml lists those that there are.", 404)

    def _notices(self, rows: Iterable[Mapping[str, Any]]) -> list[Notice]:
        return [notice(Alarm.recalled({"latched": False, **row}), self._wards) for row in rows]

    def _warnings(self) -> cap.Warnings:
        plan = self._settings.delivery
        if plan is None or plan.warnings is None:
            raise Misasked(NO_CAP, 404)
        return plan.warnings


def frame(letters: Iterable[Letter]) -> pl.DataFrame:
    """Messages as rows of COLUMNS, in the order given."""
    schema = pl.Schema({column.name: KINDS[column.kind] for column in COLUMNS})
    return pl.DataFrame([[getattr(one, name) for name in schema] for one in letters], schema=schema, orient="row")
