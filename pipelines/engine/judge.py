"""What a value means: good, watch, breach, stale, no data."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.engine.model import Kpi

# After one and a half of its expected intervals a thing is late; past three it says nothing about now.
LATE_INTERVALS, STALE_INTERVALS = 1.5, 3.0
# Without a declared `watch` value, up to a tenth of the target beyond it is watched before it is a breach.
WATCH_SHARE = 0.1


def judge(kpi: Kpi, value: float | None, as_of: datetime | None, every_s: float | None, now: datetime) -> str:
    """The state word of a KPI value.

    good: meets the target. watch: beyond it, by less than the watch value. breach: worse.
    stale: three expected intervals without new data. context: the KPI is neither good nor bad.
    """
    if value is None:
        return "no data"
    if as_of is not None and every_s and (now - as_of).total_seconds() > STALE_INTERVALS * every_s:
        return "stale"
    return standing(kpi, value)


def standing(kpi: Kpi, value: float | None) -> str:
    """The state word of a value whatever its age: good, watch, breach, context, no data."""
    if value is None:
        return "no data"
    if kpi.better == "context" or kpi.target is None:
        return "context"
    sign = 1.0 if kpi.better == "higher" else -1.0
    miss = (kpi.target - value) * sign
    if miss <= 0:
        return "good"
    margin = abs(kpi.watch - kpi.target) if kpi.watch is not None else abs(kpi.target) * WATCH_SHARE
    return "watch" if miss <= margin else "breach"


def age_state(age: timedelta, every_s: float) -> str:
    """good within the expected interval (and half of it), late past it, stale past three."""
    seconds = age.total_seconds()
    if seconds > every_s * STALE_INTERVALS:
        return "stale"
    return "late" if seconds > every_s * LATE_INTERVALS else "good"


def age_states(age_s: pl.Expr, every_s: pl.Expr) -> pl.Expr:
    """The same as `age_state` for columns."""
    late = pl.when(age_s > every_s * LATE_INTERVALS).then(pl.lit("late")).otherwise(pl.lit("good"))
    return pl.when(age_s > every_s * STALE_INTERVALS).then(pl.lit("stale")).otherwise(late)
