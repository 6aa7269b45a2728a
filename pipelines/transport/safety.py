"""KPIs of road deaths and how severe crashes are."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows


def road_deaths(crashes: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Deaths within 30 days of a crash per 100,000 residents, over twelve months; `detail` is their number.

    Source: ISO 37120:2014 indicator 18.8; U4SSC SC: SH: SA: 9C.
    """
    deaths = (
        by_area(in_windows(crashes, windows, "crashed_at"), ["town", "ward"])
        .group_by(KEYS)
        .agg(deaths=pl.col("deaths").sum(), n=pl.len().cast(pl.Int64))
    )
    people = by_area(wards, ["town", "ward"]).group_by("area").agg(pl.col("population").sum())
    rows = deaths.join(people, on="area").with_columns(
        numerator=pl.col("deaths").cast(pl.Float64), denominator=pl.col("population").cast(pl.Float64)
    )
    return rows.select(*KEYS, "numerator", "denominator", "n", detail=pl.format("{} deaths", "deaths"))


def crash_severity(crashes: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Deaths per crash with injury, over twelve months.

    Source: MoRTH, Road Accidents in India.
    """
    return (
        by_area(in_windows(crashes, windows, "crashed_at"), ["town", "ward"])
        .group_by(KEYS)
        .agg(
            numerator=pl.col("deaths").sum().cast(pl.Float64),
            denominator=pl.len().cast(pl.Float64),
            n=pl.len().cast(pl.Int64),
        )
    )
