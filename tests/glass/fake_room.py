"""Alarms of a made-up town that people can act on: the real lifecycle and desk on a book that keeps nothing."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.alarms import desk, performance
from pipelines.engine.alarms.book import Book
from pipelines.engine.alarms.desk import Deed
from pipelines.engine.alarms.lifecycle import Event
from pipelines.engine.alarms.listing import public, rows
from pipelines.engine.alarms.record import PERSONAL, Alarm, Transition
from pipelines.engine.alarms.room import frame
from pipelines.engine.asking import Misasked
from pipelines.engine.people.roles import Actor

BEGIN: tuple[dict[str, Any], ...] = (
    {"id": "a1", "rule": "water_low", "title": "Pressure below the minimum", "domain": "water", "priority": "critical", "asset": "WA-0003", "value": 3.2, "limit": 7.0, "unit": "metre_head", "minutes": 14, "instruction": "Check pump 2 at the Mill Lane station, then the valve at Canal East."},
    {"id": "a2", "rule": "energy_high", "title": "Transformer loaded beyond its rating", "domain": "energy", "priority": "high", "asset": "EN-0004", "value": 104.0, "limit": 100.0, "unit": "percent", "minutes": 47, "instruction": "Move load to the neighbouring feeder; look at the oil temperature."},
    {"id": "a3", "rule": "air_high", "title": "PM2.5 above the hourly warning level", "domain": "pollution", "priority": "medium", "asset": "PO-0002", "value": 131.4, "limit": 120.0, "unit": "ug/m^3", "minutes": 130, "instruction": "Tell the schools in the ward."},
    {"id": "a4", "rule": "bus_late", "title": "Route 4 runs late", "domain": "transport", "priority": "low", "asset": "TR-0001", "value": 310.0, "limit": 300.0, "unit": "second", "minutes": 200, "instruction": ""},
)  # fmt: skip


class Forgetful:
    """Where the book's states are kept: nowhere; what happened is remembered for `history`."""

    def __init__(self) -> None:
        self.log: list[Transition] = []

    def keep_alarms(self, states: Mapping[str, Any], log: Sequence[Transition]) -> None:
        self.log += log


class FakeRoom:
    """`Town.alarms` without a line: acts at once."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock, self._kept = clock, Forgetful()
        self.gathered: list[dict[str, Any]] = []
        self.book = Book(self._kept, {}, {})  # type: ignore[arg-type]

    def begin(self, assets: pl.DataFrame) -> None:
        """Three alarms that ring and one that is back to normal."""
        names = {asset: (name, ward) for asset, name, ward in assets.select("asset", "name", "ward").iter_rows()}
        for facts in BEGIN:
            own = dict(facts)
            asset, minutes = str(own["asset"]), own.pop("minutes")
            name, ward = names[asset]
            since = self._clock() - timedelta(minutes=minutes)
            self.ring(Alarm(**own, area=f"asset:{asset}", asset_name=name, ward=ward, since=since))
        back = self._clock() - timedelta(minutes=9)
        self.book.happen("a4", Event.RETURN, self._clock(), who="process", at=back, returned_at=back)
        self.keep()

    def ring(self, alarm: Alarm) -> None:
        self.book.rise(alarm, self._clock(), who="process", aside=None)
        self.keep()

    def keep(self) -> None:
        self.book.keep(lambda _: None)

    def shown(self) -> list[dict[str, Any]]:
        """The list as the board has it."""
        return public(self.book.alarms.values())

    def who(self, actor: Actor) -> dict[str, dict[str, Any]]:
        actor.check("read")
        return {
            row["id"]: {name: row[name] for name in PERSONAL if row[name]} for row in rows(self.book.alarms.values())
        }

    def told(self, actor: Actor, alarms: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        known = self.who(actor) if actor.may("read") else {}
        return [{**dict.fromkeys(PERSONAL), **row, **known.get(row["id"], {})} for row in alarms]

    def history(
        self, actor: Actor, alarm: str | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        actor.check("read")
        return frame(
            one for one in self._kept.log if alarm in (None, one.alarm) and (start is None or one.noted_at >= start)
        )

    def performance(self, actor: Actor, start: datetime, end: datetime, operators: int = 1) -> dict[str, Any]:
        actor.check("read")
        whole = performance.judged(self._kept.log, performance.Stretch(start, end, operators))
        stale = performance.stale(performance.standing_hours(self.shown(), self._clock()))
        return {"whole": whole, "shifts": [], "stale": stale}

    def incidents(self, actor: Actor, start: datetime, end: datetime) -> list[dict[str, Any]]:
        actor.check("read")
        return [one for one in self.gathered if start <= one["started_at"] < end]

    async def act(
        self, ids: Sequence[str], action: str, wanted: Any, actor: Actor
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        actor.check("operate")
        done, refused = [], []
        try:
            deed = Deed.of(action, actor.signature, wanted, self._clock())
        except Misasked as mistake:
            return mistake.status, {"detail": mistake.words}, {}
        for id in ids:
            try:
                done.append(desk.do(self.book, id, deed, self._clock()).shown())
            except Misasked as mistake:
                state = self.book.alarms[id].state if id in self.book.alarms else None
                refused.append(desk.refusal(id, mistake, state))
        self.keep()
        return 200, {"done": done, "refused": refused}, {}
