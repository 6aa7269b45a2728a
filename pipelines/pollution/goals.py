"""KPIs against the WHO guidelines, and how much of the air and noise data arrived."""

from collections.abc import Mapping

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows
from pipelines.pollution.formulas import worst
from pipelines.pollution.limit_tables import MILLION, WHO_GUIDELINES, who_goals
from pipelines.pollution.stations import (
    ELAPSED_DAYS,
    ELAPSED_HOURS,
    HIGHEST,
    MINIMUM_SHARE,
    has_capture,
    over_stations,
    wide,
)


def _days(rollups: Mapping[str, pl.DataFrame], windows: pl.DataFrame) -> pl.DataFrame:
    return in_windows(wide(rollups), windows).join(windows.select("window", days=ELAPSED_DAYS), on="window")


def who_exceedance_days(
    pm25_ug_m3_daily: pl.DataFrame,
    pm10_ug_m3_daily: pl.DataFrame,
    no2_ug_m3_daily: pl.DataFrame,
    so2_ug_m3_daily: pl.DataFrame,
    co_mg_m3_daily: pl.DataFrame,
    windows: pl.DataFrame,
    who_guidelines: pl.DataFrame = WHO_GUIDELINES,
) -> pl.DataFrame:
    """Days of the year whose mean was above the WHO 24-hour guideline, for the pollutant with most such days.

    The town is its worst station; `detail` is the pollutant. A day counts with 75 % of its readings.
    Source: WHO global air quality guidelines 2021, table 0.1.
    """
    names = ["PM2.5", "PM10", "NO2", "SO2", "CO"]
    frames = [pm25_ug_m3_daily, pm10_ug_m3_daily, no2_ug_m3_daily, so2_ug_m3_daily, co_mg_m3_daily]
    days = _days(dict(zip(names, frames, strict=True)), windows)
    valid = [pl.col(name).count().cast(pl.Int64) for name in names]
    exceeded = [
        pl.when((pl.col(name).count() > 0) & pl.lit(limit is not None))
        .then((pl.col(name) > limit).sum().cast(pl.Int64))
        .alias(name)
        for name, limit in _guidelines(names, "24h", who_guidelines).items()
    ]
    measured = pl.sum_horizontal([(count > 0).cast(pl.Int64) for count in valid])
    grouped = days.group_by("window", "asset").agg(
        pl.col("ward").first(), *exceeded, n=pl.sum_horizontal(valid), n_expected=measured * pl.col("days").first()
    )
    return over_stations(grouped.with_columns(**worst({name: pl.col(name) for name in names})), HIGHEST)


def who_annual_ratio(
    pm25_ug_m3_daily: pl.DataFrame,
    pm10_ug_m3_daily: pl.DataFrame,
    no2_ug_m3_daily: pl.DataFrame,
    windows: pl.DataFrame,
    who_guidelines: pl.DataFrame = WHO_GUIDELINES,
) -> pl.DataFrame:
    """Mean of the year so far over the WHO annual guideline, for the pollutant and station where it is highest.

    Needs valid means for 75 % of the days so far. Source: WHO global air quality guidelines 2021, table 0.1.
    """
    frames = {"PM2.5": pm25_ug_m3_daily, "PM10": pm10_ug_m3_daily, "NO2": no2_ug_m3_daily}
    days = _days(frames, windows)
    valid = {name: pl.col(name).count().cast(pl.Int64) for name in frames}
    enough = {name: count >= MINIMUM_SHARE * pl.col("days").first() for name, count in valid.items()}
    limits = _guidelines(list(frames), "annual", who_guidelines)
    ratios = [pl.when(enough[name]).then(pl.col(name).mean() / limit).alias(name) for name, limit in limits.items()]
    measured = pl.sum_horizontal([(count > 0).cast(pl.Int64) for count in valid.values()])
    grouped = days.group_by("window", "asset").agg(
        pl.col("ward").first(),
        *ratios,
        n=pl.sum_horizontal(list(valid.values())),
        n_expected=measured * pl.col("days").first(),
    )
    found = over_stations(grouped.with_columns(**worst({name: pl.col(name) for name in frames})), HIGHEST)
    units = {name: None if limit is None else limit / MILLION for name, limit in limits.items()}
    guideline = pl.col("detail").replace_strict(units, return_dtype=pl.Float64)
    return found.with_columns(numerator=pl.col("value") * guideline, denominator=guideline).drop("value")


def _guidelines(pollutants: list[str], averaging: str, table: pl.DataFrame) -> dict[str, int | None]:
    """The strictest goal (millionths) of each pollutant; None where the table has none."""
    goals = {name: who_goals(name, averaging, table) for name in pollutants}
    return {name: found[0][1] if found else None for name, found in goals.items()}


def capture(valid: pl.Expr, expected: pl.Expr, required: pl.Expr) -> dict[str, pl.Expr]:
    """Per cent of the expected measurements that were valid, and whether the period counts."""
    return {
        "capture_pct": pl.when(expected > 0).then(100 * valid / expected),
        "valid": valid >= required,
    }


def data_capture(
    pm25_ug_m3_hourly: pl.DataFrame,
    pm10_ug_m3_hourly: pl.DataFrame,
    no2_ug_m3_hourly: pl.DataFrame,
    o3_ug_m3_hourly: pl.DataFrame,
    so2_ug_m3_hourly: pl.DataFrame,
    co_mg_m3_hourly: pl.DataFrame,
    nh3_ug_m3_hourly: pl.DataFrame,
    pb_ug_m3_hourly: pl.DataFrame,
    noise_dba_hourly: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
) -> pl.DataFrame:
    """Share of the sensor hours so far that hold 75 % of their readings, over the register of sensors.

    Source: 40 CFR 50 Appendix N; CPCB. A sensor that never spoke counts as expected.
    """
    gases = [no2_ug_m3_hourly, o3_ug_m3_hourly, so2_ug_m3_hourly, co_mg_m3_hourly, nh3_ug_m3_hourly, pb_ug_m3_hourly]
    frames = [pm25_ug_m3_hourly, pm10_ug_m3_hourly, *gases, noise_dba_hourly]
    hours = pl.concat([frame.filter(has_capture()).select("sensor", "observed_at") for frame in frames])
    valid = in_windows(hours, windows).group_by("window", "sensor").agg(n=pl.len().cast(pl.Int64))
    register = sensors.filter(pl.col("quantity").is_in(CAPTURED)).select("sensor", "asset", "ward")
    expected = register.join(windows.select("window", hours=ELAPSED_HOURS), how="cross")
    rows = expected.join(valid, on=["window", "sensor"], how="left").with_columns(pl.col("n").fill_null(0))
    counted = rows.with_columns(n=pl.min_horizontal("n", "hours")).filter(pl.col("hours") > 0)
    grouped = by_area(counted, ["town", "ward", "asset"]).group_by(KEYS)
    found = grouped.agg(pl.col("n").sum(), n_expected=pl.col("hours").sum().cast(pl.Int64))
    return found.with_columns(numerator=pl.col("n").cast(pl.Float64), denominator=pl.col("n_expected").cast(pl.Float64))


CAPTURED = (
    "pm25_ug_m3",
    "pm10_ug_m3",
    "no2_ug_m3",
    "o3_ug_m3",
    "so2_ug_m3",
    "co_mg_m3",
    "nh3_ug_m3",
    "pb_ug_m3",
    "noise_dba",
)
