"""The live wire: whole state first, changes after, a heartbeat between, the same bytes for every screen."""

import asyncio
import json
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components import live
from components.live import Wire
from pipelines.engine.snapshot import Snapshot, changes
from tests.glass.fake_town import FakeTown

FORMATS = Path(__file__).parents[2] / "assets"


class Screen:
    """A client of the stream that collects what it is sent."""

    def __init__(self, wire: Wire, *, zipped: bool = True) -> None:
        self.wire, self.zipped = wire, zipped
        self.raw, self.headers, self.gone = b"", {}, asyncio.Event()
        self.task = asyncio.create_task(wire.serve_stream(self.scope(), self.receive, self.send))

    def scope(self) -> dict[str, Any]:
        headers = [(b"accept-encoding", b"gzip, br")] if self.zipped else []
        return {"type": "http", "method": "GET", "path": "/api/v1/stream", "headers": headers}

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.headers = dict(message["headers"])
        self.raw += message.get("body", b"")

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        text = zlib.decompressobj(31).decompress(self.raw) if self.zipped else self.raw
        blocks = [b.split("\n") for b in text.decode().split("\n\n") if "event:" in b]
        return [
            (
                next(line[7:] for line in b if line.startswith("event: ")),
                json.loads(next(line[6:] for line in b if line.startswith("data: "))),
            )
            for b in blocks
        ]

    async def until(self, holds: Callable[[list[tuple[str, Any]]], bool]) -> list[tuple[str, dict[str, Any]]]:
        for _ in range(400):
            if self.raw and holds(self.events()):
                return self.events()
            await asyncio.sleep(0.01)
        raise AssertionError([name for name, _ in self.events()])

    async def leave(self) -> None:
        self.gone.set()
        await self.task


@pytest.mark.parametrize("zipped", [True, False])
def test_a_screen_gets_the_whole_state_then_changes_that_add_up(town: FakeTown, zipped: bool) -> None:
    async def watch() -> None:
        wire = Wire(town.board, "b1")
        screen = Screen(wire, zipped=zipped)
        await screen.until(lambda e: e[-1][0] == "full")
        town.beat(1001, supply_per_head=99.0)
        events = await screen.until(lambda e: e[-1][0] == "delta")
        assert [name for name, _ in events] == ["hello", "full", "delta"]
        assert events[0][1]["build"] == "b1"
        assert events[2][1]["prev"] == 1000
        assert events[2][1]["kpis"]["supply_per_head|town"]["value"] == 99.0
        assert (screen.headers.get(b"content-encoding") == b"gzip") is zipped
        await screen.leave()
        assert wire.viewers == 0
        wire.stop()

    asyncio.run(watch())


def test_a_screen_that_missed_one_gets_the_whole_state_again(town: FakeTown) -> None:
    wire = Wire(town.board, "b1")
    first = town.board()
    town.beat(1001)
    town.beat(1002)
    newest = town.board()
    assert first and newest
    wire.snapshot, (wire.delta, wire.before) = newest, wire._since(newest)
    assert wire.before == 1001
    assert wire._next(first) == newest.stream_full


def test_screens_are_told_in_one_what_changed_while_they_were_being_told(town: FakeTown) -> None:
    async def watch() -> None:
        wire = Wire(town.board, "b1")
        screen = Screen(wire)
        await screen.until(lambda e: e[-1][0] == "full")
        held = town.board()
        town.beat(1001, supply_per_head=98.0)
        town.beat(1002, supply_per_head=99.0)
        assert held and wire.snapshot is held
        events = await screen.until(lambda e: e[-1][1].get("seq") == 1002)
        assert events[-1][0] == "delta" and events[-1][1]["prev"] == 1000
        assert events[-1][1]["kpis"]["supply_per_head|town"]["value"] == 99.0
        await screen.leave()
        wire.stop()

    asyncio.run(watch())


def test_a_stream_that_cannot_be_written_ends_its_request_so_that_the_browser_opens_another(town: FakeTown) -> None:
    class Broken(Screen):
        async def send(self, message: Any) -> None:
            await super().send(message)
            if b"event: delta" in self.raw:
                raise RuntimeError("the flow is in no state to be written to")

    async def watch() -> None:
        wire = Wire(town.board, "b1")
        screen = Broken(wire, zipped=False)
        await screen.until(lambda e: e[-1][0] == "full")
        assert wire.viewers == 1
        town.beat(1001)
        with pytest.raises(RuntimeError, match="in no state"):
            await asyncio.wait_for(screen.task, 5)
        assert wire.viewers == 0
        again = Screen(wire)
        await again.until(lambda e: e[-1][1].get("seq") == 1001)
        await again.leave()
        wire.stop()

    asyncio.run(watch())


def test_a_stream_that_the_server_cancels_stays_cancelled(town: FakeTown) -> None:
    async def watch() -> None:
        wire = Wire(town.board, "b1")
        screen = Screen(wire)
        await screen.until(lambda e: e[-1][0] == "full")
        screen.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await screen.task
        assert wire.viewers == 0
        wire.stop()

    asyncio.run(watch())


def test_a_quiet_wire_beats(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.02)

    async def watch() -> None:
        wire = Wire(town.board, "b1")
        screen = Screen(wire)
        events = await screen.until(lambda e: sum(name == "beat" for name, _ in e) >= 2)
        assert events[-1][1]["now"] >= events[0][1]["now"]
        await screen.leave()
        wire.stop()

    asyncio.run(watch())


def test_too_many_screens_are_told_to_ask_instead(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_STREAMS", 0)

    async def watch() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        wire = Wire(town.board, "b1")
        await wire.serve_stream({"method": "GET", "headers": []}, None, send)  # type: ignore[arg-type]
        assert sent[0]["status"] == 503
        assert (b"retry-after", b"30") in sent[0]["headers"]
        wire.stop()

    asyncio.run(watch())


@pytest.mark.parametrize("accepted", [b"br", b"gzip", b"identity"])
def test_the_snapshot_is_answered_once_and_then_304(town: FakeTown, accepted: bytes) -> None:
    async def ask(tag: bytes = b"") -> tuple[int, dict[bytes, bytes], bytes]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        wire = Wire(town.board, "b1")
        await wire.serve_snapshot(
            {"method": "GET", "headers": [(b"accept-encoding", accepted), (b"if-none-match", tag)]}, None, send
        )  # type: ignore[arg-type]
        wire.stop()
        return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]

    status, headers, body = asyncio.run(ask())
    snapshot = town.board()
    assert snapshot
    assert status == 200
    assert body == {b"br": snapshot.br, b"gzip": snapshot.gz, b"identity": snapshot.json}[accepted]
    assert asyncio.run(ask(headers[b"etag"]))[0] == 304


def _in_node(body: str, given: object) -> Any:
    stage = "globalThis.window=globalThis;globalThis.document={documentElement:{lang:'en'},getElementById:()=>({dataset:{zone:'Asia/Kolkata'}})};"
    script = f"{stage}{(FORMATS / 'format.js').read_text()};const given={json.dumps(given)};const b=window.townboard;console.log(JSON.stringify({body}))"
    done = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_changes_merge_in_the_page_into_the_state_they_came_from(town: FakeTown) -> None:
    before = town.state_at(1)
    after = town.state_at(2)
    after["kpis"].pop("saidi|town")
    after["kpis"]["supply_hours|town"]["value"] = 3.0
    after["alarms"] = after["alarms"][:1]
    after["assets"] = {}
    delta = changes(before, after)
    merged = _in_node("b.merge(given[0], given[1])", [before, delta])
    assert merged == json.loads(Snapshot.build(after).json)


def test_the_page_writes_numbers_ages_and_times_as_the_server_does() -> None:
    from components import wording

    numbers = [[1234567.891, 1], [-3.25, 1], [2.5, 0], [-0.04, 1], [None, 1], [0.125, 2]]
    assert _in_node("given.map(([v,d])=>b.number(v,d))", numbers) == [
        wording.number(v, int(d or 0)) for v, d in numbers
    ]
    ages = [0, 59.9, 60, 3600, 7500, 86_400, 200_000]
    assert _in_node("given.map((s)=>b.age(s*1000))", ages) == [wording.age(s) for s in ages]
    moments = ["2025-01-01T00:00:00+00:00", "2020-06-30T18:40:00+00:00"]
    assert _in_node("given.map(b.clock)", moments) == [wording.clock(m, "Asia/Kolkata") for m in moments]
    rows = [{"value": 112.4, "last_week": w, "decimals": d} for w in (108.0, 112.4, None, 200.0) for d in (0, 1)]
    rows += [{**row, "last_week_whole": True} for row in rows]
    assert _in_node("given.map(b.trend)", rows) == [wording.trend(r) for r in rows]


def test_the_page_tells_corrections_as_the_server_does() -> None:
    from components import wording

    told = {"at": "2025-11-23T20:00:00+00:00", "window_start": "2025-11-21T18:30:00+00:00",
            "window_end": "2025-11-22T18:30:00+00:00", "before": 71.25, "after": 69.0}  # fmt: skip
    row = {"value": 69.0, "decimals": 1, "unit": "percent", "window_start": told["window_start"], "corrected": told}
    gone, back = {**told, "after": None}, {**told, "before": None}
    rows: list[dict[str, Any]] = [
        row, {**row, "window_start": "2025-11-22T18:30:00+00:00"}, {**row, "corrected": None},
        {**row, "window_start": None, "corrected": gone}, {**row, "corrected": back},
    ]  # fmt: skip
    words = [wording.corrected(each, "Asia/Kolkata") for each in rows]
    assert words[:3] == [
        "corrected on 24 Nov, was 71.3 %", "22 Nov corrected on 24 Nov, was 71.3 %, is 69.0", "",
    ]  # fmt: skip
    assert _in_node("given.map((r)=>b.corrected(r,'%'))", rows) == words


def test_the_page_names_windows_and_details_as_the_server_does(town: FakeTown) -> None:
    from components import wording

    spans = [
        ("2026-11-21T18:30:00Z", "2026-11-22T18:30:00Z"),
        ("2026-11-15T18:30:00Z", "2026-11-22T18:30:00Z"),
        ("2025-09-30T18:30:00Z", "2025-10-31T18:30:00Z"),
        ("2024-12-31T18:30:00Z", "2025-12-31T18:30:00Z"),
        ("2025-11-23T01:30:00Z", "2025-11-23T02:30:00Z"),
        ("2025-09-22T02:30:00Z", "2025-09-23T02:30:00Z"),
        ("2025-08-25T18:30:00Z", "2025-11-23T18:30:00Z"),
    ]
    expected = [wording.span(*(wording.moment(at) for at in pair), "Asia/Kolkata") for pair in spans]  # type: ignore[arg-type]
    assert _in_node("given.map(([a,b_])=>b.span(a,b_))", spans) == expected
    closed = {"window_start": spans[2][0], "window_end": spans[2][1], "as_of": spans[2][1], "status": "good"}
    rows = [closed, {"as_of": None, "window_start": None, "window_end": None, "status": "no data"}]
    assert _in_node("given.map((r)=>b.when(r))", rows) == [wording.when(r, "Asia/Kolkata") for r in rows]
    assert _in_node("given.map((r)=>b.whenShort(r))", rows) == [wording.when_short(r, "Asia/Kolkata") for r in rows]
    state = {"assets": {"T3": {"name": "Station tank"}}, "feeds": {"bus_trips": {"title": "Bus trips"}}}
    told = [[{"detail": d}, state] for d in ("T3", "bus_trips", "6 deaths", None)]
    assert _in_node("given.map(([r,s])=>b.detail(r,s))", told) == [wording.detail(r, s) for r, s in told]
    known = [
        {"value": None, "reason": "only 8% has arrived; 75% is needed", "coverage": 0.08},
        {"value": 1, "coverage": 0.5},
    ]
    assert _in_node("given.map((r)=>b.completeness(r))", known) == [wording.completeness(r) for r in known]
