"""Frames in order of time: what lies between two instants, found by halving and cut out without a copy."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.model import INSTANT

# A frame that is added to at every beat has so many pieces at most; all is copied when the rest is a quarter of it.
MOST_PIECES, GROWN = 16, 4
FAR = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(instants: pl.Series) -> NDArray[np.int64]:
    """Microseconds since 1970, read without the thread pool that the KPIs of a beat may keep busy."""
    exact = instants if instants.dtype == INSTANT else instants.cast(INSTANT)
    return exact.to_numpy().view(np.int64)


def place(frame: pl.DataFrame, at: datetime, column: str = "observed_at") -> int:
    """How many rows of a frame in order of a column of instants (without nulls) lie before an instant."""
    instant = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
    return int(np.searchsorted(frame[column].to_numpy(), instant))


def between(frame: pl.DataFrame, start: datetime | None, end: datetime, column: str = "observed_at") -> pl.DataFrame:
    """The rows of [start, end) of a frame in order of a column of instants; start None means from the beginning."""
    first = place(frame, start, column) if start is not None else 0
    return frame.slice(first, place(frame, end, column) - first)


def replaced(
    frame: pl.DataFrame, fresh: pl.DataFrame, start: datetime, end: datetime, column: str = "observed_at"
) -> pl.DataFrame:
    """The frame, in order of a column of instants, with the rows of [start, end) taken out and fresh ones put there.

    The very same frame when there is nothing to take out or put in.
    """
    first, last = place(frame, start, column), place(frame, end, column)
    if first == last and fresh.is_empty():
        return frame
    return _in_few_pieces(pl.concat([frame.head(first), fresh[frame.columns], frame.slice(last)]))


def _in_few_pieces(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame, with its small pieces made one when it has many; the large first one is copied only now and then."""
    if frame.n_chunks() <= MOST_PIECES:
        return frame
    large = frame.to_series().chunk_lengths()[0]
    tail = frame.slice(large)
    if tail.height * GROWN > large:
        return frame.rechunk()
    return pl.concat([frame.head(large), tail.rechunk()])
