"""What was seen: passages matched to the timetable, headways between them, trips that gave a sign of life."""

import polars as pl

from pipelines.transport.formulas import deviation_s
from pipelines.transport.schedule import CALL, PLACE, RUN, Timetable, same_place

RANK = {"update": 0, "stopped_at": 1, "estimate": 2}
SILENCE_MIN = 10
SILENT_CALLS = 5


def with_run(rows: pl.DataFrame, plan: Timetable) -> pl.DataFrame:
    """The rows with `run`: the start time where the trip runs every so many seconds, else empty."""
    if plan.repeated.is_empty():
        return rows.with_columns(run=pl.lit(""))
    return rows.with_columns(
        run=pl.when(pl.col("trip").is_in(plan.repeated.implode())).then("start_time").otherwise(pl.lit(""))
    )


def seen_calls(passages: pl.DataFrame, plan: Timetable) -> pl.DataFrame:
    """One row per passage, the best evidence of each; stop_sequence is found from the stop where the feed gave none."""
    rows = with_run(passages, plan)
    if rows["stop_sequence"].null_count():
        only = plan.calls.filter(pl.len().over("trip", "run", "stop") == 1).select(
            "trip", "run", "stop", found="stop_sequence"
        )
        rows = rows.join(only, on=["trip", "run", "stop"], how="left")
        rows = rows.with_columns(stop_sequence=pl.coalesce("stop_sequence", "found")).drop("found")
    if rows["basis"].n_unique() > 1:
        rank = pl.col("basis").replace_strict(RANK, default=len(RANK))
        rows = rows.sort(rank, maintain_order=True).unique([*RUN, "call"], keep="first", maintain_order=True)
    return rows


def matched(passages: pl.DataFrame, plan: Timetable) -> pl.DataFrame:
    """The scheduled calls of timing points that were observed, with `deviation_s`: departure, at the last stop arrival.

    Added trips have no schedule and leave; a last stop where only the departure is known leaves too.
    """
    rows = seen_calls(passages, plan).filter(pl.col("relationship").fill_null("SCHEDULED") == "SCHEDULED")
    rows = rows.select(*CALL, "observed_at", "arrived_at", "departed_at")
    rows = rows.join(plan.timing_points, on=CALL)
    left = pl.coalesce("departed_at", "arrived_at", "observed_at")
    actual = pl.when("is_last").then("arrived_at").otherwise(left)
    return rows.with_columns(deviation_s=deviation_s(actual, pl.col("due_at")))


def headways(passages: pl.DataFrame, plan: Timetable) -> pl.DataFrame:
    """One row per observed headway: the gap to the bus before, and the gap that the timetable promised to this bus.

    Shape: service_date, route, towards, stop, trip, observed_at, headway_min, scheduled_min. A bus that never came
    lengthens the gap; no headway is formed across a silence of the feed. Added trips count as buses.
    """
    due = plan.due_headways
    rows = seen_calls(passages, plan).select(*CALL, "observed_at", "stop", "route", "direction")
    rows = rows.join(due.select(*CALL, "route", "towards", "stop", "scheduled_min"), on=CALL, how="left", suffix="_due")
    rows = rows.join(
        plan.calls.filter("is_last").select("trip", "run", "stop_sequence"),
        on=["trip", "run", "stop_sequence"],
        how="anti",
    )
    rows = rows.with_columns(
        stop=pl.coalesce("stop_due", "stop"),
        route=pl.coalesce("route_due", "route"),
        towards=pl.coalesce("towards", pl.col("direction").cast(pl.String), pl.lit("")),
    ).filter(pl.col("stop").is_not_null() & pl.col("route").is_not_null())
    ordered = rows.sort(*PLACE, "observed_at")
    another = (pl.col("trip") != pl.col("trip").shift()) | (pl.col("run") != pl.col("run").shift())
    gap = deviation_s(pl.col("observed_at"), pl.col("observed_at").shift()) / 60
    found = ordered.with_columns(headway_min=pl.when(same_place() & another).then(gap)).filter(
        pl.col("headway_min").is_not_null()
    )
    return _unbroken(found, silences(passages, due)).select(
        *PLACE, "trip", "observed_at", "headway_min", "scheduled_min"
    )


def silences(passages: pl.DataFrame, due: pl.DataFrame) -> pl.DataFrame:
    """Gaps in the data feed: spans without any passage in town although several were due.

    Shape: silent_from, silent_until.
    """
    times = passages.select(silent_until="observed_at").sort("silent_until")
    gaps = times.with_columns(silent_from=pl.col("silent_until").shift())
    gaps = gaps.filter(pl.col("silent_until") - pl.col("silent_from") > pl.duration(minutes=SILENCE_MIN))
    expected = due["due_at"].sort()
    before = expected.search_sorted(gaps["silent_until"]).cast(pl.Int64) - expected.search_sorted(
        gaps["silent_from"]
    ).cast(pl.Int64)
    return gaps.filter(before >= SILENT_CALLS).select("silent_from", "silent_until")


def _unbroken(found: pl.DataFrame, silent: pl.DataFrame) -> pl.DataFrame:
    """The headways that do not reach across a silence."""
    if silent.is_empty():
        return found
    near = found.sort("observed_at").join_asof(
        silent, left_on="observed_at", right_on="silent_from", allow_exact_matches=False, coalesce=False
    )
    began = pl.col("observed_at") - pl.duration(microseconds=(pl.col("headway_min") * 60e6).cast(pl.Int64))
    return near.filter(~((pl.col("silent_until") > began).fill_null(False)))


def signs(passages: pl.DataFrame, trip_sightings: pl.DataFrame, plan: Timetable) -> pl.DataFrame:
    """Every sign that a trip ran: service_date, trip, run, observed_at."""
    columns = ["service_date", "trip", "start_time", "observed_at"]
    both = pl.concat([passages.filter(pl.col("basis") != "estimate").select(columns), trip_sightings.select(columns)])
    return with_run(both, plan).select(*RUN, "observed_at")


def cancelled(trip_updates: pl.DataFrame, plan: Timetable) -> pl.DataFrame:
    """The trips that the newest word of the feed cancels: service_date, trip, run."""
    newest = with_run(trip_updates, plan).sort("observed_at").unique(RUN, keep="last")
    return newest.filter(pl.col("relationship").is_in(["CANCELED", "DELETED"])).select(RUN)


def judged_trips(due: pl.DataFrame, seen: pl.DataFrame, off: pl.DataFrame, now: pl.Expr) -> pl.DataFrame:
    """The due trips with three flags: `operated` (a sign of life), `cancelled` (the feed says so), `watched`.

    `watched`: some bus in town gave a sign while the trip should have run, so that its absence means something.
    A trip without a sign is never taken for cancelled. `now` is where the trip's watch ends at the latest.
    """
    ran = seen.select(RUN).unique().with_columns(operated=True)
    rows = due.join(ran, on=RUN, how="left").join(off.unique().with_columns(cancelled=True), on=RUN, how="left")
    times = seen["observed_at"].drop_nulls().sort()
    rows = rows.with_columns(until=pl.min_horizontal("ends_at", now))
    signs_within = times.search_sorted(rows["until"], side="right").cast(pl.Int64) - times.search_sorted(
        rows["starts_at"]
    ).cast(pl.Int64)
    stopped = pl.col("cancelled").fill_null(False)
    return rows.with_columns(
        operated=pl.col("operated").fill_null(False) & ~stopped, cancelled=stopped, watched=(signs_within > 0)
    ).drop("until")
