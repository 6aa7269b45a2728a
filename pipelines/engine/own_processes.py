"""The processes of this town on this computer: how much memory and processor time each has, from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

SUPERVISORS = ("serve", "demo")
NAMES = (*SUPERVISORS, "line", "web", "pages")
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


def running(town: Path, proc: Path = Path("/proc")) -> list[Process]:
    """Those that run for a town, whoever asks."""
    pids = [int(path.name) for path in proc.iterdir() if path.name.isdigit()]
    ours = [pid for pid in pids if _name(proc, pid) is not None and str(town) in _words(proc, pid)]
    return [process for pid in sorted(ours) if (process := _process(proc, pid)) is not None]


def _siblings(proc: Path, own: int) -> list[int]:
    try:
        parent = int((proc / str(own) / "stat").read_text().rpartition(")")[2].split()[1])
        children = (proc / str(parent) / "task" / str(parent) / "children").read_text().split()
    except (OSError, ValueError, IndexError):
        return []
    return [parent, *map(int, children)] if _name(proc, parent) in SUPERVISORS else []


def _words(proc: Path, pid: int) -> list[str]:
    """The command line from app.py on; empty where it is none of ours."""
    try:
        words = (proc / str(pid) / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
    except OSError:
        return []
    at = next((place for place, word in enumerate(words) if word.endswith("app.py")), None)
    return words[at:] if at is not None and Path(words[0]).name.startswith("python") else []


def _name(proc: Path, pid: int) -> str | None:
    """Which of our processes it is; without a command app.py serves, with another one it is none of them."""
    words = _words(proc, pid)
    if not words:
        return None
    rest = words[3:] if words[1:2] == ["--town"] else words[1:]
    return "serve" if not rest else rest[0] if rest[0] in NAMES else None


def _process(proc: Path, pid: int) -> Process | None:
    name = _name(proc, pid) or ("web" if pid == os.getpid() else None)
    try:
        fields = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if name is None:
        return None
    return Process(name, int(fields[RESIDENT]) * PAGE, (int(fields[USER]) + int(fields[SYSTEM])) * TICK_S)
