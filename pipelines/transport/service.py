"""KPIs of what passengers were promised and got: punctuality, trips delivered, live information, cancellations."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share
from pipelines.transport.formulas import delivered, on_time
from pipelines.transport.observed import cancelled, judged_trips, matched, signs
from pipelines.transport.schedule import RUN, idle, timetable

LEVELS = ["town", "route"]
NO_SERVICE = ("NO_SERVICE", "REDUCED_SERVICE")


def on_time_performance(
    passages: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    early_s: float = 60.0,
    late_s: float = 300.0,
) -> pl.DataFrame:
    """Share of observed passages of timing points that were at most early_s early and late_s late.

    A passage counts in the window in which it was observed. `n_expected` are the passages due until now.
    Source: TCQSM 3rd ed. ch. 5.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    seen = in_windows(matched(passages, plan), windows)
    kept = by_area(seen.select("window", "route", "stop", "deviation_s"), [*LEVELS, "stop"])
    counted = kept.group_by(KEYS).agg(**share(on_time(pl.col("deviation_s"), early_s, late_s)))
    expected = _expected(plan.timing_points.select("route", "stop", "due_at"), windows, [*LEVELS, "stop"])
    result = counted.join(expected, on=KEYS, how="full", coalesce=True)
    result = result.with_columns(pl.col("numerator", "denominator").fill_null(0.0), pl.col("n").fill_null(0))
    return pl.concat([result, idle(plan, windows, result, zone)], how="diagonal")


def _expected(due: pl.DataFrame, windows: pl.DataFrame, levels: list[str]) -> pl.DataFrame:
    """How many calls were due per window and area until now."""
    rows = in_windows(due, windows, "due_at").join(windows.select("window", "as_of"), on="window")
    rows = by_area(rows.filter(pl.col("due_at") <= pl.col("as_of")).drop("as_of", "due_at"), levels)
    return rows.group_by(KEYS).agg(n_expected=pl.len().cast(pl.Int64))


def service_delivered(
    passages: pl.DataFrame,
    trip_sightings: pl.DataFrame,
    trip_updates: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    grace_min: float = 15.0,
    watched_pct: float = 95.0,
) -> pl.DataFrame:
    """Share of the trips due (begun grace_min ago) that ran.

    A trip that was not seen counts as not run only where the feed watched more than watched_pct of the trips due in
    the window; else it is unknown, leaves the ratio and lowers the coverage.
    Source: TfL, mileage operated; the classes of TR-04.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    trips = _due(plan.due_trips, windows, grace_min)
    rows = judged_trips(trips, signs(passages, trip_sightings, plan), cancelled(trip_updates, plan), pl.col("as_of"))
    rows = rows.with_columns(unseen=~pl.col("operated") & ~pl.col("cancelled"))
    rows = rows.with_columns(unknown=pl.col("unseen") & _unwatched(watched_pct))
    known = (~pl.col("unknown")).sum().cast(pl.Float64)
    missing = (pl.col("unseen") & ~pl.col("unknown")).sum()
    result = (
        by_area(rows, LEVELS)
        .group_by(KEYS)
        .agg(
            numerator=delivered(known, pl.col("cancelled").sum(), missing),
            denominator=known,
            n=(~pl.col("unknown")).sum().cast(pl.Int64),
            n_expected=pl.len().cast(pl.Int64),
            detail=pl.format("{} cancelled, {} not seen", pl.col("cancelled").sum(), pl.col("unseen").sum()),
            reason=pl.when(known == 0).then(pl.lit("insufficient_data")),
        )
    )
    return pl.concat([result, idle(plan, windows, result, zone)], how="diagonal")


def _due(trips: pl.DataFrame, windows: pl.DataFrame, grace_min: float) -> pl.DataFrame:
    """The trips in the window in which they became due: that of their start plus grace."""
    late = trips.with_columns(due_at=pl.col("starts_at") + pl.duration(microseconds=int(grace_min * 60e6)))
    rows = in_windows(late, windows, "due_at").join(windows.select("window", "as_of"), on="window")
    return rows.filter(pl.col("due_at") <= pl.col("as_of"))


def _unwatched(watched_pct: float) -> pl.Expr:
    return 100 * pl.col("watched").mean().over("window") <= watched_pct


def realtime_coverage(
    trip_sightings: pl.DataFrame,
    trip_updates: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    grace_min: float = 3.0,
) -> pl.DataFrame:
    """Share of the trips due to run in the window, for more than grace_min of it, with a stamped live entity in it.

    A cancelled trip does not run and leaves. An entity without a timestamp of its own proves nothing.
    Source: GTFS Realtime Best Practices.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    from_updates = trip_updates.filter(pl.col("stamped"))
    columns = ["service_date", "trip", "start_time", "observed_at"]
    both = pl.concat([trip_sightings.select(columns), from_updates.select(columns)])
    live = signs(both.with_columns(basis=pl.lit("update")), trip_sightings.clear(), plan)
    live = in_windows(live, windows).select("window", *RUN).unique().with_columns(live=True)
    grace = pl.duration(microseconds=int(grace_min * 60e6))
    trips = plan.due_trips.join(cancelled(trip_updates, plan), on=RUN, how="anti")
    trips = trips.with_columns(from_at=pl.col("starts_at") + grace, until_at=pl.col("ends_at") - grace)
    spans = windows.select("window", "as_of")
    active = trips.join_where(spans, pl.col("from_at") < pl.col("as_of"), pl.col("until_at") > pl.col("window"))
    rows = active.join(live, on=["window", *RUN], how="left").with_columns(live=pl.col("live").fill_null(False))
    result = by_area(rows, LEVELS).group_by(KEYS).agg(**share(pl.col("live")))
    result = result.with_columns(n_expected=pl.col("n"))
    return pl.concat([result, idle(plan, windows, result, zone)], how="diagonal")


def cancellations_announced(
    passages: pl.DataFrame,
    trip_sightings: pl.DataFrame,
    trip_updates: pl.DataFrame,
    service_alerts: pl.DataFrame,
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    *,
    grace_min: float = 15.0,
    watched_pct: float = 95.0,
) -> pl.DataFrame:
    """Share of the trips that did not run which the feed flagged as cancelled or an alert covered.

    Trips that were not seen count only where the feed watched more than watched_pct of all trips.
    Source: GTFS Realtime Best Practices; the second formula of TR-07.
    """
    plan = timetable(gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies, windows, zone)
    trips = _due(plan.due_trips, windows, grace_min)
    rows = judged_trips(trips, signs(passages, trip_sightings, plan), cancelled(trip_updates, plan), pl.col("as_of"))
    rows = rows.with_columns(unwatched=_unwatched(watched_pct)).filter(~pl.col("operated"))
    covered = _covered(rows, service_alerts)
    rows = rows.join(covered, on=RUN, how="left").with_columns(
        told=pl.col("cancelled") | pl.col("told").fill_null(False)
    )
    result = by_area(rows, LEVELS).group_by(KEYS).agg(**share(pl.col("told")), unwatched=pl.col("unwatched").any())
    unsure = pl.when("unwatched")
    result = result.with_columns(
        pl.when("unwatched").then(None).otherwise(pl.col("numerator", "denominator")).name.keep(),
        reason=unsure.then(pl.lit("insufficient_data")),
        detail=unsure.then(pl.lit("the feed was silent too often to know which trips did not run")),
    ).drop("unwatched")
    none = windows.select(
        "window",
        area=pl.lit("town"),
        n=pl.lit(0, pl.Int64),
        reason=pl.lit("not_applicable"),
        detail=pl.lit("every trip ran"),
    ).join(result, on=KEYS, how="anti")
    return pl.concat([result, none], how="diagonal")


def _covered(trips: pl.DataFrame, service_alerts: pl.DataFrame) -> pl.DataFrame:
    """The trips that an alert covers by trip or by route, in force at the trip's start."""
    told = service_alerts.filter(pl.col("effect").is_in(NO_SERVICE) & pl.col("stop").is_null())
    by_trip = trips.join(told.filter(pl.col("trip").is_not_null()), on="trip", suffix="_told")
    by_trip = by_trip.filter(
        (pl.col("service_date") == pl.col("service_date_told")) | pl.col("service_date_told").is_null()
    )
    by_route = trips.join(
        told.filter(pl.col("trip").is_null() & pl.col("route").is_not_null()), on="route", suffix="_told"
    )
    columns = [*RUN, "starts_at", "starts_at_told", "ends_at_told"]
    both = pl.concat([by_trip.select(columns), by_route.select(columns)])
    begun = pl.col("starts_at_told").is_null() | (pl.col("starts_at_told") <= pl.col("starts_at"))
    open_ = pl.col("ends_at_told").is_null() | (pl.col("ends_at_told") > pl.col("starts_at"))
    return both.filter(begun & open_).select(RUN).unique().with_columns(told=True)
