"""`app.py serve` on a town of its own: started, killed and looked at from outside, as a power cut and a clerk would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx

from pipelines.engine import local
from pipelines.engine.settings import Settings
from tests.engine import small_town

ROOT = Path(__file__).resolve().parents[2]
APP = [sys.executable, str(ROOT / "app.py")]
PATIENCE_S = 60.0


class Serving:
    """One town that is served; `environment` is added to that of its processes."""

    def __init__(self, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.settings: Settings = small_town.read(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        # Compiled modules are kept beside the town, as a town's own installation keeps them.
        kept = {"PYTHONPYCACHEPREFIX": str(folder.parent / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        self._environment = {**os.environ, "POLARS_MAX_THREADS": "2", **kept, **(environment or {})}
        self.log = (folder.parent / "log.txt").open("ab")
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

    def child(self, name: str) -> int | None:
        """The process id of the line or the web process."""
        assert self.process is not None
        with suppress(OSError):
            for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                with suppress(OSError):
                    if name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                        return int(pid)
        return None

    def kill(self, name: str) -> bool:
        """SIGKILL the line or the web process; whether there was one."""
        pid = self.child(name)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        return True

    def cut(self) -> int:
        """What a power cut does: the supervisor and all its children are gone at once; how many died."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        died = 1 + self.kill("line") + self.kill("web")
        self.process.kill()
        self.process.wait(10)
        return died

    def line_serves(self) -> bool:
        """Whether the line answers."""
        return local.alive(self.settings)

    def web_serves(self) -> bool:
        """Whether people are answered."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def metrics(self) -> dict[str, float] | None:
        """The ledger as /metrics shows it; None when there is no answer."""
        try:
            text = httpx.get(f"{self.url}/metrics", timeout=5).text
        except httpx.TransportError:
            return None
        found = {}
        for line in text.splitlines():
            if line.startswith("townboard_ledger_rows_total{"):
                name, _, number = line.partition("} ")
                found[name.partition('outcome="')[2].rstrip('"')] = float(number)
        return found or None

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


def until(holds: Callable[[], object], seconds: float = PATIENCE_S) -> float | None:
    """Seconds until it holds; None when it does not within the time."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.02)
    return time.monotonic() - began
