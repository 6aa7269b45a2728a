"""The timetable is valid GTFS and what is told in real time agrees with it."""

import csv
import io
import itertools
import zipfile
from datetime import date, timedelta

import numpy as np
import pytest
from google.transit import gtfs_realtime_pb2 as gtfs

from pipelines.demo import realtime, running
from pipelines.demo.calendar import day_number
from pipelines.demo.incidents import World
from pipelines.demo.timetable import gtfs_zip

FILES = ("agency", "routes", "trips", "stops", "stop_times", "calendar", "shapes")


@pytest.fixture(scope="module")
def tables(start: float) -> dict[str, list[dict[str, str]]]:
    archive = zipfile.ZipFile(io.BytesIO(gtfs_zip(7, start)))
    names = [name.removesuffix(".txt") for name in archive.namelist()]
    assert set(FILES) <= set(names)
    return {name: list(csv.DictReader(io.TextIOWrapper(archive.open(f"{name}.txt"), "utf-8"))) for name in names}


def seconds(clock: str) -> int:
    hours, minutes, rest = clock.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(rest)


def message(payload: bytes) -> gtfs.FeedMessage:
    return gtfs.FeedMessage.FromString(payload)


def test_every_id_of_the_timetable_resolves(tables) -> None:
    routes, trips, stops = (
        {row[key] for row in tables[name]}
        for name, key in (("routes", "route_id"), ("trips", "trip_id"), ("stops", "stop_id"))
    )
    assert len(routes) == 9
    assert len(trips) == len(tables["trips"])
    assert {row["route_id"] for row in tables["trips"]} == routes
    assert {row["service_id"] for row in tables["trips"]} == {row["service_id"] for row in tables["calendar"]}
    assert {row["shape_id"] for row in tables["trips"]} == {row["shape_id"] for row in tables["shapes"]}
    assert {row["trip_id"] for row in tables["stop_times"]} == trips
    assert {row["stop_id"] for row in tables["stop_times"]} == stops
    assert {row["direction_id"] for row in tables["trips"]} == {"0", "1"}


def test_stop_times_of_a_trip_run_forward_in_time_and_distance(tables) -> None:
    calls: dict[str, list[dict[str, str]]] = {}
    for row in tables["stop_times"]:
        calls.setdefault(row["trip_id"], []).append(row)
    for rows in calls.values():
        assert [int(row["stop_sequence"]) for row in rows] == list(range(1, len(rows) + 1))
        times = [seconds(row["departure_time"]) for row in rows]
        distances = [float(row["shape_dist_traveled"]) for row in rows]
        assert all(b > a for a, b in itertools.pairwise(times))
        assert all(b > a for a, b in itertools.pairwise(distances))
        assert rows[0]["timepoint"] == rows[-1]["timepoint"] == "1"


def test_one_line_is_frequent_and_service_runs_beyond_midnight(tables) -> None:
    lines = {
        row["trip_id"]: row["route_id"]
        for row in tables["trips"]
        if row["service_id"] == "weekday" and row["direction_id"] == "0"
    }
    starts = sorted(
        seconds(r["departure_time"])
        for r in tables["stop_times"]
        if r["stop_sequence"] == "1" and lines.get(r["trip_id"]) == "1"
    )
    assert set(np.diff(starts)) <= set(range(480, 601))
    assert max(seconds(row["arrival_time"]) for row in tables["stop_times"]) > 24 * 3600


def test_each_day_has_one_service(tables, start: float) -> None:
    removed = {(r["service_id"], r["date"]) for r in tables.get("calendar_dates", []) if r["exception_type"] == "2"}
    added = {(r["service_id"], r["date"]) for r in tables.get("calendar_dates", []) if r["exception_type"] == "1"}
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    for back in range(-60, 90):
        day = date(2026, 11, 23) + timedelta(days=back)
        text = day.strftime("%Y%m%d")
        running_today = {r["service_id"] for r in tables["calendar"] if r[days[day.weekday()]] == "1"} - {
            s for s, d in removed if d == text
        }
        assert len(running_today | {s for s, d in added if d == text}) == 1, text


def test_about_twenty_five_vehicles_run_by_day(calm: World, start: float) -> None:
    seen = message(realtime.positions(calm, start))
    assert 20 <= len(seen.entity) <= 28
    assert all(start - 20 <= e.vehicle.timestamp <= start for e in seen.entity)
    later = message(realtime.positions(calm, start + 10.0))
    where = {e.id: e.vehicle.position for e in seen.entity if e.vehicle.HasField("trip")}
    moved = [
        e.id
        for e in later.entity
        if e.id in where
        and (e.vehicle.position.latitude, e.vehicle.position.longitude) != (where[e.id].latitude, where[e.id].longitude)
    ]
    assert len(moved) > 0.8 * len(where)


def test_trip_updates_tell_past_stop_times_as_they_were_and_never_change_them(
    calm: World, start: float, tables
) -> None:
    known = {row["trip_id"] for row in tables["trips"]}

    def past(t: float) -> dict[tuple[str, int], int]:
        found = {}
        for entity in message(realtime.trip_updates(calm, t)).entity:
            update = entity.trip_update
            assert update.trip.trip_id in known
            times = [c.departure.time or c.arrival.time for c in update.stop_time_update]
            assert times == sorted(times)
            found.update(
                {
                    (update.trip.trip_id, c.stop_sequence): when
                    for c, when in zip(update.stop_time_update, times, strict=True)
                    if when <= t
                }
            )
        return found

    first, second = past(start), past(start + 300.0)
    shared = first.keys() & second.keys()
    assert len(shared) > 50
    assert all(first[key] == second[key] for key in shared)
    assert second.keys() - first.keys()


def test_history_of_passages_is_what_the_live_feed_told(calm: World, start: float) -> None:
    told = {}
    for entity in message(realtime.trip_updates(calm, start)).entity:
        for call in entity.trip_update.stop_time_update:
            when = call.departure.time or call.arrival.time
            if when <= start - 60:
                told[entity.trip_update.trip.trip_id, call.stop_sequence] = when
    landed = {}
    for payload in realtime.past_spans(calm, start - 7200.0, start):
        whole = message(payload)
        for entity in whole.entity:
            for call in entity.trip_update.stop_time_update:
                when = call.departure.time or call.arrival.time
                assert when <= whole.header.timestamp
                landed[entity.trip_update.trip.trip_id, call.stop_sequence] = when
    assert told.items() <= landed.items()


def test_delays_are_those_of_a_town_bus_and_some_trips_are_cancelled(calm: World) -> None:
    legs = [leg for day in range(20_760, 20_767) for leg in running.day_of(calm, day)]
    late = np.concatenate([leg.actual - leg.scheduled for leg in legs if not leg.cancelled])
    assert 0.75 < ((late >= -60) & (late <= 300)).mean() < 0.95
    assert 0.002 < np.mean([leg.cancelled for leg in legs]) < 0.03
    assert all((np.diff(leg.actual) > 0).all() for leg in legs)


def test_bunching_makes_many_gaps_of_the_line_shorter_than_a_quarter(troubled: World, calm: World) -> None:
    incident = troubled.of_kind("bunching")[0]
    day = int(day_number(incident.start))

    def share(world: World) -> float:
        short = []
        for direction in (0, 1):
            legs = [
                x
                for x in running.day_of(world, day)
                if (x.line.route.line, x.direction) == (incident.target, direction)
            ]
            promised = 60 * legs[0].line.route.headways[0]
            for stop in range(len(legs[0].actual)):
                passed = sorted(int(leg.actual[stop]) for leg in legs if not leg.cancelled)
                late = [(b, b - a) for a, b in itertools.pairwise(passed)]
                short += [gap < 0.25 * promised for at, gap in late if incident.start + 300 < at < incident.over]
        assert len(short) > 60
        return float(np.mean(short))

    assert share(troubled) > 0.12
    assert share(calm) < 0.05


def test_alert_tells_of_irregular_service_while_it_lasts(troubled: World) -> None:
    incident = troubled.of_kind("bunching")[0]
    during = message(realtime.alerts(troubled, incident.start + 300.0))
    after = message(realtime.alerts(troubled, incident.over + 60.0))
    assert any(e.id.startswith("irregular") for e in during.entity)
    assert not any(e.id.startswith("irregular") and str(int(incident.start)) in e.id for e in after.entity)
