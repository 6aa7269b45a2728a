"""Headways, waiting time and bunching, against hand-made timetables and hand calculation."""

from datetime import timedelta

import polars as pl
import pytest

from pipelines.transport.regularity import (
    bunched_headways,
    bunching_now,
    excess_waiting_time,
    headway_adherence,
    long_gaps,
)
from tests.pipelines.transport_town import ZONE, at, day_window, frame, passage, row, timetable, update, windows

SEVEN = 7 * 3600
TRIPS = [f"T{n}" for n in range(7)]
# Seven buses, ten minutes apart as promised, seen 12, 8, 14, 6, 7 and 13 minutes apart: the catalogue's TR-02#1.
PLAN = timetable({trip: SEVEN + 600 * n for n, trip in enumerate(TRIPS)}, stops=2)
SEEN = [0, 12, 20, 34, 40, 47, 60]


def passages(minutes, trips=TRIPS, sequence=1) -> pl.DataFrame:
    start = at("07:00")
    return frame(
        "passages", *(passage(t, sequence, start + timedelta(minutes=m)) for t, m in zip(trips, minutes, strict=True))
    )


def test_adherence_is_that_of_the_worked_example():
    town = row(headway_adherence(passages(SEEN), **PLAN, windows=day_window(), zone=ZONE))
    # The example's six deviations 2, -2, 4, -4, -3, 3 have the sample variance 58 / 5.
    assert town["numerator"] / town["denominator"] == pytest.approx((58 / 5) ** 0.5 / 10)
    assert (town["n"], town["n_expected"]) == (6, 6)


def test_adherence_needs_five_headways_at_a_stop():
    town = row(headway_adherence(passages(SEEN[:5], TRIPS[:5]), **PLAN, windows=day_window(), zone=ZONE))
    assert (town["denominator"], town["reason"]) == (0.0, "insufficient_data")


def test_headways_leave_the_last_stop_out():
    result = bunched_headways(passages(SEEN, sequence=2), **PLAN, windows=day_window(), zone=ZONE)
    assert row(result)["denominator"] == 0.0


def test_a_bus_that_never_came_lengthens_the_gap():
    town = row(long_gaps(passages([0, 10, 31], ["T0", "T1", "T3"]), **PLAN, windows=day_window(), zone=ZONE))
    assert (town["numerator"], town["denominator"]) == (1.0, 2.0)


def test_no_headway_is_formed_across_a_silence_of_the_feed():
    plan = timetable({trip: SEVEN + 600 * n for n, trip in enumerate(TRIPS)}, stops=9, leg_s=60)
    town = row(long_gaps(passages([0, 10, 50, 60], ["T0", "T1", "T5", "T6"]), **plan, windows=day_window(), zone=ZONE))
    # The 40 min between T1 and T5 held many passages that nobody reported; the 10 min before and after are known.
    assert (town["numerator"], town["denominator"]) == (0.0, 2.0)


def test_bunching_and_gaps_are_strict():
    seen = passages([0, 2.5, 12.5, 32.5, 34.9], TRIPS[:5])
    bunched = row(bunched_headways(seen, **PLAN, windows=day_window(), zone=ZONE))
    gaps = row(long_gaps(seen, **PLAN, windows=day_window(), zone=ZONE))
    # 2.5 is not under 0.25 x 10, 2.4 is; 20 is not over 2 x 10.
    assert (bunched["numerator"], gaps["numerator"], bunched["denominator"]) == (1.0, 0.0, 4.0)


def test_two_buses_scheduled_together_are_neither_bunched_nor_a_gap():
    plan = timetable({"T0": SEVEN, "T1": SEVEN, "T2": SEVEN + 600}, stops=2)
    seen = passages([0, 0.1, 10], TRIPS[:3])
    assert row(bunched_headways(seen, **plan, windows=day_window(), zone=ZONE))["numerator"] == 0.0
    assert row(long_gaps(seen, **plan, windows=day_window(), zone=ZONE))["numerator"] == 0.0


def test_excess_wait_is_that_of_the_catalogue():
    # TR-03#1: headways 10, 15, 5, 10, 10, 10 against 10: 0.416667 min.
    town = row(excess_waiting_time(passages([0, 10, 25, 30, 40, 50, 60]), **PLAN, windows=day_window(), zone=ZONE))
    assert town["value"] == pytest.approx(0.416667, abs=1e-6)


def test_excess_wait_keeps_cancelled_buses_in_the_promise():
    # TR-03#3: five promised gaps of 10, seen 8, 12, 10, 20: 2.08 min.
    plan = timetable({trip: SEVEN + 600 * n for n, trip in enumerate(TRIPS[:6])}, stops=2)
    seen = passages([0, 8, 20, 30, 50], ["T0", "T1", "T2", "T3", "T5"])
    assert row(excess_waiting_time(seen, **plan, windows=day_window(), zone=ZONE))["value"] == pytest.approx(2.08)


def test_excess_wait_does_not_apply_to_a_bus_every_half_hour():
    plan = timetable({"T0": SEVEN, "T1": SEVEN + 1800}, stops=2)
    town = row(excess_waiting_time(passages([0, 30], TRIPS[:2]), **plan, windows=day_window(), zone=ZONE))
    assert (town["value"], town["reason"], town["detail"]) == (None, "not_applicable", "no frequent route")


def test_headways_of_many_hours_use_the_bus_before_the_window():
    hours = windows(at("07:00"), timedelta(minutes=30), 3)
    result = bunched_headways(passages([0, 12, 20, 34, 34.5, 47, 60]), **PLAN, windows=hours, zone=ZONE)
    town = result.filter(pl.col("area") == "town").sort("window")
    assert town["denominator"].to_list() == [2.0, 3.0, 1.0]
    assert town["numerator"].to_list() == [0.0, 1.0, 0.0]


def soon(now: str, delays: dict[str, float], **grid) -> pl.DataFrame:
    """What the feed's delays foresee at `now`, with trips of an hour that start every ten minutes from seven."""
    plan = timetable({trip: SEVEN + 600 * n for n, trip in enumerate(TRIPS)}, stops=2, leg_s=3600)
    told = [update(trip, at(now) - timedelta(seconds=20)) | {"delay_s": delay} for trip, delay in delays.items()]
    span = grid.get("windows", windows(at(now), timedelta(minutes=15), now=at(now)))
    return bunching_now(frame("trip_updates", *told), **plan, windows=span, zone=ZONE)


def test_buses_on_course_to_bunch_are_seen_from_their_delays():
    # T2 is 8 min late and T3 on time: two minutes apart instead of ten. T4 lies 7.5 min behind its place: 17.5 min.
    route = row(soon("07:45", {"T0": 0, "T1": 0, "T2": 480, "T3": 0, "T4": 450}), "route:1")
    assert (route["numerator"], route["denominator"]) == (1.0, 4.0)


def test_half_of_the_gap_is_not_yet_bunched():
    route = row(soon("07:25", {"T0": 300, "T1": 0, "T2": 0}), "route:1")
    assert (route["numerator"], route["denominator"]) == (0.0, 2.0)


def test_delays_told_long_ago_foresee_nothing():
    old = soon("07:45", {"T0": 0, "T1": 0}, windows=windows(at("07:45"), timedelta(minutes=15), now=at("07:51")))
    assert old.filter(pl.col("area") == "town").is_empty()


def test_no_bus_on_the_road_is_no_service():
    assert row(soon("05:00", {}))["reason"] == "not_applicable"


def test_bunching_without_any_passage_has_no_value_but_a_row():
    town = row(bunched_headways(passages([], []), **PLAN, windows=day_window(), zone=ZONE))
    assert (town["denominator"], town["n"], town["n_expected"]) == (0.0, 0, 6)
