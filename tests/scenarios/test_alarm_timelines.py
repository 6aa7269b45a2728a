"""Evenings in a control room: what rings, what is explained, what people do, told as timelines with their own clock."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine import flow
from pipelines.engine.alarms import listing
from pipelines.engine.alarms.desk import Deed
from pipelines.engine.flow import RawMessage
from pipelines.engine.local import pushed
from pipelines.engine.people.roles import person
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.small_town import abandon, csv_of, make, send

DAY = datetime(2026, 3, 10, tzinfo=UTC)
PUMPS = [f"PU{n}" for n in range(1, 4)]
POINTS = [f"N{n:02d}" for n in range(1, 12)]
CAUSE = "feeder_dead|F1.kw"
# Time goes in small steps after something changed, and in long ones when nothing does.
STEP, STRIDE, LIVELY = timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=4)
ASSETS = (
    "asset,domain,kind,name,ward,lat,lon,parent,depends_on\n"
    "F1,energy,feeder,Mill feeder,W1,,,,\n"
    + "".join(f"{pump},water,pump,Pump {pump[-1]},W1,,,F1,\n" for pump in PUMPS)
    + "".join(f"{point},water,pressure_point,Point {point[1:]},W1,,,,{' '.join(PUMPS)}\n" for point in POINTS)
    + "X1,water,pressure_point,Far away,W2,,,,\n"
)
PLACES = [*PUMPS, *POINTS, "X1"]
SENSORS = "sensor,asset,quantity,unit,every\nF1.kw,F1,feeder_power_kw,kW,1 min\n" + "".join(
    f"{place}.p,{place},pressure_m,metre_head,1 min\n" for place in PLACES
)
NO_KPIS = frozenset[str]()
OPERATOR = person("asha", "operator")


def clock(text: str) -> datetime:
    return datetime.combine(DAY.date(), time.fromisoformat(text), UTC)


class Evening:
    """A town whose sensors report their values until told otherwise."""

    def __init__(self, folder: Path, start: str, **files: str) -> None:
        self.folder = make(folder, domains=("water", "energy", "grievances"))
        reference = self.folder / "reference"
        for name in ("dmas", "tanks"):
            (reference / f"{name}.csv").unlink()
        for name, text in {"assets": ASSETS, "sensors": SENSORS, **files}.items():
            (reference / f"{name}.csv").write_text(text, "utf-8")
        self.values = {"F1.kw": 400.0, **{f"{place}.p": 25.0 for place in PLACES}}
        self.now = clock(start)
        self.line = small_town.open_line(self.folder, self.now, NO_KPIS)

    def until(self, text: str, **values: float | None) -> None:
        """Time goes on to this instant; from now on these places have these values (None: nothing comes)."""
        for place, value in values.items():
            self.values["F1.kw" if place == "F1" else f"{place}.p"] = value
        changed_at = self.now
        while self.now < clock(text):
            step = STEP if self.now - changed_at < LIVELY else STRIDE
            self.now = min(self.now + step, clock(text))
            rows = [(sensor, self.now, value) for sensor, value in self.values.items() if value is not None]
            send(self.line, "network", csv_of(rows), self.now)
            flow.beat(self.line, self.now)

    def act(self, action: str, *ids: str, **wanted: str) -> None:
        told = self.line.alarms.act(ids, Deed.of(action, "asha", wanted, self.now), self.now)
        assert not told["refused"]

    def calling(self) -> list[str]:
        return [alarm["id"] for alarm in self.line.alarms.listed() if alarm["active"]]

    def states(self) -> Counter[str]:
        return Counter(alarm["state"] for alarm in self.line.alarms.listed())

    def rung(self) -> list[tuple[str, str]]:
        """What called a person so far, and when."""
        log = [one for _, one in self.line.state.transitions()]
        return [(f"{one.noted_at:%H:%M}", one.alarm) for one in log if one.annunciated]

    def killed(self) -> None:
        """The line dies and is started again at this instant."""
        abandon(self.line)
        self.line = small_town.open_line(self.folder, self.now, NO_KPIS)

    def row(self, id: str) -> dict[str, object]:
        return next(alarm for alarm in listing.rows(self.line.alarms.book.alarms.values()) if alarm["id"] == id)


@pytest.fixture
def evening(tmp_path: Path) -> Iterator[Evening]:
    made = Evening(tmp_path / "town", "18:00:00")
    made.until("18:02:00")
    yield made
    made.line.close()


DARK: dict[str, float | None] = {"F1": 0.0, **dict.fromkeys(PUMPS, 1.0), **dict.fromkeys(POINTS, 2.0)}
LIT: dict[str, float | None] = {"F1": 400.0, **dict.fromkeys([*PUMPS, *POINTS], 25.0)}


def test_feeder_that_trips_is_one_alarm_with_fourteen_consequences_and_one_all_clear(evening: Evening) -> None:
    assert evening.rung() == []
    evening.until("18:10:00", **DARK)
    assert evening.calling() == [CAUSE]
    assert evening.row(CAUSE)["consequences"] == 14
    assert evening.states() == {"unacknowledged": 1, "suppressed": 14}
    assert evening.row("pressure_low|N07.p")["cause_title"] == "Feeder without power"
    evening.act("acknowledge", CAUSE)
    evening.until("18:40:00")
    evening.until("19:10:00", **LIT)
    assert evening.states() == {"normal": 15}
    assert evening.rung() == [("18:03", CAUSE)]
    log = [one for _, one in evening.line.state.transitions()]
    clear = [one.alarm for one in log if one.event == "return" and one.before != "suppressed"]
    assert clear == [CAUSE]


def test_consequence_that_outlives_its_cause_rises_by_itself(evening: Evening) -> None:
    evening.until("18:40:00", **DARK)
    evening.until("18:50:00", **{**LIT, "N05": 2.0})
    assert evening.states()["suppressed"] == 1
    evening.until("18:53:00")
    assert evening.calling() == ["pressure_low|N05.p"]
    assert evening.rung() == [("18:03", CAUSE), ("18:51", "pressure_low|N05.p")]


def test_alarm_that_nothing_explains_rings_beside_the_cause(evening: Evening) -> None:
    evening.until("18:10:00", **DARK, X1=2.0)
    assert set(evening.calling()) == {CAUSE, "pressure_low|X1.p"}


def test_consequences_that_ring_first_come_under_the_cause_when_it_is_known(evening: Evening) -> None:
    evening.until("18:05:00", PU1=1.0, N01=2.0)
    assert set(evening.calling()) == {"pressure_low|PU1.p", "pressure_low|N01.p"}
    evening.until("18:10:00", F1=0.0)
    assert evening.calling() == [CAUSE]
    assert evening.row(CAUSE)["consequences"] == 2


def test_cause_that_is_out_of_service_explains_nothing(evening: Evening) -> None:
    evening.until("18:10:00", **DARK)
    evening.act("out-of-service", CAUSE, reason="its meter is being changed, the feeder is live")
    evening.until("18:11:00")
    assert len(evening.calling()) == 14


def test_kill_in_the_middle_neither_loses_nor_doubles_an_alarm(evening: Evening) -> None:
    evening.until("18:10:00", **DARK)
    evening.killed()
    evening.until("18:20:00")
    assert evening.calling() == [CAUSE]
    assert evening.rung() == [("18:03", CAUSE)]
    evening.killed()
    evening.until("18:45:00", **LIT)
    assert evening.states() == {"returned_unacknowledged": 1, "normal": 14}


def test_maintenance_window_keeps_its_alarms_out_and_lets_them_rise_when_it_ends(tmp_path: Path) -> None:
    window = "thing,from,to,reason\nN03,2026-03-10 23:30,2026-03-11 00:30,new valve\n"
    evening = Evening(tmp_path / "town", "17:58:00", out_of_service=window)
    # The window is written on the town's clock: 18:00 to 19:00 UTC.
    evening.until("18:10:00")
    evening.until("18:30:00", N03=1.0)
    assert evening.calling() == []
    row = evening.row("pressure_low|N03.p")
    assert (row["state"], row["by"], row["reason"]) == ("out_of_service", "out_of_service.csv", "new valve")
    evening.until("18:59:00")
    evening.until("19:01:00")
    assert evening.rung() == [("19:00", "pressure_low|N03.p")]
    evening.line.close()


def test_first_minute_after_a_long_absence_waits_for_the_feeds(tmp_path: Path) -> None:
    evening = Evening(tmp_path / "town", "17:30:00")
    evening.until("17:31:00")
    evening.now = clock("18:00:00")
    evening.killed()
    evening.until("18:00:58", N03=1.0)
    assert (evening.calling(), evening.row("pressure_low|N03.p")["reason"]) == ([], "the line has just started")
    evening.until("18:01:30")
    assert evening.rung() == [("18:01", "pressure_low|N03.p")]
    evening.line.close()


def test_data_that_stops_never_clears_what_rang(evening: Evening) -> None:
    evening.until("18:10:00", X1=2.0)
    evening.until("18:40:00", X1=None)
    assert "pressure_low|X1.p" in evening.calling()
    assert "sensor_silent|X1" in evening.calling()
    evening.until("18:50:00", X1=25.0)
    assert evening.states() == {"returned_unacknowledged": 2}


BOOK = "service_request_id,status,service_name,requested_datetime,ward\n"


def complain(evening: Evening, *rows: tuple[str, str, str, str]) -> None:
    """Complaints as the counter writes them: number, what about, when (UTC), ward."""
    lines = [f"{number},open,{about},{clock(at).isoformat()},{ward}" for number, about, at, ward in rows]
    assert send(evening.line, "book", (BOOK + "\n".join([*lines, ""])).encode(), evening.now).stored == len(rows)


def gathered(evening: Evening) -> list[dict[str, Any]]:
    town = Town(evening.line.settings, lambda: evening.now)
    return town.alarms.incidents(OPERATOR, clock("00:00:00"), clock("23:59:00"))


def test_alarms_of_one_cause_and_complaints_of_the_matter_are_one_incident_with_an_honest_answer(
    evening: Evening,
) -> None:
    complain(evening, ("R1", "No power", "17:40:00", "W1"), ("R2", "Pothole", "17:41:00", "W1"))
    evening.until("18:10:00", **DARK)
    (incident,) = gathered(evening)
    assert (incident["title"], incident["wards"], incident["domain"]) == ("Feeder without power", ["W1"], "energy")
    assert (incident["alarms"], len(incident["consequences"]), incident["complaints"]) == ([CAUSE], 14, ["R1"])
    assert incident["answer"] == (
        "There is no power and water pressure is low in North since 23:33. The control room was told at 23:33 and has "
        "not confirmed it yet. Ask again within the hour."
    )
    evening.act("acknowledge", CAUSE, review_at=clock("19:00:00").isoformat())
    complain(evening, ("R3", "Low water pressure", "18:05:00", "W1"), ("R4", "No power", "18:05:00", "W2"))
    (later,) = gathered(evening)
    assert (later["id"], later["complaints"]) == (incident["id"], ["R1", "R3"])
    assert later["answer"].endswith(
        "The control room has been working on it since 23:40. There is more to say by 00:30 on 11 March."
    )
    evening.until("18:40:00")
    evening.until("19:10:00", **LIT)
    (over,) = gathered(evening)
    assert over["answer"].endswith("It has been back to normal since 00:12.")
    assert [entry["what"] for entry in over["timeline"]] == [
        "complaint", "rise", "follow", "complaint", "acknowledge", "return",
    ]  # fmt: skip


def test_alarms_of_one_matter_ward_and_hour_are_one_incident_without_a_known_cause(evening: Evening) -> None:
    evening.until("18:10:00", N01=2.0, N02=2.0, X1=2.0)
    (incident,) = gathered(evening)
    assert incident["alarms"] == ["pressure_low|N01.p", "pressure_low|N02.p"]
    assert incident["answer"].startswith("Water pressure is low in North since")


def test_shift_is_judged_by_what_called_and_by_whom_it_was_answered(evening: Evening) -> None:
    evening.until("18:10:00", **DARK, X1=2.0)
    evening.act("acknowledge", CAUSE)
    town = Town(evening.line.settings, lambda: evening.now)
    judged = town.alarms.performance(OPERATOR, clock("16:30:00"), clock("18:30:00"))
    whole = judged["whole"]
    assert (whole["alarms"], whole["rate"]["per_hour"], whole["rate"]["grade"]) == (2, 1.0, "acceptable")
    assert whole["mix"]["high"] == 100.0
    assert whole["operators"] == {"asha": {"deeds": 1, "acknowledged": 1, "median_s": 420.0}}
    # The town's clock is five and a half hours ahead: its shifts begin at 14:00 and 22:00, which is 16:30 UTC.
    assert [(shift["start"], shift["alarms"]) for shift in judged["shifts"]] == [(clock("16:30:00"), 2)]
    assert judged["stale"] == 0


def test_breaker_that_opens_with_its_feeder_is_a_consequence_and_alone_an_alarm_of_its_own(tmp_path: Path) -> None:
    sensors = SENSORS + "F1.cb,F1,breaker_position,dimensionless,1 min\n"
    evening = Evening(tmp_path / "town", "18:00:00", sensors=sensors)
    evening.values["F1.cb"] = 2.0
    evening.until("18:02:00")
    evening.values["F1.cb"] = 0.0
    evening.until("18:04:00")
    assert evening.rung() == []
    evening.values["F1.cb"] = 1.0
    evening.until("18:06:00")
    row = evening.row("breaker_not_closed|F1.cb")
    assert (evening.calling(), row["value"], row["limit"]) == (["breaker_not_closed|F1.cb"], None, None)
    evening.until("18:08:00", F1=0.0)
    assert evening.calling() == [CAUSE]
    evening.values["F1.cb"] = 2.0
    evening.until("18:30:00", F1=400.0)
    assert evening.calling() == []
    evening.values["F1.cb"] = 3.0
    evening.until("18:32:00")
    assert evening.calling() == ["breaker_not_closed|F1.cb"]
    evening.line.close()


def test_panel_that_was_dark_all_night_rings_in_the_morning_until_a_night_with_light(evening: Evening) -> None:
    head = "panel,ward,lamps,burn_hours,outage_lamp_hours,lit_at\n"

    def report(at: str, **dark: float) -> None:
        rows = [f"{panel},W1,20,11,{hours},{clock(at).isoformat()}\n" for panel, hours in dark.items()]
        feed = pushed(evening.line.settings.feeds["push"], "csv", "street_light_nights")
        message = RawMessage(feed, (head + "".join(rows)).encode(), evening.now)
        assert [one.stored for one in flow.take(evening.line, [message], evening.now)] == [len(rows)]
        flow.beat(evening.line, evening.now)

    # 20 lamps for 11 hours are 220 lamp-hours: two dark lamps (22) are no alarm, half a night dark (110) is one.
    report("12:30:00", L1=22.0, L2=110.0)
    row = evening.row("street_lights_dark|L2")
    assert evening.calling() == ["street_lights_dark|L2"]
    assert (row["area"], row["value"], row["limit"]) == ("panel:L2", 110.0, 100.0)
    report("13:30:00", L1=0.0, L2=220.0)
    assert evening.calling() == ["street_lights_dark|L2"]
    report("14:30:00", L2=0.0)
    assert evening.calling() == []
    assert [alarm for _, alarm in evening.rung()] == ["street_lights_dark|L2"]


TANK = {
    "assets": "asset,domain,kind,name,ward,lat,lon,parent\nT1,water,tank,Hill tank,W1,,,\nD1,water,dma,North zone,W1,,,\n",
    "sensors": "sensor,asset,quantity,unit,every\nT1.level,T1,tank_level_m,m,5 min\nD1.in,D1,inflow_m3_h,m^3/h,5 min\n",
}  # fmt: skip
FIVE = timedelta(minutes=5)


def over_time(evening: Evening, sensor: str, values: list[float]) -> list[tuple[str, str]]:
    """A value every five minutes from now on; what rang by then."""
    for value in values:
        evening.now += FIVE
        send(evening.line, "network", csv_of([(sensor, evening.now, value)]), evening.now)
        flow.beat(evening.line, evening.now)
    return evening.rung()


def test_tank_that_empties_fast_rings_after_two_quarters_of_an_hour_and_one_in_use_does_not(tmp_path: Path) -> None:
    evening = Evening(tmp_path / "town", "08:00:00", **TANK)
    # A morning's draw of 1.2 m an hour for an hour, then a burst of 3 m an hour: 0.25 m in five minutes.
    in_use = [6.0 - 0.1 * n for n in range(13)]
    assert over_time(evening, "T1.level", in_use) == []
    rung = over_time(evening, "T1.level", [4.8 - 0.25 * n for n in range(1, 13)])
    ((at, alarm),) = rung
    # Of the burst's first quarter of an hour the rate is known at 09:20; fifteen minutes later it has lasted.
    assert alarm == "tank_falls_fast|T1.level" and "09:30" <= at <= "09:40"
    assert -3.01 <= float(str(evening.row(alarm)["value"])) <= -2.0
    over_time(evening, "T1.level", [1.8] * 12)
    assert evening.states() == {"returned_unacknowledged": 1}
    evening.line.close()


def test_inflow_outside_what_is_usual_rings_after_three_hours_and_only_where_a_band_is_known(tmp_path: Path) -> None:
    evening = Evening(tmp_path / "town", "08:00:00", **TANK)
    assert over_time(evening, "D1.in", [95.0] * 20) == [], "no band is known"
    evening.line.alarms.expected = lambda now: pl.DataFrame(
        {"sensor": ["D1.in"], "at": [now - FIVE], "low": [40.0], "high": [60.0]}
    )
    assert over_time(evening, "D1.in", [55.0, 95.0, 55.0]) == []
    begun = evening.now + FIVE
    ((at, alarm),) = over_time(evening, "D1.in", [30.0] * 38)
    assert (at, alarm) == (f"{begun + timedelta(hours=3):%H:%M}", "inflow_unusual|D1.in")
    # How far below the band of 40 to 60 it lies.
    assert evening.row(alarm)["value"] == 10.0
    over_time(evening, "D1.in", [50.0] * 8)
    assert evening.states() == {"returned_unacknowledged": 1}
    evening.line.close()
