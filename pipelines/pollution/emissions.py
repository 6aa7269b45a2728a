"""KPI of greenhouse gas: what the town's services used, times published factors."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows
from pipelines.pollution.limit_tables import GREENHOUSE_FACTORS, greenhouse_factors

ITEMS = ("grid_kwh", "lpg_kg", "ch4_kg", "ch4_fossil_kg", "n2o_kg", "co2_kg")


def factors(gwp: str, grid_kg_per_kwh: float, table: pl.DataFrame = GREENHOUSE_FACTORS) -> dict[str, float]:
    """Kilograms of CO2e per unit of each item under one set of warming potentials (AR5 or AR6)."""
    potentials = greenhouse_factors(gwp, table)
    fossil = {"ch4_fossil_kg": potentials.get("ch4_fossil_kg", potentials["ch4_kg"])}
    fuels = greenhouse_factors("IPCC 2006", table)
    return {**fuels, **potentials, **fossil, "grid_kwh": grid_kg_per_kwh, "co2_kg": 1.0}


def tonnes_co2e(item: pl.Expr, amount: pl.Expr, kg_per_unit: dict[str, float]) -> pl.Expr:
    """Tonnes of CO2e of each row; null for an item without a factor."""
    return amount * item.replace_strict(kg_per_unit, default=None, return_dtype=pl.Float64) / 1000


def ghg_emissions(
    climate_activities: pl.DataFrame,
    windows: pl.DataFrame,
    greenhouse_gas: pl.DataFrame = GREENHOUSE_FACTORS,
    *,
    grid_kg_per_kwh: float = 0.710,
    gwp: str = "AR5",
) -> pl.DataFrame:
    """Greenhouse gas of the town's services in the month, location-based.

    Unit: tonnes CO2e. Source: GHG Protocol; CEA CO2 baseline version 21; IPCC GWP-100.
    """
    kg_per_unit = factors(gwp, grid_kg_per_kwh, greenhouse_gas)
    rows = in_windows(climate_activities, windows, "month_start")
    rows = rows.with_columns(tonnes=tonnes_co2e(pl.col("item"), pl.col("amount"), kg_per_unit))
    found = by_area(rows, ["town", "service"]).group_by(KEYS)
    return found.agg(
        value=pl.when(pl.col("tonnes").count() > 0).then(pl.col("tonnes").sum()),
        n=pl.col("tonnes").count().cast(pl.Int64),
        n_expected=pl.len().cast(pl.Int64),
        detail=pl.lit(f"{gwp}, grid {grid_kg_per_kwh} kg/kWh"),
    )
