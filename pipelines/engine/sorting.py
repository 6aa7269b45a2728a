"""A batch of rows held against what is known: which rows are new, which correct an older state, which say it again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.model import INSTANT, Table
from pipelines.engine.timed import micros

NEW, CORRECTS, DUPLICATE = 0, 1, 2


@dataclass(frozen=True)
class Sorting:
    """A batch held against what is known.

    outcome: one of NEW, CORRECTS, DUPLICATE per row of the batch; keep: the rows that say something new, in order;
    superseded: the older states that they replace.
    """

    outcome: pl.Series
    keep: pl.DataFrame
    superseded: pl.DataFrame

    @property
    def corrects(self) -> bool:
        """Whether any row replaces an older state."""
        return bool((self.outcome == CORRECTS).any())


class Newest:
    """The newest instant known of every series: a reading past it is new, and nothing has to be looked up for it."""

    def __init__(self, since: datetime, latest: pl.DataFrame) -> None:
        """`latest`: series and observed_at of the newest reading past `since`; of the others nothing is as new."""
        self._since = pl.Series([since]).cast(INSTANT).to_physical()[0]
        self._at: NDArray[np.int64] = np.full(1024, self._since, dtype=np.int64)
        self.learn(latest)

    def learn(self, rows: pl.DataFrame) -> None:
        """Take note of readings that have landed."""
        series, at = _places(rows)
        if series.size and (top := int(series.max())) >= self._at.size:
            grown = np.full(2 * top + 1, self._since, dtype=np.int64)
            grown[: self._at.size] = self._at
            self._at = grown
        np.maximum.at(self._at, series, at)

    def past(self, rows: pl.DataFrame) -> pl.Series:
        """Which readings are newer than anything known of their series."""
        series, at = _places(rows)
        known = self._at[np.minimum(series, self._at.size - 1)]
        return pl.Series(at > np.where(series < self._at.size, known, self._since))


def _places(rows: pl.DataFrame) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    return rows["series"].to_numpy(), micros(rows["observed_at"])


def spans_of(readings: pl.DataFrame) -> pl.DataFrame:
    """The first and last instant of each series among some readings, without the thread pool that a beat may hold.

    Shape: series, low, high.
    """
    series, at = _places(readings)
    order = np.argsort(series, kind="stable")
    series, at = series[order], at[order]
    begins = np.flatnonzero(np.diff(series, prepend=-1))
    edges = {"low": np.minimum.reduceat(at, begins), "high": np.maximum.reduceat(at, begins)}
    instants = {name: pl.Series(edge).cast(INSTANT) for name, edge in edges.items()}
    return pl.DataFrame({"series": series[begins], **instants})


def sort_rows(table: Table, known: pl.DataFrame, frame: pl.DataFrame) -> Sorting:
    """Hold a batch (declared columns, in order of arrival) against the newest rows of its keys.

    A row equal to the newest of its key is a duplicate; so is an older state where the table has versions.
    """
    key, rest = list(table.key), [c.name for c in table.columns if c.name not in (*table.key, table.judged)]
    if known.is_empty() and not _repeats(frame[key]):
        return Sorting(_outcome(frame.height, NEW), frame, frame.clear())
    order = pl.int_range(pl.len(), dtype=pl.Int64)
    both = pl.concat([known.with_columns(_o=pl.lit(-1, pl.Int64)), frame.with_columns(_o=order)])
    both = both.with_columns(_h=both.select(rest).hash_rows() if rest else pl.lit(0, pl.UInt64)).sort(*key, "_o")
    if table.version:
        newest = pl.col(table.version).shift().cum_max().over(key)
        both = both.filter(~(pl.col(table.version) < newest).fill_null(value=False))
    marked = both.with_columns(_before=pl.col("_h").shift().over(key))
    same = (pl.col("_h") == pl.col("_before")).fill_null(value=False)
    fresh = marked.filter((pl.col("_o") >= 0) & ~same)
    states = pl.concat([marked.filter(pl.col("_o") < 0), fresh]).sort(*key, "_o")
    superseded = states.filter(pl.col("_o") != pl.col("_o").last().over(key))
    columns = [c.name for c in table.columns]
    outcome = _outcome(frame.height, DUPLICATE)
    corrects = fresh.select("_o", _c=pl.col("_before").is_not_null().cast(pl.UInt8))
    outcome[corrects["_o"]] = corrects["_c"]
    return Sorting(outcome, fresh.sort("_o").select(columns), superseded.select(columns))


def _repeats(keys: pl.DataFrame) -> bool:
    """Whether a key comes twice; readings in order of time or of series, as most send them, tell it at a glance."""
    if keys.width == 2 and all(kind.is_integer() or kind.is_temporal() for kind in keys.dtypes):
        one, other = (np.diff(_whole_numbers(column)) for column in keys.get_columns())
        for first, second in ((one, other), (other, one)):
            if ((first > 0) | ((first == 0) & (second > 0))).all():
                return False
    return bool(keys.is_duplicated().any())


def _whole_numbers(column: pl.Series) -> NDArray[Any]:
    return column.to_numpy() if column.dtype.is_integer() else micros(column.cast(INSTANT))


def sort_whole(table: Table, standing: pl.DataFrame, frame: pl.DataFrame) -> Sorting:
    """A whole data set: all of it is new unless it equals the one that stands."""
    fresh = frame.unique(table.key, keep="last", maintain_order=True)
    key = list(table.key)
    if fresh.sort(key).equals(standing.sort(key)):
        return Sorting(_outcome(frame.height, DUPLICATE), frame.clear(), frame.clear())
    kept = frame.with_row_index("_o").unique(table.key, keep="last")["_o"]
    outcome = _outcome(frame.height, DUPLICATE)
    outcome[kept] = pl.repeat(NEW, kept.len(), dtype=pl.UInt8, eager=True)
    return Sorting(outcome, fresh, frame.clear())


def _outcome(height: int, value: int) -> pl.Series:
    return pl.Series(np.full(height, value, np.uint8))
