"""Solar power, batteries and what they save: self-sufficiency, self-consumption, autonomy, performance ratio."""

from collections.abc import Mapping

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.energy.recent import recent
from pipelines.engine.measures import KEYS, by_area, in_windows, ratio

LEVELS = ("town", "ward", "asset")
SITE_HOUR = ["asset", "ward", "observed_at"]
BALANCE_CLOSES_PCT = 2.0


def site_hours(rollups: Mapping[str, Frame], sensors: Frame) -> Frame:
    """Energy in kWh of every site and hour, a column per quantity.

    A quantity that the site has no sensor for is 0 (no generator, no diesel); one whose sensor was silent is null.
    """
    kwh = ratio(pl.col("sum"), pl.col("n"))
    stacked = [frame.select(SITE_HOUR, kwh=kwh, quantity=pl.lit(name)) for name, frame in rollups.items()]
    return pl.concat(stacked).group_by(SITE_HOUR).agg(_energy(name, sensors) for name in rollups)


def _energy(name: str, sensors: Frame) -> pl.Expr:
    of_it = pl.col("quantity") == name
    equipped = sensors.filter(of_it)["asset"].unique().to_list()
    silent = pl.col("asset").first().is_in(equipped) & (of_it.sum() == 0)
    return pl.when(~silent).then(pl.col("kwh").filter(of_it).sum()).alias(name)


def _sums(hours: Frame, windows: Frame, needed: list[str], parts: formulas.Parts) -> Frame:
    whole = in_windows(hours.drop_nulls(needed), windows)
    return by_area(whole, LEVELS).group_by(KEYS).agg(**parts)


def _kwh(name: str) -> pl.Expr:
    return pl.col(name).sum()


def _balance() -> pl.Expr:
    sources = _kwh("solar_power_kw") + _kwh("grid_import_kw") + _kwh("battery_power_kw") + _kwh("diesel_power_kw")
    open_by = (sources - _kwh("grid_export_kw") - _kwh("load_power_kw")).abs()
    closes = open_by * 100 <= BALANCE_CLOSES_PCT * _kwh("load_power_kw")
    return pl.when(closes).then(pl.lit("balance closes")).otherwise(pl.lit("balance does not close: check the meters"))


def self_sufficiency(
    load_power_kw_hourly: Frame,
    grid_import_kw_hourly: Frame,
    grid_export_kw_hourly: Frame,
    solar_power_kw_hourly: Frame,
    battery_power_kw_hourly: Frame,
    diesel_power_kw_hourly: Frame,
    sensors: Frame,
    windows: Frame,
) -> Frame:
    """Share of the load that was not drawn from the grid; `detail` says whether the energy balance closes within 2 %.

    Source: IEA-PVPS usage.
    """
    rollups = {
        "load_power_kw": load_power_kw_hourly,
        "grid_import_kw": grid_import_kw_hourly,
        "grid_export_kw": grid_export_kw_hourly,
        "solar_power_kw": solar_power_kw_hourly,
        "battery_power_kw": battery_power_kw_hourly,
        "diesel_power_kw": diesel_power_kw_hourly,
    }
    parts = formulas.own_supply(_kwh("load_power_kw"), _kwh("grid_import_kw")) | {"detail": _balance()}
    return _sums(site_hours(rollups, sensors), windows, ["load_power_kw", "grid_import_kw"], parts)


def self_consumption(
    solar_power_kw_hourly: Frame, grid_export_kw_hourly: Frame, sensors: Frame, windows: Frame
) -> Frame:
    """Share of the solar energy that was used on the spot.

    Source: IEA-PVPS usage.
    """
    rollups = {"solar_power_kw": solar_power_kw_hourly, "grid_export_kw": grid_export_kw_hourly}
    parts = formulas.own_use(_kwh("solar_power_kw"), _kwh("grid_export_kw"))
    return _sums(site_hours(rollups, sensors), windows, list(rollups), parts)


def renewable_fraction(
    load_power_kw_hourly: Frame,
    grid_import_kw_hourly: Frame,
    diesel_power_kw_hourly: Frame,
    sensors: Frame,
    windows: Frame,
) -> Frame:
    """Share of the energy served that came neither from the grid nor from diesel.

    Source: ISO 37120:2014 7.4; U4SSC EN: E: E: 1C. The grid's own renewable share is not counted.
    """
    rollups = {
        "load_power_kw": load_power_kw_hourly,
        "grid_import_kw": grid_import_kw_hourly,
        "diesel_power_kw": diesel_power_kw_hourly,
    }
    load = _kwh("load_power_kw")
    green = formulas.renewable_served(load, _kwh("grid_import_kw"), _kwh("diesel_power_kw"))
    parts = {"numerator": green, "denominator": load}
    return _sums(site_hours(rollups, sensors), windows, list(rollups), parts)


def battery_autonomy(
    battery_soc_pct: Frame,
    load_power_kw: Frame,
    microgrids: Frame,
    windows: Frame,
    *,
    charge_age_min: int = 15,
    load_mean_min: int = 60,
) -> Frame:
    """Hours that the battery alone can carry the load; of an area: all usable energy over all load.

    The charge is the last one at most `charge_age_min` old, the load the mean of the last `load_mean_min`; a load of
    0 or less is not applicable.
    Source: no standard; convention of microgrid operators.
    """
    charge = recent(battery_soc_pct, windows, charge_age_min).sort("observed_at")
    charge = charge.group_by("window", "asset", "ward").agg(soc=pl.col("value").last() / 100, n=pl.len().cast(pl.Int64))
    load = recent(load_power_kw, windows, load_mean_min).group_by("window", "asset").agg(kw=pl.col("value").mean())
    sites = charge.join(load, on=["window", "asset"]).join(microgrids, on="asset")
    battery = {
        "soc": pl.col("soc"),
        "soc_min": pl.col("soc_min_pct") / 100,
        "capacity_kwh": pl.col("battery_kwh"),
        "efficiency": pl.col("discharge_efficiency"),
    }
    rows = sites.with_columns(**formulas.battery_hours(battery, pl.col("kw")))
    rows = rows.with_columns(numerator=pl.when(pl.col("denominator").is_not_null()).then("numerator"))
    shortest = pl.col("asset").get(ratio(pl.col("numerator"), pl.col("denominator")).arg_min())
    idle = pl.when(pl.col("denominator").count() == 0).then(pl.lit("not_applicable"))
    return (
        by_area(rows, LEVELS)
        .group_by(KEYS)
        .agg(pl.col("numerator", "denominator", "n").sum(), detail=shortest, reason=idle)
    )


def solar_performance_ratio(
    solar_power_kw_hourly: Frame,
    poa_irradiance_w_m2_hourly: Frame,
    microgrids: Frame,
    windows: Frame,
    *,
    min_irradiance_w_m2: float = 50.0,
) -> Frame:
    """Energy got of what the rated panels would give for the sun that fell on them; dim hours are left out.

    Source: IEC 61724-1.
    """
    mean = ratio(pl.col("sum"), pl.col("n"))
    solar = solar_power_kw_hourly.select(*SITE_HOUR, kwh=mean)
    sun = poa_irradiance_w_m2_hourly.select("asset", "observed_at", irradiance=mean)
    hours = solar.join(sun, on=["asset", "observed_at"]).join(microgrids, on="asset")
    bright = in_windows(hours.filter(formulas.is_bright(pl.col("irradiance"), min_irradiance_w_m2)), windows)
    parts = formulas.solar_yields(pl.col("kwh"), pl.col("solar_kwp"), pl.col("irradiance") / 1000)
    rows = by_area(bright.with_columns(**parts).drop_nulls("denominator"), LEVELS)
    return rows.group_by(KEYS).agg(pl.col("numerator").sum(), pl.col("denominator").sum())
