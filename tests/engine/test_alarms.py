"""Alarm conditions: deadband, delays, restarts, and what silence may not do."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import flow
from pipelines.engine.alarms import Condition, Limit, step, timeline
from pipelines.engine.line import Line
from tests.engine import small_town
from tests.engine.small_town import NOON, abandon, after, csv_of, make, send

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HIGH = {"limit": 100.0, "sign": 1, "deadband": 5.0, "on": 0, "off": 0}


def flags(values: list[float], every_s: float = 10, **changed: Any) -> str:
    """The alarm after each sample, as a line of . and #."""
    how = {**HIGH, **changed}
    limit = Limit(
        how["limit"], how["sign"], how["deadband"], timedelta(seconds=how["on"]), timedelta(seconds=how["off"])
    )
    stamps = [T0 + timedelta(seconds=n * every_s) for n in range(len(values))]
    return "".join("#" if on else "." for on in timeline(values, stamps, limit))


@pytest.mark.parametrize(
    ("values", "how", "expected"),
    [
        # Catalogue AL-09#1: 99.5 lies within the deadband, so the alarm stays.
        ([99, 101, 99.5, 101, 94.9, 94.9], {}, ".###.."),
        # At the limit it is not beyond it; at limit - deadband it is not back.
        ([100, 100.1, 95, 94.9], {}, ".##."),
        # Without a deadband it returns below the limit.
        ([101, 100, 99.9], {"deadband": 0}, "##."),
        # The on-delay has lasted when the time between stamps is at least as long.
        ([101, 101, 101, 101], {"on": 20}, "..##"),
        ([101, 101, 101, 101], {"on": 20.1}, "...#"),
        # The timer starts again whenever the condition breaks.
        ([101, 101, 99, 101, 101, 101], {"on": 20}, ".....#"),
        ([101, 90, 90, 96, 90, 90, 90], {"off": 20}, "######."),
        # A sample inside the deadband breaks the way back.
        ([101, 94, 97, 94, 94], {"off": 10}, "####."),
        # Low limits mirror.
        ([1.2, 0.9, 1.05, 1.3], {"limit": 1.0, "sign": -1, "deadband": 0.2}, ".##."),
        ([0.9, 0.9, 0.9, 1.3, 1.3], {"limit": 1.0, "sign": -1, "deadband": 0.2, "on": 10, "off": 10}, ".###."),
        ([], {}, ""),
    ],
)
def test_condition_follows_the_catalogue(values: list[float], how: dict[str, Any], expected: str) -> None:
    assert flags(values, **how) == expected


def test_sample_that_is_not_newer_changes_nothing() -> None:
    limit = Limit(100.0, 1, 0.0, timedelta(0), timedelta(0))
    active = step(Condition(), limit, 101.0, T0)
    assert active.active
    assert step(active, limit, 1.0, T0) == active
    assert step(active, limit, 1.0, T0 - timedelta(seconds=1)) == active


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.floats(80, 120), max_size=30), st.integers(0, 40), st.integers(0, 40), st.floats(0, 10))
def test_low_limit_is_the_mirror_of_the_high_one(values: list[float], on: int, off: int, deadband: float) -> None:
    high = flags(values, deadband=deadband, on=on, off=off)
    low = flags([-value for value in values], limit=-100.0, sign=-1, deadband=deadband, on=on, off=off)
    assert high == low


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.floats(80, 120), max_size=30))
def test_without_delays_the_alarm_is_a_plain_schmitt_trigger(values: list[float]) -> None:
    expected, on = "", False
    for value in values:
        on = value >= 95.0 if on else value > 100.0
        expected += "#" if on else "."
    assert flags(values) == expected


def open_line(folder: Path, now: datetime) -> Line:
    return small_town.open_line(folder, now, frozenset({"pressure_compliance"}))


def level(line: Line, value: float, now: datetime) -> None:
    send(line, "network", csv_of([("T1.level", now, value)]), now)
    flow.beat(line, now)


def standing(line: Line) -> list[tuple[str, str]]:
    return [(alarm["id"], alarm["state"]) for alarm in line.alarms.listed() if alarm["rule"] != "feed_silent"]


def test_alarm_rings_after_its_delay_with_all_that_a_person_needs(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    level(line, 0.6, NOON)
    assert standing(line) == []
    level(line, 0.5, after(NOON, 15))
    (alarm,) = (a for a in line.alarms.listed() if a["rule"] == "tank_low")
    assert (alarm["asset"], alarm["asset_name"], alarm["ward"], alarm["state"]) == ("T1", "Hill tank", "W2", "active")
    assert (alarm["value"], alarm["limit"], alarm["unit"]) == (0.5, 1.0, "m")
    assert alarm["since"] == after(NOON, 15).isoformat()
    assert alarm["instruction"]
    assert line.alarms.worst_by_asset() == {"T1": alarm["priority"]}
    line.close()


def test_alarms_of_two_sensors_of_a_kind_on_one_asset_name_the_sensor(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    sensors = folder / "reference" / "sensors.csv"
    sensors.write_text(sensors.read_text("utf-8") + "T1.well,T1,tank_level_m,m,15 min,,\n", "utf-8")
    line = open_line(folder, NOON)
    for minutes in (0, 15):
        at = after(NOON, minutes)
        send(line, "network", csv_of([("T1.level", at, 0.5), ("T1.well", at, 0.4)]), at)
        flow.beat(line, at)
    names = [alarm["asset_name"] for alarm in line.alarms.listed() if alarm["rule"] == "tank_low"]
    assert names == ["Hill tank (T1.level)", "Hill tank (T1.well)"]
    line.close()


def test_silence_and_unusable_values_never_clear_an_alarm(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    for minutes in (0, 15, 30):
        level(line, 0.4, after(NOON, minutes))
    assert standing(line) == [("tank_low|T1.level", "active")]
    send(line, "network", csv_of([("T1.level", after(NOON, 45), "")]), after(NOON, 45))
    flow.beat(line, after(NOON, 45))
    flow.beat(line, after(NOON, 600))
    assert standing(line) == [("tank_low|T1.level", "active")]
    line.close()


def test_alarm_survives_a_kill_and_returns_when_the_value_does(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON)
    for minutes in (0, 15, 30):
        level(line, 0.4, after(NOON, minutes))
    abandon(line)
    line = open_line(folder, after(NOON, 31))
    assert standing(line) == [("tank_low|T1.level", "active")]
    for minutes in (45, 60, 75):
        level(line, 3.0, after(NOON, minutes))
    assert standing(line) == [("tank_low|T1.level", "returned")]
    flow.beat(line, after(NOON, 75 + 25 * 60))
    assert standing(line) == []
    line.close()


def test_on_delay_goes_on_counting_over_a_kill(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON)
    level(line, 0.4, NOON)
    abandon(line)
    line = open_line(folder, after(NOON, 1))
    level(line, 0.4, after(NOON, 15))
    assert standing(line) == [("tank_low|T1.level", "active")]
    line.close()


def test_alarm_of_a_rule_that_was_switched_off_does_not_stand_for_ever(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON)
    for minutes in (0, 15):
        level(line, 0.4, after(NOON, minutes))
    assert standing(line)
    abandon(line)
    with (folder / "town.toml").open("a") as file:
        file.write("[water.alarms.tank_low]\nenabled = false\n")
    line = open_line(folder, after(NOON, 20))
    flow.beat(line, after(NOON, 20))
    assert standing(line) == []
    line.close()


def test_silent_feed_is_an_alarm_and_returns_when_it_comes_again(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    level(line, 3.0, NOON)
    flow.beat(line, after(NOON, 30))
    (alarm,) = line.alarms.listed()
    assert (alarm["id"], alarm["state"], alarm["area"]) == ("feed_silent|network", "active", "feed:network")
    assert "30 minutes" in alarm["instruction"]
    level(line, 3.0, after(NOON, 31))
    assert [(a["id"], a["state"]) for a in line.alarms.listed()] == [("feed_silent|network", "returned")]
    line.close()


def test_list_puts_active_alarms_first_by_priority_then_age(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    for minutes in (0, 15):
        now = after(NOON, minutes)
        send(line, "network", csv_of([("T1.level", now, 0.3), ("P1.p", now, 50.0), ("P2.p", now, 5.0)]), now)
        flow.beat(line, now)
    listed = line.alarms.listed()
    order = ["critical", "high", "medium", "low"]
    ranks = [(a["state"] != "active", order.index(a["priority"]), a["since"]) for a in listed]
    assert len(listed) >= 3
    assert ranks == sorted(ranks)
    line.close()


def test_excursion_within_one_payload_rings_and_returns(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    rows = [
        ("T1.level", after(NOON, minutes), value)
        for minutes, value in ((0, 3.0), (5, 0.4), (10, 0.3), (15, 3.0), (20, 3.0))
    ]
    send(line, "network", csv_of(rows), after(NOON, 20))
    flow.beat(line, after(NOON, 20))
    (alarm,) = [a for a in line.alarms.listed() if a["rule"] == "tank_low"]
    assert (alarm["state"], alarm["since"], alarm["returned_at"]) == (
        "returned",
        after(NOON, 10).isoformat(),
        after(NOON, 20).isoformat(),
    )
    line.close()


def test_samples_that_landed_before_a_kill_are_watched_after_it(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON)
    flow.beat(line, NOON)
    send(line, "network", csv_of([("T1.level", after(NOON, m), 0.4) for m in (1, 3)]), after(NOON, 3))
    abandon(line)
    line = open_line(folder, after(NOON, 4))
    flow.beat(line, after(NOON, 4))
    assert standing(line) == [("tank_low|T1.level", "active")]
    line.close()


def test_readings_of_a_sensor_that_fell_silent_long_ago_ring_nothing(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    send(line, "network", csv_of([("T1.level", after(NOON, -m), 0.4) for m in (300, 200, 100)]), NOON)
    flow.beat(line, NOON)
    assert standing(line) == []
    line.close()
