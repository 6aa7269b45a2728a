"""Back-pressure at the HTTP edge: a flood is answered, memory is bounded, and whoever is told 200 is on disk."""

import asyncio
import gzip
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from pipelines.engine import api, intake
from pipelines.engine.api import bodies
from pipelines.engine.api.bodies import Room
from pipelines.engine.api.problems import NotNow
from pipelines.engine.asking import Misasked
from pipelines.engine.line import Line
from pipelines.engine.line_client import told
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, answering, asked

JSON = {"content-type": "application/json"}
PADDING = "x" * 20_000


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    folder = small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]'))
    opened = small_town.open_line(folder, NOW, frozenset())
    yield opened
    opened.close()


def body(number: int) -> bytes:
    """A push of one row, made large by a field that nobody reads."""
    row = {"sensor": "P1.p", "observed_at": (NOW - timedelta(minutes=number)).isoformat(), "value": 5.0}
    return orjson.dumps({"readings": [{**row, "note": PADDING}]})


class Slow:
    """A journal whose disk does not answer until it is let."""

    def __init__(self, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go, append = threading.Event(), line.journal.append

        def slowly(*arguments: Any) -> int:
            assert self.go.wait(60)
            return append(*arguments)

        monkeypatch.setattr(line.journal, "append", slowly)


def flood(application: Any, bodies_: list[bytes], slow: Slow) -> list[httpx.Response]:
    """All bodies pushed at once; the disk answers when every push was answered or waits for it."""

    async def push(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
        return await client.post("/api/v1/readings", content=content, headers=JSON)

    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=60) as client:
            pushes = [asyncio.create_task(push(client, content)) for content in bodies_]
            seen, quiet = -1, 0
            while quiet < 5:
                done = sum(task.done() for task in pushes)
                quiet = quiet + 1 if done == seen else 0
                seen = done
                await asyncio.sleep(0.05)
            slow.go.set()
            return list(await asyncio.gather(*pushes))

    return asyncio.run(all_at_once())


def pushed_until_taken(folder: Path, bodies_: list[bytes]) -> int:
    """What senders do: those that were told to come again come again; how often they had to."""
    tries = 0
    with asked(folder) as (ask, _):
        for content in bodies_:
            while ask("POST", "/api/v1/readings", content=content, headers=JSON).status_code == 429:
                tries += 1
                assert tries < 1_000
    return tries


def test_flood_against_a_slow_disk_is_answered_within_bounds_and_loses_nothing(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "MOST_WAITING", 6)
    every = [body(n) for n in range(24)]
    rooms: list[Room] = []

    def watched() -> Room:
        rooms.append(Room(14 * len(every[0])))
        return rooms[0]

    monkeypatch.setattr(api.ingest, "Room", watched)
    slow = Slow(line, monkeypatch)
    with answering(line):
        answers = flood(api.build(Town(line.settings, lambda: NOW)), every, slow)
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {200, 429}
        assert statuses[200] >= 6
        assert all(
            int(a.headers["retry-after"]) > 0 and "again" in a.json()["detail"] for a in answers if a.status_code == 429
        )
        assert rooms[0].peak <= rooms[0].most
        assert rooms[0].held == 0
        taken = small_town.readings(line)
        assert len(taken) == statuses[200] == sum(a.json()["accepted"] for a in answers if a.status_code == 200)
        pushed_until_taken(line.settings.folder, every)
    assert len(small_town.readings(line)) == len(every)


def test_line_tells_how_much_waits(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow(line, monkeypatch)
    with answering(line):
        seen: list[dict[str, Any]] = []
        set_free = slow.go.set

        def look() -> None:
            seen.append(told(line.settings) or {})
            set_free()

        monkeypatch.setattr(slow.go, "set", look)
        answers = flood(api.build(Town(line.settings, lambda: NOW)), [body(n) for n in range(8)], slow)
        assert all(answer.status_code == 200 for answer in answers)
        assert seen[0]["waiting_bytes"] == sum(len(body(n)) for n in range(8))
        assert seen[0]["waiting"] < 8
        assert (told(line.settings) or {})["waiting_bytes"] == 0


def test_large_payloads_are_decoded_a_few_at_a_time(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MOST_BYTES_AT_ONCE", 2 * len(body(0)))
    queue = intake.Intake(line, lambda: NOW)
    feed = line.settings.feeds["network"]
    for n in range(5):
        payload = small_town.csv_of([("P1.p", NOW - timedelta(minutes=n), 5.0)]) + b"\n" * len(body(0))
        queue.submit(intake.RawMessage(feed, payload, NOW))
    before = line.journal.seq
    queue.start()
    queue.stop()
    assert line.journal.seq - before == 3  # 2 + 2 + 1


def test_room_is_given_back_whatever_happens() -> None:
    room = Room(100)
    with pytest.raises(NotNow) as caught, room.hold() as hold:
        hold.grow(60)
        hold.grow(60)
    assert (caught.value.status, room.held, room.peak) == (429, 0, 60)
    with pytest.raises(Misasked), room.hold() as hold:
        hold.grow(100)
        raise Misasked("x")
    assert room.held == 0


def test_bomb_is_unpacked_no_further_than_is_allowed() -> None:
    zeros = gzip.compress(bytes(1 << 20), 9)
    with pytest.raises(Misasked) as caught:
        bodies.unpacked(zeros * 2_000)  # 2 GB from 2 MB
    assert caught.value.status == 413


def test_declared_size_is_refused_before_a_byte_is_read(line: Line) -> None:
    read = []

    async def endless() -> Any:
        read.append(1)
        yield b" "

    with asked(line.settings.folder) as (ask, _):
        headers = {**JSON, "content-length": str(bodies.MOST_BYTES + 1)}
        assert ask("POST", "/api/v1/readings", content=endless(), headers=headers).status_code == 413
    assert read == []


def test_disk_that_refuses_is_told_on_readyz_until_it_takes_again(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    small_town.beat(line, NOW)
    with answering(line), asked(line.settings.folder) as (ask, _):
        assert ask.get("/readyz").status_code == 200
        with monkeypatch.context() as broken:
            broken.setattr(line.journal, "append", full)
            answer = ask("POST", "/api/v1/readings", content=body(1), headers=JSON)
            assert (answer.status_code, "disk is full" in answer.json()["detail"]) == (503, True)
            ready = ask.get("/readyz")
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert "the disk is full" in ready.json()["detail"]
            assert "townboard_disk_refusing 1" in ask.get("/metrics").text
        assert ask("POST", "/api/v1/readings", content=body(1), headers=JSON).json()["accepted"] == 1
        assert ask.get("/readyz").status_code == 200


def test_read_only_disk_is_told_on_readyz(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    small_town.beat(line, NOW)
    real = os.statvfs(line.settings.store)

    class ReadOnly:
        f_flag = real.f_flag | os.ST_RDONLY

    monkeypatch.setattr(api.health.os, "statvfs", lambda _: ReadOnly)
    with asked(line.settings.folder) as (ask, _):
        answer = ask.get("/readyz")
    assert answer.status_code == 503
    assert "read-only" in answer.json()["detail"]


def test_line_that_is_away_is_told_in_words(line: Line) -> None:
    asker = Asker(api.build(Town(line.settings, lambda: NOW)))
    answer = asker("POST", "/api/v1/readings", content=body(1), headers=JSON)
    asker.close()
    assert (answer.status_code, "nothing was stored" in answer.json()["detail"]) == (503, True)
