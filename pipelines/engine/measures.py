"""The few words that KPI functions are made of: windows, areas, ratios, percentiles."""

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from pipelines.engine.model import INSTANT

KEYS = ["window", "area"]


def in_windows(frame: pl.DataFrame, windows: pl.DataFrame, at: str = "observed_at") -> pl.DataFrame:
    """The rows of `frame` that fall into a window [start, end), each with its `window` (start).

    Shape: windows has `window`, `end`, `as_of` (instants). A row appears once per window that holds it;
    rows with a null instant fall into none.
    """
    spans = sorted(windows.select("window", "end").iter_rows())
    if len(spans) == 1:
        start, end = (pl.lit(instant, INSTANT) for instant in spans[0])
        return frame.filter((pl.col(at) >= start) & (pl.col(at) < end)).with_columns(window=start)
    rows = frame.filter(pl.col(at).is_not_null())
    if any(after < end for (_, end), (after, _) in pairwise(spans)):
        return rows.join_where(windows.select("window", "end"), pl.col(at) >= pl.col("window"), pl.col(at) < pl.col("end")).drop("end")
    ordered = windows.select("window", "end").sort("window")
    joined = rows.sort(at).join_asof(ordered, left_on=at, right_on="window", coalesce=False, check_sortedness=False)
    return joined.filter(pl.col(at) < pl.col("end")).drop("end")


def by_area(frame: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """The frame stacked once per level with a column `area`: `town`, `ward:W04`, `route:2`, `asset:T1`.

    A level other than town is a column of the frame; rows where it is null do not count on that level.
    """
    parts = [frame.lazy().with_columns(area=pl.lit("town"))] if "town" in levels else []
    for level in levels:
        if level != "town":
            named = pl.concat_str(pl.lit(f"{level}:"), pl.col(level).cast(pl.String))
            parts.append(frame.lazy().filter(pl.col(level).is_not_null()).with_columns(area=named))
    return pl.concat(parts).collect(engine="in-memory")


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
