"""town.toml while it is read: where each key stands, what is wrong with it, and the forms that values may have."""

import difflib
import math
import os
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

UNITS = {
    "s": 1,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "day": 86400,
    "days": 86400,
    "year": 366 * 86400,
    "years": 366 * 86400,
}
DURATION = re.compile(rf"\s*(\d+(?:\.\d+)?)\s*({'|'.join(UNITS)})\s*\Z")


class Document:
    """One town.toml while it is read: collects mistakes with the line they stand on."""

    def __init__(self, path: Path) -> None:
        self.shown = shown_path(path)
        self.lines = path.read_text("utf-8-sig").splitlines()
        self.mistakes: list[str] = []

    def line(self, section: str, key: str | None) -> int:
        """The line of a key in a section, or of the section, or 1."""
        start = 0
        if section:
            header = re.compile(rf"\s*\[\[?\s*{re.escape(section)}\s*\]")
            start = next((n for n, text in enumerate(self.lines, 1) if header.match(text)), 0)
        if key is None:
            return max(start, 1)
        for number, text in enumerate(self.lines[start:], start + 1):
            if text.lstrip().startswith("[") and number > start + 1:
                break
            if re.match(rf'\s*"?{re.escape(key)}"?\s*=', text):
                return number
        below = re.compile(rf"\s*\[\s*{re.escape(f'{section}.{key}' if section else key)}\s*[.\]]")
        return next((n for n, text in enumerate(self.lines, 1) if below.match(text)), max(start, 1))

    def wrong(self, section: str, key: str | None, words: str) -> None:
        """Note a mistake."""
        place = f"[{section}]: " if section else ""
        self.mistakes.append(f"{self.shown}, line {self.line(section, key)}, {place}{words}")

    def unknown(self, section: str, key: str, allowed: Iterable[str], at: str | None = None) -> None:
        """Note a name that nobody knows, with what exists; `at` is the setting that it is the value of."""
        names = sorted(allowed)
        near = difflib.get_close_matches(key, names, 1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        self.wrong(section, at or key, f"`{key}` is not known here.{hint} Known are: {', '.join(names)}.")


def shown_path(path: Path) -> str:
    """The path as the clerk knows it: relative to where the command was given, when that is shorter."""
    try:
        return os.path.relpath(path) if not os.path.relpath(path).startswith("..") else str(path)
    except ValueError:
        return str(path)


def duration(value: Any) -> timedelta:
    """A duration from text such as "30 s", "15 min", "1 h", "1 d".

    Raises ValueError with what is allowed.
    """
    match = DURATION.match(value) if isinstance(value, str) else None
    if not match or float(match[1]) <= 0:
        raise ValueError(f'{value!r} is no duration; write a number and s, min, h, d or years, for example "15 min"')
    try:
        return timedelta(seconds=float(match[1]) * UNITS[match[2]])
    except OverflowError as error:
        raise ValueError(f"{value!r} is no duration; nobody waits that long") from error


def choice(
    document: Document, section: str, raw: Mapping[str, Any], key: str, allowed: Iterable[str], default: str | None
) -> str:
    value = raw.get(key, default)
    if value not in tuple(allowed):
        document.wrong(section, key, f"`{key} = {value!r}`: choose one of {', '.join(allowed)}.")
        return default or next(iter(allowed))
    return value


def number(document: Document, section: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        document.wrong(
            section,
            key,
            f"`{key} = {value!r}` is not a number. Write it without a sign or unit, for example `{key} = 40`.",
        )
        return 0.0
    return float(value)
