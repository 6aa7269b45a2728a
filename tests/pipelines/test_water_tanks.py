"""How long the water in the tanks lasts."""

import polars as pl
import pytest

from pipelines.water import tanks as declared
from tests.pipelines.water_town import ASSETS, at, readings, sensors, series, tanks, values, windows

QUARTER = windows(("2026-01-10T10:00", "2026-01-10T10:15"))
SIZES = tanks(
    [
        {"asset": "T1", "diameter_m": 12.0, "dead_level_m": 0.5, "full_level_m": 5.0},
        {"asset": "T2", "diameter_m": 12.0, "dead_level_m": 0.5, "full_level_m": 5.0},
    ]
)
NONE = readings()
GAUGES = sensors(("l-T1", "T1", "tank_level_m", 900), ("l-T2", "T2", "tank_level_m", 900))


def tank_autonomy(level: pl.DataFrame, out: pl.DataFrame, into: pl.DataFrame, sizes: pl.DataFrame, spans: pl.DataFrame):
    """The KPI with the registers of the town."""
    return declared.tank_autonomy(level, out, into, sizes, ASSETS, GAUGES, spans)


def levels(asset: str, *metres: float) -> list:
    """Levels every quarter of an hour, the last one at 10:10."""
    return series(f"l-{asset}", asset, at("2026-01-10T09:25"), 15, list(metres))


def flows(name: str, asset: str, m3_h: float) -> list:
    return series(f"{name}-{asset}", asset, at("2026-01-10T09:15"), 15, [m3_h] * 4)


def test_tank_autonomy_is_usable_volume_over_net_outflow():
    # WA-10#1: 12 m wide, 3.2 m deep, 0.5 m dead, 45 m3/h net: 305.36 m3, 6.786 h
    found = tank_autonomy(
        readings(*levels("T1", 3.2, 3.2, 3.2, 3.2)),
        readings(*flows("out", "T1", 60.0)),
        readings(*flows("in", "T1", 15.0)),
        SIZES,
        QUARTER,
    )
    assert found.filter(area="asset:T1")["numerator"].item() == pytest.approx(305.362806)
    assert values(found)["01-10T10:00", "asset:T1"] == pytest.approx(6.78584, abs=1e-5)


def test_tank_autonomy_weighs_the_hour_by_time_when_a_meter_begins_to_report_faster():
    # 11 spells of five minutes at 30 m3/h, then one at 90 told ten times over: 35 m3/h, and not the 58.6 of all readings
    slow = series("out-T1", "T1", at("2026-01-10T09:15"), 5, [30.0] * 11)
    fast = series("out-T1", "T1", at("2026-01-10T10:10"), 0.5, [90.0] * 10)
    found = tank_autonomy(
        readings(*levels("T1", 3.2, 3.2, 3.2, 3.2)),
        readings(*slow, *fast),
        readings(*flows("in", "T1", 15.0)),
        SIZES,
        QUARTER,
    )
    assert values(found)["01-10T10:00", "asset:T1"] == pytest.approx(305.362806 / (35.0 - 15.0))


def test_tank_autonomy_is_not_applicable_while_a_tank_fills():
    found = tank_autonomy(
        readings(*levels("T1", 3.2, 3.2, 3.2, 3.2)),
        readings(*flows("out", "T1", 40.0)),
        readings(*flows("in", "T1", 45.0)),
        SIZES,
        QUARTER,
    )
    assert found.select("denominator", "reason", "detail").unique().rows() == [(None, "not_applicable", "filling")]


def test_tank_autonomy_follows_the_falling_level_where_flows_are_not_metered():
    # 0.3 m in 45 minutes of a 113.097 m2 tank: 45.24 m3/h; 2.4 m usable = 271.43 m3: 6 h
    found = tank_autonomy(readings(*levels("T1", 3.2, 3.1, 3.0, 2.9)), NONE, NONE, SIZES, QUARTER)
    assert values(found)["01-10T10:00", "asset:T1"] == pytest.approx(6.0)


def test_tank_autonomy_does_not_take_a_silent_inflow_meter_for_no_inflow():
    found = tank_autonomy(
        readings(*levels("T1", 3.2, 3.1, 3.0, 2.9)), readings(*flows("out", "T1", 90.0)), NONE, SIZES, QUARTER
    )
    assert values(found)["01-10T10:00", "asset:T1"] == pytest.approx(6.0)


def test_tank_autonomy_of_the_town_is_the_tank_that_runs_out_first():
    level = readings(*levels("T1", 3.2, 3.1, 3.0, 2.9), *levels("T2", 1.9, 1.8, 1.7, 1.6))
    found = tank_autonomy(level, NONE, NONE, SIZES, QUARTER)
    # T2: 1.1 m usable, falling 0.4 m an hour
    assert values(found)["01-10T10:00", "town"] == pytest.approx(2.75)
    assert found.filter(area="town")["detail"].item() == "T2"


def test_tank_autonomy_of_a_filling_tank_does_not_hide_one_that_empties():
    level = readings(*levels("T1", 2.9, 3.0, 3.1, 3.2), *levels("T2", 1.9, 1.8, 1.7, 1.6))
    town = tank_autonomy(level, NONE, NONE, SIZES, QUARTER).filter(area="town")
    assert town.select("reason", "detail").row(0) == (None, "T2")


def test_tank_autonomy_is_zero_at_or_below_the_dead_level():
    found = tank_autonomy(readings(*levels("T1", 0.6, 0.5, 0.4, 0.3)), NONE, NONE, SIZES, QUARTER)
    assert values(found)["01-10T10:00", "asset:T1"] == 0.0


def test_tank_autonomy_keeps_overlapping_hours_of_many_windows_apart():
    two = windows(("2026-01-10T10:00", "2026-01-10T10:15"), ("2026-01-10T10:15", "2026-01-10T10:30"))
    level = readings(*levels("T1", 3.2, 3.1, 3.0, 2.9, 2.8))
    found = values(tank_autonomy(level, NONE, NONE, SIZES, two))
    # levels of 09:40-10:25 in the second hour: 2.3 m usable at 0.4 m an hour
    assert found["01-10T10:00", "asset:T1"] == pytest.approx(6.0)
    assert found["01-10T10:15", "asset:T1"] == pytest.approx(5.75)


def test_tank_autonomy_is_stale_when_the_level_is_old():
    # the last level came at 09:40, before 09:45
    old = readings(*series("l-T1", "T1", at("2026-01-10T09:25"), 15, [3.2, 3.1]))
    found = tank_autonomy(old, NONE, NONE, SIZES, QUARTER)
    assert found.select("denominator", "reason").unique().rows() == [(None, "stale")]


def test_tank_autonomy_lives_on_the_last_level_while_a_window_is_young():
    young = windows(("2026-01-10T10:00", "2026-01-10T10:15"), as_of="2026-01-10T10:01")
    found = tank_autonomy(readings(*levels("T1", 3.2, 3.1, 3.0)), NONE, NONE, SIZES, young)
    assert values(found)["01-10T10:00", "asset:T1"] == pytest.approx(2.5 / 0.4)
    # 46 minutes from 09:15 on owe three levels
    assert found.filter(area="asset:T1").select("n", "n_expected").row(0) == (3, 3)


def test_tank_autonomy_has_no_row_when_nothing_came_or_the_tank_has_no_size():
    now = readings(*levels("T1", 3.2, 3.1, 3.0, 2.9))
    assert tank_autonomy(now, NONE, NONE, tanks([{"asset": "T1"}]), QUARTER).is_empty()
    assert tank_autonomy(NONE, NONE, NONE, SIZES, QUARTER).is_empty()
