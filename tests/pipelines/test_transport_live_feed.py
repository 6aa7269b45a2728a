"""Age of the live feeds, invalid answers and fresh vehicles; figures of the catalogue's TR-06."""

from datetime import UTC, datetime, timedelta

import polars as pl

from pipelines.engine.model import INSTANT
from pipelines.transport.live_feed import feed_age, fresh_vehicles, invalid_responses
from tests.pipelines.transport_town import frame, row, windows

NOW = datetime.fromtimestamp(1760000000, UTC)
GRID = windows(NOW - timedelta(minutes=30), timedelta(hours=1), now=NOW)
SCHEMA = {"feed": pl.String, "observed_at": INSTANT, "received_at": INSTANT, "outcome": pl.String, "rows": pl.Int64}


def arrivals(*rows: tuple[str, int, int, str]) -> pl.DataFrame:
    """Rows of (feed, header's age, age of the arrival, outcome)."""
    full = [(f, NOW - timedelta(seconds=h), NOW - timedelta(seconds=r), o, 1) for f, h, r, o in rows]
    return pl.DataFrame(full, schema=SCHEMA, orient="row")


def test_feed_age_counts_from_the_header_not_from_the_arrival():
    came = arrivals(("bus_positions", 20, 1, "landed"), ("bus_positions", 50, 31, "landed"))
    assert row(feed_age(came, GRID))["value"] == 20.0


def test_feed_age_of_the_town_is_that_of_its_oldest_live_feed():
    came = arrivals(("bus_positions", 20, 1, "landed"), ("bus_trip_updates", 400, 399, "landed"))
    result = feed_age(came, GRID)
    assert (row(result)["value"], row(result, "feed:bus_positions")["value"]) == (400.0, 20.0)
    assert result.height == 3


def test_feed_age_is_zero_and_says_clock_skew_when_the_header_is_from_the_future():
    town = row(feed_age(arrivals(("bus_positions", -30, 1, "landed")), GRID))
    assert (town["value"], town["detail"]) == (0.0, "clock skew")


def test_feed_age_grows_while_answers_are_refused():
    came = arrivals(("bus_positions", 300, 300, "landed"), ("bus_positions", 0, 0, "refused"))
    assert row(feed_age(came, GRID))["value"] == 300.0


def test_feed_age_without_arrivals_gives_no_rows():
    assert feed_age(arrivals(), GRID).is_empty()


def test_invalid_responses_count_refused_and_failed():
    came = arrivals(*[("bus_positions", s, s, "landed") for s in (10, 40, 70)], ("bus_positions", 100, 100, "refused"))
    town = row(invalid_responses(came, GRID))
    assert (town["numerator"], town["denominator"]) == (1.0, 4.0)


def fix(vehicle: str, age: int, *, stamped: bool = True, trip: str | None = "T") -> dict:
    return {
        "vehicle": vehicle,
        "observed_at": NOW - timedelta(seconds=age),
        "stamped": stamped,
        "trip": trip,
        "route": "1",
    }


def test_fresh_vehicles_are_those_of_the_catalogue():
    # TR-06#1: ages 12, 35, 90, 91 and 300 s with a limit of 90 s: 60 %.
    fixes = [fix(str(age), age) for age in (12, 35, 90, 91, 300)]
    town = row(fresh_vehicles(frame("vehicle_positions", *fixes), GRID))
    assert (town["numerator"], town["denominator"], town["detail"]) == (3.0, 5.0, "oldest 300 s")


def test_fresh_vehicles_take_the_newest_fix_and_leave_parked_buses():
    fixes = [fix("a", 10), fix("a", 500), fix("parked", 10, trip=None), fix("gone", 7200)]
    town = row(fresh_vehicles(frame("vehicle_positions", *fixes), GRID))
    assert (town["numerator"], town["denominator"]) == (1.0, 1.0)


def test_a_vehicle_without_a_time_of_its_own_is_not_fresh():
    town = row(fresh_vehicles(frame("vehicle_positions", fix("a", 0, stamped=False)), GRID))
    assert (town["numerator"], town["denominator"]) == (0.0, 1.0)
