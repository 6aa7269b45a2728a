"""The water balance of twelve months: what was lost on paper, what in the ground, and against the best possible."""

from datetime import timedelta
from typing import Any

import polars as pl

from pipelines.engine.measures import KEYS
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import (
    balance,
    leakage_index,
    leakage_index_valid,
    part_of,
    unavoidable_losses,
    under_registration,
)
from pipelines.water.readings import by_served_area, complete, dated, in_trailing, trailing

YEAR = timedelta(days=366)
AUDIT_LEVELS = ("town", "ward", "asset")


def audited(water_audits: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Audited months of the twelve to each window's end, with the parts of the balance; empty estimates are zero."""
    col = {name: pl.col(name).fill_null(0) for name in water_audits.columns if name.endswith(("_m3", "_pct"))}
    slow = under_registration(col["billed_metered_m3"], col["under_registration_pct"] / 100)
    parts = balance(
        pl.col("system_input_m3"),
        (col["billed_metered_m3"], col["billed_unmetered_m3"]),
        (col["unbilled_metered_m3"], col["unbilled_unmetered_m3"]),
        (col["unauthorised_m3"], slow, col["data_errors_m3"]),
    )
    placed = water_audits.drop("ward", strict=False).join(
        assets.select("asset", "ward"), left_on="dma", right_on="asset", how="left"
    )
    months = in_trailing(dated(placed, zone), trailing(windows, 12, zone), "at").with_columns(asset="dma")
    return months.with_columns(**parts).drop_nulls("system_input_m3")


def _losses(
    water_audits: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str, part: str
) -> pl.DataFrame:
    """A part of the balance against the system input; less than nothing lost means that a bulk meter is wrong."""
    months = audited(water_audits, assets, windows, zone)
    sums = part_of(pl.col(part).sum(), pl.col("system_input_m3").sum())
    areas = by_served_area(months, assets, (part, "system_input_m3")).group_by(KEYS).agg(**sums, **complete())
    wrong = pl.col("numerator") < 0
    return areas.with_columns(
        reason=pl.when(wrong).then(pl.lit("not_applicable")),
        detail=pl.when(wrong).then(pl.lit("negative losses: check the bulk meters")),
        denominator=pl.when(~wrong).then(pl.col("denominator")),
    )


def water_losses(water_audits: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share of the system input that was neither billed nor given away, over twelve months, per area.

    Source: IWA best-practice balance; AWWA M36.
    """
    return _losses(water_audits, assets, windows, zone, "water_losses")


def apparent_losses(water_audits: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share of the system input lost on paper: theft, slow meters, data errors, over twelve months, per area.

    Source: IWA best-practice balance; AWWA M36.
    """
    return _losses(water_audits, assets, windows, zone, "apparent")


def real_losses(water_audits: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share of the system input lost in the ground, over twelve months, per area.

    Source: IWA best-practice balance; AWWA M36.
    """
    return _losses(water_audits, assets, windows, zone, "real")


def infrastructure_leakage_index(
    water_audits: pl.DataFrame, dmas: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str
) -> pl.DataFrame:
    """How many times the unavoidable losses are lost, over twelve months, for the town's network as one.

    Not applicable to networks too small, thin or low in pressure for Lambert's formula.
    Source: Lambert et al. 1999, AQUA 48(6).
    """
    known = dmas.drop_nulls(["mains_km", "connections", "average_pressure_m"])
    months = audited(water_audits, assets, windows, zone).join(known.select("asset"), on="asset")
    days = pl.col("month").dt.days_in_month()
    per_dma = months.group_by("window", "asset").agg(pl.col("real").sum(), days=days.sum(), n=pl.len())
    joined = per_dma.join(known, on="asset")
    length, connections, pipes = pl.col("mains_km"), pl.col("connections"), pl.col("private_pipe_km").fill_null(0)
    pressure = (pl.col("average_pressure_m") * connections).sum() / connections.sum()
    least = unavoidable_losses(length, connections, pipes, pl.col("average_pressure_m"))
    lost = leakage_index(pl.col("real"), pl.col("days"), least)
    sums = joined.group_by("window").agg(
        **{name: part.sum() for name, part in lost.items()},
        valid=leakage_index_valid(length.sum(), connections.sum(), pressure),
        n=pl.col("n").sum().cast(pl.Int64),
    )
    return sums.select(
        "window",
        "numerator",
        "n",
        area=pl.lit("town"),
        n_expected="n",
        denominator=pl.when("valid").then(pl.col("denominator")),
        reason=pl.when(~pl.col("valid")).then(pl.lit("not_applicable")),
        detail=pl.when(~pl.col("valid")).then(pl.lit("network too small, thin or low in pressure for this index")),
    )


def _audit_kpi(**said: Any) -> Kpi:
    common: dict[str, Any] = {"window": every("month"), "levels": AUDIT_LEVELS, "lookback": YEAR, "better": "lower"}
    return Kpi(**(common | said))


_BALANCE: dict[str, Any] = {
    "catalogue": "WA-01",
    "standard": "IWA best-practice balance; AWWA M36",
    "unit": "percent",
    "scale": 100,
}

KPIS = (
    _audit_kpi(
        function=water_losses,
        title="Water lost",
        plain="Share of the water put in that was neither billed nor given away, over twelve months.",
        formula="100 x (system input - authorised) / system input",
        target=20,
        watch=35,
        **_BALANCE,
    ),
    _audit_kpi(
        function=apparent_losses,
        title="Water lost on paper",
        plain="Share of the water put in that was used but not counted: theft, slow meters, errors.",
        formula="100 x (unauthorised + billed metered x e / (1 - e) + data errors) / system input",
        target=5,
        watch=10,
        **_BALANCE,
    ),
    _audit_kpi(
        function=real_losses,
        title="Water lost in the ground",
        plain="Share of the water put in that leaked away, over twelve months.",
        formula="100 x (water losses - apparent losses) / system input",
        target=15,
        watch=25,
        **_BALANCE,
    ),
    _audit_kpi(
        function=infrastructure_leakage_index,
        catalogue="WA-03",
        title="Leakage index",
        plain="How many times more the network leaks than the best it technically could.",
        formula="real losses / ((18 km mains + 0.8 connections + 25 km private pipe) x pressure)",
        standard="Lambert et al. 1999, AQUA 48(6); World Bank Institute band A for developing countries ends at 4",
        unit="dimensionless",
        levels=("town",),
        target=2,
        watch=4,
    ),
)
