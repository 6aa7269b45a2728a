"""Volume, speed, density, travel time, congestion and crashes, against the catalogue and hand calculation."""

from datetime import timedelta

import polars as pl
import pytest

from pipelines.engine.model import INSTANT
from pipelines.transport.roads import (
    buffer_index,
    congested_time,
    peak_hour_factor,
    planning_time_index,
    space_mean_speed,
    speed_of_free_flow,
    traffic_density,
    traffic_volume,
    travel_time_index,
)
from pipelines.transport.safety import crash_severity, road_deaths
from pipelines.transport.tables import ROAD_LINKS
from tests.pipelines.transport_town import ZONE, at, day_window, frame, row, windows

HOUR = windows(at("08:00"), timedelta(hours=1))
LINKS = pl.DataFrame(
    [
        {"asset": "L1", "length_km": 2.0, "free_flow_km_h": 50.0},
        {"asset": "L2", "length_km": 1.0, "free_flow_km_h": 40.0},
    ],
    schema=ROAD_LINKS.schema,
)
ASSETS = pl.DataFrame(
    [("L1", None), ("L2", None), ("C1", "L1")], schema={"asset": pl.String, "parent": pl.String}, orient="row"
)
SENSORS = pl.DataFrame(
    [("C1.count", "C1", "W1", "traffic_count"), ("C2.count", "C2", "W2", "traffic_count"), ("x", "C1", "W1", "pressure_m")],
    schema=["sensor", "asset", "ward", "quantity"], orient="row",
)  # fmt: skip
SCHEMA = {
    "sensor": pl.String,
    "asset": pl.String,
    "kind": pl.String,
    "ward": pl.String,
    "observed_at": INSTANT,
    "value": pl.Float64,
}


def readings(asset: str, values, start: str = "08:00", minutes: int = 15, ward: str = "W1") -> pl.DataFrame:
    rows = [
        (f"{asset}.count", asset, "x", ward, at(start) + timedelta(minutes=minutes * n), v)
        for n, v in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def test_volume_is_the_sum_of_four_quarters():
    counts = pl.concat([readings("C1", [100, 120, 150, 110]), readings("C2", [1, 2, 3, 4], ward="W2")])
    result = traffic_volume(counts, SENSORS, HOUR)
    assert (row(result, "asset:C1")["value"], row(result)["value"], row(result, "ward:W2")["value"]) == (
        480.0,
        490.0,
        10.0,
    )


def test_volume_is_unknown_when_a_quarter_is_missing_and_so_is_the_town():
    counts = pl.concat([readings("C1", [100, 120, 150, 110]), readings("C2", [1, 2, 3], ward="W2")])
    result = traffic_volume(counts, SENSORS, HOUR)
    second = row(result, "asset:C2")
    assert (second["value"], second["n"], second["n_expected"], second["reason"]) == (None, 3, 4, "insufficient_data")
    assert row(result)["value"] is None


def test_volume_of_a_dead_counter_is_no_data_not_zero():
    second = row(traffic_volume(readings("C1", [1, 2, 3, 4]), SENSORS, HOUR), "asset:C2")
    assert (second["value"], second["reason"]) == (None, "no_data")


def test_peak_hour_factor_takes_the_busiest_hour_of_the_day():
    counts = readings("C1", [10, 10, 100, 120, 150, 110, 20], start="07:30")
    found = row(peak_hour_factor(counts, day_window(), ZONE), "asset:C1")
    assert found["numerator"] / found["denominator"] == pytest.approx(0.8)
    assert (found["detail"], found["n"]) == ("08:00", 7)


def test_peak_hour_factor_forms_no_hour_across_a_gap():
    counts = pl.concat([readings("C1", [1, 2, 3]), readings("C1", [4, 5, 6], start="09:00")])
    assert peak_hour_factor(counts, day_window(), ZONE).is_empty()


def test_speed_is_the_harmonic_mean_without_zeros():
    town = row(space_mean_speed(readings("L1", [40, 50, 60, 0]), ASSETS, LINKS, HOUR))
    assert town["numerator"] / town["denominator"] == pytest.approx(48.648649)
    assert (town["n"], town["detail"]) == (3, "1 readings of 0 km/h left out")


def test_speed_of_a_counter_counts_for_its_link():
    assert row(space_mean_speed(readings("C1", [40]), ASSETS, LINKS, HOUR), "asset:L1")["n"] == 1


def test_speed_against_free_flow_weighs_links_by_length():
    speeds = pl.concat([readings("L1", [25.0]), readings("L2", [40.0])])
    result = speed_of_free_flow(speeds, ASSETS, LINKS, HOUR)
    town, link = row(result), row(result, "asset:L1")
    assert link["numerator"] / link["denominator"] == pytest.approx(0.5)
    # 2 km at 25 and 1 km at 40 take 6.3 min; empty, at 50 and 40, 3.9 min.
    assert town["numerator"] / town["denominator"] == pytest.approx(3.9 / 6.3)


def test_density_comes_from_occupancy_or_else_from_flow_and_speed():
    occupancy = readings("L1", [12.0])
    counts, speeds = readings("L2", [225.0, 225.0]), readings("L2", [45.0, 45.0])
    result = traffic_density(occupancy, counts, speeds, ASSETS, LINKS, HOUR)
    assert row(result, "asset:L1")["value"] == pytest.approx(18.461538)
    # TR-09#3: 900 vehicles/h at 45 km/h.
    assert (row(result, "asset:L2")["value"], row(result, "asset:L2")["detail"]) == (20.0, "from flow and speed")


TIMES = [10, 12, 15, 11, 20] * 6
TEN = LINKS.with_columns(length_km=pl.lit(10.0), free_flow_km_h=pl.lit(60.0))


def peak_times(values) -> pl.DataFrame:
    return readings("L1", [60.0 * v for v in values], start="07:00", minutes=2)


def test_reliability_is_that_of_the_catalogue():
    # TR-10#1, its five drives six times over: the mean stays 13.6, the 95th percentile of 30 is now 20.
    month = windows(at("00:00"), timedelta(days=30))
    args = (peak_times(TIMES), ASSETS, TEN, month, ZONE)
    found = [row(index(*args)) for index in (travel_time_index, planning_time_index, buffer_index)]
    values = [town["numerator"] / town["denominator"] for town in found]
    assert values == pytest.approx([1.36, 2.0, (20 - 13.6) / 13.6])


def test_reliability_needs_thirty_drives_in_the_peak():
    month = windows(at("00:00"), timedelta(days=30))
    few = row(travel_time_index(peak_times(TIMES[:29]), ASSETS, TEN, month, ZONE))
    assert (few["denominator"], few["reason"]) == (0.0, "insufficient_data")
    night = peak_times(TIMES).with_columns(pl.col("observed_at") + pl.duration(hours=5))
    assert travel_time_index(night, ASSETS, TEN, month, ZONE).is_empty()


def test_congested_time_is_strict_and_keeps_to_the_day():
    # TR-11#1: 50, 44, 30, 28, 46, 48 with 50 free flow: half are under 45. 45 itself is not; the night does not count.
    day = readings("L1", [50, 44, 30, 28, 46, 48, 45, 45])
    night = readings("L1", [1, 1], start="22:00")
    town = row(congested_time(pl.concat([day, night]), ASSETS, LINKS, day_window(), ZONE))
    assert (town["numerator"], town["denominator"]) == (3.0, 8.0)


CRASHES = frame(
    "crashes",
    {"crash": "1", "crashed_at": at("08:00"), "ward": "W1", "deaths": 5},
    {"crash": "2", "crashed_at": at("09:00"), "ward": "W2", "deaths": 2},
    {"crash": "3", "crashed_at": at("09:00"), "ward": None, "deaths": 0},
)
WARDS = pl.DataFrame({"ward": ["W1", "W2"], "population": [20000, 28500]})


def test_road_deaths_are_per_resident_and_wards_add_up():
    year = windows(at("00:00") - timedelta(days=364), timedelta(days=365))
    result = road_deaths(CRASHES, WARDS, year)
    town = row(result)
    # TR-12#1: 7 deaths of 48,500 residents.
    assert 100_000 * town["numerator"] / town["denominator"] == pytest.approx(14.43299, abs=1e-5)
    assert row(result, "ward:W1")["numerator"] + row(result, "ward:W2")["numerator"] == town["numerator"]


def test_crash_severity_is_deaths_per_crash():
    town = row(crash_severity(CRASHES, day_window()))
    assert (town["numerator"], town["denominator"]) == (7.0, 3.0)
