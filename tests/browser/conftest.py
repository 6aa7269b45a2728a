"""A real server on a free port with a made-up town, and a real browser that may talk to nobody else."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from components.slow_heads import PatientProtocol
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.shift import ShiftLog
from tests.engine.people.doorstep import Doorstep
from tests.glass.fake_town import FakeTown
from tests.glass.serve import plain_api

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A process shows one town, and Dash keeps what it was first told: whoever shows another one comes last."""
    items.sort(key=lambda item: item.get_closest_marker("own_town") is not None)


@dataclass
class Served:
    """The board at an address; it can be stopped and started again at the same one."""

    town: FakeTown
    app: Any
    port: int
    seq: int = 0
    beating: bool = True
    paused: bool = False
    values: dict[str, float | None] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    _publishing: threading.Lock = field(default_factory=threading.Lock)
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = uvicorn.Server(
            uvicorn.Config(
                self.app, port=self.port, log_level="error", timeout_graceful_shutdown=1, http=PatientProtocol
            )
        )
        self._thread = threading.Thread(target=lambda: asyncio.run(self._server.serve()), daemon=True)  # type: ignore[union-attr]
        self._thread.start()
        until = time.monotonic() + 60
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.05)
        assert self._server.started

    def stop(self) -> None:
        assert self._server and self._thread
        self._server.should_exit = True
        self._thread.join(10)

    def publish(self, **values: float | None) -> None:
        # A test and the heart of this town may both be at it: what has the higher number comes later.
        with self._publishing:
            self.values |= values
            self.seq += 1
            self.town.beat(self.seq, self.statuses, **self.values)

    def turn(self, **statuses: str) -> None:
        self.statuses |= statuses
        self.publish()

    def keep_beating(self) -> None:
        while self.beating:
            if not self.paused:
                self.publish()
            time.sleep(1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    from components.web import build

    town = FakeTown()
    board = Served(town, build(town, plain_api), free_port(), seq=int(time.time() * 10))  # type: ignore[arg-type]
    board.publish()
    board.start()
    beats = threading.Thread(target=board.keep_beating, daemon=True)
    beats.start()
    yield board
    board.beating = False
    beats.join(5)
    board.stop()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """Ends with this folder's tests: while Playwright runs, its event loop holds the main thread of every other test."""
    if not CHROMIUM.exists():
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def people(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doorstep]:
    """The served town with accounts: asha and ravi, operators."""
    door = Doorstep(tmp_path_factory.mktemp("people"))
    door.now = datetime.now(UTC)
    door.line.clock = lambda: datetime.now(UTC)
    for name in ("asha", "ravi"):
        door.add(name, "operator")
    before = served.town.porter, served.town.shift
    served.town.porter = Porter(door.path, door.line, door.line.clock)  # type: ignore[arg-type]
    served.town.shift = ShiftLog(door.path, door.line)  # type: ignore[arg-type]
    yield door
    served.town.porter, served.town.shift = before
    door.close()
