"""Pressure, hours of supply and chlorine."""

import polars as pl
import pytest

from pipelines.water.network import chlorine_compliance, pressure_compliance, supply_continuity
from tests.pipelines.water_town import ASSETS, at, dmas, readings, sensors, series, values, windows

DAY = windows(("2026-01-10", "2026-01-11"))
START = at("2026-01-10")
POINTS = sensors(
    ("s1", "P1", "pressure_m", 21600),
    ("s2", "P2", "pressure_m", 21600),
    ("s3", "P3", "pressure_m", 21600),
    ("s4", "P4", "pressure_m", 21600),
)
NO_DMAS = dmas([])


def test_pressure_compliance_is_the_share_of_readings_at_or_above_the_minimum():
    # WA-07#1: 6.9, 7.0, 8.2, 12.0 and one unusable reading give 75 %
    rows = readings(*series("s1", "P1", START, 60, [6.9, 7.0, 8.2, 12.0, None]))
    found = pressure_compliance(rows, NO_DMAS, ASSETS, POINTS, DAY)
    assert values(found, 100)["01-10T00:00", "town"] == 75.0
    assert found.filter(pl.col("area") == "town")["n"].item() == 4


def test_pressure_compliance_adds_up_from_wards_to_the_town_as_a_ratio_of_sums():
    rows = readings(
        *series("s1", "P1", START, 60, [8.0, 6.0]),
        *series("s2", "P2", START, 60, [8.0, 8.0, 8.0, 6.0]),
        *series("s3", "P3", START, 60, [6.0, 6.0, 6.0, 8.0]),
    )
    found = values(pressure_compliance(rows, NO_DMAS, ASSETS, POINTS, DAY), 100)
    assert found["01-10T00:00", "ward:W1"] == pytest.approx(100 * 4 / 6)
    assert found["01-10T00:00", "ward:W2"] == 25.0
    assert found["01-10T00:00", "town"] == 50.0
    assert found["01-10T00:00", "asset:D3"] == 25.0


def test_pressure_compliance_takes_the_minimum_of_the_area_when_one_is_written():
    rows = readings(*series("s1", "P1", START, 60, [8.0, 13.0]))
    two_storeys = dmas([{"asset": "D1", "minimum_pressure_m": 12.0}])
    assert values(pressure_compliance(rows, two_storeys, ASSETS, POINTS, DAY), 100)["01-10T00:00", "town"] == 50.0


def test_pressure_compliance_leaves_out_hours_without_supply_when_supply_is_intermittent():
    rows = readings(*series("s1", "P1", START, 60, [0.2, 0.1, 8.0, 6.0]))
    found = pressure_compliance(rows, NO_DMAS, ASSETS, POINTS, DAY, off_below_m=1.0)
    assert values(found, 100)["01-10T00:00", "town"] == 50.0


def test_pressure_compliance_counts_a_reading_once_when_it_came_twice():
    once = series("s1", "P1", START, 60, [8.0, 6.0])
    found = pressure_compliance(readings(*once, once[0]), NO_DMAS, ASSETS, POINTS, DAY)
    assert found.filter(pl.col("area") == "town").select("numerator", "denominator").row(0) == (1.0, 2.0)


def test_pressure_compliance_expects_what_the_register_owes_by_now():
    rows = readings(*series("s1", "P1", START, 360, [8.0, 8.0]))
    half = windows(("2026-01-10", "2026-01-11"), as_of="2026-01-10T12:00")
    found = pressure_compliance(rows, NO_DMAS, ASSETS, POINTS, half).filter(pl.col("area") == "town")
    assert found.select("n", "n_expected").row(0) == (2, 8)


def test_pressure_compliance_keeps_many_windows_apart():
    rows = readings(*series("s1", "P1", START, 1440, [8.0, 6.0]))
    days = windows(("2026-01-10", "2026-01-11"), ("2026-01-11", "2026-01-12"))
    found = values(pressure_compliance(rows, NO_DMAS, ASSETS, POINTS, days), 100)
    assert (found["01-10T00:00", "town"], found["01-11T00:00", "town"]) == (100.0, 0.0)


def test_pressure_compliance_is_empty_when_nothing_came():
    assert pressure_compliance(readings(), NO_DMAS, ASSETS, POINTS, DAY).is_empty()


CONNECTED = dmas(
    [
        {"asset": "D1", "connections": 1200},
        {"asset": "D2", "connections": 300},
        {"asset": "D3", "connections": 900},
    ]
)
QUARTERS = sensors(*((f"s{i}", f"P{i}", "pressure_m", 900) for i in (1, 2, 3, 4)))


def hours(sensor: str, asset: str, supplied: float) -> list:
    return series(sensor, asset, START, 15, [9.0 if i < 4 * supplied else 0.5 for i in range(96)])


def test_supply_continuity_is_weighted_by_connections():
    # WA-06#1: 3 h x 1200, 24 h x 300, 1.5 h x 900 connections give 5.0625 h
    rows = readings(*hours("s1", "P1", 3), *hours("s2", "P2", 24), *hours("s3", "P3", 1.5))
    found = values(supply_continuity(rows, CONNECTED, ASSETS, QUARTERS, DAY))
    assert found["01-10T00:00", "town"] == pytest.approx(5.0625)
    assert found["01-10T00:00", "ward:W1"] == pytest.approx((3 * 1200 + 24 * 300) / 1500)
    assert found["01-10T00:00", "asset:D3"] == pytest.approx(1.5)


def test_supply_continuity_takes_the_worst_point_of_an_area():
    rows = readings(*hours("s3", "P3", 20), *hours("s4", "P4", 6))
    assert values(supply_continuity(rows, CONNECTED, ASSETS, QUARTERS, DAY))["01-10T00:00", "asset:D3"] == 6.0


def test_supply_continuity_of_an_area_in_two_wards_is_told_per_ward():
    elsewhere = ASSETS.with_columns(ward=pl.when(pl.col("asset") == "P4").then(pl.lit("W3")).otherwise("ward"))
    moved = QUARTERS.with_columns(ward=pl.when(pl.col("asset") == "P4").then(pl.lit("W3")).otherwise("ward"))
    rows = readings(*hours("s3", "P3", 20), *hours("s4", "P4", 6))
    rows = rows.with_columns(ward=pl.when(pl.col("asset") == "P4").then(pl.lit("W3")).otherwise("ward"))
    found = supply_continuity(rows, CONNECTED, elsewhere, moved, DAY)
    # 900 connections of D3, half in each ward
    expected = {"ward:W2": 20.0, "ward:W3": 6.0, "asset:D3": 13.0, "town": 13.0}
    assert values(found) == pytest.approx(
        {("01-10T00:00", area): hours_a_day for area, hours_a_day in expected.items()}
    )
    assert found.filter(area="ward:W3")["denominator"].item() == 450.0


def test_supply_continuity_does_not_take_a_silent_sensor_for_a_dry_pipe():
    whole = hours("s1", "P1", 24)
    gap = whole[:40] + whole[56:]
    found = values(supply_continuity(readings(*gap), CONNECTED, ASSETS, QUARTERS, DAY))
    assert found["01-10T00:00", "asset:D1"] == 24.0


def test_supply_continuity_says_nothing_of_an_area_whose_sensor_was_mostly_silent():
    found = supply_continuity(readings(*hours("s1", "P1", 24)[:40]), CONNECTED, ASSETS, QUARTERS, DAY)
    assert "asset:D1" not in found["area"].to_list()


@pytest.mark.parametrize(
    ("day", "until", "length"), [("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)]
)
def test_supply_continuity_is_24_hours_on_days_when_the_clocks_change(day: str, until: str, length: int):
    local = windows((day, until), zone="Europe/Rome")
    assert (local["end"] - local["window"]).dt.total_hours().item() == length
    rows = readings(*series("s1", "P1", at(day, "Europe/Rome"), 15, [9.0] * (4 * length)))
    found = supply_continuity(rows, CONNECTED, ASSETS, QUARTERS, local).filter(pl.col("area") == "asset:D1")
    assert found["numerator"].item() / found["denominator"].item() == 24.0
    assert found.select("n", "n_expected").row(0) == (4 * length, 4 * length)


def test_supply_continuity_is_empty_when_nothing_came():
    assert supply_continuity(readings(), CONNECTED, ASSETS, QUARTERS, DAY).is_empty()


def test_chlorine_compliance_includes_both_limits():
    # WA-08#1
    analysers = sensors(("c1", "T1", "chlorine_mg_l", 3600))
    rows = readings(*series("c1", "T1", START, 60, [0.1, 0.2, 0.35, 0.5, 1.0, 1.2]))
    found = chlorine_compliance(rows, ASSETS, analysers, DAY)
    assert values(found, 100)["01-10T00:00", "asset:T1"] == pytest.approx(66.666667)
    assert found["n_expected"].unique().to_list() == [24]


def test_chlorine_compliance_is_empty_when_nothing_came():
    analysers = sensors(("c1", "T1", "chlorine_mg_l", 3600))
    assert chlorine_compliance(readings(), ASSETS, analysers, DAY).is_empty()
