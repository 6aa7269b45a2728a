"""Starts the line and the web process, watches both, and starts again what has died."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

APP = Path(__file__).resolve().parents[2] / "app.py"
LOOK_S = 0.2
# A process that dies young is started again after a pause that doubles up to this.
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
YOUNG_S = 20.0
GRACE_S = 5.0
# Whoever sends or watches goes before whoever waits for a page or a table.
PAGES_NICE = 10
# Allocators keep what was let go for later use: glibc in an arena for each thread, Arrow in a pool of its own, Polars
# (jemalloc) for ten seconds and until it is next asked. A town's memory is needed by others.
MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true",
}
# prctl(2) of Linux: the signal that a process gets when the one that started it has died.
PARENT_DEATH = 1
LIBC = ctypes.CDLL(None)


@dataclass
class Child:
    """One process under watch."""

    name: str
    command: list[str]
    nice: int = 0
    process: subprocess.Popen | None = None
    started: float = 0.0
    pause: float = 0.0
    restart_at: float = 0.0

    def start(self) -> None:
        """Start it."""
        # The supervisor has one thread only, so nothing can be held at the moment of the fork.
        self.process = subprocess.Popen(
            self.command, env=MEMORY | os.environ, start_new_session=True, preexec_fn=self._begin  # noqa: PLW1509
        )  # fmt: skip
        self.started = time.monotonic()

    def _begin(self) -> None:
        _end_with_parent()
        os.nice(self.nice)

    def watch(self) -> None:
        """Start it again when it has died."""
        if self.process is not None and self.process.poll() is not None:
            age = time.monotonic() - self.started
            self.pause = 0.0 if age > YOUNG_S else self._longer(self.process.returncode)
            self.restart_at = time.monotonic() + self.pause
            words = f"the {self.name} process ended with {self.process.returncode}; it is started again"
            print(f"Townboard: {words}.", file=sys.stderr, flush=True)
            self.process = None
        if self.process is None and time.monotonic() >= self.restart_at:
            self.start()

    def _longer(self, status: int) -> float:
        """The pause after an early death: what was killed from outside has no fault that a longer one could outlast."""
        return (
            SHORTEST_PAUSE_S
            if status == -signal.SIGKILL
            else min(LONGEST_PAUSE_S, max(SHORTEST_PAUSE_S, self.pause * 2))
        )


def _end_with_parent() -> None:
    """A child whose supervisor was killed ends too: else it would keep lock and port from the next start."""
    if hasattr(LIBC, "prctl"):
        LIBC.prctl(PARENT_DEATH, signal.SIGTERM)


class Supervisor:
    """`app.py serve`: line and web under one parent that does nothing else."""

    def __init__(self, town: Path, host: str, port: int, prefix: str = "/", extra: tuple[Child, ...] = ()) -> None:
        base = [sys.executable, str(APP), "--town", str(town)]
        listening = ["--host", host, "--port", str(port), "--prefix", prefix]
        pages = Child("pages", [*base, "pages", *listening], nice=PAGES_NICE)
        self.children = [Child("line", [*base, "line"]), Child("web", [*base, "web", *listening]), pages, *extra]
        self._stopping = False

    def run(self) -> int:
        """Watch until SIGTERM or SIGINT; then stop all within five seconds."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._stop)
        for child in self.children:
            child.start()
        while not self._stopping:
            time.sleep(LOOK_S)
            for child in self.children:
                if not self._stopping:
                    child.watch()
        self._end()
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _end(self) -> None:
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_S - 0.5
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
