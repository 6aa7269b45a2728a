"""What is known and due of every KPI: its running window's values, its closed windows to compute, its next look."""

import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate

import polars as pl

from pipelines.engine.calendar import length
from pipelines.engine.completing import NOTHING
from pipelines.engine.model import GRAINS, Kpi

Span = tuple[datetime, datetime]
# What a KPI that was never computed is thought to cost.
USUAL_COST_S = 0.01
LONG_AGO = datetime.min.replace(tzinfo=UTC)
WHOLE_DAYS = ("day", "week", "month", "year")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Work:
    """What is known and due of one KPI: the open window's values, and the spans of closed windows to compute.

    A span of rolling windows holds their ends, so that a part of it can be computed and the rest stay due. `fresh`:
    an input changed since the last look. `next_at`: when the clock alone may have moved the value. `shown_until`: the
    end of the window shown, where that is one that has ended.
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

    @cached_property
    def reads(self) -> frozenset[str]:
        """Tables and quantities that are inputs, rollups by the name of their quantity."""
        return frozenset(map(stem, self.kpi.inputs))

    @cached_property
    def pace(self) -> timedelta:
        """How finely the clock is told for this window: an hour's to ten seconds, a day's or month's to a minute."""
        return min(timedelta(minutes=1), max(timedelta(seconds=3), length(self.kpi.window) / 360))

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
        return self.fresh or now >= self.next_at or self.open_end is None or now >= self.open_end

    def looked(self, now: datetime) -> None:
        """Take note that the running window was computed at this instant."""
        self.looks += 1
        self.fresh, self.next_at = False, now + self.pace - (now - EPOCH - self.phase) % self.pace


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
    """As many of these as fit into so many seconds by what each cost last time; at least one."""
    spent = accumulate(work.cost_s for work in works)
    return [
        work for number, (work, after) in enumerate(zip(works, spent, strict=True)) if not number or after <= seconds
    ]
