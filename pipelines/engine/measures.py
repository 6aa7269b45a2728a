"""The few words that KPI functions are made of: windows, areas, ratios, percentiles."""

from collections.abc import Sequence

import polars as pl

KEYS = ["window", "area"]


def in_windows(frame: pl.DataFrame, windows: pl.DataFrame, at: str = "observed_at") -> pl.DataFrame:
    """The rows of `frame` that fall into a window [start, end), each with its `window` (start).

    Shape: windows has `window`, `end`, `as_of` (instants). A row appears once per window that holds it;
    rows with a null instant fall into none.
    """
    spans = windows.select("window", "end").sort("window")
    rows = frame.filter(pl.col(at).is_not_null())
    if spans.height > 1 and (spans["window"].shift(-1) < spans["end"]).any():
        return rows.join_where(spans, pl.col(at) >= pl.col("window"), pl.col(at) < pl.col("end")).drop("end")
    if spans.height == 1:
        start, end = spans.row(0)
        inside = rows.filter((pl.col(at) >= start) & (pl.col(at) < end))
        return inside.with_columns(pl.lit(start).cast(spans["window"].dtype).alias("window"))
    joined = rows.sort(at).join_asof(spans, left_on=at, right_on="window", coalesce=False, check_sortedness=False)
    return joined.filter(pl.col(at) < pl.col("end")).drop("end")


def by_area(frame: pl.DataFrame, levels: Sequence[str]) -> pl.DataFrame:
    """The frame stacked once per level with a column `area`: `town`, `ward:W04`, `route:2`, `asset:T1`.

    A level other than town is a column of the frame; rows where it is null do not count on that level.
    """
    parts = [frame.with_columns(area=pl.lit("town"))] if "town" in levels else []
    for level in levels:
        if level != "town":
            named = frame.filter(pl.col(level).is_not_null())
            parts.append(named.with_columns(area=pl.format("{}:{}", pl.lit(level), pl.col(level).cast(pl.String))))
    return pl.concat(parts)


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
