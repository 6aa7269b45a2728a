"""What a new version changes, out of CHANGELOG.md: told to each administrator once, line by line."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipelines.engine import state_file

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"
CURSOR = "_news"


@dataclass(frozen=True)
class Section:
    """One version with what it has changed for those who use it."""

    version: str
    lines: tuple[str, ...]


def sections(text: str) -> list[Section]:
    """The versions of a change log, newest first; a line is an item of its list."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("## "):
            found.append((line.removeprefix("## ").strip(), []))
        elif line.startswith("- ") and found:
            found[-1][1].append(line.removeprefix("- ").strip())
        elif line.startswith("  ") and found and found[-1][1]:
            found[-1][1][-1] += " " + line.strip()
    return [Section(version, tuple(lines)) for version, lines in found]


def begin(store: Path, text: str | None = None) -> None:
    """A town that starts for the first time, or that has never noted it, knows all that is there."""
    path = store / "state.sqlite"
    if not state_file.read_cursor(path, CURSOR):
        state_file.keep_cursor(path, CURSOR, {"seen": _marks(_text(text))})


def unseen(store: Path, name: str, text: str | None = None) -> list[Section]:
    """What this person has not been told yet; nothing for a town that has not begun to note it."""
    path = store / "state.sqlite"
    known = state_file.read_cursor(path, f"{CURSOR}:{name}") or state_file.read_cursor(path, CURSOR)
    if not known:
        return []
    seen = set(known["seen"])
    fresh = [
        Section(one.version, tuple(line for line in one.lines if _mark(line) not in seen))
        for one in sections(_text(text))
    ]
    return [one for one in fresh if one.lines]


def read(store: Path, name: str, text: str | None = None) -> None:
    """This person was told all that is there."""
    state_file.keep_cursor(store / "state.sqlite", f"{CURSOR}:{name}", {"seen": _marks(_text(text))})


def _text(text: str | None) -> str:
    if text is not None:
        return text
    try:
        return CHANGELOG.read_text("utf-8")
    except OSError:
        return ""


def _marks(text: str) -> list[str]:
    return sorted({_mark(line) for line in _lines(sections(text))})


def _lines(found: Iterable[Section]) -> Iterable[str]:
    return (line for one in found for line in one.lines)


def _mark(line: str) -> str:
    return hashlib.blake2b(line.encode(), digest_size=6).hexdigest()
