"""Night flow of the district metered areas: what still flows when people sleep is mostly leaks."""

from datetime import timedelta
from typing import Any

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, lasting, local, shared
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import HOURS_A_DAY, hour_day_factor, net_night_flow, night_leakage_m3_day
from pipelines.water.readings import MIN_SHARE, at_dma, once

DAY = timedelta(hours=24)
HOUR = timedelta(hours=1)
FROM_HOUR, TO_HOUR = 2, 4
OFF_HOURS = 2
# The night of a day is over 20 hours before the day is, also on days when the clocks change before four o'clock:
# the board shows last night in the morning, not a day later.
NIGHT_IS_OVER = timedelta(hours=TO_HOUR) - DAY


@lasting
def _inlets(sensors: pl.DataFrame) -> pl.DataFrame:
    """How many inlets each district metered area has, and the slowest pace of them: `asset, inlets, every_s`."""
    flows = sensors.filter(pl.col("quantity") == "inflow_m3_h")
    return flows.group_by("asset").agg(inlets=pl.len(), every_s=pl.col("every_s").max().cast(pl.Int64))


def _night_flows(inflow: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Flow into each district metered area between two and four, all inlets together, one row per reading interval.

    Intervals at which an inlet is missing are left out: without it the area would look tight.
    """
    hour = local(pl.col("observed_at"), zone).dt.hour()
    night = in_windows(once(inflow.filter((hour >= FROM_HOUR) & (hour < TO_HOUR))), windows)
    placed = night.join(_inlets(sensors), on="asset").with_columns(
        slot=pl.col("observed_at").dt.epoch("s") // pl.col("every_s") * pl.col("every_s")
    )
    means = placed.group_by("window", "asset", "slot", "sensor", "inlets", "every_s").agg(pl.col("value").mean())
    sums = means.group_by("window", "asset", "slot", "inlets", "every_s").agg(flow=pl.col("value").sum(), n=pl.len())
    whole = sums.filter(pl.col("n") == pl.col("inlets"))
    return whole.with_columns(slot=pl.from_epoch("slot", "s").dt.replace_time_zone("UTC")).sort(
        "window", "asset", "slot"
    )


def night_minima(inflow: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The lowest rolling hour of each night between two and four local time: `window, asset, minimum_m3_h`.

    An hour counts when it lies wholly in the night and three quarters of its readings came.
    Source: UKWIR 99/WM/08/21 (minimum rolling hour).
    """
    flows = _night_flows(inflow, sensors, windows, zone)
    hours = flows.rolling("slot", period="1h", offset="0s", closed="left", group_by=["window", "asset"]).agg(
        flow=pl.col("flow").mean(), n=pl.len(), every_s=pl.col("every_s").first()
    )
    interval = pl.duration(seconds="every_s")
    ended = (pl.col("slot").max() + interval.first()).over("window", "asset")
    # an interval longer than an hour is its own rolling hour
    complete = (pl.col("slot") + HOUR <= ended) & (pl.col("n") * pl.col("every_s") >= MIN_SHARE * 3600)
    return hours.filter(complete).group_by("window", "asset").agg(minimum_m3_h=pl.col("flow").min())


def _pressures(pressure_hourly: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Mean and highest pressure of each district metered area in the 24 hours up to the end of the night, by hour."""
    over = pl.col("end") + NIGHT_IS_OVER
    spans = windows.with_columns(labelled="window", window=over - DAY, end=over)
    rows = in_windows(pressure_hourly.filter(pl.col("n") > 0), spans).join(
        spans.select("window", "labelled"), on="window"
    )
    hour = local(pl.col("observed_at"), zone).dt.hour()
    points = at_dma(rows, assets).with_columns(mean=pl.col("sum") / pl.col("n"), hour=hour)
    keys = [pl.col("labelled").alias("window"), "asset", "observed_at", "hour"]
    return points.group_by(keys).agg(pressure_m=pl.col("mean").mean(), highest_m=pl.col("mean").max())


def _day_shapes(pressures: pl.DataFrame, dmas: pl.DataFrame, off_below_m: float) -> pl.DataFrame:
    """Per night and area: `hours_off`, and `factor` from night to day (24 where pressure is not known well enough)."""
    at_night = (pl.col("hour") >= FROM_HOUR) & (pl.col("hour") < TO_HOUR)
    night_m = pl.col("pressure_m").filter(at_night).mean()
    known = (pl.len() >= MIN_SHARE * HOURS_A_DAY) & (night_m > 0)
    joined = pressures.join(dmas.select("asset", "n1"), on="asset", how="left").sort("observed_at")
    factor = hour_day_factor(pl.col("pressure_m").clip(lower_bound=0), night_m, pl.col("n1").fill_null(1.0).first())
    return joined.group_by("window", "asset").agg(
        hours_off=(pl.col("highest_m") < off_below_m).sum(),
        factor=pl.when(known).then(factor).otherwise(float(HOURS_A_DAY)),
    )


@shared
def _nights(
    flows: tuple[pl.DataFrame, pl.DataFrame],
    registers: tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame],
    windows: pl.DataFrame,
    zone: str,
    off_below_m: float,
) -> pl.DataFrame:
    """Nights with `minimum_m3_h`, `factor`, `reason` and `detail`, joined to what dmas says about the area.

    `flows`: inflow and hourly pressure. `registers`: dmas, assets, sensors. A night is not applicable where
    supply was off for two hours of the 24 before, or nothing flowed: then tanks fill, and leaks do not show.
    """
    (inflow, pressure_hourly), (dmas, assets, sensors) = flows, registers
    shapes = _day_shapes(_pressures(pressure_hourly, assets, windows, zone), dmas, off_below_m)
    nights = night_minima(inflow, sensors, windows, zone).join(shapes, on=["window", "asset"], how="left")
    off = (pl.col("hours_off").fill_null(0) >= OFF_HOURS) | (pl.col("minimum_m3_h") <= 0)
    return nights.join(dmas, on="asset", how="left").with_columns(
        pl.col("factor").fill_null(float(HOURS_A_DAY)),
        minimum_m3_h=pl.when(~off).then(pl.col("minimum_m3_h")),
        reason=pl.when(off).then(pl.lit("not_applicable")),
        detail=pl.when(off).then(pl.lit("intermittent supply")),
    )


def _one_each(nights: pl.DataFrame) -> pl.DataFrame:
    """One row per night and area, `n` of 1."""
    one = pl.lit(1, dtype=pl.Int64)
    return nights.with_columns(area=pl.format("asset:{}", "asset"), n=one, n_expected=one)


def minimum_night_flow(
    inflow_m3_h: pl.DataFrame,
    pressure_m_hourly: pl.DataFrame,
    dmas: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    off_below_m: float = 1.0,
) -> pl.DataFrame:
    """Lowest rolling hour of flow between two and four in the night, per night and district metered area.

    Not applicable where supply is intermittent (pressure below `off_below_m`).
    Source: BABE; UKWIR 99/WM/08/21.
    """
    nights = _nights((inflow_m3_h, pressure_m_hourly), (dmas, assets, sensors), windows, zone, off_below_m)
    return _one_each(nights).select(*KEYS, "n", "n_expected", "reason", "detail", value="minimum_m3_h")


def night_flow_over_baseline(
    inflow_m3_h: pl.DataFrame,
    pressure_m_hourly: pl.DataFrame,
    dmas: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    off_below_m: float = 1.0,
) -> pl.DataFrame:
    """Minimum night flow as a share of the area's usual one, per night and district metered area.

    Areas without a written baseline have no row.
    """
    nights = _nights((inflow_m3_h, pressure_m_hourly), (dmas, assets, sensors), windows, zone, off_below_m)
    usual = _one_each(nights.filter(pl.col("baseline_night_m3_h") > 0))
    parts = {"numerator": "minimum_m3_h", "denominator": "baseline_night_m3_h"}
    return usual.select(*KEYS, "n", "n_expected", "reason", "detail", **parts)


def night_leakage(
    inflow_m3_h: pl.DataFrame,
    pressure_m_hourly: pl.DataFrame,
    dmas: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    active_share: float = 0.06,
    litres_per_active_h: float = 10.0,
    off_below_m: float = 1.0,
) -> pl.DataFrame:
    """Water leaked in a day, from the night flow less night use and the day's pressure; the town is the sum.

    Areas without a written population have no row; where pressure is not measured it counts as constant.
    Source: BABE and FAVAD; SANFLOW defaults 6 % active, 10 L.
    """
    nights = _nights((inflow_m3_h, pressure_m_hourly), (dmas, assets, sensors), windows, zone, off_below_m)
    net = net_night_flow(
        pl.col("minimum_m3_h"),
        pl.col("population_served"),
        active_share=active_share,
        litres_per_active_h=litres_per_active_h,
        non_domestic=pl.col("non_domestic_night_m3_h").fill_null(0),
    )
    leaks = nights.with_columns(leak=night_leakage_m3_day(net, pl.col("factor"))).filter(
        pl.col("population_served").is_not_null()
    )
    return _summed(leaks, sensors.filter(pl.col("quantity") == "inflow_m3_h")["asset"].n_unique())


def _summed(leaks: pl.DataFrame, metered: int) -> pl.DataFrame:
    """The leak of each district and their sum; `metered` districts are expected in it."""
    rows = (
        by_area(leaks, ("town", "asset"))
        .group_by(KEYS)
        .agg(
            value=pl.when(pl.col("leak").count() > 0).then(pl.col("leak").sum()),
            n=pl.len().cast(pl.Int64),
            reason=pl.col("reason").first(),
            detail=pl.col("detail").first(),
        )
    )
    town = pl.col("area") == "town"
    known = pl.col("value").is_not_null()
    return rows.with_columns(
        n_expected=pl.when(town).then(metered).otherwise(1).cast(pl.Int64),
        reason=pl.when(~known).then(pl.col("reason")),
        detail=pl.when(~known).then(pl.col("detail")),
    )


def _night_kpi(**said: Any) -> Kpi:
    return Kpi(catalogue="WA-04", window=every("day"), lookback=DAY, settles=NIGHT_IS_OVER, **said)


KPIS = (
    _night_kpi(
        function=minimum_night_flow,
        level_shifts=True,
        title="Minimum night flow",
        plain="Water still flowing in the quietest hour between two and four last night.",
        formula="lowest rolling hour of inflow, 02:00 to 04:00 local time",
        standard="BABE; UKWIR 99/WM/08/21",
        unit="m^3/h",
        levels=("asset",),
        better="context",
    ),
    _night_kpi(
        function=night_flow_over_baseline,
        title="Night flow against usual",
        plain="Last night's lowest flow, where 100 is what is usual in that area.",
        formula="100 x minimum night flow / baseline of the area",
        standard="Convention: usual + 10 %; alarm at + 25 % for three nights",
        unit="percent",
        levels=("asset",),
        better="lower",
        target=110,
        watch=125,
        scale=100,
        decimals=0,
    ),
    _night_kpi(
        function=night_leakage,
        title="Leakage seen at night",
        plain="Water lost to leaks in a day, estimated from what flows when people sleep.",
        formula="(minimum night flow - night use) x sum over 24 h of (pressure / night pressure) ^ N1",
        standard="BABE and FAVAD; SANFLOW defaults: 6 % of people active, 10 litres each",
        unit="m^3/day",
        levels=("town", "asset"),
        better="context",
        decimals=0,
        min_coverage=1.0,
    ),
)
