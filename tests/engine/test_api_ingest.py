"""Ingest over HTTP, through the local socket, into a line that runs; answers only when it is on disk."""

import asyncio
import gzip
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from fastapi import Request

from pipelines.engine import api
from pipelines.engine.api import bodies, ingest
from pipelines.engine.asking import Misasked
from pipelines.engine.journal import Tail
from pipelines.engine.line import Line
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, answering, asked

JSON, CSV = {"content-type": "application/json"}, {"content-type": "text/csv"}


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    folder = small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]'))
    opened = small_town.open_line(folder, NOW)
    yield opened
    opened.close()


@pytest.fixture
def ask(line: Line) -> Iterator[Asker]:
    with answering(line), asked(line.settings.folder) as (asker, _):
        yield asker


def reading(sensor: str, value: float, minutes: int = 0) -> dict[str, Any]:
    return {"sensor": sensor, "observed_at": (NOW - timedelta(minutes=minutes)).isoformat(), "value": value}


def post(ask: Asker, body: bytes, headers: dict[str, str], address: str = "/api/v1/readings") -> httpx.Response:
    return ask("POST", address, content=body, headers=headers)


def test_readings_are_durable_when_they_are_answered(ask: Asker, line: Line) -> None:
    answer = post(ask, orjson.dumps({"readings": [reading("P1.p", 11.5), reading("P2.p", 12.5)]}), JSON)
    assert (answer.status_code, answer.json()) == (
        200, {"accepted": 2, "duplicate": 0, "corrected": 0, "quarantined": 0, "reasons": [], "reasons_left_out": 0},
    )  # fmt: skip
    on_disk = [
        entry
        for _, entries in Tail(line.settings.store / "journal", 0).poll()
        for entry in entries
        if entry.table == "readings"
    ]
    assert sum(entry.rows.height for entry in on_disk) == 2
    given = ask.get("/api/v1/readings", format="json").json()["readings"]
    assert [(row["sensor"], row["value"]) for row in given] == [("P1.p", 11.5), ("P2.p", 12.5)]


def test_sender_who_hangs_up_midway_leaves_nothing_behind_and_is_no_fault() -> None:
    coming = [{"type": "http.request", "body": b'{"readings": [', "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> Any:
        return coming.pop(0)

    async def taken(room: bodies.Room) -> bytes:
        request = Request({"type": "http", "method": "POST", "headers": []}, receive)
        with room.hold() as hold:
            return await bodies.body_of(request, hold)

    room = bodies.Room()
    with pytest.raises(Misasked, match="hung up before all of it had come") as refused:
        asyncio.run(taken(room))
    assert (refused.value.status, room.held) == (400, 0) and room.peak > 0


def test_one_bad_row_does_not_fail_the_others(ask: Asker) -> None:
    body = orjson.dumps(
        {"readings": [reading("P1.p", 11.5), reading("nobody", 1), reading("P1.p", 11.5), reading("P2.p", 9_999)]}
    )
    told = post(ask, body, JSON).json()
    assert (told["accepted"], told["duplicate"], told["quarantined"]) == (1, 1, 2)
    assert {(reason["row"], reason["reason"]) for reason in told["reasons"]} == {
        (2, "unknown_sensor"),
        (4, "out_of_range"),
    }
    assert all(reason["detail"] for reason in told["reasons"])


def test_the_same_again_is_a_duplicate_and_another_value_a_correction(ask: Asker) -> None:
    body = orjson.dumps({"readings": [reading("P1.p", 11.5)]})
    post(ask, body, JSON)
    assert post(ask, body, JSON).json()["duplicate"] == 1
    told = post(ask, orjson.dumps({"readings": [reading("P1.p", 12.0)]}), JSON).json()
    assert (told["accepted"], told["corrected"]) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-ndjson", b"".join(orjson.dumps(reading("P1.p", 10 + n, n)) + b"\n" for n in range(3))),
        (
            "text/csv; charset=utf-8",
            small_town.csv_of([("P1.p", NOW - timedelta(minutes=n), 10 + n) for n in range(3)]),
        ),
        ("application/json; charset=utf-8", orjson.dumps({"readings": [reading("P1.p", 10 + n, n) for n in range(3)]})),
    ],
)
@pytest.mark.parametrize("packing", ["identity", "gzip", "two members"])
def test_json_ndjson_and_csv_are_taken_plain_and_packed(ask: Asker, kind: str, body: bytes, packing: str) -> None:
    packed = {
        "identity": body,
        "gzip": gzip.compress(body),
        "two members": gzip.compress(body[:40]) + gzip.compress(body[40:]),
    }[packing]
    headers = {"content-type": kind, **({} if packing == "identity" else {"content-encoding": "gzip"})}
    assert post(ask, packed, headers).json()["accepted"] == 3


def test_rows_of_a_table_are_taken(ask: Asker) -> None:
    bill = {"dma": "D1", "period_start": "2026-02-01", "period_end": "2026-02-28", "billed_m3": 900.5}
    told = post(ask, orjson.dumps({"rows": [bill, {**bill, "dma": None}]}), JSON, "/api/v1/tables/water_bills").json()
    assert (told["accepted"], told["quarantined"]) == (1, 1)
    assert [row["billed_m3"] for row in ask.get("/api/v1/tables/water_bills", format="json").json()["rows"]] == [900.5]


def test_an_export_can_be_sent_back(ask: Asker) -> None:
    post(ask, orjson.dumps({"readings": [reading("P1.p", 10 + n, n) for n in range(5)]}), JSON)
    exported = ask.get("/api/v1/readings", format="csv").content
    assert post(ask, exported, CSV).json() | {"reasons": []} == {
        "accepted": 0, "duplicate": 5, "corrected": 0, "quarantined": 0, "reasons": [], "reasons_left_out": 0,
    }  # fmt: skip


def test_a_feed_that_is_pushed_uses_its_own_mapping(ask: Asker) -> None:
    told = post(ask, b"when,metres\n2026-03-10 11:45:00,14.25\n", CSV, "/api/v1/readings?feed=scada").json()
    assert (told["accepted"], told["reasons"]) == (1, [])
    (row,) = ask.get("/api/v1/readings", format="json").json()["readings"]
    assert (row["sensor"], row["observed_at"], row["value"]) == ("P1.p", "2026-03-10T06:15:00Z", 14.25)


def test_naive_times_are_refused_by_row(ask: Asker) -> None:
    row = {"sensor": "P1.p", "observed_at": "2026-03-10T06:30:00", "value": 10}
    told = post(ask, orjson.dumps({"readings": [row, reading("P2.p", 10)]}), JSON).json()
    assert (told["accepted"], told["quarantined"]) == (1, 1)


@pytest.mark.parametrize(
    ("address", "body", "headers", "status", "words"),
    [
        ("/api/v1/readings", b"{not json", JSON, 422, "kept in quarantine"),
        ("/api/v1/readings", b'{"rows": []}', JSON, 422, "readings"),
        ("/api/v1/readings", b"x", {"content-type": "text/plain"}, 415, "text/csv"),
        ("/api/v1/readings", b"x", {}, 415, "missing"),
        ("/api/v1/readings", b"x", {**JSON, "content-encoding": "br"}, 415, "gzip"),
        ("/api/v1/readings", b"no gzip at all", {**JSON, "content-encoding": "gzip"}, 422, "is not"),
        (
            "/api/v1/readings",
            gzip.compress(b"[]" * 100, mtime=0)[:-12],
            {**JSON, "content-encoding": "gzip"},
            422,
            "breaks off",
        ),
        ("/api/v1/readings?feed=network", b"", CSV, 422, "scada, push"),
        ("/api/v1/tables/water_bills?feed=scada", b"", CSV, 422, "/api/v1/readings?feed=scada"),
        ("/api/v1/tables/watr_bills", b"", CSV, 404, "`water_bills`"),
        ("/api/v1/tables/kpi_values", b"", CSV, 404, "is no table here"),
        ("/api/v1/readings?fed=scada", b"", CSV, 422, "`feed`"),
    ],
)
def test_what_cannot_be_read_at_all_is_refused_with_words(
    ask: Asker, address: str, body: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    answer = post(ask, body, headers, address)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert words in answer.json()["detail"]


@pytest.mark.parametrize("packed", [False, True])
def test_too_much_is_413_before_it_is_unpacked(ask: Asker, packed: bool) -> None:
    body = b" " * (bodies.MOST_BYTES + 1)
    headers = {**JSON, **({"content-encoding": "gzip"} if packed else {})}
    answer = post(ask, gzip.compress(body) if packed else body, headers)
    assert answer.status_code == 413
    assert "smaller pieces" in answer.json()["detail"]


def test_exactly_the_limit_is_not_too_much() -> None:
    assert len(bodies.unpacked(gzip.compress(b" " * bodies.MOST_BYTES))) == bodies.MOST_BYTES


def test_many_reasons_are_counted_when_they_are_not_listed(ask: Asker) -> None:
    body = orjson.dumps({"readings": [reading(f"nobody{n}", 1) for n in range(ingest.MOST_REASONS + 7)]})
    told = post(ask, body, JSON).json()
    assert (told["quarantined"], len(told["reasons"]), told["reasons_left_out"]) == (1007, 1000, 7)


def test_without_a_line_nothing_is_acknowledged(line: Line) -> None:
    with asked(line.settings.folder) as (asker, _):
        answer = post(asker, orjson.dumps({"readings": [reading("P1.p", 11.5)]}), JSON)
    assert answer.status_code == 503
    assert "nothing was stored" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(("status", "words"), [(429, "too much is waiting"), (503, "the disk refused it")])
def test_back_pressure_is_passed_on(line: Line, status: int, words: str) -> None:
    """The line's own refusals, at the seam where they arrive."""

    class Refusing:
        async def take(self, *_: object) -> tuple[int, dict[str, str], dict[str, str]]:
            return status, {"detail": words}, {"retry-after": "7"}

    town = Town(line.settings, clock)
    town.line = Refusing()  # type: ignore[assignment]
    asker = Asker(api.build(town))
    answer = post(asker, b'{"readings":[]}', JSON)
    asker.close()
    assert (answer.status_code, answer.headers["retry-after"], answer.json()["detail"]) == (status, "7", words)


def clock() -> datetime:
    return NOW
