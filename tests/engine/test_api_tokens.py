"""Who may push and work at the HTTP edge: tokens, their scopes and feeds, and how wrong ones are answered."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from pipelines.engine import api, state_file, tokens
from pipelines.engine.api import access
from pipelines.engine.line import Line
from pipelines.engine.people import patience
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, answering

BODY = orjson.dumps({"readings": [{"sensor": "P1.p", "observed_at": NOW.isoformat(), "value": 11.5}]})
JSON = {"content-type": "application/json"}
CSV = {"content-type": "text/csv"}
clock = {"now": NOW}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "FRESH_S", -1.0)
    clock["now"] = NOW


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    folder = small_town.make(
        tmp_path_factory.mktemp("tokens") / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    opened = small_town.open_line(folder, NOW, frozenset())
    with answering(opened):
        yield opened
    opened.close()


@pytest.fixture
def town(line: Line) -> Iterator[Town]:
    with state_file.changing(tokens.path_of(line.settings.store)) as db:
        db.execute("DELETE FROM tokens")
    yield Town(line.settings, lambda: clock["now"])


@pytest.fixture
def ask(town: Town) -> Iterator[Asker]:
    asker = Asker(api.build(town))
    yield asker
    asker.close(town)


def made(town: Town, name: str, scope: str, **more: Any) -> dict[str, str]:
    """The header of somebody with a token of his own."""
    secret = tokens.add(tokens.path_of(town.settings.store), name, [scope], NOW, **more)
    return {"Authorization": f"Bearer {secret}"}


def push(ask: Asker, headers: dict[str, str] | None = None, address: str = "/api/v1/readings") -> httpx.Response:
    return ask("POST", address, content=BODY, headers={**JSON, **(headers or {})})


def refused(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith('Bearer realm="townboard"')
    return str(answer.json()["detail"])


def test_town_without_tokens_takes_rows_of_this_machine_until_the_first_is_made(ask: Asker, town: Town) -> None:
    assert push(ask).status_code == 200
    made(town, "dashboard", "read")
    assert push(ask).status_code == 200
    own = made(town, "scada", "ingest")
    assert "app.py token add NAME --scope ingest" in refused(push(ask), 401)
    assert push(ask, own).status_code == 200


def test_town_that_listens_beyond_this_machine_takes_no_row_without_a_token(town: Town) -> None:
    asker = Asker(api.build(town, local=False))
    assert "scope ingest" in refused(push(asker), 401)
    assert push(asker, made(town, "scada", "ingest")).status_code == 200
    asker.close(town)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9"},
        {"Via": "1.1 proxy"},
        {"Host": "town.example"},
    ],
)
def test_whoever_comes_through_a_proxy_or_by_another_name_needs_a_token(ask: Asker, headers: dict[str, str]) -> None:
    refused(push(ask, headers), 401)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.4", False), ("town.example", False), ("", False)],
)  # fmt: skip
def test_loopback_is_this_machine_only(host: str, expected: bool) -> None:
    assert access.loopback(host) is expected


def test_another_scope_is_403_and_named(ask: Asker, town: Town) -> None:
    answer = push(ask, made(town, "dashboard", "read"))
    assert "this needs ingest" in refused(answer, 403)
    assert 'error="insufficient_scope", scope="ingest"' in answer.headers["www-authenticate"]


def test_token_of_one_feed_pushes_to_no_other(ask: Asker, town: Town) -> None:
    own = made(town, "scada", "ingest", feeds=["scada"])
    answer = ask(
        "POST",
        "/api/v1/readings?feed=scada",
        content=b"when,metres\n2026-03-10 11:45:00,14.25\n",
        headers={**CSV, **own},
    )
    assert answer.status_code == 200, answer.text
    assert "for scada and not for push" in refused(push(ask, own), 403)
    assert "for scada and not for push" in refused(
        ask("POST", "/api/v1/tables/water_bills", content=b'{"rows":[]}', headers={**JSON, **own}), 403
    )


def test_wrong_expired_and_revoked_tokens_are_told_apart(ask: Asker, town: Town) -> None:
    path = tokens.path_of(town.settings.store)
    assert "none of this town's" in refused(push(ask, {"Authorization": "Bearer townboard_x"}), 401)
    short = made(town, "short", "ingest", expires_at=NOW + timedelta(hours=1))
    assert push(ask, short).status_code == 200
    clock["now"] = NOW + timedelta(hours=1)
    answer = push(ask, short)
    assert "`short` ended at 2026-03-10 07:30 UTC" in refused(answer, 401)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    own = made(town, "scada", "ingest")
    assert push(ask, own).status_code == 200
    tokens.revoke(path, "scada", NOW)
    assert "`scada` was revoked" in refused(push(ask, own), 401)
    assert "Bearer TOKEN" in refused(push(ask, {"Authorization": "Basic c2NhZGE6eA=="}), 401)


def test_nothing_of_a_refused_push_is_read(ask: Asker, town: Town) -> None:
    made(town, "scada", "ingest")
    asked = []

    async def body() -> Any:
        asked.append(1)
        yield BODY

    ask("POST", "/api/v1/readings", content=body(), headers=JSON)
    assert asked == []


def test_wrong_tokens_are_slowed_down_and_the_right_one_is_not(ask: Asker, town: Town) -> None:
    own = made(town, "scada", "ingest")
    wrong = [push(ask, {"Authorization": f"Bearer townboard_{n}"}) for n in range(patience.MOST_WRONG + 3)]
    assert [answer.status_code for answer in wrong] == [401] * patience.MOST_WRONG + [429] * 3
    assert wrong[-1].headers["retry-after"] == "60"
    assert push(ask, own).status_code == 200
    clock["now"] = NOW + patience.WINDOW
    assert push(ask, {"Authorization": "Bearer townboard_x"}).status_code == 401


def test_addresses_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOST_ADDRESSES", 3)
    wrong = patience.Patience(lambda: NOW)
    for n in range(50):
        assert wrong.noted(f"10.0.0.{n}") == 0
    assert len(wrong._seen) == 3


def test_use_is_written_down_by_the_line(ask: Asker, town: Town) -> None:
    push(ask, made(town, "scada", "ingest"))
    (token,) = tokens.listed(tokens.path_of(town.settings.store))
    assert token.used_at == NOW


def test_unreadable_tokens_are_503_and_open_nothing(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise tokens.sqlite3.DatabaseError("malformed")

    monkeypatch.setattr(tokens.sqlite3, "connect", broken)
    answer = push(ask)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_public_reads_need_no_token_the_quarantine_does_and_work_on_it_another(ask: Asker, town: Town) -> None:
    assert ask.get("/api/v1/kpis").status_code in (200, 503)
    assert ask.get("/api/v1/quarantine/counts").status_code == 200
    assert "scope read" in refused(ask.get("/api/v1/quarantine"), 401)
    assert ask("GET", "/api/v1/quarantine", headers=made(town, "dashboard", "read")).status_code == 200
    assert "scope operate" in refused(ask("POST", "/api/v1/quarantine/replay", json={}), 401)
    assert "scope operate" in refused(ask("GET", "/api/v1/quarantine/x/original"), 401)
    assert "this needs operate" in refused(
        ask("POST", "/api/v1/quarantine/replay", json={}, headers=made(town, "scada", "ingest")), 403
    )
    assert ask("POST", "/api/v1/quarantine/replay", json={}, headers=made(town, "clerk", "operate")).status_code == 200


def test_description_says_what_needs_which_scope(ask: Asker) -> None:
    described = ask.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["token"] == {
        "type": "http", "scheme": "bearer", "description": access.BEARER.model.description,
    }  # fmt: skip
    needs = {
        (path, method): operation.get("security")
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
        if operation.get("security") and not path.startswith(("/api/v1/alarms", "/api/v1/deliveries", "/api/v1/rules"))
    }
    assert needs == {
        ("/api/v1/audit", "get"): [{"token": ["admin"]}],
        ("/api/v1/audit/check", "get"): [{"token": ["admin"]}],
        ("/api/v1/quarantine", "get"): [{"token": ["read"]}],
        ("/api/v1/readings", "post"): [{"token": ["ingest"]}],
        ("/api/v1/tables/{table}", "post"): [{"token": ["ingest"]}],
        ("/api/v1/feeds/{feed}", "post"): [{"token": ["ingest"]}],
        ("/api/v1/quarantine/replay", "post"): [{"token": ["operate"]}],
        ("/api/v1/quarantine/{id}/original", "get"): [{"token": ["operate"]}],
    }
    for path, method in needs:
        assert {"401", "403"} <= set(described["paths"][path][method]["responses"])


def test_ready_says_who_may_push(ask: Asker, town: Town, line: Line) -> None:
    small_town.beat(line, NOW)
    assert "programs on this machine may push" in ask.get("/readyz").json()["pushes"]
    made(town, "scada", "ingest")
    assert ask.get("/readyz").json()["pushes"] == "Rows are taken from holders of a token."
