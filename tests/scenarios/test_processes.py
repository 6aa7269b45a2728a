"""Real processes: what a kill, a restart and a stop may not lose."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.engine.line_client import socket_path
from pipelines.engine.snapshot import Board
from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES
from tests.engine import small_town

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow
TOWN = """[town]
name = "Testville"
timezone = "Asia/Kolkata"
domains = ["water"]
beat_s = 1
"""
Reading = tuple[str, datetime, float]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def until(holds: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait for another process; fails with `what` when it does not come about."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"{what} within {seconds} s"
        threading.Event().wait(0.05)
    return found


class LineConnection(http.client.HTTPConnection):
    """HTTP over the line's local socket."""

    def __init__(self, path: str) -> None:
        super().__init__("line", timeout=10)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(10)
        self.sock.connect(self._path)


class Running:
    """`python app.py serve` on a town of its own, with the web and line processes it has started."""

    def __init__(self, folder: Path, text: str = TOWN, furnish: Callable[[Path], None] = lambda folder: None) -> None:
        """`furnish` is given the town's folder before anything starts."""
        self.folder = small_town.make(folder, text)
        furnish(self.folder)
        self.settings = small_town.read(self.folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (folder / "log.txt").open("wb")
        command = [sys.executable, "app.py", "--town", str(self.folder), "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=self.log, stderr=self.log, start_new_session=True)
        self.begun = datetime.now(UTC).replace(microsecond=0)

    def ready(self) -> None:
        """Wait until people and devices are answered."""
        until(self.answers, 30, "the web process answers")
        until(lambda: self.push_to_line([("P2.p", self.begun, 5.0)]), 30, "the line takes rows")

    def children(self, name: str) -> list[int]:
        """Process ids of the line or web process of this town."""
        found = []
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in map(int, listed):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if name.encode() in words:
                found.append(pid)
        return found

    def kill(self, name: str) -> int:
        (pid,) = self.children(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    def push(self, rows: list[Reading]) -> dict[str, Any] | None:
        """Readings pushed over HTTP; the answer when they were acknowledged."""
        body = {"readings": [{"sensor": s, "observed_at": at.isoformat(), "value": v} for s, at, v in rows]}
        try:
            answer = httpx.post(f"{self.url}/api/v1/readings", json=body, timeout=10)
        except httpx.TransportError:
            return None
        return answer.json() if answer.is_success else None

    def push_to_line(self, rows: list[Reading]) -> bool:
        """The same by the line's own socket, which needs no web process."""
        body = {"readings": [{"sensor": s, "observed_at": at.isoformat(), "value": v} for s, at, v in rows]}
        line = LineConnection(str(socket_path(self.settings)))
        try:
            line.request("POST", "/take?feed=push&format=json&table=readings", json.dumps(body))
            return line.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            line.close()

    def stored(self) -> list[tuple[datetime, float]]:
        """Every stored reading of the pressure point as a reader sees them now."""
        store = Store(self.settings.store, ENGINE_TABLES)
        store.open()
        numbers = dict(
            store.rows("series", columns=["sensor", "series", "registered_at"]).select("sensor", "series").iter_rows()
        )
        rows = store.rows("readings", columns=["series", "observed_at", "value"])
        return [(at, value) for series, at, value in rows.iter_rows() if series == numbers.get("P1.p")]

    def board(self) -> dict[str, Any]:
        snapshot = Board(self.settings.store / "run" / "board").look()
        return snapshot.state if snapshot else {}

    def stop(self) -> float:
        """SIGTERM; the seconds until all is over."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(15)
        return time.monotonic() - began

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            for pid in (*self.children("line"), *self.children("web")):
                os.kill(pid, signal.SIGKILL)
            self.process.wait(10)
        self.log.close()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(tmp_path_factory.mktemp("serve") / "town")
    try:
        running.ready()
        yield running
    finally:
        running.close()


class Pusher(threading.Thread):
    """Pushes one reading after the other, as a device does: again and again until it is acknowledged."""

    def __init__(self, send: Callable[[list[Reading]], object], begin: datetime, step: timedelta) -> None:
        super().__init__(daemon=True)
        self._send, self._at, self._step = send, begin, step
        self.acknowledged: list[tuple[datetime, float]] = []
        self.failures = 0
        self.ended = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.ended.is_set():
            at, value = self._at + number * self._step, float(number % 40)
            if self._send([("P1.p", at, value)]):
                self.acknowledged.append((at, value))
                number += 1
            else:
                self.failures += 1
                self.ended.wait(0.05)


def check_kept(town: Running, pushed: list[tuple[datetime, float]]) -> None:
    kept = town.stored()
    assert len({at for at, _ in kept}) == len(kept), "a reading stands twice"
    missing = set(pushed) - set(kept)
    assert not missing, f"{len(missing)} acknowledged readings are lost"


def test_web_that_is_killed_comes_back_and_nothing_is_lost_meanwhile(town: Running) -> None:
    pusher = Pusher(town.push_to_line, town.begun - timedelta(hours=20), timedelta(seconds=20))
    pusher.start()
    killed = town.kill("web")
    # While nobody can look, the tank runs dry.
    for minutes in (2, 0):
        assert town.push_to_line([("T1.level", town.begun - timedelta(minutes=minutes), 0.2)])
    until(
        lambda: any(a["rule"] == "tank_low" and a["active"] for a in town.board()["alarms"]),
        10,
        "the alarm stands",
    )
    until(town.answers, 25, "the web process is back")
    pusher.ended.set()
    pusher.join(10)
    assert town.children("web") != [killed]
    assert pusher.failures == 0
    assert len(pusher.acknowledged) > 20
    check_kept(town, pusher.acknowledged)


def test_line_that_is_killed_while_rows_come_keeps_every_acknowledged_one_once(town: Running) -> None:
    pusher = Pusher(town.push, town.begun - timedelta(hours=40), timedelta(seconds=20))
    pusher.start()
    for _ in range(2):
        before = len(pusher.acknowledged)
        until(lambda: len(pusher.acknowledged) >= before + 5, 25, "rows are acknowledged")  # noqa: B023
        town.kill("line")
    before = len(pusher.acknowledged)
    until(lambda: len(pusher.acknowledged) >= before + 5, 25, "rows are acknowledged again")
    pusher.ended.set()
    pusher.join(12)
    assert pusher.failures > 0
    check_kept(town, pusher.acknowledged)
    # The alarm that rang before the kills still stands.
    assert [a["state"] for a in town.board()["alarms"] if a["rule"] == "tank_low"] == ["unacknowledged"]


def test_sigterm_stops_everything_within_five_seconds(town: Running) -> None:
    pids = [*town.children("line"), *town.children("web")]
    assert len(pids) == 2
    assert town.stop() < 5.0
    assert town.process.returncode == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    text = (town.folder / "log.txt").read_text()
    assert "Traceback" not in text.replace("httpx", ""), text[-3000:]
