"""How much of what was expected has come: counts of readings per area, and the time that arrivals cover."""

from datetime import datetime

import polars as pl

from pipelines.engine.measures import KEYS, in_windows

COVERAGE = {"window": pl.Datetime("us", "UTC"), "area": pl.String(), "n": pl.Int64(), "n_expected": pl.Int64(), "as_of": pl.Datetime("us", "UTC")}


def of_readings(rows: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Readings that came and that were expected per window and area, from the register of sensors.

    Shape: COVERAGE for town, ward and asset (own and parent asset); rows has sensor, observed_at and, when rolled up, n.
    Sensors has sensor, asset, ward, parent, every_s of the one quantity.
    """
    places = _places(sensors)
    elapsed = ((pl.col("as_of") - pl.col("window")).dt.total_seconds() / pl.col("every_s")).floor()
    expected = (
        windows.join(places.group_by("area", "every_s").len("count"), how="cross")
        .group_by(KEYS)
        .agg(n_expected=(pl.col("count") * elapsed).sum().cast(pl.Int64))
    )
    weight = pl.col("n").sum() if "n" in rows.columns else pl.len()
    inside = in_windows(rows.select("sensor", "observed_at", *(["n"] if "n" in rows.columns else [])), windows)
    per_sensor = inside.group_by("window", "sensor").agg(n=weight.cast(pl.Int64), as_of=pl.col("observed_at").max())
    came = per_sensor.join(places, on="sensor").group_by(KEYS).agg(pl.col("n").sum(), pl.col("as_of").max())
    return expected.join(came, on=KEYS, how="left").with_columns(pl.col("n").fill_null(0)).select(list(COVERAGE)).cast(COVERAGE)


def _places(sensors: pl.DataFrame) -> pl.DataFrame:
    """Each sensor with every area it belongs to: the town, its ward, its asset and its asset's parent."""
    parts = [sensors.select("sensor", "every_s", area=pl.lit("town"))]
    for level, column in (("ward", "ward"), ("asset", "asset"), ("asset", "parent")):
        named = sensors.filter(pl.col(column).is_not_null())
        parts.append(named.select("sensor", "every_s", area=pl.format("{}:{}", pl.lit(level), pl.col(column))))
    return pl.concat(parts).unique()


def of_arrivals(arrivals: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """The share of each window's elapsed time that the landed payloads of these feeds cover.

    Shape: window, coverage, as_of (the newest payload's clock); arrivals has covers_from, observed_at, outcome.
    """
    spans = arrivals.filter(pl.col("outcome") == "landed").select(low="covers_from", high="observed_at").sort("low")
    merged = _merge(spans)
    inside = (
        windows.join_where(merged, pl.col("low") < pl.col("as_of"), pl.col("high") > pl.col("window"))
        .with_columns(
            seconds=(pl.min_horizontal("high", "as_of") - pl.max_horizontal("low", "window")).dt.total_microseconds() / 1e6
        )
        .group_by("window")
        .agg(pl.col("seconds").sum(), newest=pl.col("high").max())
    )
    elapsed = (pl.col("as_of") - pl.col("window")).dt.total_microseconds() / 1e6
    joined = windows.join(inside, on="window", how="left").with_columns(elapsed=elapsed)
    share = pl.when(pl.col("elapsed") > 0).then((pl.col("seconds").fill_null(0.0) / pl.col("elapsed")).clip(0.0, 1.0))
    return joined.select("window", coverage=share, as_of="newest")


def _merge(spans: pl.DataFrame) -> pl.DataFrame:
    """Overlapping or touching spans joined into one; spans are sorted by low."""
    if spans.is_empty():
        return spans
    reach = pl.col("high").cum_max().shift()
    opens = (pl.col("low") > reach).fill_null(value=True)
    return spans.with_columns(_run=opens.cum_sum()).group_by("_run").agg(pl.col("low").min(), pl.col("high").max()).drop("_run").sort("low")


def completeness(arrivals: pl.DataFrame, start: datetime, hours: int, now: datetime) -> list[float | None]:
    """Covered share of each hour from `start` on, oldest first; null for hours before the first arrival."""
    grid = pl.DataFrame({"window": [start]}, schema={"window": pl.Datetime("us", "UTC")}).select(
        window=pl.datetime_range(pl.col("window").first(), pl.col("window").first() + pl.duration(hours=hours - 1), "1h")
    )
    grid = grid.with_columns(end=pl.col("window") + pl.duration(hours=1)).with_columns(
        as_of=pl.min_horizontal("end", pl.lit(now).dt.cast_time_unit("us"))
    )
    shares = of_arrivals(arrivals, grid).sort("window")["coverage"].to_list()
    first = arrivals["covers_from"].min() if arrivals.height else None
    return [share if first is not None and end > first else None for share, end in zip(shares, grid["end"], strict=True)]
