"""KPIs of how evenly buses come: headway adherence, excess waiting time, bunching and long gaps."""

from datetime import timedelta

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share, shared
from pipelines.transport.formulas import bunched, excess_wait, headway_cv, long_gap
from pipelines.transport.observed import headways, with_run
from pipelines.transport.schedule import RUN, Timetable, idle, timetable

LEVELS = ["town", "route"]
PLACE = ["route", "towards", "stop"]
LINE = ["service_date", "route", "towards"]
NOT_RUNNING = ["CANCELED", "DELETED"]
HEADWAYS_NEEDED = 5
# A bus later than this after the end of its trip is not looked for on the road.
LATEST = timedelta(hours=1)


@shared
def _seen(passages: pl.DataFrame, plan: Timetable, windows: pl.DataFrame) -> pl.DataFrame:
    """Observed headways in the windows."""
    return in_windows(headways(passages, plan), windows)


@shared
def _promised(plan: Timetable, windows: pl.DataFrame) -> pl.DataFrame:
    """The scheduled headways due in the windows until now."""
    due = in_windows(plan.due_headways, windows, "due_at").join(windows.select("window", "as_of"), on="window")
    due = due.filter((pl.col("due_at") <= pl.col("as_of")) & pl.col("scheduled_min").is_not_null())
    return due.select("window", *PLACE, "scheduled_min")


@shared
def _expected(promised: pl.DataFrame) -> pl.DataFrame:
    return by_area(promised, LEVELS).group_by(KEYS).agg(n_expected=pl.len().cast(pl.Int64))


def headway_adherence(
    passages: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
) -> pl.DataFrame:
    """Coefficient of variation of headways (cvh), the mean of stops with 5 headways or more, weighted by headways.

    A stop is one of a route and direction.

    Source: TCQSM 2nd ed. Exhibit 3-30.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    seen, promised = _seen(passages, plan, windows), _promised(plan, windows)
    pairs = seen.filter(pl.col("scheduled_min").is_not_null())
    stops = pairs.group_by("window", *PLACE).agg(
        cvh=headway_cv(pl.col("headway_min"), pl.col("scheduled_min")), n=pl.len().cast(pl.Int64)
    )
    enough = (pl.col("n") >= HEADWAYS_NEEDED) & pl.col("cvh").is_not_null()
    weight = pl.col("n").filter(enough).sum().cast(pl.Float64)
    result = (
        by_area(stops, LEVELS)
        .group_by(KEYS)
        .agg(numerator=(pl.col("cvh") * pl.col("n")).filter(enough).sum(), denominator=weight, n=pl.col("n").sum())
    )
    result = result.with_columns(reason=pl.when(pl.col("denominator") == 0).then(pl.lit("insufficient_data")))
    result = result.join(_expected(promised), on=KEYS, how="left")
    return pl.concat([result, idle(plan, windows, result, zone)], how="diagonal")


def excess_waiting_time(
    passages: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    frequent_min: float = 12.0,
) -> pl.DataFrame:
    """Minutes that a passenger who comes at random waits longer than promised, where the mean scheduled headway is at
    most frequent_min. Cancelled buses stay in the promise.

    Source: TfL Quality of Service Indicators (frequent: 5 or more buses an hour).
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    seen, promised = _seen(passages, plan, windows), _promised(plan, windows)
    frequent = promised.group_by("window", *PLACE).agg(pl.col("scheduled_min").mean())
    frequent = frequent.filter(pl.col("scheduled_min") <= frequent_min).drop("scheduled_min")
    both = pl.concat(
        [
            seen.select("window", *PLACE, "headway_min", scheduled_min=pl.lit(None, pl.Float64)),
            promised.select("window", *PLACE, pl.lit(None, pl.Float64).alias("headway_min"), "scheduled_min"),
        ]
    ).join(frequent, on=["window", *PLACE], how="semi")
    waits = excess_wait(pl.col("headway_min"), pl.col("scheduled_min"))
    result = (
        by_area(both, LEVELS)
        .group_by(KEYS)
        .agg(
            value=waits["EWT"],
            n=pl.col("headway_min").count().cast(pl.Int64),
            n_expected=pl.col("scheduled_min").count().cast(pl.Int64),
            detail=pl.format("waited {} min, promised {} min", waits["AWT"].round(1), waits["SWT"].round(1)),
        )
    )
    result = result.with_columns(reason=pl.when(pl.col("value").is_null()).then(pl.lit("no_data")))
    infrequent = _expected(promised).join(result, on=KEYS, how="anti")
    infrequent = infrequent.select(*KEYS, reason=pl.lit("not_applicable"), detail=pl.lit("no frequent route"))
    busy = pl.concat([result.select(KEYS), infrequent.select(KEYS)])
    return pl.concat([result, infrequent, idle(plan, windows, busy, zone)], how="diagonal")


def _shares(
    passages: pl.DataFrame, plan: Timetable, windows: pl.DataFrame, zone: str, condition: pl.Expr
) -> pl.DataFrame:
    """Share of headways for which the condition is true; those of unscheduled buses leave."""
    seen, promised = _seen(passages, plan, windows), _promised(plan, windows)
    result = (
        by_area(seen, LEVELS)
        .group_by(KEYS)
        .agg(**share(condition))
        .join(_expected(promised), on=KEYS, how="full", coalesce=True)
    )
    result = result.with_columns(pl.col("numerator", "denominator").fill_null(0.0), pl.col("n").fill_null(0))
    return pl.concat([result, idle(plan, windows, result, zone)], how="diagonal")


def bunched_headways(
    passages: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    bunch_ratio: float = 0.25,
) -> pl.DataFrame:
    """Share of buses that follow the bus before closer than bunch_ratio of their scheduled headway.

    Source: convention; TCQSM has none.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    return _shares(passages, plan, windows, zone, bunched(pl.col("headway_min"), pl.col("scheduled_min"), bunch_ratio))


def long_gaps(
    passages: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    gap_ratio: float = 2.0,
) -> pl.DataFrame:
    """Share of buses that come after more than gap_ratio times their scheduled headway.

    Source: TfL "long gaps".
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    return _shares(passages, plan, windows, zone, long_gap(pl.col("headway_min"), pl.col("scheduled_min"), gap_ratio))


def bunching_now(
    trip_updates: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    bunch_ratio: float = 0.5,
    recent_min: float = 5.0,
) -> pl.DataFrame:
    """Share of the buses on the road that are on course to bunch with the bus before, at the window's end or now.

    The gap is the scheduled one plus this trip's delay less that of the trip before. Delays are those that the feed
    gave in the last recent_min minutes, so they foresee what bunched_headways can only see once passengers have
    waited; half the gap, not a quarter, because a gap that shrinks goes on shrinking.
    Source: TCQSM, headways off by more than half the scheduled one.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    delay = pl.duration(microseconds=(pl.col("delay_s") * 1e6).cast(pl.Int64))
    near = _with_headway(plan.due_trips).join_where(
        windows.select("window", "as_of"),
        pl.col("starts_at") <= pl.col("as_of"),
        pl.col("ends_at") > pl.col("as_of") - pl.lit(LATEST),
    )
    running = near.join(_delays(trip_updates, plan, windows, recent_min), on=["window", *RUN])
    running = running.filter(pl.col("ends_at") + delay > pl.col("as_of")).sort("window", *LINE, "starts_at")
    same = pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift()) for c in ("window", *LINE))
    gap = (pl.col("starts_at") + delay).diff().dt.total_seconds() / 60
    pairs = running.with_columns(headway_min=pl.when(same).then(gap))
    close = bunched(pl.col("headway_min"), pl.col("scheduled_min"), bunch_ratio)
    result = by_area(pairs, LEVELS).group_by(KEYS).agg(**share(close)).with_columns(n_expected=pl.col("n"))
    # A late bus is judged after the last trip should have ended.
    due = by_area(near.filter(pl.col("ends_at") > pl.col("as_of")), LEVELS).select(KEYS).unique()
    busy = pl.concat([due, result.select(KEYS)]).unique()
    return pl.concat([result, idle(plan, windows, busy, zone)], how="diagonal")


def _with_headway(trips: pl.DataFrame) -> pl.DataFrame:
    """The due trips with `scheduled_min`, the gap that the timetable leaves to the trip before on the same line."""
    gap = pl.col("starts_at").diff().dt.total_seconds() / 60
    return trips.sort(*LINE, "starts_at").with_columns(scheduled_min=gap.over(LINE))


def _delays(trip_updates: pl.DataFrame, plan: Timetable, windows: pl.DataFrame, recent_min: float) -> pl.DataFrame:
    """The newest delay of each trip per window, if told in the last recent_min minutes before its end or now."""
    recent = windows.select(
        label="window",
        window=pl.col("as_of") - pl.duration(seconds=int(recent_min * 60)),
        end=pl.col("as_of") + pl.duration(microseconds=1),
    )
    told = with_run(trip_updates, plan).filter(
        pl.col("delay_s").is_not_null() & ~pl.col("relationship").is_in(NOT_RUNNING).fill_null(False)
    )
    rows = in_windows(told.select(*RUN, "observed_at", "delay_s"), recent).join(
        recent.select("window", "label"), on="window"
    )
    newest = rows.sort("observed_at").unique(["label", *RUN], keep="last")
    return newest.select(*RUN, "delay_s", window="label")
