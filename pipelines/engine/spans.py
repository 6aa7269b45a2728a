"""Rows to be given away as frames in order, a span of time at a time, so that memory stays flat."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.asking import Span
from pipelines.engine.model import INSTANT, KINDS, Column

Read = Callable[[datetime | None, datetime | None], pl.DataFrame]
ALWAYS = Span()
FIRST_STEP = timedelta(hours=1)
LONGEST_STEP, SHORTEST_STEP = timedelta(days=366), timedelta(minutes=5)
# Spans are chosen so that a frame holds about this many rows: memory stays flat however long the export.
FEW_ROWS, MANY_ROWS = 8_000, 60_000
# After a silence of months a span has grown long: no frame may hold more than about this, by what the files say.
MOST_ROWS = 240_000


@dataclass(frozen=True, kw_only=True)
class Extract:
    """Rows to be given away, readable in spans.

    `time` names the column that places rows in time (None: read whole); `order` makes the order of rows of one
    instant fixed, so that paging neither repeats nor skips; `earliest` says where reading begins; `weigh` guesses
    how many rows a span holds; `nested` gives the types of columns that hold lists. Within `pin` all reads are of one
    moment, and it gives the journal's frame up to which that is; `about` says what its manifest tells beside.
    """

    name: str
    columns: tuple[Column, ...]
    read: Read
    time: str | None = None
    order: tuple[str, ...] = ()
    span: Span = ALWAYS
    ward: str | None = None
    nested: Mapping[str, pl.DataType] = field(default_factory=dict)
    earliest: Callable[[], datetime | None] = lambda: None
    weigh: Callable[[datetime, datetime], float] = lambda low, high: 0.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    pin: Callable[[], AbstractContextManager[int]] = lambda: nullcontext(0)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column name -> Polars type."""
        return {column.name: self.nested.get(column.name, KINDS[column.kind]) for column in self.columns}

    @property
    def seekable(self) -> bool:
        """Whether reading may begin at any instant."""
        return self.time is not None and self.schema[self.time] == INSTANT

    def frames(self, since: datetime | None = None) -> Iterator[pl.DataFrame]:
        """All rows from `since` (or the span's start) on, in order, in frames of moderate size; none of them empty."""
        at, step = since or self.span.start, FIRST_STEP
        first = self.earliest() if self.time else None
        last = min(self.span.end or self.now(), self.now())
        ended = False
        while not ended:
            step = self._bounded(at, step, last)
            edge = _edge(at, first, step, last)
            ended = edge is None
            frame = self._frame(at, edge or self.span.end)
            if frame.height:
                yield frame
            at, step = edge, _paced(step, frame.height)

    def _bounded(self, at: datetime | None, step: timedelta, last: datetime) -> timedelta:
        """The step, made so short that a frame of it does not grow too large."""
        while at and at < last and step > SHORTEST_STEP and self.weigh(at, min(at + step, last)) > MOST_ROWS:
            step = max(step / 4, SHORTEST_STEP)
        return step

    def guessed(self) -> int:
        """About how many rows there are, as far as the files tell; 0 where they do not."""
        end = min(self.span.end or self.now(), self.now())
        return round(self.weigh(self.span.start or self.earliest() or end, end)) if self.time else 0

    def empty(self) -> pl.DataFrame:
        """A frame of its columns without rows."""
        return pl.DataFrame(schema=self.schema)

    def _frame(self, low: datetime | None, high: datetime | None) -> pl.DataFrame:
        keys = [name for name in (self.time, *self.order) if name]
        rows = self.read(low, high).select(list(self.schema)).cast(pl.Schema(self.schema))
        return rows.sort(keys, maintain_order=True) if keys else rows


def _edge(at: datetime | None, first: datetime | None, step: timedelta, last: datetime) -> datetime | None:
    """Where the span that begins at `at` ends; None when it is the last one."""
    if first is None or first >= last:
        return None
    if at is None or at < first:
        return first
    return at + step if last - at > step else None


def _paced(step: timedelta, rows: int) -> timedelta:
    if rows < FEW_ROWS:
        return min(step * 8, LONGEST_STEP)
    return max(step / 4, SHORTEST_STEP) if rows > MANY_ROWS else step


def of_frame(
    name: str,
    frame: pl.DataFrame,
    columns: tuple[Column, ...],
    nested: Mapping[str, pl.DataType] | None = None,
    *,
    about: Mapping[str, Any] | None = None,
) -> Extract:
    """Rows that are at hand already."""
    return Extract(name=name, columns=columns, read=lambda low, high: frame, nested=nested or {}, about=about or {})
