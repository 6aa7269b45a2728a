"""How often and how long the power was away: the indices of IEEE Std 1366.

Rules of this module: an interruption counts, whole, in the window in which it began; while it lasts it runs up to
`as_of`. Interruptions count in the outage's ward, or the feeder's where the outage names none. Customers served come
from the reference `feeders`, and for wards from `feeder_wards` where a feeder serves several.
"""

from collections.abc import Callable
from functools import wraps

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.engine.measures import KEYS, by_area, in_windows, shared

LEVELS = ("town", "ward", "asset")
SERVED, HOURS = pl.col("served"), pl.col("hours")


@shared
def customers_served(feeders: Frame, feeder_wards: Frame, assets: Frame) -> Frame:
    """Customers of every area that has any. Shape: area, served.

    A feeder that `feeder_wards` splits counts in those wards, any other in the ward where it stands.
    """
    named = feeders.select("asset", "customers_served").join(assets.select("asset", "ward"), on="asset", how="left")
    whole = by_area(named, ("town", "asset"))
    split = feeder_wards.select("asset", "customers_served", "ward")
    rest = named.join(split, on="asset", how="anti").select(split.columns)
    parts = by_area(pl.concat([split, rest]), ("ward",))
    rows = pl.concat([whole.select("area", "customers_served"), parts.select("area", "customers_served")])
    return rows.group_by("area").agg(served=pl.col("customers_served").sum().cast(pl.Float64))


def interruption_rows(outages: Frame, assets: Frame, include_planned: bool) -> Frame:
    """The restoration steps that count, with `asset` (the feeder) and a `ward`."""
    feeder_ward = assets.select(pl.col("asset"), pl.col("ward").alias("feeder_ward"))
    counted = outages.filter(
        pl.col("customers").is_not_null() & (include_planned | ~pl.col("planned").fill_null(False))
    )
    named = counted.rename({"feeder": "asset"}).join(feeder_ward, on="asset", how="left")
    return named.with_columns(ward=pl.coalesce("ward", "feeder_ward"))


def placed(rows: Frame, windows: Frame) -> Frame:
    """The rows in the window in which they began, with `minutes` so far and whether they have `ended`.

    A restoration that is announced but not yet due at `as_of` has not happened.
    """
    seen = in_windows(rows, windows, "started_at").join(windows.select("window", "end", "as_of"), on="window")
    running = pl.col("restored_at").is_null() | (
        (pl.col("restored_at") > pl.col("as_of")) & (pl.col("as_of") < pl.col("end"))
    )
    until = pl.when(running).then(pl.col("as_of")).otherwise(pl.col("restored_at"))
    minutes = (until - pl.col("started_at")).dt.total_microseconds() / 60e6
    return seen.filter(pl.col("started_at") < pl.col("as_of")).with_columns(minutes=minutes, ended=~running)


@shared
def summed(
    outages: Frame,
    feeders: Frame,
    feeder_wards: Frame,
    assets: Frame,
    windows: Frame,
    *,
    sustained_min: float,
    include_planned: bool,
) -> Frame:
    """Customers interrupted, their minutes and momentary interruptions of every area served; 0 where none.

    Shape: one row per window and area: ci, cmi, mci, n, served, hours.
    """
    rows = placed(interruption_rows(outages, assets, include_planned), windows)
    sums = formulas.interruptions(pl.col("customers"), pl.col("minutes"), pl.col("ended"), sustained_min)
    counted = by_area(rows, LEVELS).group_by(KEYS).agg(**sums, n=pl.len().cast(pl.Int64))
    hours = (pl.col("as_of") - pl.col("window")).dt.total_seconds() / 3600
    areas = windows.select("window", hours=hours).join(customers_served(feeders, feeder_wards, assets), how="cross")
    return areas.join(counted, on=KEYS, how="left").with_columns(pl.col("ci", "cmi", "mci", "n").fill_null(0))


def index(parts: Callable[[], formulas.Parts]) -> Callable[..., Frame]:
    """A KPI function of the name and words of `parts`, which gives its ratio from the columns of `summed`."""

    def kpi(
        outages: Frame,
        feeders: Frame,
        feeder_wards: Frame,
        assets: Frame,
        windows: Frame,
        *,
        sustained_min: float = 5.0,
        include_planned: bool = True,
    ) -> Frame:
        tables = (outages, feeders, feeder_wards, assets, windows)
        sums = summed(*tables, sustained_min=sustained_min, include_planned=include_planned)
        return sums.select(*KEYS, "n", **parts())

    kpi.__name__, kpi.__doc__ = parts.__name__, parts.__doc__
    return kpi


@index
def saifi() -> formulas.Parts:
    """Sustained interruptions per customer served.

    Source: IEEE Std 1366, clause 3.
    """
    return formulas.saifi(SERVED)


@index
def saidi() -> formulas.Parts:
    """Minutes without power per customer served.

    Source: IEEE Std 1366, clause 3.
    """
    return formulas.saidi(SERVED)


@index
def caidi() -> formulas.Parts:
    """Minutes until power is back, per sustained interruption; not applicable where there was none.

    Source: IEEE Std 1366, clause 3; the same as ISO 37120 7.7.
    """
    return formulas.caidi() | {"reason": pl.when(pl.col("ci") == 0).then(pl.lit("not_applicable"))}


@index
def asai() -> formulas.Parts:
    """Share of the customer-hours so far in which there was power.

    Source: IEEE Std 1366, clause 3.
    """
    return formulas.asai(SERVED, HOURS)


@index
def maifi() -> formulas.Parts:
    """Momentary interruptions (ended within five minutes) per customer served.

    Source: IEEE Std 1366, clause 3.
    """
    return formulas.maifi(SERVED)


def of_the_year(kpi: Callable[..., Frame]) -> Callable[..., Frame]:
    """The same index under the id `<index>_year`, to be declared over the window of a year."""

    @wraps(kpi)
    def yearly(*tables: Frame, **tuning: object) -> Frame:
        return kpi(*tables, **tuning)

    yearly.__name__ = f"{kpi.__name__}_year"
    return yearly
