"""What benchmarks ask of the machine: CPU time of a process, a free port, a quantile."""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, from /proc (user and system)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that `share` of the ordered ones do not exceed (nearest rank)."""
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered)) - 1))]


def memory(root: int) -> int:
    """Bytes of memory of a process and all that it has started, what they share counted once (PSS)."""
    return sum(map(share, family(root)))


def share(pid: int) -> int:
    """Bytes of memory of one process, of what it shares its part (PSS); none when it has ended meanwhile."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def family(pid: int) -> list[int]:
    """A process and all that it has started, and so on."""
    try:
        own = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        own = []
    return [pid, *(below for one in own for below in family(one))]
