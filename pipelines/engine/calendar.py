"""The town's calendar: windows by local hour, day, week, month and year, and rollups of readings into them."""

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import cast
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import INSTANT, Window

STEPS = {
    "quarter_hour": "15m",
    "hour": "1h",
    "day": "1d",
    "week": "1w",
    "month": "1mo",
    "year": "1y",
    "fiscal_year": "1y",
}
# The books of Indian towns run from April to March.
FISCAL_MONTH = 4
LENGTHS = {
    "quarter_hour": timedelta(minutes=15),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=30),
    "year": timedelta(days=365),
    "fiscal_year": timedelta(days=365),
}
# Within so many days no zone changes its clock twice.
NO_TWO_CHANGES = timedelta(days=7)
ROLLUP_SCHEMA = pl.Schema(
    {
        "series": pl.Int32(),
        "observed_at": INSTANT,
        "n": pl.Int64(),
        "sum": pl.Float64(),
        "min": pl.Float64(),
        "max": pl.Float64(),
        "last": pl.Float64(),
        "last_at": INSTANT,
    }
)


def earliest(instants: pl.Series) -> datetime | None:
    """The first of some instants; None when there is none."""
    return cast("datetime | None", instants.min())


def latest(instants: pl.Series) -> datetime | None:
    """The last of some instants; None when there is none."""
    return cast("datetime | None", instants.max())


def extent(instants: pl.Series) -> tuple[datetime, datetime]:
    """The first and the last of some instants.

    Raises ValueError when there is none.
    """
    first, last = earliest(instants), latest(instants)
    if first is None or last is None:
        raise ValueError("no instants")
    return first, last


def length(window: Window) -> timedelta:
    """About how long a window is."""
    return timedelta(hours=window.hours) if window.kind == "rolling" else LENGTHS[window.step]


def floor(at: datetime, step: str, zone: str) -> datetime:
    """The start of the local step that holds this instant, as UTC."""
    local = at.astimezone(ZoneInfo(zone))
    if step in ("quarter_hour", "hour"):
        # `fold` stays, so that the repeated hour of a clock change is two hours.
        minute = local.minute // 15 * 15 if step == "quarter_hour" else 0
        return local.replace(minute=minute, second=0, microsecond=0).astimezone(UTC)
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if step == "week":
        day -= timedelta(days=day.weekday())
    elif step == "month":
        day = day.replace(day=1)
    elif step == "year":
        day = day.replace(month=1, day=1)
    elif step == "fiscal_year":
        day = day.replace(year=day.year - (day.month < FISCAL_MONTH), month=FISCAL_MONTH, day=1)
    return day.astimezone(UTC)


def after(start: datetime, step: str, zone: str) -> datetime:
    """The start of the next step; `start` must be the start of one."""
    if step == "quarter_hour":
        return start + LENGTHS[step]
    if step == "hour":
        # Where the clock is put back by half an hour, one hour is 90 minutes long; put forward, one is 30.
        following = floor(start + timedelta(hours=1), step, zone)
        return following if following > start else floor(start + timedelta(minutes=90), step, zone)
    day = start.astimezone(ZoneInfo(zone)).date()
    if step == "month":
        following_day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    elif step in ("year", "fiscal_year"):
        following_day = day.replace(year=day.year + 1)
    else:
        following_day = day + timedelta(days=7 if step == "week" else 1)
    return datetime.combine(following_day, time(), ZoneInfo(zone)).astimezone(UTC)


@lru_cache(maxsize=4096)
def _following(start: datetime, step: str, zone: str) -> datetime:
    return after(start, step, zone)


def windows(window: Window, start: datetime, end: datetime, now: datetime, zone: str) -> pl.DataFrame:
    """Every window that holds an instant in [start, end) and has begun by `now`.

    Shape: window, end, as_of (UTC), in order.
    """
    rows = []
    if window.kind == "calendar":
        at = floor(start, window.step, zone)
        while at < end and at <= now:
            following = _following(at, window.step, zone)
            rows.append((at, following, min(following, now)))
            at = following
    else:
        span = timedelta(hours=window.hours)
        close = _following(floor(start, window.step, zone), window.step, zone)
        last = min(end + span, _following(floor(now, window.step, zone), window.step, zone))
        while close <= last:
            rows.append((close - span, close, min(close, now)))
            close = _following(close, window.step, zone)
    return pl.DataFrame(rows, schema={"window": INSTANT, "end": INSTANT, "as_of": INSTANT}, orient="row")


def rolled(readings: pl.DataFrame, step: str, zone: str) -> pl.DataFrame:
    """Good readings rolled up by series and local step (a key of STEPS).

    Shape: ROLLUP_SCHEMA; readings has series, observed_at, value.
    """
    return ordered_rolled(readings.filter(pl.col("value").is_not_null()).sort("observed_at"), step, zone)


def ordered_rolled(readings: pl.DataFrame, step: str, zone: str) -> pl.DataFrame:
    """As `rolled`, of readings without nulls that lie, those of each series, in order of time."""
    value = pl.col("value")
    return _by_step(
        readings,
        step,
        zone,
        [
            pl.len().cast(pl.Int64).alias("n"),
            value.sum().alias("sum"),
            value.min().alias("min"),
            value.max().alias("max"),
            value.last().alias("last"),
            pl.col("observed_at").last().alias("last_at"),
        ],
    )


def hourly(readings: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Good readings rolled up by series and local hour."""
    return rolled(readings, "hour", zone)


def coarser(rollups: pl.DataFrame, step: str, zone: str) -> pl.DataFrame:
    """Rollups of a finer step rolled up by series and local step, in the same shape."""
    parts = [pl.col("n", "sum").sum(), pl.col("min").min(), pl.col("max").max()]
    ordered = rollups.sort("observed_at")
    return _by_step(ordered, step, zone, [*parts, pl.col("last", "last_at").last()])


def daily(hours: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Hourly rollups rolled up by series and local day."""
    return coarser(hours, "day", zone)


def local_step(column: str, step: str, zone: str) -> pl.Expr:
    """The start of the local step that holds each instant of a column, as UTC."""
    return pl.col(column).dt.convert_time_zone(zone).dt.truncate(STEPS[step]).dt.convert_time_zone("UTC")


def _quick_step(instants: pl.Series, step: str, zone: str) -> pl.Expr:
    """As `local_step` of `observed_at`; by plain arithmetic for hours where no clock change lies between the instants.

    Ten times as fast, and the readings of the running hour are rolled up at every beat.
    """
    at = pl.col("observed_at")
    first, last = earliest(instants), latest(instants)
    if step == "hour" and first is not None and last is not None and last - first < NO_TWO_CHANGES:
        ahead, later = (end.astimezone(ZoneInfo(zone)).utcoffset() for end in (first, last))
        if ahead == later and ahead is not None:
            part = pl.lit(ahead % timedelta(hours=1))
            return (at + part).dt.truncate("1h") - part
    return local_step("observed_at", step, zone)


def _by_step(rows: pl.DataFrame, step: str, zone: str, sums: list[pl.Expr]) -> pl.DataFrame:
    first, last = earliest(rows["observed_at"]), latest(rows["observed_at"])
    if first is not None and last is not None and (only := floor(first, step, zone)) == floor(last, step, zone):
        # As at every beat, of which only the running hour is touched: one key is half the work.
        named = rows.group_by("series").agg(sums).with_columns(observed_at=pl.lit(only, INSTANT))
    else:
        at = _quick_step(rows["observed_at"], step, zone).alias("_step")
        named = rows.group_by("series", at).agg(sums).rename({"_step": "observed_at"})
    return named.select(list(ROLLUP_SCHEMA)).sort("series", "observed_at")


def local_day(column: str, zone: str) -> pl.Expr:
    """The local date of an instant column, as text."""
    return pl.col(column).dt.convert_time_zone(zone).dt.date().cast(pl.String)


def local_month(column: str, zone: str, *, of_day: bool = False) -> pl.Expr:
    """The local month of an instant column (or of a column of days), as text like 2026-11."""
    at = pl.col(column) if of_day else pl.col(column).dt.convert_time_zone(zone)
    return at.dt.strftime("%Y-%m")


def last_whole(period: str, now: datetime, zone: str) -> tuple[datetime, datetime]:
    """The last day, week (from Monday) or month of the town's calendar that is over."""
    here = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "month":
        end = here.replace(day=1)
        start = (end - timedelta(days=1)).replace(day=1)
    else:
        end = here - timedelta(days=here.weekday() if period == "week" else 0)
        start = end - timedelta(days=7 if period == "week" else 1)
    return start.astimezone(UTC), end.astimezone(UTC)
