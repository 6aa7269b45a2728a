"""Which series wait to be judged: the spans of time that landed rows have touched, and since when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

# What came is judged when an interval's worth of it is there, and after this long at the latest.
PATIENCE = timedelta(minutes=5)
Span = tuple[int, int]


@dataclass
class Due:
    """What of one series waits to be judged: spans in microseconds, the first frame that touched it, and since when."""

    seq: int
    since: datetime
    spans: list[Span] = field(default_factory=list)

    def add(self, low: int, high: int, near: int) -> None:
        """One more span; those nearer to each other than `near` become one."""
        apart = [span for span in self.spans if span[0] > high + near or span[1] < low - near]
        joined = [span for span in self.spans if span not in apart]
        self.spans = [*apart, (min([low, *(s[0] for s in joined)]), max([high, *(s[1] for s in joined)]))]


class Waiting:
    """What is due, by series. `use` of the classes below fills `_pace` and `_reach` (µs) with the series they judge."""

    def __init__(self) -> None:
        self._due: dict[int, Due] = {}
        self._pace: dict[int, timedelta] = {}
        self._reach: dict[int, int] = {}

    def touch(self, rows: pl.DataFrame, seq: int, now: datetime) -> None:
        """Readings landed with the frame `seq`: what they may change is due.

        Like `take`, `confirm` and `undo` called by whoever keeps others from landing. Shape: series, observed_at.
        """
        at = pl.col("observed_at").dt.epoch("us")
        for series, low, high in rows.group_by("series").agg(low=at.min(), high=at.max()).iter_rows():
            if series in self._reach:
                due = self._due.setdefault(series, Due(seq, now))
                due.add(low, high, self._reach[series])

    def settled_before(self, seq: int) -> int:
        """The last frame up to which everything is judged; `seq` when nothing waits."""
        return min([due.seq - 1 for due in self._due.values()], default=seq)

    def take(self, now: datetime, *, all_due: bool = False) -> dict[int, Due]:
        """Take up the series that are to be judged now; `all_due` does not wait for an interval's worth of readings."""
        ready = [s for s, due in self._due.items() if all_due or now - due.since >= self._pace[s]]
        return {series: self._due.pop(series) for series in ready}

    def undo(self, taken: Mapping[int, Due]) -> None:
        """What was taken up is due again: nothing was kept of it."""
        for series, due in taken.items():
            again = self._due.setdefault(series, due)
            again.seq, again.since = min(again.seq, due.seq), min(again.since, due.since)
            for low, high in due.spans:
                again.add(low, high, self._reach.get(series, 0))
