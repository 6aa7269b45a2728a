"""Which series wait to be judged: the spans of time that landed rows have touched, and since when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from pipelines.engine.model import INSTANT

# What came is judged when an interval's worth of it is there, and after this long at the latest.
PATIENCE = timedelta(minutes=5)
Span = tuple[int, int]
# Spans of time by series, the frame they landed with, and since when.
Touched = tuple[pl.DataFrame, int, datetime]


@dataclass
class Due:
    """What of one series waits to be judged: spans in microseconds, the first frame that touched it, and since when."""

    seq: int
    since: datetime
    spans: list[Span] = field(default_factory=list)

    def add(self, low: int, high: int, near: int) -> None:
        """One more span; those nearer to each other than `near` become one."""
        if len(self.spans) == 1 and self.spans[0][0] <= high + near and self.spans[0][1] >= low - near:
            # As with nearly every reading that comes in its time, thousands of times a beat.
            self.spans[0] = (min(low, self.spans[0][0]), max(high, self.spans[0][1]))
            return
        apart = [span for span in self.spans if span[0] > high + near or span[1] < low - near]
        joined = [span for span in self.spans if span not in apart]
        self.spans = [*apart, (min([low, *(s[0] for s in joined)]), max([high, *(s[1] for s in joined)]))]


class Waiting:
    """What is due, by series. `use` of the classes below fills `_pace` and `_reach` (µs) with the series they judge."""

    def __init__(self) -> None:
        self._due: dict[int, Due] = {}
        self._fresh: list[Touched] = []
        self._sorting: list[Touched] = []
        self._pace: dict[int, timedelta] = {}
        self._reach: dict[int, int] = {}

    def touch(self, spans: pl.DataFrame, seq: int, since: datetime) -> None:
        """Readings came at `since` and landed with the frame `seq`: what they may change is due.

        Like `take`, `confirm` and `undo` called by whoever keeps others from landing. Shape: series, low, high.
        """
        self._fresh.append((spans, seq, since))

    def set_apart(self) -> None:
        """Set what was touched apart, to be sorted in when nobody who lands has to wait for it."""
        self._sorting, self._fresh = [*self._sorting, *self._fresh], []

    def sort_in(self) -> None:
        """Bring what was set apart into the book, series by series: once a beat, not once a batch."""
        if self._sorting:
            self._add(self._sorting)
        self._sorting = []

    def _sorted_in(self) -> None:
        self.set_apart()
        self.sort_in()

    def _add(self, fresh: Sequence[Touched]) -> None:
        reach = pl.DataFrame(
            {"series": list(self._reach), "near": list(self._reach.values())},
            schema={"series": pl.Int32, "near": pl.Int64},
        )
        low, high = (pl.col(edge).dt.epoch("us") for edge in ("low", "high"))
        heights = [spans.height for spans, _, _ in fresh]
        seqs = pl.Series([seq for _, seq, _ in fresh], dtype=pl.Int64)
        begun = pl.Series([since for _, _, since in fresh], dtype=INSTANT)
        of = np.repeat(np.arange(len(fresh)), heights)
        marked = pl.concat([spans for spans, _, _ in fresh]).with_columns(seq=seqs.gather(of), since=begun.gather(of))
        spans = marked.with_columns(low=low, high=high).join(reach, on="series").sort("series", "low")
        apart = pl.col("low") > pl.col("high").cum_max().shift().over("series") + pl.col("near")
        joined = (
            spans.with_columns(_part=apart.fill_null(value=False).cum_sum())
            .group_by("series", "_part", maintain_order=True)
            .agg(pl.col("seq", "since", "low", "near").min(), pl.col("high").max())
        )
        for series, _, seq, since, low_us, near, high_us in joined.iter_rows():
            due = self._due.setdefault(series, Due(seq, since))
            due.seq, due.since = min(due.seq, seq), min(due.since, since)
            due.add(low_us, high_us, near)

    def settled_before(self, seq: int) -> int:
        """The last frame up to which everything is judged; `seq` when nothing waits."""
        fresh = [seq - 1 for spans, seq, _ in [*self._fresh, *self._sorting] if spans.height]
        return min([*fresh, *(due.seq - 1 for due in [*self._due.values()])], default=seq)

    def take(self, now: datetime, *, all_due: bool = False) -> dict[int, Due]:
        """Take up the series that are to be judged now; `all_due` does not wait for an interval's worth of readings."""
        self._sorted_in()
        # A clock that was put back must not keep anybody waiting until it is there again.
        ready = [s for s, due in self._due.items() if all_due or abs(now - due.since) >= self._pace[s]]
        return {series: self._due.pop(series) for series in ready}

    def again(self, taken: Mapping[int, Due]) -> list[int]:
        """Those of the series taken up that were touched meanwhile."""
        self._sorted_in()
        return [series for series in taken if series in self._due]

    def undo(self, taken: Mapping[int, Due]) -> None:
        """What was taken up is due again: nothing was kept of it."""
        for series, due in taken.items():
            again = self._due.setdefault(series, due)
            again.seq, again.since = min(again.seq, due.seq), min(again.since, due.since)
            for low, high in due.spans:
                again.add(low, high, self._reach.get(series, 0))
