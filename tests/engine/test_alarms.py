"""The alarms of a town over its line: delays, restarts, what silence may not do, and the list."""

from datetime import datetime
from pathlib import Path

from pipelines.engine import flow
from pipelines.engine.line import Line
from tests.engine import small_town
from tests.engine.small_town import NOON, abandon, after, csv_of, make, send


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
    assert (alarm["asset"], alarm["asset_name"], alarm["ward"], alarm["state"]) == (
        "T1",
        "Hill tank",
        "W2",
        "unacknowledged",
    )
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
    assert standing(line) == [("tank_low|T1.level", "unacknowledged")]
    send(line, "network", csv_of([("T1.level", after(NOON, 45), "")]), after(NOON, 45))
    flow.beat(line, after(NOON, 45))
    flow.beat(line, after(NOON, 600))
    assert standing(line) == [("tank_low|T1.level", "unacknowledged")]
    line.close()


def test_alarm_survives_a_kill_and_returns_when_the_value_does(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON)
    for minutes in (0, 15, 30):
        level(line, 0.4, after(NOON, minutes))
    abandon(line)
    line = open_line(folder, after(NOON, 31))
    assert standing(line) == [("tank_low|T1.level", "unacknowledged")]
    for minutes in (45, 60, 75):
        level(line, 3.0, after(NOON, minutes))
    assert standing(line) == [("tank_low|T1.level", "returned_unacknowledged")]
    # Nobody has acknowledged it: it stays for whoever comes.
    flow.beat(line, after(NOON, 75 + 25 * 60))
    assert standing(line) == [("tank_low|T1.level", "returned_unacknowledged")]
    line.close()


def test_on_delay_goes_on_counting_over_a_kill(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON)
    level(line, 0.4, NOON)
    abandon(line)
    line = open_line(folder, after(NOON, 1))
    level(line, 0.4, after(NOON, 15))
    assert standing(line) == [("tank_low|T1.level", "unacknowledged")]
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
    assert (alarm["id"], alarm["state"], alarm["area"]) == ("feed_silent|network", "unacknowledged", "feed:network")
    assert "30 minutes" in alarm["instruction"]
    level(line, 3.0, after(NOON, 31))
    assert [(a["id"], a["state"]) for a in line.alarms.listed()] == [("feed_silent|network", "returned_unacknowledged")]
    line.close()


def test_list_puts_active_alarms_first_by_priority_then_age(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    for minutes in (0, 15):
        now = after(NOON, minutes)
        send(line, "network", csv_of([("T1.level", now, 0.3), ("P1.p", now, 50.0), ("P2.p", now, 5.0)]), now)
        flow.beat(line, now)
    listed = line.alarms.listed()
    order = ["critical", "high", "medium", "low"]
    ranks = [(not a["active"], order.index(a["priority"]), a["since"]) for a in listed]
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
        "returned_unacknowledged",
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
    assert standing(line) == [("tank_low|T1.level", "unacknowledged")]
    line.close()


def test_readings_of_a_sensor_that_fell_silent_long_ago_ring_nothing(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON)
    send(line, "network", csv_of([("T1.level", after(NOON, -m), 0.4) for m in (300, 200, 100)]), NOON)
    flow.beat(line, NOON)
    assert standing(line) == []
    line.close()
