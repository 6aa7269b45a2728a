"""What the timetable promises in the windows asked for: trips and calls with the instants they are due."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from pipelines.engine.measures import by_area, in_windows
from pipelines.transport.formulas import noon_minus_12h

CALL = ["service_date", "trip", "run", "stop_sequence"]
RUN = ["service_date", "trip", "run"]
PLACE = ["service_date", "route", "towards", "stop"]
KEPT_DAYS = 3
KEPT = 4
_recent: list[tuple[tuple[pl.DataFrame, ...], tuple[object, ...], "Timetable"]] = []


@dataclass(frozen=True)
class Timetable:
    """The tables of one timetable, narrowed to the service days that the windows can touch.

    `days`: service_date, service, midnight (instant of noon minus 12 h). `calls`: one row per trip, run and stop.
    `first`, `last`: the days from and to which the timetable has any service; null where it has none.
    """

    days: pl.DataFrame
    trips: pl.DataFrame
    calls: pl.DataFrame
    first: Any
    last: Any
    routes: pl.DataFrame

    @cached_property
    def due_calls(self) -> pl.DataFrame:
        """One row per scheduled call with a time and service day.

        Shape: service_date, trip, run, stop_sequence, stop, route, towards, timepoint, is_last, exact, due_at.
        """
        due_s = pl.when("is_last").then("arrival_s").otherwise("departure_s")
        calls = self.calls.with_columns(due_s=due_s).filter(pl.col("due_s").is_not_null())
        dated = _dated(self, calls).with_columns(due_at=pl.col("midnight") + pl.duration(seconds="due_s"))
        return dated.drop("midnight", "due_s")

    @cached_property
    def timing_points(self) -> pl.DataFrame:
        """The due calls at which punctuality is judged; in a timetable that marks no timing point, all of them."""
        calls = self.due_calls.filter("exact")
        return calls.filter("timepoint") if calls["timepoint"].any() else calls

    @cached_property
    def due_headways(self) -> pl.DataFrame:
        """The due calls with `scheduled_min`, the scheduled gap to the bus before at the same PLACE.

        Last stops are left out: there buses stand between trips.
        """
        ordered = self.due_calls.filter(~pl.col("is_last")).sort(*PLACE, "due_at")
        gap = (pl.col("due_at") - pl.col("due_at").shift()).dt.total_seconds() / 60
        return ordered.with_columns(scheduled_min=pl.when(same_place()).then(gap))

    @cached_property
    def due_trips(self) -> pl.DataFrame:
        """One row per scheduled run of a trip.

        Shape: service_date, trip, run, route, towards, starts_at, ends_at.
        """
        spans = self.calls.group_by("trip", "run").agg(
            starts_s=pl.col("departure_s").min(), ends_s=pl.col("arrival_s").max()
        )
        dated = _dated(self, spans.filter(pl.col("starts_s").is_not_null()))
        return dated.with_columns(
            starts_at=pl.col("midnight") + pl.duration(seconds="starts_s"),
            ends_at=pl.col("midnight") + pl.duration(seconds="ends_s"),
        ).drop("midnight", "starts_s", "ends_s")

    @cached_property
    def repeated(self) -> pl.Series:
        """The trips that run every so many seconds."""
        return self.calls.filter(pl.col("run") != "")["trip"].unique()


def same_place() -> pl.Expr:
    """Whether a row of a frame sorted by PLACE is of the same stop, route, direction and day as the row before."""
    return pl.all_horizontal(pl.col(c).eq_missing(pl.col(c).shift()) for c in PLACE)


def timetable(
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
) -> Timetable:
    """The part of the timetable that may be due in the windows: their days and the day before each.

    The last few small ones are kept, since many KPIs ask for the same day; frames never change once made.
    """
    near = _dates(windows, zone)
    frames = (gtfs_trips, gtfs_stop_times, gtfs_service_days, gtfs_frequencies)
    key = (zone, *near["service_date"])
    for kept_frames, kept_key, plan in tuple(_recent):
        same = (kept is frame or kept.equals(frame) for kept, frame in zip(kept_frames, frames, strict=True))
        if kept_key == key and all(same):
            return plan
    plan = _narrowed(*frames, near, zone)
    if near.height <= KEPT_DAYS:
        _recent[:] = [(frames, key, plan), *_recent[: KEPT - 1]]
    return plan


def _narrowed(
    gtfs_trips: pl.DataFrame,
    gtfs_stop_times: pl.DataFrame,
    gtfs_service_days: pl.DataFrame,
    gtfs_frequencies: pl.DataFrame,
    near: pl.DataFrame,
    zone: str,
) -> Timetable:
    days = gtfs_service_days.select("service_date", "service").join(near, on="service_date", how="semi")
    days = days.with_columns(midnight=noon_minus_12h(pl.col("service_date"), zone))
    trips = gtfs_trips.select("trip", "route", "service", "direction", "headsign")
    trips = trips.join(days, on="service", how="semi").with_columns(towards=_towards())
    calls = gtfs_stop_times.select("trip", "stop_sequence", "stop", "arrival_s", "departure_s", "timepoint")
    calls = _with_runs(calls.join(trips, on="trip", how="semi"), gtfs_frequencies)
    last = pl.col("stop_sequence").max().over("trip")
    span = gtfs_service_days["service_date"]
    return Timetable(
        days=days,
        trips=trips,
        calls=calls.with_columns(is_last=pl.col("stop_sequence") == last),
        first=span.min(),
        last=span.max(),
        routes=gtfs_trips.select("route").unique(),
    )


def _towards() -> pl.Expr:
    """The direction; some publishers give none, then the destination tells the two apart."""
    return pl.coalesce(pl.col("direction").cast(pl.String), "headsign", pl.lit(""))


def _dates(windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """The local days of the windows and the day before each, whose late trips run past midnight."""
    here = windows.select(
        first=pl.col("window").dt.convert_time_zone(zone).dt.date() - pl.duration(days=1),
        last=pl.col("as_of").dt.convert_time_zone(zone).dt.date(),
    )
    days = here.with_columns(service_date=pl.date_ranges("first", pl.max_horizontal("first", "last"))).explode(
        "service_date"
    )
    return days.select("service_date").unique().sort("service_date")


def _with_runs(calls: pl.DataFrame, gtfs_frequencies: pl.DataFrame) -> pl.DataFrame:
    """The calls with `run` (empty, or the start time of a trip that runs every so many seconds) and `exact`."""
    plain = calls.with_columns(run=pl.lit(""), exact=pl.lit(True))
    repeated = gtfs_frequencies.filter(pl.col("headway_s") > 0).join(calls, on="trip", how="semi")
    if repeated.is_empty():
        return plain
    starts = repeated.select(
        "trip", exact=pl.col("exact_times") == 1, starts_s=pl.int_ranges("start_s", "end_s", "headway_s")
    ).explode("starts_s")
    shift = pl.col("starts_s") - pl.col("departure_s").min().over("trip", "starts_s")
    runs = calls.join(starts, on="trip").with_columns(
        arrival_s=pl.col("arrival_s") + shift, departure_s=pl.col("departure_s") + shift, run=clock(pl.col("starts_s"))
    )
    plain = plain.join(repeated, on="trip", how="anti")
    return pl.concat([plain, runs.select(plain.columns)])


def clock(seconds: pl.Expr) -> pl.Expr:
    """HH:MM:SS text of seconds."""
    parts = (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return pl.format("{}:{}:{}", *(part.cast(pl.String).str.zfill(2) for part in parts))


def _dated(plan: Timetable, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows once per day on which their trip's service runs, with its route."""
    runs = plan.trips.select("trip", "route", "towards", "service").join(plan.days, on="service").drop("service")
    keep = [c for c in rows.columns if c not in ("arrival_s", "departure_s")]
    return runs.join(rows.select(keep), on="trip")


def idle(plan: Timetable, windows: pl.DataFrame, busy: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Rows that say why there is no value: no service, no timetable for the day, or nothing of the service to judge.

    `busy` has the window and area pairs that need no such word.
    """
    if plan.last is None:
        return pl.DataFrame(
            schema={"window": windows["window"].dtype, "area": pl.String, "reason": pl.String, "detail": pl.String}
        )
    areas = pl.concat([pl.Series("area", ["town"]).to_frame(), plan.routes.select(area=pl.format("route:{}", "route"))])
    day = pl.col("window").dt.convert_time_zone(zone).dt.date()
    inside = day.is_between(pl.lit(plan.first), pl.lit(plan.last))
    empty = windows.select("window").join(areas, how="cross").join(busy, on=["window", "area"], how="anti")
    starts = in_windows(plan.due_trips.select("route", "starts_at"), windows, "starts_at")
    runs = by_area(starts, ["town", "route"]).select("window", "area", runs=pl.lit(True)).unique()
    runs_here = pl.col("runs").fill_null(False)
    nothing = pl.when(runs_here).then(pl.lit("nothing to judge yet")).otherwise(pl.lit("no service"))
    return empty.join(runs, on=["window", "area"], how="left").select(
        "window",
        "area",
        reason=pl.when(inside & ~runs_here).then(pl.lit("not_applicable")).otherwise(pl.lit("no_data")),
        detail=pl.when(inside).then(nothing).otherwise(pl.lit("the timetable does not cover this day")),
    )
