"""KPIs of the air right now: the US, Indian and European indexes and the NowCast."""

from functools import cache

import polars as pl

from pipelines.engine.measures import in_windows
from pipelines.pollution.formulas import (
    SEVERE,
    beyond_us_aqi,
    european_level,
    india_is_valid,
    india_ozone,
    india_sub_index,
    millionths,
    nowcast,
    ppb_from_ug_per_m3,
    us_ozone,
    us_sub_index,
    us_sulphur_dioxide,
    worst,
)
from pipelines.pollution.limit_tables import (
    EUROPEAN_AQI,
    INDIA_NAQI,
    INDIA_NAQI_SEVERE,
    MILLION,
    US_AQI,
    Index,
    european_bands,
    index,
    india_index,
    molar_mass,
)
from pipelines.pollution.stations import HIGHEST, MEAN, over_stations, wide, window_averages

PPB = {gas: ppb_from_ug_per_m3(1.0, molar_mass(gas)) for gas in ("O3", "SO2", "NO2", "CO")}


def us_aqi(
    pm25_ug_m3_hourly: pl.DataFrame,
    pm10_ug_m3_hourly: pl.DataFrame,
    o3_ug_m3_hourly: pl.DataFrame,
    co_mg_m3_hourly: pl.DataFrame,
    so2_ug_m3_hourly: pl.DataFrame,
    no2_ug_m3_hourly: pl.DataFrame,
    windows: pl.DataFrame,
    us_aqi_breakpoints: pl.DataFrame = US_AQI,
    *,
    minimum_hours: int = 18,
) -> pl.DataFrame:
    """US air quality index of the last 24 hours; the town is its worst station, `detail` the pollutant that decides.

    The window that ends at midnight is EPA's daily index. Gases go from ug/m3 to ppb at 25 C.
    Source: EPA-454/B-24-002; 40 CFR 58 Appendix G.
    """
    hours = wide(
        {
            "PM2.5": pm25_ug_m3_hourly,
            "PM10": pm10_ug_m3_hourly,
            "O3": o3_ug_m3_hourly,
            "CO": co_mg_m3_hourly,
            "SO2": so2_ug_m3_hourly,
            "NO2": no2_ug_m3_hourly,
        },
        PPB,
    )
    us = index(us_aqi_breakpoints)
    indexes = us_indexes(us)
    rows = window_averages(hours, windows, list(indexes), eight=["O3", "CO"], minimum_hours=minimum_hours)
    found = rows.with_columns(**indexes).with_columns(**worst({name: pl.col(name) for name in indexes}))
    return over_stations(found.with_columns(detail=_beyond(us)), HIGHEST)


@cache
def us_indexes(us: Index) -> dict[str, pl.Expr]:
    """The sub-indexes of a station's averages."""
    return {
        "PM2.5": us_sub_index("PM2.5", "24h", pl.col("PM2.5 24h"), us),
        "PM10": us_sub_index("PM10", "24h", pl.col("PM10 24h"), us),
        "O3": us_ozone(pl.col("O3 8h"), pl.col("O3 1h"), us),
        "CO": us_sub_index("CO", "8h", pl.col("CO 8h"), us),
        "SO2": us_sulphur_dioxide(pl.col("SO2 1h"), pl.col("SO2 24h"), us),
        "NO2": us_sub_index("NO2", "1h", pl.col("NO2 1h"), us),
    }


@cache
def _beyond(us: Index) -> pl.Expr:
    averaging = {"PM2.5": "24h", "PM10": "24h", "O3": "1h", "CO": "8h", "SO2": "24h", "NO2": "1h"}
    words = [
        pl.when((pl.col("value") == 500) & beyond_us_aqi(name, time, pl.col(f"{name} {time}"), us)).then(
            pl.lit(f"{name}, beyond the AQI")
        )
        for name, time in averaging.items()
    ]
    return pl.coalesce(*words, pl.col("detail"))


def india_naqi(
    pm25_ug_m3_hourly: pl.DataFrame,
    pm10_ug_m3_hourly: pl.DataFrame,
    no2_ug_m3_hourly: pl.DataFrame,
    o3_ug_m3_hourly: pl.DataFrame,
    co_mg_m3_hourly: pl.DataFrame,
    so2_ug_m3_hourly: pl.DataFrame,
    nh3_ug_m3_hourly: pl.DataFrame,
    pb_ug_m3_hourly: pl.DataFrame,
    windows: pl.DataFrame,
    india_naqi_breakpoints: pl.DataFrame = INDIA_NAQI,
    india_naqi_severe: pl.DataFrame = INDIA_NAQI_SEVERE,
    *,
    minimum_hours: int = 16,
    minimum_pollutants: int = 3,
    severe: str = SEVERE,
) -> pl.DataFrame:
    """Indian air quality index of the last 24 hours; the town is the mean of its stations, as CPCB does for cities.

    `detail` is the pollutant that decides (of the worst station). O3 and CO: highest 8-hour mean in the window.
    Source: CPCB National Air Quality Index, October 2014; "How AQI is calculated".
    """
    hours = wide(
        {
            "PM2.5": pm25_ug_m3_hourly,
            "PM10": pm10_ug_m3_hourly,
            "NO2": no2_ug_m3_hourly,
            "O3": o3_ug_m3_hourly,
            "CO": co_mg_m3_hourly,
            "SO2": so2_ug_m3_hourly,
            "NH3": nh3_ug_m3_hourly,
            "Pb": pb_ug_m3_hourly,
        }
    )
    indexed = india_indexes(india_index(severe, india_naqi_breakpoints, india_naqi_severe))
    rows = window_averages(hours, windows, list(indexed), eight=["O3", "CO"], minimum_hours=minimum_hours)
    indexes = {name: pl.col(name) for name in indexed}
    valid = pl.when(india_is_valid(indexes, minimum_pollutants))
    judged = {name: valid.then(index) for name, index in worst(indexes).items()}
    return over_stations(rows.with_columns(**indexed).with_columns(**judged), MEAN)


@cache
def india_indexes(india: Index) -> dict[str, pl.Expr]:
    """The sub-indexes of a station's averages."""
    taken = {name: pl.col(f"{name} 24h") for name in ("PM2.5", "PM10", "NO2", "SO2", "NH3", "Pb")}
    taken["O3"] = india_ozone(pl.col("O3 8h"), pl.col("O3 1h"))
    taken["CO"] = pl.col("CO 8h")
    order = ("PM2.5", "PM10", "NO2", "O3", "CO", "SO2", "NH3", "Pb")
    return {name: india_sub_index(name, taken[name], india) for name in order}


def european_aqi(
    pm25_ug_m3_hourly: pl.DataFrame,
    pm10_ug_m3_hourly: pl.DataFrame,
    no2_ug_m3_hourly: pl.DataFrame,
    o3_ug_m3_hourly: pl.DataFrame,
    so2_ug_m3_hourly: pl.DataFrame,
    windows: pl.DataFrame,
    european_aqi_bands: pl.DataFrame = EUROPEAN_AQI,
) -> pl.DataFrame:
    """European air quality level of the hour, 1 good to 6 extremely poor; the town is its worst station.

    Source: EEA European Air Quality Index as revised 2024/25. Gaps are not filled from a model.
    """
    hours = wide(
        {
            "PM2.5": pm25_ug_m3_hourly,
            "PM10": pm10_ug_m3_hourly,
            "NO2": no2_ug_m3_hourly,
            "O3": o3_ug_m3_hourly,
            "SO2": so2_ug_m3_hourly,
        }
    )
    bands = european_bands(european_aqi_bands)
    names = ("PM2.5", "PM10", "NO2", "O3", "SO2")
    rows = in_windows(hours, windows).with_columns(
        european_level(name, pl.col(name), bands).alias(name) for name in names
    )
    levels = {name: pl.col(name) for name in names}
    measured = pl.sum_horizontal([level.is_not_null().cast(pl.Int64) for level in levels.values()])
    found = rows.with_columns(**worst(levels), n=measured, n_expected=measured)
    return over_stations(found.filter(pl.col("value").is_not_null()), HIGHEST)


def _nowcasts(hours: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """NowCast of each pollutant column per window and station, in the column's unit."""
    names = [name for name in hours.columns if name not in ("asset", "ward", "observed_at")]
    placed = in_windows(hours, windows).join(windows.select("window", "end"), on="window")
    ago = ((pl.col("end") - pl.col("observed_at")).dt.total_minutes() + 59) // 60 - 1
    numbers = placed.with_columns(*[pl.col(name) / MILLION for name in names], hours_ago=ago)
    casts = [nowcast(pl.col(name), pl.col("hours_ago")).alias(name) for name in names]
    counts = [pl.col(name).count().cast(pl.Int64) for name in names]
    grouped = numbers.group_by("window", "asset").agg(
        pl.col("ward").first(), *casts, n=pl.sum_horizontal(counts), n_expected=pl.lit(12 * len(names))
    )
    return grouped


def nowcast_pm25(pm25_ug_m3_hourly: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """PM2.5 NowCast of the last 12 hours, weighted to the latest; the town is its worst station.

    Unit: ug/m3. Source: EPA NowCast fact sheet.
    """
    casts = _nowcasts(wide({"PM2.5": pm25_ug_m3_hourly}), windows)
    found = casts.with_columns(value=pl.col("PM2.5"), detail=pl.lit(None, dtype=pl.String))
    return over_stations(found, HIGHEST)


def nowcast_aqi(
    pm25_ug_m3_hourly: pl.DataFrame,
    pm10_ug_m3_hourly: pl.DataFrame,
    windows: pl.DataFrame,
    us_aqi_breakpoints: pl.DataFrame = US_AQI,
) -> pl.DataFrame:
    """US index of the particle NowCasts, truncated first; the town is its worst station.

    Source: EPA NowCast fact sheet; EPA-454/B-24-002.
    """
    casts = _nowcasts(wide({"PM2.5": pm25_ug_m3_hourly, "PM10": pm10_ug_m3_hourly}), windows)
    names = ("PM2.5", "PM10")
    us = index(us_aqi_breakpoints)
    indexed = casts.with_columns(us_sub_index(name, "24h", millionths(pl.col(name)), us).alias(name) for name in names)
    return over_stations(indexed.with_columns(**worst({name: pl.col(name) for name in names})), HIGHEST)
