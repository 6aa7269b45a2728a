"""One core for a thread and Polars' worker, so that thousands of small steps are handed over without waking another.

Each step of a KPI is handed to Polars' worker and waited for. When the two sit on different cores, every hand-over
wakes a core that has gone to sleep: on a small virtual machine a third of a beat is spent on that (decision 22).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

WORKER = "polars-"
TASKS = Path("/proc/self/task")


@contextmanager
def beside_polars() -> Iterator[None]:
    """Keep the calling thread on one core with Polars' worker; on a system that cannot do that it goes where it likes.

    Several workers are left alone: they were asked for so that they work at once.
    """
    workers = _workers()
    allowed = os.sched_getaffinity(0) if len(workers) == 1 else set()
    if len(allowed) < 2:
        yield
        return
    core = {max(allowed)}
    os.sched_setaffinity(workers[0], core)
    os.sched_setaffinity(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@cache
def _workers() -> list[int]:
    """The numbers of Polars' worker threads, which start with its first work; empty where they cannot be told."""
    found = []
    for task in TASKS.glob("*/comm") if hasattr(os, "sched_setaffinity") else ():
        try:
            if task.read_text().startswith(WORKER):
                found.append(int(task.parent.name))
        except OSError:
            continue
    return found
