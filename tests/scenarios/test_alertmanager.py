"""Side by side with a real Prometheus Alertmanager: the same alarms, the same messages, within its own timing."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.engine.delivery.alertmanager import Alertmanager
from pipelines.engine.delivery.grouping import Grouping
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.routes import Matcher, Route
from tests.engine.broker import free_port
from tests.engine.delivery.notices import firing

pytestmark = pytest.mark.slow
COMMAND = "prometheus-alertmanager"
WAIT, INTERVAL, REPEAT = timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=5)
TIMES = {"group_wait": WAIT, "group_interval": INTERVAL, "repeat_interval": REPEAT}
ROOT = Route(
    key="r", receiver="room", **TIMES,
    routes=(Route(key="r.1", receiver="duty", matchers=(Matcher("priority", "=", "critical"),), **TIMES),),
)  # fmt: skip
CONFIG = """
route:
  receiver: room
  group_by: [domain]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 5s
  routes:
  - receiver: duty
    matchers: [severity="critical"]
inhibit_rules:
- source_matchers: [asset="FEEDER"]
  target_matchers: [asset=~"PUMP.*"]
  equal: [ward]
receivers:
- name: room
  webhook_configs: [{url: "http://127.0.0.1:PORT/room", send_resolved: true}]
- name: duty
  webhook_configs: [{url: "http://127.0.0.1:PORT/duty", send_resolved: true}]
"""
# Second at which it begins, second at which it is over, the alarm.
LIVES = (
    (0.0, 6.0, firing("T1")),
    (0.4, 99.0, firing("T2")),
    (3.6, 99.0, firing("MAIN", priority="critical")),
    (3.8, 9.6, firing("FEEDER", priority="critical")),
    (4.2, 8.0, firing("PUMP1", muted=True)),
)
SECONDS = 14.0
# How far two clocks of one second's grain, two processes and a busy machine may be apart.
APART_S = 1.5
Said = tuple[float, frozenset[str], frozenset[str]]


def known(second: float, began: datetime) -> list[Notice]:
    """The alarms at a moment of the timeline."""
    found = []
    for start, end, life in LIVES:
        if start <= second:
            labels = {**life.labels, "asset": life.labels["area"].removeprefix("asset:")}
            ended_at = began + timedelta(seconds=end) if end <= second else None
            found.append(
                replace(life, labels=labels, since=began + timedelta(seconds=start), ended_at=ended_at,
                        muted=life.muted and ended_at is None)
            )  # fmt: skip
    return found


class Hook(BaseHTTPRequestHandler):
    """Notes what Alertmanager says, and when."""

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        names = {
            state: frozenset(a["labels"]["asset"] for a in told["alerts"] if a["status"] == state)
            for state in ("firing", "resolved")
        }
        said = (time.monotonic(), names["firing"], names["resolved"])
        self.server.said.setdefault(self.path[1:], []).append(said)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def alertmanager(folder: Path) -> Iterator[tuple[str, dict[str, list[Said]]]]:
    hook = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    hook.said = {}  # type: ignore[attr-defined]
    threading.Thread(target=hook.serve_forever, args=(0.05,), daemon=True).start()
    (folder / "config.yml").write_text(CONFIG.replace("PORT", str(hook.server_port)))
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [COMMAND, f"--config.file={folder / 'config.yml'}", f"--storage.path={folder / 'data'}",
         f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while not _answers(url.rpartition(":")[2]):
            assert time.monotonic() < until and process.poll() is None
            threading.Event().wait(0.05)
        yield url, hook.said  # type: ignore[attr-defined]
    finally:
        process.terminate()
        process.wait(10)
        hook.shutdown()
        hook.server_close()


def _answers(port: str) -> bool:
    with closing(HTTPConnection("127.0.0.1", int(port), timeout=5)) as connection:
        try:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        except OSError:
            return False


def play(url: str) -> dict[str, list[Said]]:
    """The timeline, told to both; what our receivers are told."""
    began, start = datetime.now(UTC), time.monotonic()
    grouping, manager, said = Grouping(ROOT, {}), Alertmanager(url), {}
    while (second := time.monotonic() - start) < SECONDS:
        now, alarms = began + timedelta(seconds=second), known(second, began)
        # Alertmanager suppresses by its own rule, so it is handed what we have suppressed as well.
        manager.say([replace(one, muted=False) for one in alarms], "", now)
        for telling in grouping.due(alarms, now, lambda _: False):
            names = [frozenset(one.labels["asset"] for one in part) for part in (telling.firing, telling.ended)]
            said.setdefault(telling.route.receiver, []).append((time.monotonic(), *names))
            grouping.keep(telling)
        threading.Event().wait(0.05)
    manager.close()
    return said


def without_strangers(said: list[Said]) -> list[Said]:
    """Theirs without the end of what they never told of: we say nothing of it (docs/decisions/0016)."""
    told: set[str] = set()
    kept = []
    for at, up, over in said:
        kept.append((at, up, over & told))
        told = (told | up) - over
    return [one for one in kept if one[1] or one[2]]


def test_messages_are_those_of_a_real_alertmanager_within_its_own_timing(tmp_path: Path) -> None:
    if shutil.which(COMMAND) is None:
        pytest.skip("no Alertmanager on this machine (Debian: apt-get install prometheus-alertmanager)")
    with alertmanager(tmp_path) as (url, theirs):
        ours = play(url)
    assert set(ours) == set(theirs) == {"room", "duty"}
    for receiver in ours:
        # The last moments may be said by one and not yet by the other.
        pairs = list(zip(ours[receiver], without_strangers(theirs[receiver]), strict=False))
        assert len(pairs) >= 2, (ours[receiver], theirs[receiver])
        for (our_time, *our_words), (their_time, *their_words) in pairs:
            assert our_words == their_words, receiver
            assert abs(our_time - their_time) <= APART_S, receiver
