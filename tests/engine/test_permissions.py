"""The permission matrix: every address that is not for everybody, by everybody who may come."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from pipelines.engine import tokens
from pipelines.engine.alarms.desk import FIELDS, NEEDED
from pipelines.engine.people import accounts, passwords, sessions
from pipelines.engine.people.roles import MATRIX as MATRIX_OF_ROLES
from pipelines.engine.people.roles import RIGHTS, ROLES
from pipelines.engine.town import Town
from tests.engine import api_town, small_town
from tests.engine.api_town import NOW, Asker

# Who comes: nobody known, by role, by a session that is over, by the scope of a token.
COMERS = ("visitor", *ROLES, "expired", "disabled", "ingest", "read", "operate", "admin token", "limited")
# What each is answered: o = done (200), 4 = it is there but nothing of that name (404), 1 = sign in (401), 3 = may not (403).
#                                            vis vie cou ope cle adm exp dis ing rea ope adm lim
MATRIX = {
    ("POST", "/api/v1/quarantine/replay"):   " 1   3   3   o   o   o   1   1   3   3   o   o   3",
    ("GET", "/api/v1/quarantine/x/original"): "1   3   3   4   4   4   1   1   3   3   4   4   3",
    ("POST", "/api/v1/readings"):            " 1   3   3   3   3   3   1   1   o   3   3   o   3",
    ("GET", "/api/v1/deliveries"):           " 1   3   3   o   o   o   1   1   3   3   o   o   3",
    ("POST", "/api/v1/deliveries/test"):     " 1   3   3   4   4   4   1   1   3   3   4   4   3",
    ("GET", "/cap/feed.xml"):                " 4   4   4   4   4   4   4   4   4   4   4   4   4",
    ("GET", "/api/v1/kpis"):                 " o   o   o   o   o   o   o   o   o   o   o   o   o",
    ("GET", "/api/v1/alarms"):               " o   o   o   o   o   o   o   o   o   o   o   o   o",
    ("GET", "/api/v1/quarantine"):           " 1   o   o   o   o   o   1   1   3   o   o   o   3",
    ("GET", "/api/v1/quarantine/counts"):    " o   o   o   o   o   o   o   o   o   o   o   o   o",
    ("GET", "/api/v1/tables/quarantine"):    " 1   o   o   o   o   o   1   1   3   o   o   o   3",
    ("GET", "/api/v1/tables/device_reports"): "1   o   o   o   o   o   1   1   3   o   o   o   3",
    ("GET", "/api/v1/tables/edge_states"):   " 1   o   o   o   o   o   1   1   3   o   o   o   3",
    ("GET", "/api/v1/tables/sensor_clocks"): " 1   o   o   o   o   o   1   1   3   o   o   o   3",
    ("GET", "/api/v1/tables/service_requests"): "o o  o   o   o   o   o   o   o   o   o   o   o",
    ("GET", "/api/v1/tables/arrivals"):      " o   o   o   o   o   o   o   o   o   o   o   o   o",
    ("GET", "/api/v1/readings"):             " o   o   o   o   o   o   o   o   o   o   o   o   o",
    ("GET", "/api/v1/audit"):                " 1   3   3   3   3   o   1   1   3   3   3   o   3",
    ("GET", "/api/v1/audit/check"):          " 1   3   3   3   3   o   1   1   3   3   3   o   3",
    ("GET", "/api/v1/feeds"):                " o   o   o   o   o   o   o   o   o   o   o   o   o",
}  # fmt: skip
ACTING = "1 3 3 o o o 1 1 3 3 o o o"
READING = "1 o o o o o 1 1 3 o o o o"
# What belongs to no ward.
WHOLE_TOWN = f"{ACTING[:-1]}3"
ASKED = ("history", "x/history", "incidents", "performance")
MATRIX |= {("GET", f"/api/v1/alarms/{name}"): READING for name in ASKED}
MATRIX |= {("POST", f"/api/v1/alarms/{action}"): ACTING for action in FIELDS}
MATRIX |= {("POST", f"/api/v1/alarms/x/{action}"): ACTING.replace("o", "4") for action in FIELDS}
MATRIX |= {
    ("GET", "/api/v1/rules"): READING,
    ("POST", "/api/v1/rules"): WHOLE_TOWN,
    ("POST", "/api/v1/rules/backtest"): WHOLE_TOWN,
}
MATRIX |= {("DELETE", "/api/v1/rules/x"): WHOLE_TOWN.replace("o", "4")}
RULE = {
    "name": "low", "watches": "pressure_m", "side": "below", "limit": 5, "instruction": "look at it",
}  # fmt: skip
STATUS = {"o": 200, "1": 401, "3": 403, "4": 404}
GIVEN = {"reason": "why", "owner": "asha", "comment": "so", "until": (NOW + timedelta(hours=1)).isoformat()}
BODIES: dict[str, Any] = {
    **{f"/api/v1/alarms/x/{action}": {name: GIVEN[name] for name in NEEDED.get(action, ())} for action in FIELDS},
    **{
        f"/api/v1/alarms/{action}": {"ids": ["x"], **{name: GIVEN[name] for name in NEEDED.get(action, ())}}
        for action in FIELDS
    },
    "/api/v1/rules": RULE,
    "/api/v1/rules/backtest": RULE,
    "/api/v1/deliveries/test": {"channel": "sms"},
    "/api/v1/quarantine/replay": {},
    "/api/v1/readings": {"readings": [{"sensor": "P1.p", "observed_at": NOW.isoformat(), "value": 14.0}]},
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asker, Town, dict[str, dict[str, str]]]]:
    folder = small_town.make(tmp_path_factory.mktemp("permissions") / "town")
    line = small_town.open_line(folder, NOW)
    with (
        pytest.MonkeyPatch.context() as patched,
        api_town.answering(line),
        api_town.asked(folder, known=False) as (asker, found),
    ):
        patched.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        small_town.beat(line, NOW)
        path = tokens.path_of(line.settings.store)
        headers: dict[str, dict[str, str]] = {"visitor": {}}
        accounts.add(path, "limited", "operator", NOW, by="test", wards=["W1"])
        headers["limited"] = session(found, path, "limited")
        for name in (*ROLES, "expired", "disabled"):
            accounts.add(path, name, name if name in ROLES else "admin", NOW, by="test")
            headers[name] = session(found, path, name)
        accounts.disable(path, "disabled", NOW, by="test")
        for scope in ("ingest", "read", "operate", "admin"):
            secret = tokens.add(path, f"{scope} one", [scope], NOW)
            headers["admin token" if scope == "admin" else scope] = {"Authorization": f"Bearer {secret}"}
        yield asker, found, headers
    line.close()


def session(town: Town, path: Path, name: str) -> dict[str, str]:
    """The headers of somebody's browser."""
    secret = sessions.secret()
    at = NOW - sessions.IDLE if name == "expired" else NOW
    if name == "expired":
        with sessions.changing(path) as db:
            accounts._keep(db, accounts._found(db, name), valid_from=(NOW - timedelta(days=1)).isoformat())
    sessions.begin(path, accounts.digest(secret), name, at, agent="", peer="")
    return {"Cookie": f"{town.porter.cookie}={secret}", "X-Form-Token": sessions.form_token(secret)}


@pytest.mark.parametrize(("method", "address"), MATRIX)
def test_every_address_answers_every_comer_as_the_table_says(
    town: tuple[Asker, Town, dict[str, dict[str, str]]], method: str, address: str
) -> None:
    ask, _, headers = town
    more = {"json": BODIES[address]} if address in BODIES and method == "POST" else {}
    found = {name: ask(method, address, headers=headers[name], **more).status_code for name in COMERS}
    expected = dict(zip(COMERS, (STATUS[mark] for mark in MATRIX[method, address].split()), strict=True))
    assert found == expected


def test_table_names_every_address_that_changes_or_asks_for_a_scope(
    town: tuple[Asker, Town, dict[str, dict[str, str]]],
) -> None:
    described = town[0].get("/openapi.json").json()["paths"]
    guarded = {
        (method.upper(), path.replace("{id}", "x"))
        for path, methods in described.items()
        for method, operation in methods.items()
        if method != "get" or operation.get("security")
    }
    # The other two ways to push share their door with /readings.
    shared = {("POST", "/api/v1/tables/{table}"), ("POST", "/api/v1/feeds/{feed}")}
    # The key of an Open311 client travels among the fields: tests/engine/filing/test_open311_server.py.
    shared.add(("POST", "/open311/v2/requests.{format}"))
    assert guarded - shared <= set(MATRIX)


def test_declared_table_of_rights_is_what_the_addresses_ask_for(
    town: tuple[Asker, Town, dict[str, dict[str, str]]],
) -> None:
    """Each address that asks for a scope answers exactly the roles that have the right of that name."""
    described = town[0].get("/openapi.json").json()["paths"]
    asked = {
        (method.upper(), path.replace("{id}", "x")): operation["security"][0]["token"]
        for path, methods in described.items()
        for method, operation in methods.items()
        if operation.get("security") and operation["security"][0].get("token")
    }
    assert {right for rights in asked.values() for right in rights} <= {*RIGHTS}
    assert {one.right for one in MATRIX_OF_ROLES} - {None} == {*RIGHTS} - {"ingest"}
    for (method, path), (right, *_) in asked.items():
        marks = dict(zip(COMERS, MATRIX.get((method, path), "").split(), strict=False))
        allowed = {role for role in ROLES if marks.get(role) in ("o", "4")}
        assert not marks or allowed == {role for role in ROLES if right in ROLES[role]}, (method, path)


def test_session_changes_nothing_by_the_api_without_its_form_token(
    town: tuple[Asker, Town, dict[str, dict[str, str]]],
) -> None:
    ask, _, headers = town
    for token in ("", "x", headers["admin"]["X-Form-Token"]):
        sent = {"Cookie": headers["operator"]["Cookie"], "X-Form-Token": token}
        answer = ask("POST", "/api/v1/quarantine/replay", headers=sent, json={})
        assert answer.status_code == 403 and "form token" in answer.json()["detail"]
