"""Rules that people set: checked in words, tried on the past, refused above the room's budget, watched at once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import api, flow, registers, tokens
from pipelines.engine.alarms.own_rules import Vocabulary
from pipelines.engine.asking import Misasked
from pipelines.engine.delivery.jobs import delivery
from pipelines.engine.delivery.noticing import notices
from pipelines.engine.line import Line
from pipelines.engine.state_delivery import read_newest
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import Asker, answering
from tests.engine.small_town import NOON, abandon, after, csv_of, send

NOTHING = frozenset({"pressure_compliance"})
TOML = """[delivery.channels.sms]
kind = "sms_spool"
[delivery.receivers.control_room]
to = ["sms:+91111"]
[delivery.receivers.water_crew]
to = ["sms:+91222"]
[delivery.route]
group_wait = "0 s"
"""
RULE = {
    "name": "Hospital tank", "watches": "tank_level_m", "area": "asset:T1", "side": "below", "limit": 2.0,
    "minutes": 20, "priority": "medium", "tell": "water_crew", "instruction": "Open the second inlet.",
}  # fmt: skip
ID = "own_hospital_tank"
QUARTER = timedelta(minutes=15)
# Three dips below 2 m in the week before: of one quarter hour, of three, and of four; then back above by the deadband.
DIPS = {96: 1, 200: 3, 400: 4}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    text = small_town.TOWN.format(zone=small_town.ZONE, domains='["water", "grievances"]') + TOML
    opened = small_town.open_line(small_town.make(tmp_path / "town", text), after(NOON, -20), NOTHING)
    low = {start + n for start, length in DIPS.items() for n in range(length)}
    start = NOON - 700 * QUARTER
    rows = [("T1.level", start + n * QUARTER, 1.5 if n in low else 3.0) for n in range(698)]
    send(opened, "network", csv_of(rows), after(NOON, -20))
    flow.beat(opened, after(NOON, -20))
    with answering(opened):
        yield opened
    opened.close()


@pytest.fixture
def ask(line: Line) -> Iterator[Any]:
    town = Town(line.settings, lambda: NOON)
    asker = Asker(api.build(town))
    secret = tokens.add(tokens.path_of(line.settings.store), "desk", ["operate"], NOON)

    def asked(method: str, address: str = "", status: int = 200, **more: Any) -> Any:
        answer = asker(
            method, f"/api/v1/rules{address}", headers={"Authorization": f"Bearer {secret}"}, **more
        )  # fmt: skip
        assert answer.status_code == status, answer.text
        return answer.json()

    yield asked
    asker.close(town)


def test_backtest_tells_what_would_have_rung_and_what_it_adds(ask: Any) -> None:
    told = ask("POST", "/backtest", json=RULE)
    assert told["rule"]["sentence"] == (
        "Tell water_crew when `Depth of water above the tank floor` in Hill tank is below 2 m for 20 minutes."
    )
    report, start = told["report"], NOON - 700 * QUARTER
    # Twenty minutes have lasted at the third sample of a dip; the usual off-delay of a level is a minute.
    expected = [(start + (dip + 2) * QUARTER, start + (dip + DIPS[dip] + 1) * QUARTER) for dip in (400, 200)]
    assert [(one["at"], one["until"]) for one in report["shown"]] == [
        tuple(at.isoformat().replace("+00:00", "Z") for at in pair) for pair in expected
    ]
    assert (report["firings"], report["within_budget"], report["budget_a_day"]) == (2, True, 144.0)
    assert told["words"].startswith("It would have rung 2 times in the last 30 days, 0.1 a day.")


def test_rule_that_is_set_is_watched_at_once_and_after_a_restart_until_it_is_ended(line: Line, ask: Any) -> None:
    ask("POST", json=RULE)
    (listed,) = ask("GET")["rules"]
    assert (listed["id"], listed["by"], listed["resting"]) == (ID, "token desk", False)
    for minutes in (0, 15, 30):
        now = after(NOON, minutes)
        send(line, "network", csv_of([("T1.level", now, 1.5)]), now)
        flow.beat(line, now)
    key = f"{ID}|T1.level"
    row = next(alarm for alarm in line.alarms.listed() if alarm["id"] == key)
    assert (row["title"], row["limit"], row["instruction"]) == ("Hospital tank", 2.0, "Open the second inlet.")
    kept = small_town.copied(line.settings.folder, line.settings.folder.with_name("after the kill"))
    again = small_town.open_line(kept, after(NOON, 31), NOTHING)
    assert again.alarms.book.alarms[key].active
    abandon(again)
    ask("DELETE", f"/{ID}")
    assert ask("GET")["count"] == 0
    flow.beat(line, after(NOON, 32))
    assert key not in line.alarms.book.alarms
    assert "There is no own rule" in ask("DELETE", f"/{ID}", status=404)["detail"]


def test_alarm_of_a_rule_goes_to_whom_it_names_beside_the_routes(line: Line, ask: Any) -> None:
    ask("POST", json=RULE)
    ask("POST", json={**RULE, "name": "Also for the room", "tell": "control_room"})
    ask("POST", json={**RULE, "name": "For whom the routes say", "tell": ""})
    desk = delivery(line)
    assert desk is not None
    for minutes in (0, 15, 30):
        now = after(NOON, minutes)
        send(line, "network", csv_of([("T1.level", now, 1.5)]), now)
        flow.beat(line, now)
        desk.look(notices(line.alarms), now)
    letters = read_newest(line.settings.store / "state.sqlite", 10)
    alarms = sorted((one.receiver, sorted(one.facts["alarms"])) for one in letters)
    also, both = "own_also_for_the_room|T1.level", "own_for_whom_the_routes_say|T1.level"
    key = f"{ID}|T1.level"
    assert alarms == [("control_room", sorted([also, both, key])), ("water_crew", [key])]
    desk.close()


def test_rule_names_no_receiver_where_a_town_has_none(tmp_path: Path) -> None:
    settings = small_town.read(small_town.make(tmp_path / "town"))
    vocabulary = Vocabulary(settings, registers.load(settings))
    with pytest.raises(Misasked, match="This town has no receivers"):
        vocabulary.read(RULE, "asha")
    assert vocabulary.sentence(vocabulary.read({**RULE, "tell": ""}, "asha")).startswith("Ring when `Depth of water")


def test_rule_above_the_rooms_budget_needs_a_reason(line: Line, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.engine.alarms.backtest.BUDGET_A_DAY", 0.05)
    told = ask("POST", status=409, json=RULE)
    assert "above its budget" in told["detail"]
    assert ask("GET")["count"] == 0
    ask("POST", json={**RULE, "reason": "the hospital has no tank of its own"})
    assert [rule["reason"] for rule in ask("GET")["rules"]] == ["the hospital has no tank of its own"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"watches": "tank_levels"}, "Did you mean `tank_level_m`"),
        ({"area": "ward:W9"}, "is no ward here"),
        ({"area": "street:9"}, "is no kind of area"),
        ({"side": "near"}, "is no side"),
        ({"limit": "2"}, "`limit` must be a number"),
        ({"minutes": -1}, "`minutes` must be a number from 0"),
        ({"tell": "water crews"}, "Did you mean `water_crew`"),
        ({"tell": 5}, "`tell` must be a text"),
        ({"name": "!!"}, "letters or digits"),
        ({"colour": "red"}, "is no field"),
    ],
)
def test_rule_that_makes_no_sense_is_refused_in_words(ask: Any, changed: dict[str, Any], words: str) -> None:
    assert words in ask("POST", "/backtest", status=422, json={**RULE, **changed})["detail"]
