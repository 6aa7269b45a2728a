"""The supervisor's children: none outlives it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines.engine.supervise import Child, Mark

ROOT = Path(__file__).resolve().parents[2]
PARENT = (
    "import time; from pipelines.engine.supervise import Child; "
    "child = Child('idle', ['sleep', '60']); child.start(); print(child.process.pid, flush=True); time.sleep(60)"
)


def gone(pid: int) -> bool:
    """Whether nothing runs under this number any more; one that nobody has buried yet does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_a_child_ends_when_its_supervisor_is_killed() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert not gone(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait(10)
    parent.stdout.close()
    until = time.monotonic() + 10
    while not gone(child) and time.monotonic() < until:
        threading.Event().wait(0.02)
    assert gone(child)


def test_a_child_that_is_wanted_at_times_is_started_and_ended_by_it() -> None:
    wanted = [False]
    child = Child("pages", ["sleep", "60"], wanted=lambda: wanted[0])
    child.watch()
    assert child.process is None
    wanted[0] = True
    child.watch()
    process = child.process
    assert process is not None and process.poll() is None
    wanted[0] = False
    child.watch()
    assert process.wait(10) == -signal.SIGTERM
    child.watch()
    assert child.process is None


def test_a_mark_is_lately_for_so_long_after_it_was_touched_while_it_was_watched(tmp_path: Path) -> None:
    path, now = tmp_path / "crowd", [50.0]
    path.touch()
    mark = Mark(path, 600.0, lambda: now[0])
    assert not mark.lately()
    os.utime(path, ns=(1, 1))
    assert mark.lately()
    now[0] += 599.0
    assert mark.lately()
    os.utime(path, ns=(2, 2))
    assert mark.lately()
    now[0] += 601.0
    assert not mark.lately()
