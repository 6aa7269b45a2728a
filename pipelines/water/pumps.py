"""Pumps: electricity per volume lifted, and how much of it reaches the water."""

from datetime import timedelta
from typing import Any

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import energy_per_volume, energy_per_volume_and_head, hydraulic_kwh, part_of
from pipelines.water.readings import LEVELS, once


def _hours(
    energy_hourly: pl.DataFrame, volume_hourly: pl.DataFrame, head_hourly: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Hours in which a pump's energy, volume and head are all known and it lifted water: energy, volume, head."""
    keys = ["asset", "ward", "observed_at"]
    energy = _sums(in_windows(once(energy_hourly), windows), ["window", *keys], "energy")
    volume = _sums(once(volume_hourly), keys, "volume")
    head = once(head_hourly).filter(pl.col("n") > 0).group_by(keys).agg(head=pl.col("sum").sum() / pl.col("n").sum())
    joined = energy.join(volume, on=keys, nulls_equal=True).join(head, on=keys, nulls_equal=True)
    return joined.filter((pl.col("volume") > 0) & (pl.col("head") > 0))


def _sums(hourly: pl.DataFrame, keys: list[str], name: str) -> pl.DataFrame:
    """Amounts per asset and hour; an hour in which readings are missing is left out."""
    whole = hourly.filter((pl.col("n") > 0) & (pl.col("n") >= pl.col("expected").fill_null(0)))
    return whole.group_by(keys).agg(pl.col("sum").sum().alias(name))


def pump_specific_energy(
    pump_energy_kwh_hourly: pl.DataFrame,
    pump_volume_m3_hourly: pl.DataFrame,
    pump_head_m_hourly: pl.DataFrame,
    windows: pl.DataFrame,
) -> pl.DataFrame:
    """Electricity per cubic metre lifted 100 m, per window and area.

    Source: IWA performance indicator Ph5.
    """
    hours = _hours(pump_energy_kwh_hourly, pump_volume_m3_hourly, pump_head_m_hourly, windows)
    lifted = energy_per_volume_and_head(pl.col("energy"), pl.col("volume"), pl.col("head"))
    return _ratio(hours, lifted)


def pump_energy_per_volume(
    pump_energy_kwh_hourly: pl.DataFrame,
    pump_volume_m3_hourly: pl.DataFrame,
    pump_head_m_hourly: pl.DataFrame,
    windows: pl.DataFrame,
) -> pl.DataFrame:
    """Electricity per cubic metre pumped, per window and area, over the same hours as the specific energy."""
    hours = _hours(pump_energy_kwh_hourly, pump_volume_m3_hourly, pump_head_m_hourly, windows)
    return _ratio(hours, energy_per_volume(pl.col("energy"), pl.col("volume")))


def pump_efficiency(
    pump_energy_kwh_hourly: pl.DataFrame,
    pump_volume_m3_hourly: pl.DataFrame,
    pump_head_m_hourly: pl.DataFrame,
    windows: pl.DataFrame,
) -> pl.DataFrame:
    """Share of the electricity that the water gained, wire to water, per window and area.

    More than 85 % means that a meter is wrong.
    """
    hours = _hours(pump_energy_kwh_hourly, pump_volume_m3_hourly, pump_head_m_hourly, windows)
    return _ratio(hours, part_of(hydraulic_kwh(pl.col("volume"), pl.col("head")), pl.col("energy")))


def _ratio(hours: pl.DataFrame, parts: dict[str, pl.Expr]) -> pl.DataFrame:
    """Sums of both parts per window and area; a pump at rest owes nothing, so every hour found is one expected."""
    sums = {name: part.sum() for name, part in parts.items()}
    count = pl.len().cast(pl.Int64)
    return by_area(hours, LEVELS).group_by(KEYS).agg(**sums, n=count, n_expected=count)


def _pump_kpi(**said: Any) -> Kpi:
    return Kpi(catalogue="WA-11", window=every("day"), levels=LEVELS, settles=timedelta(0), **said)


KPIS = (
    _pump_kpi(
        function=pump_specific_energy,
        title="Pumping energy, height considered",
        plain="Electricity per 1,000 litres lifted 100 metres, yesterday.",
        formula="energy / (volume x head / 100)",
        standard="IWA performance indicator Ph5; target by convention, about 55 % wire to water",
        unit="kWh/m^3",
        better="lower",
        target=0.5,
        watch=0.7,
        decimals=2,
    ),
    _pump_kpi(
        function=pump_energy_per_volume,
        title="Pumping energy",
        plain="Electricity per 1,000 litres pumped yesterday.",
        formula="energy / volume",
        standard="IWA performance indicators; depends on height, so compare a pump with itself",
        unit="kWh/m^3",
        better="context",
        decimals=2,
    ),
    _pump_kpi(
        function=pump_efficiency,
        title="Pump efficiency",
        plain="Share of the electricity that ended up lifting water yesterday.",
        formula="100 x (9.81 x volume x head / 3600) / energy",
        standard="Hydraulics; above 85 % a meter is wrong",
        unit="percent",
        better="higher",
        target=55,
        watch=45,
        scale=100,
    ),
)
