"""Who else works on the machine: a restart is slow by our fault only where nobody took the processors from it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
CORES = os.cpu_count() or 1
# user, nice, system, irq, softirq and steal of /proc/stat.
BUSY = (1, 2, 3, 6, 7, 8)


@dataclass(frozen=True)
class Moment:
    """A moment: the clock, what all processors have worked since the machine was started, what we have."""

    at_s: float
    busy_s: float
    own_s: float

    def others_share(self, until: "Moment") -> float:
        """The share of all processors that others took between two moments."""
        wall = max(until.at_s - self.at_s, 1e-3)
        foreign = (until.busy_s - self.busy_s) - (until.own_s - self.own_s)
        return min(1.0, max(0.0, foreign / (wall * CORES)))


def now() -> Moment:
    """This moment."""
    return Moment(time.monotonic(), _busy_s(), _own_s())


def _busy_s() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[place]) for place in BUSY if place < len(fields)) * TICK_S


def _own_s() -> float:
    """Processor time of this process and all below it, those that have ended and were waited for among them."""
    parents, spent = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid] = int(fields[1])
        spent[pid] = sum(map(int, fields[11:15]))
    return sum(ticks for pid, ticks in spent.items() if _ours(pid, parents)) * TICK_S


def _ours(pid: int, parents: dict[int, int]) -> bool:
    while pid > 1 and pid != os.getpid():
        pid = parents.get(pid, 0)
    return pid == os.getpid()
