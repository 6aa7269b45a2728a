"""The processes of this town on this computer: how much memory and processor time each has, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

NAMES = ("serve", "line", "web", "pages")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Fields behind the name in /proc/<pid>/stat.
USER, SYSTEM, RESIDENT = 11, 12, 21


@dataclass(frozen=True)
class Process:
    """One of them: resident bytes, processor seconds since its start."""

    name: str
    resident: int
    cpu_s: float


def processes(proc: Path = Path("/proc"), own: int | None = None) -> list[Process]:
    """Those that our supervisor has started and itself, else this one alone; none where there is no /proc."""
    own = own or os.getpid()
    family = [process for pid in _siblings(proc, own) if (process := _process(proc, pid)) is not None]
    alone = _process(proc, own)
    return family or ([alone] if alone else [])


def _siblings(proc: Path, own: int) -> list[int]:
    try:
        parent = int((proc / str(own) / "stat").read_text().rpartition(")")[2].split()[1])
        children = (proc / str(parent) / "task" / str(parent) / "children").read_text().split()
    except (OSError, ValueError, IndexError):
        return []
    return [parent, *map(int, children)] if _name(proc, parent) == "serve" else []


def _name(proc: Path, pid: int) -> str | None:
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    if not any(word.endswith("app.py") for word in words):
        return None
    # The first word that is a command; without one app.py serves.
    return next((word for word in words if word in NAMES), "serve")


def _process(proc: Path, pid: int) -> Process | None:
    name = _name(proc, pid) or ("web" if pid == os.getpid() else None)
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if name is None:
        return None
    return Process(name, int(fields[RESIDENT]) * PAGE, (int(fields[USER]) + int(fields[SYSTEM])) * TICK_S)
