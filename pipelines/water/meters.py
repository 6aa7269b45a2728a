"""Smart water meters: which of them really report."""

from datetime import timedelta

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import part_of
from pipelines.water.readings import LEVELS, at_dma, once

BY_EIGHT = timedelta(hours=8)


def _meters(
    consumption_daily: pl.DataFrame, assets: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Every registered meter in every window, with its valid reads (0 when it was silent) and the reads due by now.

    Windows in which no meter at all was heard are left out: then the feed was down, which says nothing of meters.
    """
    registered = sensors.filter(pl.col("quantity") == "consumption_l").select("sensor", "asset", "ward", "every_s")
    elapsed = (pl.col("as_of") - pl.col("window")).dt.total_seconds()
    rows = at_dma(registered, assets).join(windows, how="cross").with_columns(due=elapsed // pl.col("every_s"))
    came = in_windows(once(consumption_daily), windows).group_by("window", "sensor").agg(reads=pl.col("n").sum())
    joined = rows.filter(pl.col("due") > 0).join(came, on=["window", "sensor"], how="left")
    heard = joined.filter(pl.col("reads").is_not_null().any().over("window"))
    return heard.with_columns(reads=pl.min_horizontal(pl.col("reads").fill_null(0), "due"))


def meter_read_success(
    consumption_l_daily: pl.DataFrame, assets: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Share of the registered meters that sent a valid read, per window and area.

    A meter that was taken out leaves the register and with it the denominator.
    """
    meters = _meters(consumption_l_daily, assets, sensors, windows)
    parts = part_of((pl.col("reads") > 0).sum(), pl.len())
    return by_area(meters, LEVELS).group_by(KEYS).agg(**parts, **_all_known())


def meter_interval_success(
    consumption_l_daily: pl.DataFrame, assets: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Share of the interval reads due that came and were valid, per window and area."""
    meters = _meters(consumption_l_daily, assets, sensors, windows)
    parts = part_of(pl.col("reads").sum(), pl.col("due").sum())
    return by_area(meters, LEVELS).group_by(KEYS).agg(**parts, **_all_known())


def _all_known() -> dict[str, pl.Expr]:
    """A silent meter is the finding here, not a gap in the data: every meter counts as observed."""
    return {"n": pl.len().cast(pl.Int64), "n_expected": pl.len().cast(pl.Int64)}


KPIS = (
    Kpi(
        function=meter_read_success,
        catalogue="WA-12",
        title="Meters that reported",
        plain="Share of smart water meters that sent at least one valid read yesterday.",
        formula="100 x meters with a valid read / meters due",
        standard="AWWA M6 practice; 98 % is the Indian AMISP level of service",
        unit="percent",
        window=every("day"),
        levels=LEVELS,
        better="higher",
        target=98,
        watch=95,
        scale=100,
        settles=BY_EIGHT,
    ),
    Kpi(
        function=meter_interval_success,
        catalogue="WA-12",
        title="Meter reads received",
        plain="Share of the hourly meter reads due yesterday that came and were valid.",
        formula="100 x valid reads / expected reads",
        standard="AWWA M6 practice; 98 % is the Indian AMISP level of service",
        unit="percent",
        window=every("day"),
        levels=LEVELS,
        better="higher",
        target=98,
        watch=95,
        scale=100,
        settles=BY_EIGHT,
    ),
)
