"""The newest reading of every series, kept up by what lands."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.model import INSTANT
from pipelines.engine.timed import micros

NEWEST = pl.Schema({"series": pl.Int32(), "observed_at": INSTANT, "value": pl.Float64()})
# So many pieces are kept until somebody asks.
MOST_PIECES = 500
NEVER = np.iinfo(np.int64).min
Piece = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]


class Standing:
    """A reading of the same instant as the newest replaces it: it is its correction."""

    def __init__(self, newest: pl.DataFrame) -> None:
        self._at, self._value, self._empty = np.full(1024, NEVER), np.zeros(1024), np.zeros(1024, np.bool_)
        # Whose newest came since they were last forgotten.
        self._fresh = np.zeros(1024, np.bool_)
        self._landed: list[pl.DataFrame] = []
        self._rows: pl.DataFrame | None = None
        self.learn(newest)
        self.forget_fresh()

    def learn(self, readings: pl.DataFrame) -> None:
        """Take note of readings that have landed."""
        self._landed.append(readings)
        if len(self._landed) > MOST_PIECES:
            self._take_in()

    def rows(self, *, stale_only: bool = False) -> pl.DataFrame:
        """One row per series: series, observed_at, value; `stale_only`: of those without a fresh one."""
        self._take_in()
        if self._rows is None:
            self._rows = self._framed(np.flatnonzero(self._at != NEVER))
        return self._framed(np.flatnonzero((self._at != NEVER) & ~self._fresh)) if stale_only else self._rows

    def forget_fresh(self) -> None:
        """From now on fresh is what lands from now on."""
        self._take_in()
        self._fresh[:] = False

    def _take_in(self) -> None:
        landed, self._landed = self._landed, []
        for readings in landed:
            if readings.height:
                self._rows = None
                self._put(_arrays(readings))

    def _put(self, piece: Piece) -> None:
        """Without sorting: of a flood only what is newest is looked at twice."""
        self._grow(int(piece[0].max()))
        newer = piece[1] >= self._at[piece[0]]
        series, at, value, empty = piece[0][newer], piece[1][newer], piece[2][newer], piece[3][newer]
        np.maximum.at(self._at, series, at)
        last = at == self._at[series]
        # Where an instant comes twice, the later row is written last.
        self._value[series[last]], self._empty[series[last]] = value[last], empty[last]
        self._fresh[series] = True

    def _grow(self, top: int) -> None:
        more = max(0, 2 * top + 1 - self._at.size) if top >= self._at.size else 0
        if more:
            self._at = np.append(self._at, np.full(more, NEVER))
            self._value = np.append(self._value, np.zeros(more))
            self._empty, self._fresh = (
                np.append(marks, np.zeros(more, np.bool_)) for marks in (self._empty, self._fresh)
            )

    def _framed(self, series: NDArray[np.int64]) -> pl.DataFrame:
        value = pl.Series(self._value[series]).set(pl.Series(self._empty[series]), None)
        at = pl.Series(self._at[series]).cast(INSTANT)
        return pl.DataFrame({"series": series.astype(np.int32), "observed_at": at, "value": value}, schema=NEWEST)


def _arrays(readings: pl.DataFrame) -> Piece:
    value = readings["value"]
    numbers = (value if value.dtype == pl.Float64 else value.cast(pl.Float64)).to_numpy()
    series = readings["series"].to_numpy().astype(np.int32, copy=False)
    return series, micros(readings["observed_at"]), numbers, value.is_null().to_numpy()
