"""What is known and due of every KPI: its running window's values, its closed windows to compute, its next look."""

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import polars as pl

from pipelines.engine.calendar import length
from pipelines.engine.completing import NOTHING
from pipelines.engine.model import GRAINS, Kpi

Span = tuple[datetime, datetime]
# What a KPI that was never computed is thought to cost.
USUAL_COST_S = 0.01
ROUNDING_S = 1e-9
LONG_AGO = datetime.min.replace(tzinfo=UTC)
# However fast readings come, a value rests for this share of its window (a day's for nine seconds) before it is told
# anew: who reads a day does not miss them.
REST_SHARE, LONGEST_REST = 10_000, timedelta(seconds=10)
WHOLE_DAYS = ("day", "week", "month", "year")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Work:
    """What is known and due of one KPI: the open window's values, and the spans of closed windows to compute.

    A span of rolling windows holds their ends, so that a part of it can be computed and the rest stay due. `fresh`:
    an input changed since the last look. `next_at`: when the clock alone may have moved the value. `rests_until`: until
    then no input moves it. `waits_since`: the first beat since then that could have computed it. `shown_until`: the end
    of the window shown, where that is one that has ended. `window_cost_s`: what a closed window cost when some were
    last computed, at `closed_at`.
    """

    kpi: Kpi
    domain: str
    feeds: frozenset[str]
    heard: frozenset[str] = frozenset()
    current: pl.DataFrame = field(default_factory=lambda: NOTHING)
    open_from: datetime | None = None
    open_end: datetime | None = None
    shown_until: datetime | None = None
    due: list[Span] = field(default_factory=list)
    fresh: bool = True
    looks: int = 0
    cost_s: float = USUAL_COST_S
    next_at: datetime = LONG_AGO
    rests_until: datetime = LONG_AGO
    waits_since: datetime | None = None
    window_cost_s: float = USUAL_COST_S
    closed_at: datetime = LONG_AGO

    @cached_property
    def reads(self) -> frozenset[str]:
        """What is touched when an input changes: tables and quantities, rollups by the name of their quantity.

        Of arrivals only those of the feeds that the KPI hears, where it says which.
        """
        names = frozenset(map(stem, self.kpi.inputs))
        return names - {"arrivals"} | frozenset(map(arrivals_of, self.heard)) if self.kpi.hears else names

    @cached_property
    def pace(self) -> timedelta:
        """How finely the clock is told for this window: an hour's to ten seconds, a day's or month's to a minute."""
        return min(timedelta(minutes=1), max(timedelta(seconds=3), length(self.kpi.window) / 360))

    @cached_property
    def rest(self) -> timedelta:
        """How long inputs that change leave the value as it is."""
        return min(LONGEST_REST, length(self.kpi.window) / REST_SHARE)

    @cached_property
    def phase(self) -> timedelta:
        """Where within its pace this KPI's clock ticks: each at another instant, so that no beat holds all ticks."""
        return self.pace * (zlib.crc32(self.kpi.id.encode()) % 1000 / 1000)

    def bears(self, since: datetime, *, whole: bool) -> bool:
        """Whether a change of an input from `since` on may change the value shown; `whole` inputs know no span."""
        if self.shown_until is None or whole or self.kpi.lookback is None:
            return True
        # The rollups of the hour or day that a window's end cuts are read whole.
        return since < self.shown_until + (timedelta(0) if self.kpi.window.step in WHOLE_DAYS else timedelta(days=1))

    def wants(self, now: datetime) -> bool:
        """Whether the running window is to be computed again: an input changed, the clock ticked, or it has ended."""
        moved = self.fresh and now >= self.rests_until
        return moved or now >= self.next_at or self.open_end is None or now >= self.open_end

    def looked(self, now: datetime) -> None:
        """Take note that the running window was computed at this instant."""
        self.looks += 1
        self.fresh, self.waits_since = False, None
        self.next_at = self._after(now, self.pace)
        self.rests_until = self._after(now, self.rest)

    def _after(self, now: datetime, pace: timedelta) -> datetime:
        return now + pace - (now - EPOCH - self.phase) % pace


def arrivals_of(feed: str) -> str:
    """The name by which the arrivals of one feed are touched."""
    return f"arrivals of {feed}"


def stem(name: str) -> str:
    """The table or quantity that an input is made of: a rollup's is its quantity."""
    first, _, grain = name.rpartition("_")
    return first if grain in GRAINS else name


def merge(spans: list[Span], low: datetime, high: datetime) -> list[Span]:
    """The spans with [low, high) added; touching ones become one."""
    joined = [(low, high)]
    for start, end in spans:
        first, last = joined[-1]
        if start <= last and end >= first:
            joined[-1] = (min(first, start), max(last, end))
        else:
            joined.append((start, end))
    return sorted(joined)


def affordable(works: list[Work], seconds: float) -> list[Work]:
    """The first of these, and of the others in turn each that still fits into so many seconds by its last cost.

    One that costs more than a beat has comes when it is first; until then it keeps no cheap one from its turn.
    """
    chosen: list[Work] = []
    left = seconds
    for work in works:
        if not chosen or work.cost_s <= left + ROUNDING_S:
            chosen.append(work)
            left -= work.cost_s
    return chosen
