"""Many alarms at once: floods, rings of causes, silence among thousands, kills; without a store, straight at the watch."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl

from pipelines.engine import registers
from pipelines.engine.alarms.desk import Deed
from pipelines.engine.alarms.watch import Alarms
from pipelines.engine.model import INSTANT
from pipelines.engine.quality.silence import Silence
from pipelines.engine.state import State
from tests.engine.small_town import NOON, make, read

SECOND = timedelta(seconds=1)
EMPTY = pl.DataFrame(schema={"area": pl.String, "value": pl.Float64, "as_of": INSTANT})


class Room:
    """A town's alarms, fed with the newest value of each sensor."""

    def __init__(self, folder: Path, assets: str, sensors: str) -> None:
        self.folder = make(folder, domains=("water", "energy", "grievances"))
        for name in ("dmas", "tanks"):
            (self.folder / "reference" / f"{name}.csv").unlink()
        columns = "asset,domain,kind,name,ward,lat,lon,parent,depends_on\n"
        (self.folder / "reference" / "assets.csv").write_text(columns + assets, "utf-8")
        (self.folder / "reference" / "sensors.csv").write_text("sensor,asset,quantity,unit,every\n" + sensors, "utf-8")
        self.settings = read(self.folder)
        self.registers = registers.load(self.settings)
        self.values: dict[str, float] = dict.fromkeys(self.registers.sensors["sensor"], 25.0)
        self.open(NOON - timedelta(hours=1))

    def open(self, now: datetime) -> None:
        self.state = State(self.folder / "state.sqlite")
        self.alarms = Alarms(self.settings, self.registers, self.state, now)

    def killed(self, now: datetime) -> None:
        self.state.close()
        self.open(now)

    def beat(self, now: datetime, silence: pl.DataFrame | None = None) -> None:
        rows = {
            "sensor": list(self.values), "value": list(self.values.values()),
            "every_s": [900.0] * len(self.values), "observed_at": [now] * len(self.values),
        }  # fmt: skip
        samples = pl.DataFrame(rows, schema_overrides={"observed_at": INSTANT, "value": pl.Float64})
        kpis: Any = SimpleNamespace(works={kpi.id: SimpleNamespace(current=EMPTY) for kpi in self.settings.kpis})
        if silence is not None:
            self.alarms.hear(silence, now)
        self.alarms.watch(samples, kpis, {}, now)

    def calling(self) -> list[str]:
        return [row["id"] for row in self.alarms.listed() if row["active"]]


def points(number: int) -> tuple[str, str]:
    names = [f"P{n:04d}" for n in range(number)]
    assets = "".join(f"{name},water,pressure_point,,W{1 + n % 2},,,,\n" for n, name in enumerate(names))
    return assets, "".join(f"{name}.p,{name},pressure_m,metre_head,15 min\n" for name in names)


def test_thousand_alarms_at_once_are_each_told_once_over_kills_and_are_a_flood_with_its_priorities(
    tmp_path: Path,
) -> None:
    room = Room(tmp_path / "town", *points(1000))
    room.beat(NOON)
    assert room.alarms.summary(NOON)["words"] == ""
    room.values = dict.fromkeys(room.values, 2.0)
    for step in range(1, 9):
        now = NOON + step * 10 * SECOND
        room.beat(now)
        room.killed(now)
    assert len(room.calling()) == 1000
    log = [one for _, one in room.state.transitions()]
    assert Counter(one.alarm for one in log if one.annunciated) == {f"pressure_low|P{n:04d}.p": 1 for n in range(1000)}
    told = room.alarms.summary(now)
    assert told["calling"] == {"high": 1000}
    room.beat(now + SECOND)
    told = room.alarms.summary(now + SECOND)
    assert told["words"] == "Alarm flood: 1000 alarms in ten minutes. Standing: 1000 high."
    later = now + timedelta(minutes=11)
    room.beat(later)
    assert room.alarms.summary(later)["flood_since"] is None
    room.state.close()


def test_feeders_in_a_ring_do_not_hide_each_other(tmp_path: Path) -> None:
    assets = "F1,energy,feeder,One,W1,,,,F2\nF2,energy,feeder,Two,W1,,,,F1\nP1,water,pressure_point,,W1,,,F1,\n"
    sensors = "F1.kw,F1,feeder_power_kw,kW,15 min\nF2.kw,F2,feeder_power_kw,kW,15 min\n"
    room = Room(tmp_path / "town", assets, sensors + "P1.p,P1,pressure_m,metre_head,15 min\n")
    room.beat(NOON)
    room.values = {"F1.kw": 0.0, "F2.kw": 0.0, "P1.p": 2.0}
    for step in range(1, 6):
        room.beat(NOON + step * 30 * SECOND)
    assert set(room.calling()) == {"feeder_dead|F1.kw", "feeder_dead|F2.kw"}
    room.state.close()


def test_cause_never_hides_what_is_more_urgent_or_stands_alone(tmp_path: Path) -> None:
    assets = "F1,energy,feeder,One,W1,,,,\nT1,energy,transformer,,W1,,,F1,\n"
    room = Room(
        tmp_path / "town", assets, "F1.kw,F1,feeder_power_kw,kW,15 min\nT1.v,T1,voltage_v,V,15 min\n"
    )  # fmt: skip
    room.values = {"F1.kw": 0.0, "T1.v": 380.0}
    for step in range(8):
        room.beat(NOON + step * 30 * SECOND)
    # A broken neutral is a danger also where the feeder seems dead.
    assert set(room.calling()) == {"feeder_dead|F1.kw", "voltage_high|T1.v"}
    room.state.close()


def test_one_sensor_of_two_thousand_that_stops_is_alarmed_in_time_and_its_last_alarm_stays(tmp_path: Path) -> None:
    room = Room(tmp_path / "town", *points(2000))
    silence = Silence(room.registers, room.settings.feeds, dict.fromkeys(room.values, "network"), NOON)
    room.values["P0777.p"] = 2.0
    for step in range(3):
        room.beat(NOON + step * 10 * SECOND)
    assert room.calling() == ["pressure_low|P0777.p"]
    del room.values["P0777.p"]
    rung: datetime | None = None
    for minutes in range(5, 65, 5):
        now = NOON + timedelta(minutes=minutes)
        newest = pl.DataFrame(
            {"sensor": [*room.values, "P0777.p"], "last_at": [*([now] * len(room.values)), NOON + 20 * SECOND]},
            schema={"sensor": pl.String, "last_at": INSTANT},
        )
        room.beat(now, silence.look(newest, {}, list, room.alarms.silent_assets, now))
        if rung is None and "sensor_silent|P0777" in room.calling():
            rung = now
    # Three of its quarter hours and one interval of its feed are fifty minutes; looked at every five.
    assert rung == NOON + timedelta(minutes=55)
    assert room.calling() == ["pressure_low|P0777.p", "sensor_silent|P0777"]
    room.state.close()


def test_shelving_that_ends_soon_is_announced_once(tmp_path: Path) -> None:
    room = Room(tmp_path / "town", *points(3))
    room.values["P0001.p"] = 2.0
    for step in range(3):
        room.beat(NOON + step * 10 * SECOND)
    wanted = {"reason": "valve is being changed", "until": (NOON + timedelta(minutes=30)).isoformat()}
    room.alarms.act(["pressure_low|P0001.p"], Deed.of("shelve", "asha", wanted, NOON), NOON + 30 * SECOND)
    soon = NOON + timedelta(minutes=16)
    for now in (NOON + timedelta(minutes=14), soon, soon + SECOND):
        room.beat(now)
    assert [one["id"] for one in room.alarms.summary(soon)["ending"]] == ["pressure_low|P0001.p"]
    room.killed(soon)
    room.beat(soon + 2 * SECOND)
    told = [one.why for _, one in room.state.transitions() if one.event == "ending"]
    assert told == ["the shelving ends at 07:00 UTC"]
    room.state.close()
