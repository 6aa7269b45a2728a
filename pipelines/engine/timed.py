"""Frames in order of time: what lies between two instants, found by halving and cut out without a copy."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.model import INSTANT

# A frame that is added to at every beat has so many small pieces at most besides its large ones, which are not copied;
# when it has more, so many at least become one.
MOST_PIECES, AT_LEAST_PIECES, LARGE_PIECE = 16, 8, 1 << 16
FAR = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(instants: pl.Series) -> NDArray[np.int64]:
    """Microseconds since 1970, read without the thread pool that the KPIs of a beat may keep busy."""
    exact = instants if instants.dtype == INSTANT else instants.cast(INSTANT)
    return exact.to_numpy().view(np.int64)


def place(frame: pl.DataFrame, at: datetime, column: str = "observed_at") -> int:
    """How many rows of a frame in order of a column of instants (without nulls) lie before an instant.

    The piece that holds the place is found first: as one array, all pieces would be copied.
    """
    instants = frame[column]
    after, piece = instants.len(), 0
    for length in reversed(instants.chunk_lengths()):
        after, piece = after - length, length
        if length and instants[after] < at:
            break
    instant = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")
    return after + int(np.searchsorted(instants.slice(after, piece).to_numpy(), instant))


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
    parts = [part for part in (frame.head(first), fresh[frame.columns], frame.slice(last)) if part.height]
    if not parts:
        return frame.clear()
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.vstack(part)
    return _in_few_pieces(joined)


def _in_few_pieces(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with its small pieces made one when it has many; large ones are left as they are.

    Those at the end are gathered until the piece before them is larger than they are: so each row is copied a few
    times, however long a frame is added to.
    """
    lengths = frame.to_series().chunk_lengths()
    small = sum(length < LARGE_PIECE for length in lengths)
    if small <= MOST_PIECES + len(lengths) - small:
        return frame
    count, rows = 0, 0
    for length in reversed(lengths):
        if length >= LARGE_PIECE or (count >= AT_LEAST_PIECES and length > rows):
            break
        count, rows = count + 1, rows + length
    if count < AT_LEAST_PIECES:
        # Late rows have cut up what lies before.
        return frame.rechunk()
    whole = frame.tail(rows).rechunk()
    return frame.head(-rows).vstack(whole) if rows < frame.height else whole
