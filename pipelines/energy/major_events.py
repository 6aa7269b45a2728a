"""Major event days: freak storm days set apart, so that everyday reliability can be judged (IEEE Std 1366, clause 5).

Rules of this module: an event counts on the local day it began. T_MED of a year comes from the five calendar years
before it, or what there is of them, town-wide, from interruptions that have ended; under 100 days with interruptions
it is provisional.
"""

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.energy.reliability import LEVELS, customers_served, interruption_rows, placed
from pipelines.engine.measures import KEYS, by_area, local, ratio

HISTORY_YEARS = 5
PROVISIONAL_BELOW_DAYS = 100


def _town(feeders: Frame) -> float:
    return float(feeders["customers_served"].sum() or 0)


def _daily(rows: Frame, served: float, zone: str, sustained_min: float) -> Frame:
    """SAIDI of every local day with interruptions, from those that have ended. Shape: day, daily_saidi."""
    ended = rows.filter(pl.col("restored_at").is_not_null())
    minutes = (pl.col("restored_at") - pl.col("started_at")).dt.total_microseconds() / 60e6
    sums = formulas.interruptions(pl.col("customers"), minutes, pl.lit(True), sustained_min)
    by_day = ended.group_by(day=local(pl.col("started_at"), zone).dt.date()).agg(**sums)
    return by_day.select("day", daily_saidi=ratio(**formulas.saidi(pl.lit(served))))


def thresholds(daily: Frame, windows: Frame, zone: str) -> Frame:
    """T_MED that holds in each window: that of the window's local year. Shape: window, t_med, days."""
    years = windows.select("window", year=local(pl.col("window"), zone).dt.year().cast(pl.Int32))
    past = daily.with_columns(past=pl.col("day").dt.year().cast(pl.Int32))
    before = (pl.col("past") < pl.col("year")) & (pl.col("past") >= pl.col("year") - HISTORY_YEARS)
    found = (
        years.join(past, how="cross")
        .filter(before)
        .group_by("window")
        .agg(
            t_med=formulas.major_event_threshold(pl.col("daily_saidi")),
            days=(pl.col("daily_saidi") > 0).sum().cast(pl.Int64),
        )
    )
    return years.select("window").join(found, on="window", how="left").with_columns(pl.col("days").fill_null(0))


def _certainty() -> pl.Expr:
    return pl.when(pl.col("days") < PROVISIONAL_BELOW_DAYS).then(pl.lit("provisional")).otherwise(pl.lit("settled"))


def t_med(
    outages: Frame,
    feeders: Frame,
    assets: Frame,
    windows: Frame,
    zone: str,
    *,
    sustained_min: float = 5.0,
    include_planned: bool = True,
) -> Frame:
    """Daily SAIDI above which a day of this year is a major event day.

    Source: IEEE Std 1366, clause 5 (2.5 beta).
    """
    daily = _daily(interruption_rows(outages, assets, include_planned), _town(feeders), zone, sustained_min)
    unknown = pl.when(pl.col("t_med").is_null()).then(pl.lit("insufficient_data"))
    return thresholds(daily, windows, zone).select(
        "window", area=pl.lit("town"), value="t_med", n="days", detail=_certainty(), reason=unknown
    )


def _judged(rows: Frame, served: float, windows: Frame, limits: Frame, *, zone: str, sustained_min: float) -> Frame:
    """The rows in their windows, each with its `day` and whether that was a `major` event day of the town."""
    here = placed(rows, windows).with_columns(day=local(pl.col("started_at"), zone).dt.date())
    sums = formulas.interruptions(pl.col("customers"), pl.col("minutes"), pl.col("ended"), sustained_min)
    daily = here.group_by("window", "day").agg(**sums).join(limits, on="window")
    major = formulas.is_major(ratio(**formulas.saidi(pl.lit(served))), pl.col("t_med"))
    return here.join(daily.select("window", "day", major=major), on=["window", "day"], how="left")


def _words() -> pl.Expr:
    return pl.format("{} major event days, T_MED {}", pl.col("storms"), _certainty())


def saidi_without_major_events(
    outages: Frame,
    feeders: Frame,
    feeder_wards: Frame,
    assets: Frame,
    windows: Frame,
    zone: str,
    *,
    sustained_min: float = 5.0,
    include_planned: bool = True,
) -> Frame:
    """Minutes without power per customer served, major event days left out; `detail` counts those days.

    Source: IEEE Std 1366, clause 5; read it beside saidi, which has them in.
    """
    rows = interruption_rows(outages, assets, include_planned)
    served = customers_served(feeders, feeder_wards, assets)
    limits = thresholds(_daily(rows, _town(feeders), zone, sustained_min), windows, zone)
    judged = _judged(rows, _town(feeders), windows, limits, zone=zone, sustained_min=sustained_min)
    sums = formulas.interruptions(pl.col("customers"), pl.col("minutes"), pl.col("ended"), sustained_min)
    kept = by_area(judged.filter(~pl.col("major")), LEVELS).group_by(KEYS).agg(**sums, n=pl.len().cast(pl.Int64))
    storms = judged.filter("major").group_by("window").agg(storms=pl.col("day").n_unique())
    areas = limits.join(served, how="cross").join(kept, on=KEYS, how="left").join(storms, on="window", how="left")
    filled = areas.with_columns(pl.col("cmi", "n", "storms").fill_null(0))
    known = pl.col("t_med").is_not_null()
    parts = formulas.saidi(pl.col("served"))
    return filled.select(
        *KEYS,
        numerator=pl.when(known).then(parts["numerator"]),
        denominator=parts["denominator"],
        n="n",
        detail=pl.when(known).then(_words()),
        reason=pl.when(~known).then(pl.lit("insufficient_data")),
    )
