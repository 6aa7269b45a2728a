"""Punctuality, trips delivered, live coverage and announced cancellations, against hand-made timetables."""

from datetime import date, timedelta

import polars as pl
import pytest

from pipelines.transport.service import (
    cancellations_announced,
    on_time_performance,
    realtime_coverage,
    service_delivered,
)
from tests.pipelines.transport_town import (
    DAY,
    ZONE,
    at,
    day_window,
    frame,
    passage,
    row,
    sighting,
    timetable,
    update,
    windows,
)

EIGHT = 8 * 3600
PLAN = timetable({"A": EIGHT, "B": EIGHT + 600, "C": EIGHT + 1200, "D": EIGHT + 1800})


def punctuality(passages: pl.DataFrame, grid: pl.DataFrame, plan=PLAN, zone: str = ZONE) -> pl.DataFrame:
    return on_time_performance(passages, **plan, windows=grid, zone=zone)


def test_on_time_counts_both_limits_as_on_time_when_at_the_edge():
    late = {"A": -61, "B": -60, "C": 300, "D": 301}
    start = {"A": "08:00", "B": "08:10", "C": "08:20", "D": "08:30"}
    rows = [passage(trip, 1, at(start[trip]) + timedelta(seconds=s)) for trip, s in late.items()]
    town = row(punctuality(frame("passages", *rows), day_window()))
    assert (town["numerator"], town["denominator"], town["n_expected"]) == (2.0, 4.0, 8)


def test_on_time_takes_arrival_at_the_last_stop_and_leaves_stops_that_are_no_timing_point():
    rows = [
        passage("A", 2, at("08:30")),
        passage("A", 3, at("08:30"), arrived_at=at("08:09"), departed_at=at("08:30")),
        passage("B", 3, at("08:18"), arrived_at=None, basis="stopped_at"),
    ]
    town = row(punctuality(frame("passages", *rows), day_window()))
    assert (town["numerator"], town["denominator"]) == (1.0, 1.0)


def test_on_time_leaves_added_trips_out():
    town = row(punctuality(frame("passages", passage("A", 1, at("08:00"), relationship="ADDED")), day_window()))
    assert (town["denominator"], town["n"]) == (0.0, 0)


def test_on_time_of_a_trip_after_midnight_belongs_to_its_service_day():
    # Catalogue TR-01#4: 24:10:00 on 1 March left at 00:12 on 2 March: 120 s late.
    plan = timetable({"N": 24 * 3600 + 600}, days=(date(2025, 3, 1),))
    left = at("00:12", date(2025, 3, 2))
    grid = day_window(day=date(2025, 3, 2))
    town = row(punctuality(frame("passages", passage("N", 1, left, day=date(2025, 3, 1))), grid, plan))
    assert (town["numerator"], town["denominator"]) == (1.0, 1.0)


@pytest.mark.parametrize(("day", "left"), [(date(2025, 3, 29), "03:34"), (date(2025, 10, 25), "02:34")])
def test_on_time_of_a_trip_after_midnight_goes_by_its_service_day_when_the_clock_changes_in_it(day, left):
    # GTFS: 26:30:00 is 26.5 hours after noon minus 12 h of the service day: 01:30 and 00:30 UTC.
    plan = timetable({"N": 26 * 3600 + 1800}, days=(day,))
    after = date(day.year, day.month, day.day + 1)
    rows = frame("passages", passage("N", 1, at(left, after, "Europe/Rome"), day=day))
    town = row(punctuality(rows, day_window(day=after, zone="Europe/Rome"), plan, "Europe/Rome"))
    assert (town["numerator"], town["denominator"]) == (1.0, 1.0)


@pytest.mark.parametrize(("day", "left"), [(date(2025, 3, 30), "08:04"), (date(2025, 10, 26), "08:04")])
def test_on_time_holds_on_the_days_when_the_clock_changes(day, left):
    # 08:00 on the wall clock in Rome, whether the day has 23 or 25 hours.
    plan = timetable({"A": EIGHT}, days=(day,))
    grid = day_window(day=day, zone="Europe/Rome")
    rows = frame("passages", passage("A", 1, at(left, day, "Europe/Rome"), day=day))
    town = row(punctuality(rows, grid, plan, "Europe/Rome"))
    assert (town["numerator"], town["denominator"]) == (1.0, 1.0)


def test_on_time_prefers_the_past_stop_time_when_two_sources_tell_of_one_passage():
    rows = [passage("A", 1, at("08:09"), basis="estimate"), passage("A", 1, at("08:01"))]
    town = row(punctuality(frame("passages", *rows), day_window()))
    assert (town["numerator"], town["denominator"]) == (1.0, 1.0)


def test_on_time_finds_the_call_by_its_stop_when_the_feed_gives_no_sequence():
    told = passage("A", 1, at("08:01"), stop_sequence=None, call="S1")
    assert row(punctuality(frame("passages", told), day_window()))["denominator"] == 1.0


def test_on_time_matches_runs_of_a_trip_that_repeats_by_their_start():
    plan = timetable({"F": EIGHT})
    plan["gtfs_frequencies"] = frame(
        "gtfs_frequencies", {"trip": "F", "start_s": 9 * 3600, "end_s": 10 * 3600, "headway_s": 1200, "exact_times": 1}
    )
    told = passage("F", 1, at("09:22"), start_time="09:20:00")
    town = row(punctuality(frame("passages", told), day_window(), plan))
    assert (town["numerator"], town["n_expected"]) == (1.0, 6)


def test_on_time_says_no_service_on_a_day_without_and_no_data_beyond_the_timetable():
    plan = timetable({"A": EIGHT}, days=(DAY, DAY + timedelta(days=2)))
    result = punctuality(frame("passages"), windows(at("00:00"), timedelta(days=1), 5), plan)
    reasons = result.filter(pl.col("area") == "town").sort("window")["reason"].to_list()
    assert reasons == [None, "not_applicable", None, "no_data", "no_data"]


def test_on_time_of_routes_adds_up_to_the_town():
    second = timetable({"X": EIGHT}, route="2")
    plan = {name: pl.concat([PLAN[name], second[name]]) for name in PLAN}
    plan["gtfs_service_days"] = PLAN["gtfs_service_days"]
    rows = [passage("A", 1, at("08:00")), passage("B", 1, at("08:20")), passage("X", 1, at("08:01"), route="2")]
    result = punctuality(frame("passages", *rows), day_window(), plan)
    town, routes = row(result), [row(result, "route:1"), row(result, "route:2")]
    for part in ("numerator", "denominator", "n_expected"):
        assert town[part] == sum(route[part] for route in routes)


def test_on_time_with_an_empty_timetable_gives_no_rows():
    plan = {name: table.clear() for name, table in PLAN.items()}
    assert punctuality(frame("passages"), day_window(), plan).is_empty()


def delivered(grid: pl.DataFrame, passages=(), sightings=(), updates=(), plan=PLAN) -> dict:
    tables = (frame("passages", *passages), frame("trip_sightings", *sightings), frame("trip_updates", *updates))
    return row(service_delivered(*tables, **plan, windows=grid, zone=ZONE))


def test_delivered_counts_cancelled_and_unseen_trips_when_the_feed_watched():
    seen = [sighting("A", at("08:02")), passage("B", 1, at("08:11"))]
    others = [sighting("X", at("08:22")), sighting("X", at("08:33"))]
    found = delivered(day_window(), [seen[1]], [seen[0], *others], [update("D", at("07:00"), "CANCELED")])
    assert (found["numerator"], found["denominator"], found["n"], found["n_expected"]) == (2.0, 4.0, 4, 4)
    assert found["detail"] == "1 cancelled, 1 not seen"


def test_delivered_does_not_blame_trips_that_nobody_could_see():
    found = delivered(day_window(), sightings=[sighting("A", at("08:02")), sighting("B", at("08:12"))])
    assert (found["numerator"], found["denominator"], found["n"], found["n_expected"]) == (2.0, 2.0, 2, 4)


def test_delivered_takes_a_cancellation_back_when_the_feed_does():
    said = [update("A", at("06:00"), "CANCELED"), update("A", at("07:00"), "SCHEDULED")]
    found = delivered(day_window(at("08:16")), sightings=[sighting("A", at("08:02"))], updates=said)
    assert (found["numerator"], found["denominator"]) == (1.0, 1.0)


def test_delivered_waits_a_quarter_of_an_hour_for_a_trip():
    found = delivered(day_window(at("08:26")), sightings=[sighting("A", at("08:02")), sighting("B", at("08:12"))])
    assert found["n_expected"] == 2


def test_delivered_is_unknown_when_nothing_was_seen_at_all():
    found = delivered(day_window())
    assert (found["denominator"], found["reason"]) == (0.0, "insufficient_data")


def coverage(grid: pl.DataFrame, sightings=(), updates=()) -> dict:
    tables = (frame("trip_sightings", *sightings), frame("trip_updates", *updates))
    return row(realtime_coverage(*tables, **PLAN, windows=grid, zone=ZONE))


def test_coverage_counts_stamped_trips_and_leaves_cancelled_ones():
    hour = windows(at("08:00"), timedelta(hours=1))
    said = [update("B", at("08:12")), update("C", at("08:22"), stamped=False), update("D", at("07:50"), "CANCELED")]
    found = coverage(hour, [sighting("A", at("08:02"))], said)
    assert (found["numerator"], found["denominator"]) == (2.0, 3.0)


def test_coverage_of_the_running_hour_expects_only_trips_that_run_by_now():
    found = coverage(windows(at("08:00"), timedelta(hours=1), now=at("08:15")), [sighting("A", at("08:02"))])
    assert (found["numerator"], found["denominator"]) == (1.0, 2.0)


def test_coverage_says_no_service_at_night():
    assert coverage(windows(at("02:00"), timedelta(hours=1)))["reason"] == "not_applicable"


def told(sightings, updates=(), alerts=()) -> dict:
    tables = (frame("passages"), frame("trip_sightings", *sightings), frame("trip_updates", *updates))
    alerts = frame("service_alerts", *alerts)
    return row(cancellations_announced(*tables, alerts, **PLAN, windows=day_window(), zone=ZONE))


WATCHED = [sighting("X", at(clock)) for clock in ("08:02", "08:12", "08:22", "08:32")]


def test_announced_counts_flags_and_alerts_among_trips_that_did_not_run():
    alert = {
        "alert": "1",
        "part": 0,
        "observed_at": at("07:00"),
        "effect": "NO_SERVICE",
        "trip": "C",
        "service_date": DAY,
    }
    found = told([*WATCHED, sighting("A", at("08:02"))], [update("B", at("07:00"), "CANCELED")], [alert])
    assert (found["numerator"], found["denominator"]) == (2.0, 3.0)


def test_announced_ignores_alerts_of_other_days_and_of_other_effects():
    other_day = {"alert": "1", "part": 0, "observed_at": at("07:00"), "effect": "NO_SERVICE", "route": "1",
                 "starts_at": at("09:00")}  # fmt: skip
    detour = {"alert": "2", "part": 0, "observed_at": at("07:00"), "effect": "DETOUR", "route": "1"}
    assert told(WATCHED, alerts=[other_day, detour])["numerator"] == 0.0


def test_announced_is_not_applicable_when_every_trip_ran():
    found = told(
        [sighting(trip, at(clock)) for trip, clock in zip("ABCD", ("08:02", "08:12", "08:22", "08:32"), strict=True)]
    )
    assert (found["numerator"], found["reason"]) == (None, "not_applicable")


def test_announced_is_unknown_when_the_feed_was_silent():
    assert told([])["reason"] == "insufficient_data"
