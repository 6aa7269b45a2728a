"""What people do to alarms over HTTP: acknowledged, shelved, assigned; refused where ISA-18.2 knows no such way."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components.live import unblock
from pipelines.engine import api, flow, tokens
from pipelines.engine.line import Line
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import Asker, answering
from tests.engine.small_town import NOON, abandon, after, csv_of, send

ID = "tank_low|T1.level"
AT = "/api/v1/alarms/tank_low%7CT1.level"
NOTHING = frozenset({"pressure_compliance"})


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    opened = small_town.open_line(small_town.make(tmp_path / "town"), after(NOON, -60), NOTHING)
    for minutes in (-20, -10):
        level(opened, 0.4, minutes)
    with answering(opened):
        yield opened
    opened.close()


def level(line: Line, value: float, minutes: float) -> None:
    now = after(NOON, minutes)
    send(line, "network", csv_of([("T1.level", now, value)]), now)
    flow.beat(line, now)


@pytest.fixture
def ask(line: Line) -> Iterator["Hand"]:
    town = Town(line.settings, lambda: NOON)
    asker = Asker(api.build(town))
    secret = tokens.add(tokens.path_of(line.settings.store), "night desk", ["operate"], NOON)
    yield Hand(asker, {"Authorization": f"Bearer {secret}"})
    asker.close(town)


class Hand:
    def __init__(self, asker: Asker, headers: dict[str, str]) -> None:
        self.asker, self.headers = asker, headers

    def __call__(self, action: str, at: str = AT, status: int = 200, **wanted: Any) -> Any:
        answer = self.asker("POST", f"{at}/{action}", json=wanted, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    def get(self, address: str) -> Any:
        return self.asker("GET", address, headers=self.headers).json()


def later(minutes: float) -> str:
    return after(NOON, minutes).isoformat()


def test_alarm_is_acknowledged_with_an_owner_and_calls_again_at_its_review(line: Line, ask: Hand) -> None:
    row = ask("acknowledge", owner="Ms Rao", review_at=later(30), comment="crew is on its way")
    assert (row["state"], row["acknowledged_by"], row["owner"]) == ("acknowledged", "token night desk", "Ms Rao")
    level(line, 0.4, 29)
    assert stands(line) == "acknowledged"
    level(line, 0.4, 31)
    assert stands(line) == "unacknowledged"
    told = [(t["event"], t["who"], t["before"], t["after"]) for t in ask.get(f"{AT}/history")["transitions"]]
    assert told == [
        ("rise", "process", "normal", "unacknowledged"),
        ("acknowledge", "token night desk", "unacknowledged", "acknowledged"),
        ("realarm", "clock", "acknowledged", "unacknowledged"),
    ]
    assert ask.get("/api/v1/alarms/history?from=2026-03-10T06:31:00Z")["count"] == 1


def stands(line: Line) -> str:
    return str(line.alarms.book.alarms[ID].state)


def test_deed_is_on_disk_when_it_is_answered(line: Line, ask: Hand) -> None:
    ask("acknowledge")
    kept = small_town.copied(line.settings.folder, line.settings.folder.with_name("after the kill"))
    again = small_town.open_line(kept, after(NOON, 1), NOTHING)
    assert (stands(again), again.alarms.book.alarms[ID].acknowledged_by) == ("acknowledged", "token night desk")
    abandon(again)


def test_deed_is_on_the_board_before_the_next_beat(line: Line, ask: Hand) -> None:
    now = after(NOON, -10)
    assert line.publisher.refresh(now) is None
    ask("acknowledge")
    snapshot = line.publisher.refresh(now)
    assert snapshot is not None
    assert [row["state"] for row in snapshot.state["alarms"] if row["id"] == ID] == ["acknowledged"]
    assert snapshot.state["alarm_summary"]["calling"] == {"high": 1}


def test_names_and_words_of_people_are_told_to_those_with_a_role_alone(line: Line, ask: Hand) -> None:
    ask("acknowledge", owner="ravi", comment="Meera is told")
    snapshot = line.publisher.refresh(after(NOON, -10))
    assert snapshot is not None and snapshot.state["alarms"][0]["done_at"] == NOON.isoformat()
    for body in (snapshot.json, unblock(snapshot.stream_full), unblock(snapshot.stream_delta)):
        assert not any(word in body for word in (b"ravi", b"Meera", b"night desk"))
    for form in ("json", "csv"):
        open_to_all = ask.asker("GET", f"/api/v1/alarms?format={form}").text
        known = ask.asker("GET", f"/api/v1/alarms?format={form}", headers=ask.headers).text
        for word in ("ravi", "Meera is told", "token night desk"):
            assert word not in open_to_all and word in known


def test_illegal_deed_is_a_conflict_that_names_what_is_possible(line: Line, ask: Hand) -> None:
    ask("acknowledge")
    told = ask("acknowledge", status=409)
    assert (told["state"], told["legal"]) == ("acknowledged", ["shelve", "out-of-service"])
    assert (
        told["detail"]
        == "The alarm is acknowledged: `acknowledge` is not possible. Possible is shelve, out-of-service."
    )
    assert ask("unshelve", status=409)["legal"] == ["shelve", "out-of-service"]


def test_shelving_needs_reason_and_end_and_ends_by_itself(line: Line, ask: Hand) -> None:
    assert "`reason` is missing" in ask("shelve", status=422, until=later(60))["detail"]
    assert "`until` is missing" in ask("shelve", status=422, reason="float is being changed")["detail"]
    assert "lies in the past" in ask("shelve", status=422, reason="x", until=later(-1))["detail"]
    assert "at most 7 days" in ask("shelve", status=422, reason="x", until=later(60 * 24 * 8))["detail"]
    row = ask("shelve", reason="float is being changed", until=later(60))
    assert (row["state"], row["by"], row["reason"]) == ("shelved", "token night desk", "float is being changed")
    assert ask("unshelve", reason="done early")["state"] == "unacknowledged"
    ask("shelve", reason="float is being changed", until=later(60))
    level(line, 0.4, 59)
    assert (stands(line), line.alarms.worst_by_asset()) == ("shelved", {})
    level(line, 0.4, 61)
    assert stands(line) == "unacknowledged"


def test_alarm_out_of_service_says_nothing_until_it_is_returned(line: Line, ask: Hand) -> None:
    ask("out-of-service", reason="tank is drained for cleaning")
    level(line, 3.0, 5)
    level(line, 3.0, 10)
    level(line, 0.4, 15)
    level(line, 0.4, 20)
    assert stands(line) == "out_of_service"
    assert ask("return-to-service")["state"] == "unacknowledged"


def test_owner_and_comment_change_no_state(line: Line, ask: Hand) -> None:
    assert ask("assign", owner="Ms Rao")["owner"] == "Ms Rao"
    row = ask("comment", comment="valve 4 was closed")
    assert (row["comment"], row["state"]) == ("valve 4 was closed", "unacknowledged")
    assert [t["event"] for t in ask.get(f"{AT}/history")["transitions"]] == ["rise", "assign", "comment"]


def test_many_at_once_are_each_done_or_refused(line: Line, ask: Hand) -> None:
    told = ask("acknowledge", at="/api/v1/alarms", ids=[ID, "nobody|here", ID])
    assert [row["id"] for row in told["done"]] == [ID]
    assert [(row["id"], row["status"]) for row in told["refused"]] == [("nobody|here", 404)]
    assert "Name the alarms" in ask("acknowledge", at="/api/v1/alarms", status=422)["detail"]


@pytest.mark.parametrize(
    ("action", "wanted", "status", "words"),
    [
        ("acknowledge", {"reason": "x"}, 422, "no field"),
        ("acknowledge", {"owner": 4}, 422, "must be a text"),
        ("acknowledge", {"review_at": "tomorrow"}, 422, "no time"),
        ("comment", {}, 422, "`comment` is missing"),
        ("comment", {"comment": "x" * 1001}, 422, "1001 characters"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(
    ask: Hand, action: str, wanted: dict[str, Any], status: int, words: str
) -> None:
    assert words in ask(action, status=status, **wanted)["detail"]


def test_nobody_acts_without_the_scope(line: Line, ask: Hand) -> None:
    secret = tokens.add(tokens.path_of(line.settings.store), "kiosk", ["read"], NOON)
    hand = Hand(ask.asker, {"Authorization": f"Bearer {secret}"})
    assert "needs operate" in hand("acknowledge", status=403)["detail"]
    assert ask.asker("POST", f"{AT}/acknowledge").status_code == 401
    assert stands(line) == "unacknowledged"


def test_disk_that_refuses_leaves_the_alarm_as_it_was(line: Line, ask: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(line.state, "keep_alarms", full)
        assert "nothing was done" in ask("acknowledge", status=503)["detail"]
        assert stands(line) == "unacknowledged"
        flow.beat(line, NOON + timedelta(seconds=2))
    assert ask("acknowledge")["state"] == "acknowledged"


def test_what_somebody_did_is_in_the_audit_log_by_name(line: Line, ask: Hand) -> None:
    from pipelines.engine.people import audit

    ask("shelve", reason="pump is changed", until=later(60))
    ask("acknowledge", status=409)
    log = audit.entries(line.settings.store / "state.sqlite")
    # The token itself was made before.
    assert [(entry.who, entry.did) for entry in log[1:]] == [("token night desk", "alarm: shelve")]
    assert ID in log[1].facts and "pump is changed" in log[1].facts
    assert audit.tampering(log) == ""
