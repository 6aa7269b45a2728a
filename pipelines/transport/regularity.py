"""KPIs of how evenly buses come: headway adherence, excess waiting time, bunching and long gaps."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share
from pipelines.transport.formulas import bunched, excess_wait, headway_cv, long_gap
from pipelines.transport.observed import headways
from pipelines.transport.schedule import Timetable, idle, timetable

LEVELS = ["town", "route"]
PLACE = ["route", "towards", "stop"]
HEADWAYS_NEEDED = 5


def _both(passages: pl.DataFrame, plan: Timetable, windows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Observed headways in the windows, and the scheduled ones due in them until now."""
    seen = in_windows(headways(passages, plan), windows)
    promised = in_windows(plan.due_headways, windows, "due_at").join(windows.select("window", "as_of"), on="window")
    promised = promised.filter((pl.col("due_at") <= pl.col("as_of")) & pl.col("scheduled_min").is_not_null())
    return seen, promised.select("window", *PLACE, "scheduled_min")


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
    seen, promised = _both(passages, plan, windows)
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
    seen, promised = _both(passages, plan, windows)
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
    seen, promised = _both(passages, plan, windows)
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
    passages: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    bunch_ratio: float = 0.25,
    trailing_min: float = 20.0,
) -> pl.DataFrame:
    """As bunched_headways, over the trailing_min minutes before the window's end or now: for the dispatcher.

    Source: convention.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    instant = pl.duration(microseconds=1)
    recent = windows.select(
        label="window",
        window=pl.col("as_of") - pl.duration(seconds=int(trailing_min * 60)),
        end=pl.col("as_of") + instant,
        as_of="as_of",
    )
    condition = bunched(pl.col("headway_min"), pl.col("scheduled_min"), bunch_ratio)
    spans = recent.drop("label")
    result = _shares(passages, plan, spans, zone, condition)
    return result.join(recent.select("window", "label"), on="window").drop("window").rename({"label": "window"})
