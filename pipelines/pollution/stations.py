"""From hourly rollups to one row per window and air station, and from stations to wards and the town."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import polars as pl

from pipelines.engine.measures import AS_WRITTEN, KEYS, in_windows, stacked
from pipelines.pollution.formulas import millionths, not_negative, rounded_quotient

STATION = ["asset", "ward"]
HOUR = [*STATION, "observed_at"]
MEASURED = [*HOUR, "n", "expected", "sum"]
INSTRUMENT_LIMIT = -10.0
MINIMUM_SHARE = 0.75
EIGHT_HOURS_NEED = 6


def has_capture() -> pl.Expr:
    """Whether an hour or day of a rollup holds 75 % of the readings that should have come."""
    return (pl.col("n") > 0) & ~(pl.col("n") < MINIMUM_SHARE * pl.col("expected")).fill_null(False)


def wide(rollups: Mapping[str, pl.DataFrame], factors: Mapping[str, float] | None = None) -> pl.DataFrame:
    """One row per station and hour (or day), a column per pollutant in whole millionths; null = no valid mean.

    `factors` turns a pollutant's unit into the one wanted. Sensors of one station are averaged by their readings.
    """
    names = tuple(rollups)
    stacked = pl.concat([rollup[MEASURED] for rollup in rollups.values()])
    which = np.repeat(np.arange(len(names), dtype=np.int8), [rollup.height for rollup in rollups.values()])
    hours = stacked.with_columns(pl.Series("_which", which)).lazy().filter(has_capture()).group_by(HOUR)
    means = hours.agg(_means(names, tuple((factors or {}).get(name, 1.0) for name in names)))
    return means.sort("asset", "observed_at").collect(engine="in-memory", optimizations=AS_WRITTEN)


@lru_cache(maxsize=16)
def _means(names: tuple[str, ...], factors: tuple[float, ...]) -> list[pl.Expr]:
    """The mean of each pollutant, of the rows whose `_which` is its place among the names."""
    means = []
    for place, (name, factor) in enumerate(zip(names, factors, strict=True)):
        # Whole columns with gaps are summed in one go; rows picked out within each group take twice as long.
        own = pl.when(pl.col("_which") == place)
        readings = own.then("n").sum()
        mean = pl.when(readings > 0).then(own.then("sum").sum() / readings)
        means.append(millionths(not_negative(mean, INSTRUMENT_LIMIT) * factor).alias(name))
    return means


def with_eight_hour_means(hours: pl.DataFrame, pollutants: Sequence[str]) -> pl.DataFrame:
    """The hours with a column `<pollutant> 8h`: the mean of the hour and the seven before, null under six valid."""
    means = [
        pl.when(pl.col(name).count() >= EIGHT_HOURS_NEED)
        .then(rounded_quotient(pl.col(name).sum(), pl.col(name).count().cast(pl.Int64)))
        .alias(f"{name} 8h")
        for name in pollutants
    ]
    rolled = hours.rolling("observed_at", period="8h", group_by="asset").agg(*means)
    return hours.join(rolled, on=["asset", "observed_at"], maintain_order="left")


def window_averages(
    hours: pl.DataFrame, windows: pl.DataFrame, pollutants: Sequence[str], *, eight: Sequence[str], minimum_hours: int
) -> pl.DataFrame:
    """Per window and station and pollutant: `<p> 24h` mean, `<p> 1h` highest hour, `<p> 8h` highest 8-hour mean.

    24h and 1h are null under `minimum_hours` valid hours. 8-hour means lie wholly inside the window.
    `n` counts valid hours of all pollutants, `n_expected` those of the pollutants that reported at all.
    """
    rows = in_windows(with_eight_hour_means(hours, eight), windows)
    grouped = rows.group_by("window", "asset").agg(_averages(tuple(pollutants), tuple(eight), minimum_hours))
    expected = grouped.join(windows.select("window", hours=ELAPSED_HOURS), on="window")
    return expected.with_columns(n_expected=pl.col("measured") * pl.col("hours")).drop("measured", "hours")


@lru_cache(maxsize=16)
def _averages(pollutants: tuple[str, ...], eight: tuple[str, ...], minimum_hours: int) -> tuple[pl.Expr, ...]:
    inside = pl.col("observed_at") >= pl.col("window") + pl.duration(hours=7)
    found: list[pl.Expr] = []
    for name in pollutants:
        valid = pl.col(name).count().cast(pl.Int64)
        enough = pl.when(valid >= minimum_hours)
        found.append(enough.then(rounded_quotient(pl.col(name).sum(), valid)).alias(f"{name} 24h"))
        found.append(enough.then(pl.col(name).max()).alias(f"{name} 1h"))
    found += [pl.col(f"{name} 8h").filter(inside).max() for name in eight]
    counts = [pl.col(name).count().cast(pl.Int64) for name in pollutants]
    present = [(count > 0).cast(pl.Int64) for count in counts]
    totals = (pl.sum_horizontal(counts).alias("n"), pl.sum_horizontal(present).alias("measured"))
    return pl.col("ward").first(), *found, *totals


ELAPSED_HOURS = (pl.col("as_of") - pl.col("window")).dt.total_hours()
# The hour added makes up for the one that a spring day lacks.
ELAPSED_DAYS = ((ELAPSED_HOURS + 1) // 24).clip(lower_bound=1)


def over_stations(stations: pl.DataFrame, across: pl.Expr) -> pl.DataFrame:
    """One row per window and area from one per window and station; `detail` is that of the highest station.

    Shape: stations has window, asset, ward, value, detail, n, n_expected. `across` makes one value of several.
    """
    ordered = stations.lazy().sort("window", "value", "asset", descending=[False, True, False], nulls_last=True)
    rows = stacked(ordered, ["town", "ward", "asset"]).group_by(KEYS, maintain_order=True)
    found = rows.agg(
        value=across.cast(pl.Float64),
        detail=pl.col("detail").first(),
        n=pl.col("n").sum().cast(pl.Int64),
        n_expected=pl.col("n_expected").sum().cast(pl.Int64),
    )
    return found.with_columns(UNSURE).collect(engine="in-memory", optimizations=AS_WRITTEN)


UNSURE = pl.when(pl.col("value").is_null()).then(pl.lit("insufficient_data")).alias("reason")
HIGHEST = pl.col("value").max()
MEAN = rounded_quotient(pl.col("value").sum(), pl.col("value").count().cast(pl.Int64))
