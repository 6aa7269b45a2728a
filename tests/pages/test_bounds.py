"""What one request may take: bodies too large, too slow or without end, heads that never end, askers without pause."""

import asyncio
import gzip
import logging
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import uvicorn
from uvicorn.server import ServerState

from components import bounds, slow_heads
from components.asgi import Receive, Scope, Send, answer
from components.bounds import Pace, bounded
from components.outer import Outer
from pipelines.engine.people.plan import Access
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Lifespan
from tests.pages.people import Client, at


async def counts(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that reads all of a body and says how much it was."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await answer(scope, send, 200, b"%d" % size, [])


def asked(here: str, body: Any, **headers: str) -> httpx.Response:
    async def does() -> httpx.Response:
        transport = httpx.ASGITransport(bounded(counts, here))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://board") as client:
            return await client.post(f"/{here}", content=body, headers=headers)

    return asyncio.run(does())


async def trickle(pieces: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(pieces):
        yield b"x" * size


async def standing_still() -> AsyncIterator[bytes]:
    yield b"x"
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("here", "size", "status"),
    [("_dash-update-component", bounds.MIB, 200), ("_dash-update-component", bounds.MIB + 1, 413),
     ("api/v1/readings", 8 * bounds.MIB, 200), ("api/v1/readings", 9 * bounds.MIB, 413), ("alarms", 2 * bounds.MIB, 413)],
)  # fmt: skip
def test_body_is_taken_up_to_what_its_address_allows(
    here: str, size: int, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    told = asked(here, b"x" * size)
    assert told.status_code == status
    assert asked(here, trickle(-(-size // 65_536), 65_536) if status == 413 else b"x").status_code == status
    if status == 413:
        assert told.headers["connection"] == "close" and "larger than what is taken" in caplog.text


def test_body_that_stands_still_is_given_up_in_words_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bounds, "PIECE_S", 0.02)
    told = asked("api/v1/rules", standing_still())
    assert (told.status_code, told.text) == (408, bounds.WORDS[408])
    assert "POST /api/v1/rules from 127.0.0.1 was refused" in caplog.text


def test_body_that_goes_on_for_ever_in_small_pieces_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "WHOLE_S", 0.0)
    assert asked("api/v1/rules", standing_still()).status_code == 408


def test_address_that_asks_without_pause_waits_and_the_service_goes_on_for_others(
    town: FakeTown, door: Doorstep, caplog: pytest.LogCaptureFixture
) -> None:
    door.porter.access = Access(requests_per_minute=60)

    async def does(client: Client) -> None:
        app: Outer = client._transport.app  # type: ignore[attr-defined]
        client._transport.client = ("203.0.113.9", 1)  # type: ignore[attr-defined]
        found = [(await client.get("/healthz")).status_code for _ in range(61)]
        assert found == [200] * 60 + [429]
        told = await client.get("/api/v1/kpis")
        assert told.headers["content-type"] == "application/problem+json" and int(told.headers["retry-after"]) > 0
        assert told.json()["status"] == 429
        client._transport.client = ("203.0.113.10", 1)  # type: ignore[attr-defined]
        assert (await client.get("/healthz")).status_code == 200
        assert app.pace.wait_s({"client": ("127.0.0.1", 1), "method": "GET", "headers": []}, "") == 0

    at(town, door, does)
    assert caplog.text.count("203.0.113.9 asks too often") == 1


def test_rows_that_come_with_a_token_are_not_slowed_down_by_how_often_they_come(town: FakeTown) -> None:
    pace = Pace(town.now, 60)
    scope = {"client": ("203.0.113.9", 1), "method": "POST", "headers": [(b"authorization", b"Bearer x")]}
    assert [pace.wait_s(scope, "api/v1/readings") for _ in range(100)] == [0] * 100
    assert pace.wait_s({**scope, "headers": []}, "api/v1/readings") == 0


# on the wire ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A server that speaks the protocol of the web process."""
    config = uvicorn.Config(counts, port=0, log_level="error", lifespan="off", http=slow_heads.PatientProtocol)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(5)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are given up after a moment; only where that is what is awaited, for a busy machine is slower than that."""
    monkeypatch.setattr(slow_heads, "HEAD_S", 0.2)


def on_the_wire(port: int, *pieces: bytes) -> bytes:
    """What comes back until the server hangs up, or has answered."""
    told = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line, suppress(ConnectionError):
        for piece in pieces:
            line.sendall(piece)
        while part := line.recv(65_536):
            told += part
    return told


GET = b"GET / HTTP/1.1\r\nhost: board\r\nconnection: close\r\n"


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("begun", [b"GET / HT", GET, b"GET /again HTTP/1.1\r\nhost: board\r\n\r\nGET / HTTP/1.1\r\nx:"])
def test_head_that_does_not_end_is_given_up(port: int, begun: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        told = on_the_wire(port, begun)
    assert b"408 Request Timeout" in told and "Its head did not come in time" in caplog.text


@pytest.mark.usefixtures("hurried")
def test_connection_on_which_nothing_was_asked_is_closed_without_a_word(port: int) -> None:
    assert on_the_wire(port) == b""


LINES = b"".join(b"x-%d: %s\r\n" % (n, b"y" * 1_000) for n in range(100))


@pytest.mark.parametrize(
    "pieces", [(GET, LINES[:50_000], LINES[50_000:]), (GET + LINES[:50_000], LINES[50_000:]), (GET + LINES,)]
)
def test_head_without_end_is_refused_and_others_are_served(
    port: int, pieces: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        told = on_the_wire(port, *pieces)
    # Whoever still sends when the line is cut may not get to read why.
    assert told == b"" or b"431 Request Header Fields Too Large" in told
    assert "was refused: Its head is too large." in caplog.text
    assert on_the_wire(port, GET, b"\r\n").endswith(b"0")


@pytest.mark.parametrize(
    ("peer", "trusted", "answers"),
    [
        ("203.0.113.7", "127.0.0.1", [200, 200, 503]), ("203.0.113.7", "*", [200] * 3),
        ("203.0.113.7", "127.0.0.1, 203.0.113.0/24", [200] * 3), ("127.0.0.1", "127.0.0.1", [200] * 3),
    ],
    ids=["stranger", "any proxy", "proxies of a network", "this machine"],
)  # fmt: skip
def test_address_holds_so_many_connections_and_no_more_until_it_closes_one(
    peer: str, trusted: str, answers: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    class Line(asyncio.Transport):
        def __init__(self) -> None:
            super().__init__({"peername": (peer, 1), "sockname": ("127.0.0.1", 80)})
            self.told, self.is_closed = b"", False

        def write(self, data: Any) -> None:
            self.told += data

        def is_closing(self) -> bool:
            return self.is_closed

        def close(self) -> None:
            self.is_closed = True

    protocol = slow_heads.bounded(2)
    config = uvicorn.Config(counts, lifespan="off", log_config=None, http=protocol, forwarded_allow_ips=trusted)
    config.load()

    async def run() -> list[int]:
        state, lines, speaking = ServerState(), [Line() for _ in answers], []
        for line in lines:
            speaking.append(protocol(config, state, {}))
            speaking[-1].connection_made(line)
        told = [503 if line.is_closed and line.told.startswith(b"HTTP/1.1 503") else 200 for line in lines]
        for one in speaking:
            one.connection_lost(None)
        further = Line()
        again = protocol(config, state, {})
        again.connection_made(further)
        assert not further.is_closed
        again.connection_lost(None)
        return told

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(run()) == answers
    assert ("further ones are refused" in caplog.text) is (503 in answers) and protocol.held == {}


def test_large_body_behind_a_small_head_is_no_large_head(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nhost: board\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n"
    assert on_the_wire(port, head + b"x" * 300_000).endswith(b"300000")


# headers of safety ----------------------------------------------------------------------------------------------------

SAFE = ("content-security-policy", "x-content-type-options", "referrer-policy", "cross-origin-opener-policy",
        "cross-origin-resource-policy", "permissions-policy")  # fmt: skip
PLACES = ("/", "/water", "/nowhere", "/signin", "/account", "/alarms", "/alarms.csv", "/public", "/wall", "/assets/wire.js",
          "/assets/nowhere.js", "/api/v1/kpis", "/api/v1/snapshot", "/openapi.json", "/_dash-layout", "/messages.csv",
          "/public/data", "/alarms/who", "/_dash-nothing")  # fmt: skip


def test_every_answer_has_the_headers_of_safety_and_no_script_may_stand_in_a_page(
    town: FakeTown, door: Doorstep
) -> None:
    async def does(client: Client) -> list[httpx.Response]:
        return [await client.get(path) for path in PLACES]

    for path, told in zip(PLACES, at(town, door, does), strict=True):
        assert [name for name in SAFE if name not in told.headers] == [], path
        policy = told.headers["content-security-policy"]
        scripts = policy.partition("script-src")[2].partition(";")[0] or policy
        assert "'unsafe" not in scripts and "http:" not in policy and "*" not in policy, path
        assert "strict-transport-security" not in told.headers


def test_board_that_was_reached_by_https_is_never_asked_without(town: FakeTown, door: Doorstep) -> None:
    async def does(client: Client) -> list[str]:
        client.base_url = httpx.URL("https://board")
        return [(await client.get(path)).headers["strict-transport-security"] for path in ("/", "/api/v1/kpis")]

    assert at(town, door, does) == ["max-age=63072000"] * 2


def test_answer_of_a_real_api_that_is_cut_is_a_problem(tmp_path: Any) -> None:
    from pipelines.engine import api
    from pipelines.engine.town import Town
    from tests.engine import small_town

    made = Town(small_town.read(small_town.make(tmp_path / "town")), lambda: small_town.NOON)
    app: Any = api.build(made)

    async def does() -> list[httpx.Response]:
        life = Lifespan(app)
        await life.start()
        transport = httpx.ASGITransport(bounded(app, "api/v1/readings"))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            kind = {"content-type": "application/json"}
            bomb = gzip.compress(b"0" * (200 << 20))
            told = [
                await client.post("/api/v1/readings", content=trickle(200, 65_536), headers=kind),
                await client.post("/api/v1/readings", content=bomb, headers={**kind, "content-encoding": "gzip"}),
            ]
        await life.stop()
        return told

    large, bomb = asyncio.run(does())
    for told in (large, bomb):
        assert told.status_code == 413 and told.headers["content-type"] == "application/problem+json"
