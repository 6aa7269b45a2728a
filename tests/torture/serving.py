"""`app.py serve` on a town of its own: started, killed and looked at from outside, as a power cut and a clerk would."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pipelines.engine import line_client
from pipelines.engine.settings import Settings
from pipelines.engine.snapshot import Board
from tests.engine import small_town

ROOT = Path(__file__).resolve().parents[2]
APP = [sys.executable, str(ROOT / "app.py")]
PATIENCE_S = 60.0


class Serving:
    """One town that is served; what its processes say goes to `place`, `environment` is added to theirs."""

    def __init__(self, folder: Path, place: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.settings: Settings = small_town.read(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        # Compiled modules are kept beside the town, as a town's own installation keeps them.
        kept = {"PYTHONPYCACHEPREFIX": str(place / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        self._environment = {**os.environ, "POLARS_MAX_THREADS": "2", **kept, **(environment or {})}
        self.log = (place / "log.txt").open("ab")
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start the supervisor."""
        self.process = self.run("serve", "--port", str(self.port))

    def run(self, *words: str) -> subprocess.Popen:
        """One command of the town as a process of its own."""
        return subprocess.Popen(
            [*APP, "--town", str(self.folder), *words], cwd=ROOT, env=self._environment,
            stdout=self.log, stderr=self.log, start_new_session=True,
        )  # fmt: skip

    def doctor(self) -> str:
        """What `app.py doctor` says about the town."""
        words = [*APP, "--town", str(self.folder), "doctor"]
        done = subprocess.run(words, cwd=ROOT, env=self._environment, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def _children(self) -> list[int]:
        """Process ids of all children of the supervisor."""
        assert self.process is not None
        with suppress(OSError):
            return [
                int(pid)
                for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            ]
        return []

    def kill(self, name: str) -> bool:
        """SIGKILL the line or the web process; whether there was one."""
        for pid in self._children():
            with suppress(OSError):
                if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    os.kill(pid, signal.SIGKILL)
                    return True
        return False

    def cut(self) -> int:
        """What a power cut does: the supervisor and all its children are gone at once; how many died."""
        assert self.process is not None
        # Stopped first, so that it starts nothing between the look at its children and its end.
        self.process.send_signal(signal.SIGSTOP)
        until(lambda: _status(self.process.pid) in "TZ", 5)
        died = self._children()
        for pid in died:
            os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait(10)
        until(lambda: all(_status(pid) in "ZX" for pid in died), 10)
        return 1 + len(died)

    def line_serves(self) -> bool:
        """Whether the line answers on its socket."""
        knock = b"GET /alive HTTP/1.1\r\nHost: line\r\nConnection: close\r\n\r\n"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(2)
                line.connect(str(line_client.socket_path(self.settings)))
                line.sendall(knock)
                return b" 200 " in line.recv(100)
        except OSError:
            return False

    def web_serves(self) -> bool:
        """Whether people are answered."""
        return self._asked("/healthz") is not None

    def _asked(self, path: str) -> str | None:
        """The answer's text; None when there is no good one."""
        web = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            web.request("GET", path)
            answer = web.getresponse()
            return answer.read().decode() if answer.status == http.HTTPStatus.OK else None
        except (OSError, http.client.HTTPException):
            return None
        finally:
            web.close()

    def beats(self) -> int | None:
        """The number of the newest board; None where there is none."""
        snapshot = Board(self.settings.store / "run" / "board").look()
        return snapshot.seq if snapshot else None

    def metrics(self) -> dict[str, float] | None:
        """The ledger as /metrics shows it; None when there is no answer."""
        text = self._asked("/metrics")
        if text is None:
            return None
        found = {}
        for line in text.splitlines():
            if line.startswith("townboard_ledger_rows_total{"):
                name, _, number = line.partition("} ")
                found[name.partition('outcome="')[2].rstrip('"')] = float(number)
        return found or None

    def payloads(self, feed: str) -> float:
        """How many payloads of a feed the board counts."""
        for line in (self._asked("/metrics") or "").splitlines():
            if line.startswith("townboard_payloads_total{") and f'feed="{feed}"' in line:
                return float(line.rpartition(" ")[2])
        return 0.0

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(15)

    def close(self) -> None:
        """Leave nothing behind, however the torture ended."""
        if self.process is not None and self.process.poll() is None:
            self.cut()
        self.log.close()


def _status(pid: int) -> str:
    """One letter: R, S, T (stopped), Z (over); X when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def until(holds: Callable[[], object], seconds: float = PATIENCE_S) -> float | None:
    """Seconds until it holds; None when it does not within the time."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.05)
    return time.monotonic() - began
