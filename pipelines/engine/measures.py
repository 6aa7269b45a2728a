"""The few words that KPI functions are made of: windows, areas, ratios, percentiles."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache, wraps
from itertools import pairwise
from typing import Any, ParamSpec

import polars as pl

from pipelines.engine.calendar import earliest, latest
from pipelines.engine.model import INSTANT

KEYS = ["window", "area"]
P = ParamSpec("P")
TOWN = pl.lit("town").alias("area")
# Small plans gain nothing from being rearranged, and looking for a better one takes longer than they do.
AS_WRITTEN = pl.QueryOptFlags.none()
# So many answers of a step that several KPIs take are kept, none of them larger with what it was made of than this.
MOST_SHARED = 8
MOST_SHARED_BYTES = 8 << 20
Answers = OrderedDict[tuple[Any, ...], tuple[object, pl.DataFrame]]
_answers: list[Answers] = []


def in_windows(frame: pl.DataFrame, windows: pl.DataFrame, at: str = "observed_at") -> pl.DataFrame:
    """The rows of `frame` that fall into a window [start, end), each with its `window` (start).

    Shape: windows has `window`, `end`, `as_of` (instants). A row appears once per window that holds it;
    rows with a null instant fall into none.
    """
    spans = sorted(zip(windows["window"], windows["end"], strict=True))
    if len(spans) == 1:
        inside, start = _within(at, *spans[0])
        # Most inputs were read for this very window, and to look costs less than to sift.
        rows = frame if _all_within(frame[at], *spans[0]) else frame.filter(inside)
        return rows.with_columns(start)
    rows, ordered = frame.filter(pl.col(at).is_not_null()), windows.select("window", "end").sort("window")
    if any(after < end for (_, end), (after, _) in pairwise(spans)):
        return rows.join_where(ordered, pl.col(at) >= pl.col("window"), pl.col(at) < pl.col("end")).drop("end")
    joined = rows.sort(at).join_asof(ordered, left_on=at, right_on="window", coalesce=False, check_sortedness=False)
    return joined.filter(pl.col(at) < pl.col("end")).drop("end")


def _all_within(instants: pl.Series, start: datetime, end: datetime) -> bool:
    if instants.null_count():
        return False
    first, last = earliest(instants), latest(instants)
    return first is None or last is None or (first >= start and last < end)


@lru_cache(maxsize=256)
def instant(at: datetime) -> pl.Expr:
    """The expression of one instant."""
    return pl.lit(at, INSTANT)


@lru_cache(maxsize=256)
def _within(at: str, start: datetime, end: datetime) -> tuple[pl.Expr, pl.Expr]:
    return (pl.col(at) >= instant(start)) & (pl.col(at) < instant(end)), instant(start).alias("window")


def by_area(frame: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """The frame stacked once per level with a column `area`: `town`, `ward:W04`, `route:2`, `asset:T1`.

    A level other than town is a column of the frame; rows where it is null do not count on that level.
    """
    return stacked(frame.lazy(), levels).collect(engine="in-memory", optimizations=AS_WRITTEN)


def stacked(rows: pl.LazyFrame, levels: Sequence[str]) -> pl.LazyFrame:
    """As `by_area`, as a step of a longer plan."""
    parts = [rows.with_columns(TOWN)] if "town" in levels else []
    for level in levels:
        if level != "town":
            named, known = _named(level)
            parts.append(rows.filter(known).with_columns(named))
    return pl.concat(parts)


@lru_cache(maxsize=64)
def _named(level: str) -> tuple[pl.Expr, pl.Expr]:
    named = pl.concat_str(pl.lit(f"{level}:"), pl.col(level).cast(pl.String)).alias("area")
    return named, pl.col(level).is_not_null()


def share(condition: pl.Expr) -> dict[str, pl.Expr]:
    """Numerator and denominator of the share of rows for which `condition` is true; nulls leave both."""
    return {
        "numerator": condition.sum().cast(pl.Float64),
        "denominator": condition.count().cast(pl.Float64),
        "n": condition.count().cast(pl.Int64),
    }


def ratio(numerator: pl.Expr, denominator: pl.Expr) -> pl.Expr:
    """numerator / denominator, null when the denominator is zero or null."""
    return pl.when(denominator != 0).then(numerator / denominator)


def percentile(values: pl.Expr, share_of_one: float) -> pl.Expr:
    """The percentile by linear interpolation (Hyndman-Fan type 7), nulls left out."""
    return values.drop_nulls().quantile(share_of_one, interpolation="linear")


def local(instant: pl.Expr, zone: str) -> pl.Expr:
    """The instant on the town's clock, still zone-aware: use .dt.hour(), .dt.date() on it."""
    return instant.dt.convert_time_zone(zone)


def shared(function: Callable[P, pl.DataFrame]) -> Callable[P, pl.DataFrame]:
    """A step that several KPIs take: handed the very same frames again, it gives the frame that it gave before.

    Frames are told apart by identity; those of an answer that is kept are kept with it, so that none is mistaken.
    Answers are kept until `forget_shared`.
    """
    known: Answers = OrderedDict()
    _answers.append(known)
    return _remembering(function, known)


def lasting(function: Callable[P, pl.DataFrame]) -> Callable[P, pl.DataFrame]:
    """As `shared`, for steps made of registers, which stay the same from beat to beat: answers are kept for good."""
    return _remembering(function, OrderedDict())


def _remembering(function: Callable[P, pl.DataFrame], known: Answers) -> Callable[P, pl.DataFrame]:
    @wraps(function)
    def once(*args: P.args, **more: P.kwargs) -> pl.DataFrame:
        key = (*map(_identity, args), *((name, _identity(more[name])) for name in sorted(more)))
        found = known.pop(key, None)
        if found is None:
            result = function(*args, **more)
            if _size((result, *args, *more.values())) > MOST_SHARED_BYTES:
                return result
            found = ((args, more), result)
        known[key] = found
        while len(known) > MOST_SHARED:
            known.popitem(last=False)
        return found[1]

    return once


def forget_shared() -> None:
    """Let go of every answer that is kept, and of what it was made of."""
    for known in _answers:
        known.clear()


def _size(value: object) -> int:
    if isinstance(value, tuple):
        return sum(map(_size, value))
    return int(value.estimated_size()) if isinstance(value, pl.DataFrame) else 0


def _identity(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(map(_identity, value))
    return value if isinstance(value, str | int | float | None) else id(value)
