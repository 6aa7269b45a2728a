"""Every sensor that is expected is known by name when it says nothing; and what explains its silence."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine import flow, registers
from pipelines.engine.line import Line
from pipelines.engine.model import INSTANT
from pipelines.engine.quality.silence import Silence
from tests.engine.small_town import NOON, SENSORS, abandon, after, csv_of, make, open_line, read, send

NO_KPIS = frozenset({"pressure_compliance"})
ALL = ("D1.in", "P1.p", "P2.p", "T1.level", "T1.out")
OUT = "thing,from,to,reason\n"


def town(folder: Path, sensors: str = SENSORS, **files: str) -> Path:
    made = make(folder)
    for name, text in {"sensors": sensors, **files}.items():
        (made / "reference" / f"{name}.csv").write_text(text, "utf-8")
    return made


def report(line: Line, minutes: float, sensors: tuple[str, ...] = ALL) -> dict[str, Any]:
    """These sensors report, and the board is published; gives the feed's row."""
    now = after(NOON, minutes)
    if sensors:
        send(line, "network", csv_of([(sensor, now, value(sensor, minutes)) for sensor in sensors]), now)
    return dict(flow.beat(line, now).state["feeds"]["network"])


def value(sensor: str, minutes: float) -> float:
    """A value that rings nothing else."""
    return (3.0 if sensor.startswith("T1") else 30.0) + minutes / 1e5


def silent(line: Line) -> list[tuple[str, str]]:
    return [(a["id"].partition("|")[2], a["state"]) for a in line.alarms.listed() if a["rule"] == "sensor_silent"]


def told(feed: dict[str, Any]) -> tuple[int, int, int, int]:
    return feed["sensors"], feed["sensors_reporting"], feed["sensors_silent"], feed["sensors_excused"]


def others(*absent: str) -> tuple[str, ...]:
    return tuple(sensor for sensor in ALL if sensor not in absent)


def test_one_dead_sensor_among_those_that_report_is_an_alarm_and_returns_with_its_reading(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    assert told(report(line, 0)) == (5, 5, 0, 0)
    # It should come every 15 minutes, its feed every five: three of its intervals and one of the feed's are fifty.
    for minutes in (15, 30, 45, 50):
        assert told(report(line, minutes, others("P2.p")))[2] == 0
    assert told(report(line, 51, others("P2.p"))) == (5, 4, 1, 0)
    words = line.feed_states(after(NOON, 51))["network"]["words"]
    assert words == "Comes every 5 minutes as it should. 1 of 5 sensors say nothing."
    (alarm,) = [a for a in line.alarms.listed() if a["rule"] == "sensor_silent"]
    assert (alarm["asset"], alarm["ward"], alarm["state"], alarm["priority"]) == (
        "P2",
        "W2",
        "unacknowledged",
        "medium",
    )
    assert alarm["title"] == "No readings from P2.p"
    assert "nothing for 51 minutes" in alarm["instruction"]
    assert "every 15 minutes" in alarm["instruction"]
    report(line, 75)
    assert silent(line) == [("P2", "returned_unacknowledged")]
    line.close()


def test_two_of_a_place_are_one_alarm_that_stands_until_both_are_back(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    report(line, 0)
    for minutes in (30, 61):
        report(line, minutes, others("T1.level", "T1.out"))
    assert silent(line) == [("T1", "unacknowledged")]
    assert line.alarms.listed()[0]["title"] == "No readings from 2 of 2 sensors"
    report(line, 75, others("T1.out"))
    (alarm,) = [a for a in line.alarms.listed() if a["rule"] == "sensor_silent"]
    assert (alarm["state"], alarm["title"]) == ("unacknowledged", "No readings from T1.out")
    report(line, 76)
    assert silent(line) == [("T1", "returned_unacknowledged")]
    line.close()


def test_feed_that_is_silent_is_one_alarm_and_its_sensors_get_their_time_when_it_is_back(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    report(line, 0)
    feed = report(line, 300, ())
    assert (feed["state"], told(feed)) == ("silent", (5, 0, 5, 0))
    assert [a["rule"] for a in line.alarms.listed()] == ["feed_silent"]
    # The first payload of a feed that is back need not bring everybody.
    assert told(report(line, 301, ("P1.p",))) == (5, 1, 0, 0)
    assert silent(line) == []
    for minutes in (330, 362):
        report(line, minutes, others("P2.p"))
    assert silent(line) == [("P2", "unacknowledged")]
    line.close()


def test_restart_neither_rings_at_once_nor_clears_what_rang(tmp_path: Path) -> None:
    folder = town(tmp_path / "town")
    line = open_line(folder, NOON, NO_KPIS)
    report(line, 0)
    for minutes in (30, 61):
        report(line, minutes, others("P2.p"))
    assert silent(line) == [("P2", "unacknowledged")]
    abandon(line)
    line = open_line(folder, after(NOON, 600), NO_KPIS)
    feed = report(line, 600, ("P1.p",))
    # Nobody listened for ten hours: who else is silent is not known yet, but P2 was and nothing says otherwise.
    assert told(feed) == (5, 1, 0, 0)
    assert silent(line) == [("P2", "unacknowledged")]
    line.close()


def test_sensor_that_died_days_ago_is_still_missed_after_a_restart(tmp_path: Path) -> None:
    folder = town(tmp_path / "town")
    line = open_line(folder, NOON, NO_KPIS)
    report(line, 0)
    abandon(line)
    week = 7 * 1440
    line = open_line(folder, after(NOON, week), NO_KPIS)
    for minutes in (0, 30, 61):
        feed = report(line, week + minutes, others("P2.p"))
    assert told(feed) == (5, 4, 1, 0)
    assert silent(line) == [("P2", "unacknowledged")]
    line.close()


def test_unusable_value_is_a_report_and_a_wrong_clock_is_none(tmp_path: Path) -> None:
    line = open_line(town(tmp_path / "town"), NOON, NO_KPIS)
    report(line, 0)
    for minutes in (30, 61):
        now = after(NOON, minutes)
        send(line, "network", csv_of([("P1.p", now, ""), ("P2.p", now + timedelta(days=300), 3.0)]), now)
        flow.beat(line, now)
    assert ("P2", "unacknowledged") in silent(line)
    assert "P1" not in [asset for asset, _ in silent(line)]
    line.close()


@pytest.mark.parametrize("thing", ["P2", "P2.p", "D1"])
def test_out_of_service_is_expected_silence_and_ends_an_alarm(tmp_path: Path, thing: str) -> None:
    # P2 belongs to D1: what is written of an area holds for all that stands in it. 12:00 is noon in the town's clock.
    absent = OUT + f"{thing},2026-03-10 13:30,2026-03-10 16:00,new battery\n"
    line = open_line(town(tmp_path / "town", out_of_service=absent), NOON, NO_KPIS)
    report(line, 0)
    for minutes in (30, 61):
        report(line, minutes, others("P2.p"))
    assert silent(line) == [("P2", "unacknowledged")]
    feed = report(line, 95, others("P2.p"))
    assert told(feed) == (5, 4, 0, 1)
    assert silent(line) == [("P2", "returned_unacknowledged")]
    # At 16:00 it should be back; from then on it has its fifty minutes.
    for minutes in (239, 270, 289):
        report(line, minutes, others("P2.p"))
    assert silent(line) == [("P2", "returned_unacknowledged")]
    report(line, 290, others("P2.p"))
    assert silent(line) == [("P2", "unacknowledged")]
    line.close()


def test_silent_gateway_is_one_alarm_and_what_depends_on_it_is_excused(tmp_path: Path) -> None:
    assets = (
        "asset,domain,kind,name,ward,lat,lon,parent,depends_on\n"
        "D1,water,dma,North zone,W1,0.5,0.5,,\n"
        "P1,water,pressure_point,Mill Lane,W1,0.5,0.5,D1,T1\n"
        "P2,water,pressure_point,High Street,W2,0.5,1.5,D1,P1\n"
        "T1,water,tank,Hill tank,W2,0.5,1.5,,\n"
    )
    line = open_line(town(tmp_path / "town", assets=assets), NOON, NO_KPIS)
    report(line, 0)
    for minutes in (30, 61):
        feed = report(line, minutes, ("D1.in",))
    assert told(feed) == (5, 1, 2, 2)
    assert silent(line) == [("T1", "unacknowledged")]
    line.close()


def test_sensor_declared_for_a_feed_is_missed_though_it_never_came(tmp_path: Path) -> None:
    sensors = (
        "sensor,asset,quantity,unit,every,low,high,feed,silent_after\n"
        "P1.p,P1,pressure_m,metre_head,15 min,,,,\n"
        "T1.level,T1,tank_level_m,m,15 min,0,10,network,20 min\n"
        "T1.out,T1,tank_outflow_m3_h,m^3/h,15 min,,,,\n"
    )
    line = open_line(town(tmp_path / "town", sensors), NOON, NO_KPIS)
    for minutes in (0, 10, 20):
        feed = report(line, minutes, ("P1.p",))
    assert silent(line) == []
    feed = report(line, 21, ("P1.p",))
    # Of T1.out nobody knows by which feed it should come: it waits for its first reading.
    assert told(feed) == (2, 1, 1, 0)
    assert silent(line) == [("T1", "unacknowledged")]
    line.close()


def test_power_cut_of_the_feeder_excuses_what_hangs_on_it_until_it_is_over(tmp_path: Path) -> None:
    folder = make(tmp_path / "town", text=POWER)
    (folder / "reference" / "assets.csv").write_text(
        "asset,domain,kind,name,ward,lat,lon,parent,depends_on\n"
        "F1,energy,feeder,Feeder 1,W1,,,,\n"
        "X1,energy,transformer,Mill,W1,,,F1,\n"
        "X2,energy,transformer,Hill,W2,,,,F1\n",
        "utf-8",
    )
    (folder / "reference" / "sensors.csv").write_text(
        "sensor,asset,quantity,unit,every\n"
        "F1.p,F1,feeder_power_kw,kW,15 min\nX1.v,X1,voltage_v,V,15 min\nX2.v,X2,voltage_v,V,15 min\n",
        "utf-8",
    )
    line = open_line(folder, NOON, frozenset({"x"}))

    def push(minutes: float, *sensors: str) -> dict[str, Any]:
        now = after(NOON, minutes)
        send(line, "grid", csv_of([(sensor, now, 230.0 + minutes / 1000) for sensor in sensors]), now)
        return dict(flow.beat(line, now).state["feeds"]["grid"])

    def cut(minutes: float, restored: str) -> None:
        rows = f"outage,step,feeder,started_at,restored_at\nO1,1,F1,{after(NOON, 5).isoformat()},{restored}\n"
        send(line, "cuts", rows.encode(), after(NOON, minutes))

    push(0, "F1.p", "X1.v", "X2.v")
    cut(6, "")
    for minutes in (30, 61, 120):
        feed = push(minutes, "F1.p")
    assert told(feed) == (3, 1, 0, 2)
    assert silent(line) == []
    cut(130, after(NOON, 125).isoformat())
    push(131, "F1.p", "X1.v")
    assert silent(line) == []
    for minutes in (160, 182):
        feed = push(minutes, "F1.p", "X1.v")
    assert told(feed) == (3, 2, 1, 0)
    assert silent(line) == [("X2", "unacknowledged")]
    line.close()


POWER = """[town]
name = "Testville"
timezone = "Asia/Kolkata"
domains = ["energy"]

[feeds.grid]
from = "http_push"
every = "15 min"
format = "csv"
table = "readings"

[feeds.cuts]
use = "energy.outages"
from = "http_push"
"""


def test_many_silent_places_of_one_feed_are_one_line_of_the_list(tmp_path: Path) -> None:
    names = [f"M{n}" for n in range(12)]
    assets = "asset,domain,kind,name,ward,lat,lon,parent\n" + "".join(
        f"{n},water,meter,Meter {n},W1,,,\n" for n in names
    )
    sensors = "sensor,asset,quantity,unit,every\n" + "".join(f"{n}.p,{n},pressure_m,metre_head,15 min\n" for n in names)
    folder = town(tmp_path / "town", sensors, assets=assets)
    (folder / "reference" / "dmas.csv").unlink()
    (folder / "reference" / "tanks.csv").unlink()
    line = open_line(folder, NOON, NO_KPIS)
    report(line, 0, tuple(f"{n}.p" for n in names))
    for minutes in (30, 61):
        report(line, minutes, tuple(f"{n}.p" for n in names[:5]))
    alarm, *members = [a for a in line.alarms.listed() if a["rule"] == "sensor_silent"]
    assert [(a["asset"], a["state"], a["cause"]) for a in members] == [
        (name, "suppressed", alarm["id"]) for name in sorted(names[5:])
    ]
    assert alarm["consequences"] == 7
    assert (alarm["id"], alarm["area"], alarm["state"]) == (
        "sensor_silent|feed:network",
        "feed:network",
        "unacknowledged",
    )
    assert alarm["title"].startswith("No readings from 7 places of ")
    assert "Meter M5" in alarm["instruction"]
    # The map still knows each of them.
    assert set(line.alarms.worst_by_asset()) == set(names[5:])
    line.close()


def test_two_thousand_sensors_are_looked_at_within_milliseconds(tmp_path: Path) -> None:
    """The ceiling is ten times what was measured, so that a busy machine does not fail it."""
    names = [f"M{n:04d}" for n in range(2500)]
    assets = "asset,domain,kind,name,ward,lat,lon,parent\n" + "".join(f"{n},water,meter,,W1,,,\n" for n in names)
    sensors = "sensor,asset,quantity,unit,every\n" + "".join(f"{n}.p,{n},pressure_m,metre_head,15 min\n" for n in names)
    folder = town(tmp_path / "town", sensors, assets=assets)
    (folder / "reference" / "dmas.csv").unlink()
    (folder / "reference" / "tanks.csv").unlink()
    found = read(folder)
    silence = Silence(registers.load(found), found.feeds, {f"{n}.p": "network" for n in names}, NOON)
    newest = pl.DataFrame(
        {"sensor": [f"{n}.p" for n in names], "last_at": [after(NOON, -n % 120) for n in range(2500)]},
        schema={"sensor": pl.String, "last_at": INSTANT},
    )
    took = []
    for n in range(5):
        began = time.perf_counter()
        silence.look(newest, {}, list, (), after(NOON, 61 + n))
        took.append(time.perf_counter() - began)
    assert silence.counts["network"]["sensors"] == 2500
    assert min(took) < 0.1
