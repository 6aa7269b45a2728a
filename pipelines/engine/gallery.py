"""The pictures of a town as they stand: one way for page, file and API; bounded, checked for rights, kept a moment."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.measures import forget_shared
from pipelines.engine.model import Domain
from pipelines.engine.people.roles import VISITOR, Actor
from pipelines.engine.picture import STATE, Drawn, Picture, Said
from pipelines.engine.sights import Sight
from pipelines.engine.snapshot import State
from pipelines.engine.store import Store

if TYPE_CHECKING:
    from pipelines.engine.town import Town

MOST_KEPT = 240
# Tables that are replaced as a whole are read again after so long.
TABLES_KEPT_S, MOST_TABLES = 120.0, 12
NOTHING: State = {"seq": 0, "kpis": {}, "feeds": {}}
Reader = Callable[[], tuple[Store, pl.DataFrame]]


@dataclass(frozen=True)
class Shown:
    """A picture as it stands: its rows and what is known about them.

    `hidden`: rows with too few cases to be told. `left_off`: rows beyond the most that are drawn.
    `cost_s`: how long it took to make.
    """

    picture: Picture
    rows: pl.DataFrame
    said: tuple[Said, ...]
    as_of: datetime | None
    coverage: float | None
    ground: pl.DataFrame | None
    seq: int
    made_at: datetime
    hidden: int = 0
    left_off: int = 0
    cost_s: float = 0.0


class Gallery:
    """Makes pictures when somebody looks, one at a time, and keeps them as long as they are worth it."""

    def __init__(self, town: "Town", reader: Reader) -> None:
        self._town, self._reader = town, reader
        self._kept: OrderedDict[tuple[Any, ...], Shown] = OrderedDict()
        self._tables: OrderedDict[str, tuple[float, pl.DataFrame]] = OrderedDict()
        self._making = threading.Lock()

    def show(
        self, domain: str, picture: str, *, ward: str | None = None, days: int | None = None, actor: Actor = VISITOR
    ) -> Shown:
        """The picture for a ward (None: the whole town) and a span of days (None: its own).

        Raises KeyError when there is no such domain or picture, Forbidden when the actor may not see it.
        """
        whole = self._town.domain(domain)
        declared = {one.id: one for one in whole.pictures}[picture]
        if declared.guarded:
            actor.check("read")
        ward = ward if declared.by_ward else None
        days = days if declared.longest else None
        key, board = (domain, picture, ward, days), self._town.board()
        state = board.state if board else NOTHING
        with self._making:
            known = self._kept.pop(key, None)
            if known is None or not self._stands(known, int(state["seq"])):
                known = self._made(whole, declared, state, ward=ward, days=days)
            self._kept[key] = known
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return known

    def _stands(self, known: Shown, seq: int) -> bool:
        """Whether what was made says the same that would be made now, or nearly."""
        every = known.picture.every
        return known.seq == seq or (every is not None and self._town.now() - known.made_at < every)

    def _made(self, domain: Domain, picture: Picture, state: State, *, ward: str | None, days: int | None) -> Shown:
        began, now = time.perf_counter(), self._town.now()
        store, dimension = self._reader()
        area = f"ward:{ward}" if ward else "town"
        start = now - span(picture, days)
        sight = Sight(self._town, store, dimension, domain, state, start, now, area, self._table)
        try:
            drawn = picture.function(**sight.given(picture))
        finally:
            # What steps share is made anew for each picture: this process lives for months.
            forget_shared()
        shown = _shown(picture, drawn, seq=int(state["seq"]), ward=ward, now=now)
        return replace(shown, cost_s=time.perf_counter() - began)

    def _table(self, name: str, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """A table that is replaced as a whole, read a moment ago or now."""
        known = self._tables.pop(name, None)
        if known is None or time.monotonic() - known[0] > TABLES_KEPT_S:
            known = (time.monotonic(), read())
        self._tables[name] = known
        while len(self._tables) > MOST_TABLES:
            self._tables.popitem(last=False)
        return known[1]


def span(picture: Picture, days: int | None) -> timedelta:
    """How far back a picture looks when somebody asks for so many days."""
    if days is None or picture.longest is None:
        return picture.span
    return min(timedelta(days=days), picture.longest)


def _shown(picture: Picture, drawn: Drawn, *, seq: int, ward: str | None, now: datetime) -> Shown:
    """What was drawn, cut to the ward and to the most rows, without what too few cases tell."""
    rows = drawn.rows
    if ward is not None and "ward" in rows.columns:
        rows = rows.filter(pl.col("ward") == ward)
    hidden = 0
    if picture.floor is not None and rows.height:
        few = (pl.col(picture.floor.cases) < picture.floor.least).fill_null(True)
        hidden = rows.filter(few).height
        columns = [name for name in (*picture.floor.hide, STATE) if name in rows.columns]
        rows = rows.with_columns(pl.when(~few).then(pl.col(name)).alias(name) for name in columns)
    left_off = max(0, rows.height - picture.most)
    named = [*picture.names, *([STATE] if STATE in rows.columns and STATE not in picture.names else [])]
    return Shown(
        picture, rows.head(picture.most).select(named), drawn.said, drawn.as_of, drawn.coverage, drawn.ground, seq, now,
        hidden, left_off,
    )  # fmt: skip
