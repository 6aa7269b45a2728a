"""Pressure, hours of supply and chlorine in the network."""

from collections.abc import Mapping
from datetime import timedelta

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import between, enough_pressure, supply_hours, weighted_hours
from pipelines.water.readings import LEVELS, MIN_SHARE, at_dma, due, once


def _pressures(pressure_m: pl.DataFrame, dmas: pl.DataFrame, assets: pl.DataFrame, minimum_m: float) -> pl.DataFrame:
    """Pressure readings at their district metered area, with `enough`; its own minimum where one is written."""
    owed = dmas.select("asset", "minimum_pressure_m", "connections")
    placed = at_dma(pressure_m, assets).join(owed, on="asset", how="left")
    minimum = pl.col("minimum_pressure_m").fill_null(minimum_m)
    return placed.with_columns(enough=enough_pressure(pl.col("value"), minimum))


def pressure_compliance(
    pressure_m: pl.DataFrame,
    dmas: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    *,
    minimum_m: float = 7.0,
    off_below_m: float = -10.0,
) -> pl.DataFrame:
    """Share of pressure readings at or above the minimum, per window and area.

    `minimum_m` holds where dmas has none. A town with intermittent supply sets `off_below_m`: readings below it
    fall outside supply hours and do not count; -10 counts every reading.
    Source: CPHEEO manual, 7 m at the ferrule of a one-storey house.
    """
    rows = in_windows(once(pressure_m), windows)
    judged = _pressures(rows, dmas, assets, minimum_m)
    on = pl.col("value") >= off_below_m
    parts = share(pl.when(on).then(pl.col("enough"))) | {"n": pl.len().cast(pl.Int64)}
    areas = _added_up(judged, parts)
    return areas.join(due(sensors, assets, windows, "pressure_m"), on=KEYS, how="left")


def _added_up(rows: pl.DataFrame, parts: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Counts per window and area; those of each metered area and ward first, so that no reading is stacked by level."""
    places = rows.group_by("window", "asset", "ward").agg(**parts)
    return by_area(places, LEVELS).group_by(KEYS).agg(pl.col(*parts).sum())


def supply_continuity(
    pressure_m: pl.DataFrame,
    dmas: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    *,
    minimum_m: float = 7.0,
) -> pl.DataFrame:
    """Hours a day with enough pressure, weighted by connections, per window and area.

    A zone is the part of a district metered area in one ward: its hours are those of its worst pressure point (the
    critical one), its connections an equal part of the area's. A point that sent less than three quarters of its
    readings tells nothing about supply and is left out.
    Source: SLB 2.1.5.
    """
    rows = in_windows(once(pressure_m), windows)
    judged = _pressures(rows, dmas, assets, minimum_m)
    points = _points(judged, sensors, windows)
    zones = points.group_by("window", "asset", "ward", "connections").agg(pl.col("hours").min(), pl.col("n").sum())
    registered = at_dma(sensors.filter(pl.col("quantity") == "pressure_m"), assets)
    counted = registered.group_by("asset").agg(zones=pl.col("ward").n_unique())
    weight = pl.col("connections") / pl.col("zones")
    parts = weighted_hours(pl.col("hours"), weight) | {"n": pl.col("n").sum().cast(pl.Int64)}
    areas = by_area(zones.join(counted, on="asset"), LEVELS).group_by(KEYS).agg(**parts)
    return areas.join(due(sensors, assets, windows, "pressure_m"), on=KEYS, how="left")


def _points(judged: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Hours a day with enough pressure at each point that sent enough readings."""
    elapsed = windows.select("window", elapsed_s=(pl.col("as_of") - pl.col("window")).dt.total_seconds())
    points = judged.group_by("window", "asset", "ward", "sensor", "connections").agg(
        hours=supply_hours(pl.col("enough").sum(), pl.len()), n=pl.len()
    )
    owed = points.join(sensors.select("sensor", "every_s"), on="sensor").join(elapsed, on="window")
    return owed.filter(pl.col("n") >= MIN_SHARE * (pl.col("elapsed_s") // pl.col("every_s")))


def chlorine_compliance(
    chlorine_mg_l: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    *,
    low_mg_l: float = 0.2,
    high_mg_l: float = 1.0,
) -> pl.DataFrame:
    """Share of free chlorine readings from `low_mg_l` to `high_mg_l`, both included, per window and area.

    Source: IS 10500:2012 Table 2 (0.2 is a minimum, 1.0 the relaxed upper figure).
    """
    rows = at_dma(in_windows(once(chlorine_mg_l), windows), assets)
    good = between(pl.col("value"), pl.lit(low_mg_l), pl.lit(high_mg_l))
    areas = _added_up(rows, share(good))
    return areas.join(due(sensors, assets, windows, "chlorine_mg_l"), on=KEYS, how="left")


KPIS = (
    Kpi(
        function=pressure_compliance,
        catalogue="WA-07",
        title="Enough pressure",
        plain="Share of readings with enough pressure at the tap.",
        formula="100 x readings at or above the minimum / readings",
        standard="CPHEEO manual on water supply: 7, 12, 17 m at the ferrule for one, two, three storeys",
        unit="percent",
        window=every("day"),
        levels=LEVELS,
        better="higher",
        target=95,
        watch=90,
        scale=100,
        headline=True,
    ),
    Kpi(
        function=supply_continuity,
        catalogue="WA-06",
        title="Hours of supply",
        plain="Hours a day the tap has water, yesterday.",
        formula="connection-weighted mean of the hours with pressure at or above the minimum",
        standard="MoUD Service Level Benchmarks 2.1.5; ISO 37120:2014 21.6 counts the hours without",
        unit="h/day",
        window=every("day"),
        levels=LEVELS,
        better="higher",
        target=24,
        watch=20,
        settles=timedelta(0),
        headline=True,
    ),
    Kpi(
        function=chlorine_compliance,
        catalogue="WA-08",
        title="Chlorine within limits",
        plain="Share of readings with enough, and not too much, disinfectant.",
        formula="100 x readings from 0.2 to 1.0 mg/L / readings",
        standard="IS 10500:2012 Table 2; WHO GDWQ 0.2 mg/L at delivery",
        unit="percent",
        window=every("day"),
        levels=LEVELS,
        better="higher",
        target=95,
        watch=90,
        scale=100,
    ),
)
