"""A process that does nothing but tell of alarms, to be killed at any instant: `python -m tests.scenarios.outbox DIR N`."""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pipelines.engine.delivery.channels import Channel
from pipelines.engine.delivery.desk import Delivery
from pipelines.engine.delivery.messages import Speaker
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.plan import Plan, Receiver
from pipelines.engine.delivery.rota import Rota
from pipelines.engine.delivery.routes import Route
from pipelines.engine.state import State
from pipelines.engine.state_delivery import Post, read_newest

ROOT = Path(__file__).resolve().parents[2]
BEGAN = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)
LOOK_EVERY_S = 0.1


def alarms(count: int) -> list[Notice]:
    """So many that ring at once, each of a group of its own."""
    return [
        Notice(
            id=f"tank_low|T{number}", title="A tank runs empty", where=f"T{number}", since=BEGAN,
            labels={"alarm": "tank_low", "domain": "water", "priority": "critical", "asset": f"T{number}"},
        )
        for number in range(count)
    ]  # fmt: skip


def desk(folder: Path, hook: str) -> Delivery:
    """The delivery of a town that tells by text message and by webhook."""
    channels = {
        "sms": Channel(name="sms", kind="sms_spool", folder=folder / "spool"),
        "hook": Channel(name="hook", kind="webhook", url=hook),
    }
    plan = Plan(
        root=Route(key="r", receiver="room", group_by=("asset",), group_wait=timedelta(0)),
        receivers={"room": Receiver(name="room", to=(("sms", "+91"), ("hook", "")))}, channels=channels,
    )  # fmt: skip
    nobody = Rota((), frozenset(), {}, "UTC")
    return Delivery(plan, nobody, Speaker("Nadipur", "UTC", ""), Post(State(folder / "state.sqlite")))


def work(delivery: Delivery, count: int, clock: Callable[[], datetime], turns: int | None = None) -> None:
    """Look and send, again and again."""
    known = alarms(count)
    while turns is None or turns:
        delivery.look(known, clock())
        delivery.send(clock)
        turns = None if turns is None else turns - 1
        time.sleep(LOOK_EVERY_S)


class Hook(BaseHTTPRequestHandler):
    """Notes the key of everything that is posted."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def hooked() -> Iterator[tuple[str, list[str]]]:
    """A webhook's address, and the keys that reach it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.keys = []  # type: ignore[attr-defined]
    # Whoever is killed leaves its connections broken.
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.keys  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()


def killed(folder: Path, address: str, count: int, kills: int, seed: int) -> int:
    """Run the process until every message is sent, killing it so many times; gives how often it was killed."""
    command = [sys.executable, "-m", "tests.scenarios.outbox", str(folder), str(count), address]
    chance, done, until = random.Random(seed), 0, time.monotonic() + 120
    while True:
        process = subprocess.Popen(command, cwd=ROOT)
        spool, state = folder / "spool", folder / "state.sqlite"
        before = len(list(spool.glob("*.sms")))
        # Killed while it works: behind the next file, in the midst of the rest.
        ahead = before + 1 + chance.randrange(max(1, count // kills))
        while time.monotonic() < until:
            assert process.poll() is None, f"it ended by itself with {process.returncode}"
            if done < kills and len(list(spool.glob("*.sms"))) >= min(ahead, count):
                threading.Event().wait(chance.random() * 0.03)
                break
            sent = read_newest(state, 2 * count)
            if done >= kills and len(sent) == 2 * count and not any(letter.open for letter in sent):
                process.kill()
                process.wait()
                return done
            threading.Event().wait(0.01)
        process.kill()
        process.wait()
        done += 1
        assert time.monotonic() < until, "the messages were not sent in time"


if __name__ == "__main__":
    place, number, address = sys.argv[1:4]
    work(desk(Path(place), address), int(number), lambda: datetime.now(UTC))
