"""Starts the line and the web process, watches both, and starts again what has died."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine.heralding import Herald

log = logging.getLogger("townboard")
APP = Path(__file__).resolve().parents[2] / "app.py"
# Of a process that works beside the others and must not hold them up: whoever sends or watches goes first.
NICE = 10
LOOK_S = 0.2
# A process that dies young is started again after a pause that doubles up to this.
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 10.0
YOUNG_S = 20.0
GRACE_S = 5.0
# A process that makes pages for a crowd is there from the crowd on until so long after it: it takes 150 MB or more.
CROWD_LASTS_S = 600.0
# Allocators keep what was let go for later use: glibc in an arena for each thread, Arrow in a pool of its own, Polars
# (jemalloc) for ten seconds and until it is next asked. A town's memory is needed by others. What glibc may keep is
# what a payload takes while it is read: pages that are given back and fetched anew each time cost a third of a flood.
MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": "8388608",
    "MALLOC_MMAP_THRESHOLD_": "2097152",
    "MALLOC_ARENA_MAX": "2",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true",
}
# prctl(2) of Linux: the signal that a process gets when the one that started it has died.
PARENT_DEATH = 1
LIBC = ctypes.CDLL(None)


def always() -> bool:
    """A process that is wanted as long as the supervisor runs."""
    return True


def crowd_mark(store: Path) -> Path:
    """The file that the web process touches while a crowd asks for pages."""
    return store / "run" / "crowd"


class Mark:
    """A file that another process touches, looked at again and again."""

    def __init__(self, path: Path, lasts_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._lasts_s, self._clock = path, lasts_s, clock
        self._seen, self._until = self._touched(), clock()

    def lately(self) -> bool:
        """Whether it was touched since the last look, or so many seconds ago at most."""
        touched = self._touched()
        if touched != self._seen:
            self._seen, self._until = touched, self._clock() + self._lasts_s
        return self._clock() < self._until

    def _touched(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except OSError:
            return 0


def command(town: Path, name: str) -> list[str]:
    """The command line of one of our own processes."""
    return [sys.executable, str(APP), "--town", str(town), name]


def beside(arguments: list[str], longest_s: float) -> "subprocess.CompletedProcess[str]":
    """What became of a command that may use time which the one who waits for it must not."""
    return subprocess.run(
        arguments, check=False, capture_output=True, text=True, timeout=longest_s, preexec_fn=lambda: os.nice(NICE)
    )


@dataclass
class Child:
    """One process under watch, for as long as it is `wanted`."""

    name: str
    command: list[str]
    nice: int = 0
    wanted: Callable[[], bool] = always
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
        """Start it when it is wanted and not there, or has died; end it when it is wanted no more."""
        if not self.wanted():
            if self.process is not None:
                self.process.terminate()
                if self.process.poll() is not None:
                    self.process = None
            return
        if self.process is not None and self.process.poll() is not None:
            age = time.monotonic() - self.started
            self.pause = 0.0 if age > YOUNG_S else self._longer(self.process.returncode)
            self.restart_at = time.monotonic() + self.pause
            log.warning("the %s process ended with %d; it is started again.", self.name, self.process.returncode)
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
        listening = ["--host", host, "--port", str(port), "--prefix", prefix]
        crowd = Mark(crowd_mark(town / "store"), CROWD_LASTS_S)
        pages = Child("pages", [*command(town, "pages"), *listening], NICE, crowd.lately)
        web = Child("web", [*command(town, "web"), *listening])
        self.children = [Child("line", command(town, "line")), web, pages, *extra]
        self._herald = Herald(town / "store" / "run" / "board", (host, port))
        self._stopping = False

    def run(self) -> int:
        """Watch until SIGTERM or SIGINT; then stop all within five seconds."""
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._stop)
        while not self._stopping:
            self._herald.look()
            for child in self.children:
                if not self._stopping:
                    child.watch()
            time.sleep(LOOK_S)
        self._end()
        return 0

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _end(self) -> None:
        self._herald.stopping()
        running = [child.process for child in self.children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + GRACE_S - 0.5
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
