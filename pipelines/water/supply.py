"""Water put into the district metered areas: per head, and against what is billed."""

from datetime import timedelta

import polars as pl

from pipelines.engine.measures import KEYS, in_windows, lasting, local
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import LITRES, non_revenue, per_head
from pipelines.water.readings import (
    LEVELS,
    MIN_SHARE,
    by_served_area,
    day_hours,
    in_trailing,
    once,
    relabelled,
    trailing,
)

BILLING_LAG = timedelta(days=30)
LONGEST_BILL = timedelta(days=93)
YEAR = timedelta(days=366)


def daily_volumes(inflow_daily: pl.DataFrame, sensors: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Water into each district metered area per local day, from the mean flow and the hours of that day.

    Shape: `asset, observed_at, volume_m3`; no row for a day on which one of its inlets sent less than
    three quarters of its readings, since a silent inlet is not a dry one.
    """
    inlets = _inlets(sensors)
    whole = once(inflow_daily).filter((pl.col("n") > 0) & (pl.col("n") >= MIN_SHARE * pl.col("expected").fill_null(0)))
    volume = pl.col("sum") / pl.col("n") * day_hours(pl.col("observed_at"), zone)
    days = whole.group_by("asset", "observed_at").agg(volume_m3=volume.sum(), reporting=pl.len())
    joined = days.join(inlets, on="asset").filter(pl.col("reporting") == pl.col("inlets"))
    return joined.select("asset", "observed_at", "volume_m3")


@lasting
def _inlets(sensors: pl.DataFrame) -> pl.DataFrame:
    flows = sensors.filter(pl.col("quantity") == "inflow_m3_h")
    return flows.group_by("asset").agg(inlets=pl.len())


def _days_due(sensors: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """How many days of district metered areas each window and area should hold by now."""
    days = ((pl.col("as_of") - pl.col("window")).dt.total_hours() / 24).round().clip(lower_bound=1)
    rows = _inlets(sensors).join(windows, how="cross").with_columns(days=days)
    return by_served_area(rows, assets).group_by(KEYS).agg(n_expected=pl.col("days").sum().cast(pl.Int64))


def supply_per_head(
    inflow_m3_h_daily: pl.DataFrame,
    dmas: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
) -> pl.DataFrame:
    """Litres put into distribution for each person served, per window and area.

    Before losses: what reaches the tap is less. Areas without a written population do not count.
    Source: SLB 2.1.2; CPHEEO manual.
    """
    people = dmas.filter(pl.col("population_served") > 0).select(
        "asset", "population_served", "bulk_non_domestic_m3_day"
    )
    days = in_windows(daily_volumes(inflow_m3_h_daily, sensors, zone), windows).join(people, on="asset")
    bulk = pl.col("bulk_non_domestic_m3_day").fill_null(0)
    parts = per_head((pl.col("volume_m3") * LITRES).sum(), (bulk * LITRES).sum(), pl.col("population_served").sum())
    amounts = ("volume_m3", "population_served", "bulk_non_domestic_m3_day")
    areas = by_served_area(days, assets, amounts).group_by(KEYS).agg(**parts, n=pl.len().cast(pl.Int64))
    return areas.join(_days_due(sensors, assets, windows), on=KEYS, how="left")


def billed_days(water_bills: pl.DataFrame) -> pl.DataFrame:
    """Bills spread evenly over the days that they cover: `asset`, `day`, `billed_m3`."""
    written = water_bills.filter((pl.col("period_end") >= pl.col("period_start")) & pl.col("billed_m3").is_not_null())
    days = written.with_columns(day=pl.date_ranges("period_start", "period_end"))
    shared = days.with_columns(billed_m3=pl.col("billed_m3") / pl.col("day").list.len())
    return shared.explode("day").group_by(pl.col("dma").alias("asset"), "day").agg(pl.col("billed_m3").sum())


def _billed_volumes(
    inflow_m3_h_daily: pl.DataFrame, water_bills: pl.DataFrame, sensors: pl.DataFrame, zone: str
) -> pl.DataFrame:
    """Days of district metered areas for which both the inflow and the bill are known."""
    volumes = daily_volumes(inflow_m3_h_daily, sensors, zone)
    dated = volumes.with_columns(day=local(pl.col("observed_at"), zone).dt.date())
    return dated.join(billed_days(water_bills), on=["asset", "day"])


def _unbilled(days: pl.DataFrame, assets: pl.DataFrame) -> pl.DataFrame:
    parts = non_revenue(pl.col("volume_m3").sum(), pl.col("billed_m3").sum())
    areas = by_served_area(days, assets, ("volume_m3", "billed_m3"))
    return areas.group_by(KEYS).agg(**parts, n=pl.len().cast(pl.Int64))


def non_revenue_water(
    inflow_m3_h_daily: pl.DataFrame,
    water_bills: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
) -> pl.DataFrame:
    """Share of the water put in that is not billed, per window and area.

    Only days of district metered areas count that are both measured and billed, so a late bill is not a loss.
    Source: IWA; SLB 2.1.4.
    """
    days = in_windows(_billed_volumes(inflow_m3_h_daily, water_bills, sensors, zone), windows)
    return _unbilled(days, assets).join(_days_due(sensors, assets, windows), on=KEYS, how="left")


def non_revenue_water_year(
    inflow_m3_h_daily: pl.DataFrame,
    water_bills: pl.DataFrame,
    assets: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
) -> pl.DataFrame:
    """Share of the water put in that is not billed in the twelve months up to the end of the window, per area.

    Source: IWA; SLB 2.1.4, judged over twelve months because bills come late and seasons differ.
    """
    year = trailing(windows, 12, zone)
    days = in_trailing(_billed_volumes(inflow_m3_h_daily, water_bills, sensors, zone), year, "observed_at")
    due = relabelled(_days_due(sensors, assets, year), year)
    return _unbilled(days, assets).join(due, on=KEYS, how="left")


KPIS = (
    Kpi(
        function=supply_per_head,
        catalogue="WA-05",
        title="Water supplied",
        plain="Litres of water put into the network yesterday for each person served, losses included.",
        formula="(water into distribution - bulk sales not to homes) / population served",
        standard="MoUD Service Level Benchmarks 2.1.2; CPHEEO manual: 135 with sewerage, 70 without, 40 at standposts",
        unit="L/day/person",
        window=every("day"),
        levels=LEVELS,
        better="higher",
        target=135,
        watch=100,
        decimals=0,
        settles=timedelta(0),
        headline=True,
    ),
    Kpi(
        function=non_revenue_water,
        catalogue="WA-02",
        title="Water not paid for",
        plain="Share of the water put in that earned nothing, in the last month whose bills are settled.",
        formula="100 x (system input - billed) / system input, over days both measured and billed",
        standard="IWA best-practice balance; MoUD Service Level Benchmarks 2.1.4; CPHEEO 15 % for new systems",
        unit="percent",
        window=every("month"),
        levels=LEVELS,
        better="lower",
        target=20,
        watch=35,
        scale=100,
        lookback=LONGEST_BILL,
        settles=BILLING_LAG,
        headline=True,
    ),
    Kpi(
        function=non_revenue_water_year,
        catalogue="WA-02",
        title="Water not paid for, year",
        plain="Share of the water put in that earned nothing, over twelve months as far as billed.",
        formula="100 x (system input - billed) / system input, over days both measured and billed",
        standard="IWA best-practice balance; MoUD Service Level Benchmarks 2.1.4; CPHEEO 15 % for new systems",
        unit="percent",
        window=every("month"),
        levels=LEVELS,
        better="lower",
        target=20,
        watch=35,
        scale=100,
        lookback=YEAR + LONGEST_BILL,
    ),
)
