"""Night flow of the district metered areas."""

from datetime import timedelta

import polars as pl
import pytest

from pipelines.water.night import minimum_night_flow, night_flow_over_baseline, night_leakage, night_minima
from tests.pipelines.water_town import ASSETS, ROME, at, dmas, readings, rolled, sensors, series, values, windows

INLETS = sensors(("f1", "D1", "inflow_m3_h", 900), ("f2", "D2", "inflow_m3_h", 900))
DAY = windows(("2026-01-10", "2026-01-11"), zone=ROME)
NO_PRESSURE = rolled()
USUAL = dmas(
    [
        {"asset": "D1", "population_served": 10_000, "baseline_night_m3_h": 15.0, "n1": 1.0},
        {"asset": "D2", "population_served": 5_000, "baseline_night_m3_h": 10.0, "non_domestic_night_m3_h": 2.0},
    ]
)


def night(sensor: str, asset: str, flows: list[float], day: str = "2026-01-10") -> list:
    """Quarter-hour flows from 02:00 local time on."""
    return series(sensor, asset, at(f"{day}T02:00", ROME), 15, flows)


def flow_of(*rows, baseline=USUAL, pressure=NO_PRESSURE, registered=INLETS, days=DAY) -> pl.DataFrame:
    return minimum_night_flow(readings(*rows), pressure, baseline, ASSETS, registered, days, ROME)


def test_minimum_night_flow_is_the_lowest_rolling_hour_between_two_and_four():
    # hours from 02:00, 02:15 ...: 21, 20, 19, 18.5, 19 m3/h; the low 1 m3/h at 04:00 is morning
    flows = [24.0, 20, 20, 20, 20, 16, 18, 22, 1, 1, 1, 1]
    assert values(flow_of(*night("f1", "D1", flows))) == {("01-09T23:00", "asset:D1"): 18.5}


def test_minimum_night_flow_knows_the_night_of_each_day():
    days = windows(("2026-01-10", "2026-01-11"), ("2026-01-11", "2026-01-12"), zone=ROME)
    rows = night("f1", "D1", [18.0] * 8) + night("f1", "D1", [30.0] * 8, "2026-01-11")
    assert sorted(values(flow_of(*rows, days=days)).values()) == [18.0, 30.0]


@pytest.mark.parametrize(
    ("day", "until", "first", "count"),
    [("2026-03-29", "2026-03-30", "2026-03-29T01:00", 4), ("2026-10-25", "2026-10-26", "2026-10-25T00:00", 12)],
)
def test_minimum_night_flow_has_one_or_three_hours_when_the_clocks_change(day, until, first, count):
    # 29 March: 02:00 does not exist, the night is 03:00-04:00 = 01:00-02:00 UTC. 25 October: 02:00-03:00 comes twice,
    # the night is 00:00-03:00 UTC. Outside it the flow is 1.
    start = at(first)
    inside = series("f1", "D1", start, 15, [20.0] * count)
    before = series("f1", "D1", start - timedelta(hours=1), 15, [1.0] * 4)
    after = series("f1", "D1", start + timedelta(minutes=15 * count), 15, [1.0] * 4)
    found = flow_of(*before, *inside, *after, days=windows((day, until), zone=ROME))
    assert found["value"].to_list() == [20.0]


def test_minimum_night_flow_takes_hourly_flows_as_they_are():
    hourly = sensors(("f1", "D1", "inflow_m3_h", 3600))
    rows = series("f1", "D1", at("2026-01-10T02:00", ROME), 60, [21.0, 17.0, 3.0])
    assert flow_of(*rows, registered=hourly)["value"].to_list() == [17.0]


def test_minimum_night_flow_leaves_out_hours_with_gaps_and_nights_without_a_whole_hour():
    # 02:00 holds four readings (21), 02:15 three of four (20); 02:30, 02:45 and 03:00 hold two or fewer
    gap = night("f1", "D1", [24.0, 20, 20, 20]) + series("f1", "D1", at("2026-01-10T03:30", ROME), 15, [1.0, 1.0])
    assert flow_of(*gap)["value"].to_list() == [20.0]
    assert flow_of(*night("f1", "D1", [24.0, 20])).is_empty()


def test_minimum_night_flow_adds_up_the_inlets_and_counts_duplicates_once():
    two = sensors(("f1", "D1", "inflow_m3_h", 900), ("f1b", "D1", "inflow_m3_h", 900))
    first, second = night("f1", "D1", [12.0] * 8), night("f1b", "D1", [6.0] * 8)
    assert flow_of(*first, *second, *first, registered=two)["value"].to_list() == [18.0]
    assert flow_of(*first, registered=two).is_empty()


def test_minimum_night_flow_is_not_applicable_when_supply_is_intermittent():
    # no flow at night; and flow at night (tanks fill) after hours without pressure
    dry = flow_of(*night("f1", "D1", [0.0] * 8))
    hours = [("s1", "P1", at("2026-01-09T10:00", ROME) + timedelta(hours=h), 4, 4.0, 4 * 0.3) for h in range(3)]
    filling = flow_of(*night("f1", "D1", [40.0] * 8), pressure=rolled(*hours))
    for found in (dry, filling):
        assert found.select("value", "reason", "detail").row(0) == (None, "not_applicable", "intermittent supply")


def test_night_flow_over_baseline_is_a_share_of_the_usual_flow_of_the_area():
    rows = readings(*night("f1", "D1", [18.0] * 8), *night("f2", "D2", [10.0] * 8))
    found = night_flow_over_baseline(rows, NO_PRESSURE, USUAL, ASSETS, INLETS, DAY, ROME)
    assert values(found, 100) == {("01-09T23:00", "asset:D1"): 120.0, ("01-09T23:00", "asset:D2"): 100.0}


def test_night_leakage_under_constant_pressure_is_24_times_the_net_night_flow():
    # WA-04#1: 18 m3/h, 10,000 people: 12 m3/h net, 288 m3/day. D2: 10 - 3 - 2 = 5 m3/h, 120 m3/day
    rows = readings(*night("f1", "D1", [18.0] * 8), *night("f2", "D2", [10.0] * 8))
    found = night_leakage(rows, NO_PRESSURE, USUAL, ASSETS, INLETS, DAY, ROME)
    expected = {("01-09T23:00", "asset:D1"): 288.0, ("01-09T23:00", "asset:D2"): 120.0, ("01-09T23:00", "town"): 408.0}
    assert values(found) == pytest.approx(expected)
    assert found.filter(area="town").select("n", "n_expected").row(0) == (2, 2)


def test_night_leakage_follows_the_pressure_of_the_day():
    # WA-04#2: 16 hours at 30 m, 8 hours (the night among them) at 45 m, N1 1.0: 12 x 18.667 = 224 m3/day
    start = at("2026-01-09T04:00", ROME)
    hours = [("s1", "P1", start + timedelta(hours=h), 4, 4.0, 4 * (45.0 if h >= 16 else 30.0)) for h in range(24)]
    rows = readings(*night("f1", "D1", [18.0] * 8))
    found = night_leakage(rows, rolled(*hours), USUAL, ASSETS, INLETS, DAY, ROME)
    assert values(found)["01-09T23:00", "asset:D1"] == pytest.approx(224.0)


def test_night_leakage_of_the_town_is_incomplete_when_an_area_is_missing():
    found = night_leakage(readings(*night("f1", "D1", [18.0] * 8)), NO_PRESSURE, USUAL, ASSETS, INLETS, DAY, ROME)
    assert found.filter(area="town").select("n", "n_expected").row(0) == (1, 2)


def test_night_leakage_leaves_intermittent_areas_out_of_the_town():
    rows = readings(*night("f1", "D1", [18.0] * 8), *night("f2", "D2", [0.0] * 8))
    found = night_leakage(rows, NO_PRESSURE, USUAL, ASSETS, INLETS, DAY, ROME)
    assert found.filter(area="town").select("value", "n", "n_expected", "reason").row(0) == (288.0, 2, 2, None)
    assert found.filter(area="asset:D2").select("value", "reason").row(0) == (None, "not_applicable")


def test_night_kpis_are_empty_when_nothing_came():
    nothing = readings()
    assert night_minima(nothing, INLETS, DAY, ROME).is_empty()
    for kpi in (minimum_night_flow, night_flow_over_baseline, night_leakage):
        assert kpi(nothing, NO_PRESSURE, USUAL, ASSETS, INLETS, DAY, ROME).is_empty()
