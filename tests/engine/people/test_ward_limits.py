"""Accounts that are limited to wards: their own wards everywhere alike, and nothing that belongs to the whole town."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from pipelines.engine import tokens
from pipelines.engine.alarms.record import Alarm, Transition
from pipelines.engine.asking import Misasked
from pipelines.engine.people import accounts, sessions
from pipelines.engine.people.roles import VISITOR, Forbidden, person
from pipelines.engine.state_alarms import put_alarms
from pipelines.engine.state_file import changing, sealed
from pipelines.engine.town import Town
from tests.engine import api_town, small_town
from tests.engine.api_town import NOW, Asker
from tests.engine.people.doorstep import Doorstep

MINUTE = timedelta(minutes=1)
BY_W1, BY_TOWN = person("asha", "operator", ("W1",)), person("ravi", "operator")


# accounts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["clerk", "admin"])
def test_roles_that_answer_for_the_whole_town_cannot_be_limited(door: Doorstep, role: str) -> None:
    with pytest.raises(Misasked, match="for the whole town"):
        accounts.add(door.path, "asha", role, NOW, by="console", wards=["W1"])
    accounts.add(door.path, "ravi", "operator", NOW, by="console", wards=["W1"])
    with pytest.raises(Misasked, match="for the whole town"):
        accounts.set_role(door.path, "ravi", role, NOW, by="console")


def test_sessions_end_when_wards_or_role_change(door: Doorstep) -> None:
    secret = door.add("asha", "operator")
    door.later(MINUTE)
    accounts.limit(door.path, "asha", ["W1"], door.now, by="boss")
    door.later(MINUTE)
    assert door.visit(secret).actor == VISITOR
    secret = door.sign_in("asha")
    assert door.visit(secret).actor.wards == {"W1"}
    door.later(MINUTE)
    accounts.set_role(door.path, "asha", "viewer", door.now, by="boss")
    door.later(MINUTE)
    assert door.visit(secret).actor == VISITOR


def test_refusal_names_the_wards_that_somebody_is_limited_to() -> None:
    BY_W1.check("operate")
    with pytest.raises(Forbidden, match="limited to W1"):
        BY_W1.check_everywhere("operate")
    BY_TOWN.check_everywhere("operate")
    assert BY_W1.in_reach("W1") and not BY_W1.in_reach("W2") and not BY_W1.in_reach(None)
    assert BY_TOWN.in_reach(None)


# everywhere alike ----------------------------------------------------------------------------------------------------


class Limited:
    """A town with an alarm in each of two wards and one of no ward, asked by an operator of W1."""

    def __init__(self, ask: Asker, town: Town, headers: dict[str, str]) -> None:
        self.ask, self.town, self.headers = ask, town, headers

    def __call__(self, method: str, address: str, **more: Any) -> httpx.Response:
        return self.ask(method, address, headers=self.headers, **more)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    folder = small_town.make(tmp_path_factory.mktemp("wards") / "town")
    line = small_town.open_line(folder, NOW)
    found = {name: alarm(name, ward) for name, ward in (("one", "W1"), ("two", "W2"), ("all", None))}
    with api_town.answering(line), api_town.asked(folder, known=False) as (ask, town):
        small_town.beat(line, NOW)
        path = tokens.path_of(line.settings.store)
        with changing(path) as db:
            put_alarms(db, [(name, sealed({"alarm": one.told()})) for name, one in found.items()], happened(found))
        accounts.add(path, "asha", "operator", NOW, by="test", wards=["W1"])
        secret = sessions.secret()
        sessions.begin(path, accounts.digest(secret), "asha", NOW, agent="", peer="")
        headers = {"Cookie": f"{town.porter.cookie}={secret}", "X-Form-Token": sessions.form_token(secret)}
        yield Limited(ask, town, headers)
    line.close()


def alarm(id: str, ward: str | None) -> Alarm:
    return Alarm(
        id=id, rule="pressure_low", title="Pressure is low", domain="water", priority="high", area="town", ward=ward,
        since=NOW - MINUTE, comment="seen", owner="asha",
    )  # fmt: skip


def happened(found: dict[str, Alarm]) -> list[Transition]:
    return [
        Transition(
            alarm=name, event="comment", before="active", after="active", at=NOW - MINUTE, noted_at=NOW - MINUTE,
            who="asha", facts={"ward": one.ward, "rule": one.rule},
        )
        for name, one in found.items()
    ]  # fmt: skip


def test_names_and_history_are_those_of_the_own_wards(limited: Limited) -> None:
    rooms = limited.town.alarms
    assert set(rooms.who(BY_W1)) == {"one"} and set(rooms.who(BY_TOWN)) == {"one", "two", "all"}
    assert rooms.history(BY_W1)["alarm"].to_list() == ["one"]
    assert rooms.history(BY_W1, "two").is_empty()
    history = limited("GET", "/api/v1/alarms/history").json()
    assert [row["alarm"] for row in history["transitions"]] == ["one"]
    assert limited("GET", "/api/v1/alarms/two/history").json()["transitions"] == []


@pytest.mark.parametrize("ids", [["two"], ["one", "two"], ["all"]])
def test_nothing_is_done_to_alarms_of_other_wards_nor_to_any_beside_them(limited: Limited, ids: list[str]) -> None:
    answer = limited("POST", "/api/v1/alarms/comment", json={"ids": ids, "comment": "x"})
    assert answer.status_code == 403 and "limited to W1" in answer.json()["detail"]


def test_own_alarms_are_acted_on(limited: Limited) -> None:
    # The alarm is no longer in the line's book, which says so: it was asked.
    answer = limited("POST", "/api/v1/alarms/comment", json={"ids": ["one"], "comment": "x"})
    assert answer.status_code == 200


# What belongs to no ward takes the whole town.
WHOLE = {
    "/api/v1/quarantine": 403, "/api/v1/tables/quarantine": 403, "/api/v1/tables/device_reports": 403,
    "/api/v1/tables/edge_states": 403, "/api/v1/quarantine/x/original": 403, "/api/v1/deliveries": 403,
    "/api/v1/kpis": 200, "/api/v1/tables/service_requests": 200, "/api/v1/rules": 200, "/api/v1/alarms": 200,
    "/api/v1/alarms/incidents": 200, "/api/v1/alarms/performance": 200,
}  # fmt: skip


@pytest.mark.parametrize("address", WHOLE)
def test_what_belongs_to_no_ward_takes_the_whole_town_and_what_is_public_stays_public(
    limited: Limited, address: str
) -> None:
    assert limited("GET", address).status_code == WHOLE[address]


def test_rules_and_replays_are_for_the_whole_town(limited: Limited) -> None:
    rule = {"name": "low", "watches": "pressure_m", "side": "below", "limit": 5, "instruction": "look"}
    assert limited("POST", "/api/v1/rules", json=rule).status_code == 403
    assert limited("POST", "/api/v1/quarantine/replay", json={}).status_code == 403
