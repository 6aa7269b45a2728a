"""[backup] and [retention] of town.toml: where copies of the town go, and for how long each class of rows is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipelines.engine.model import RETENTION, Table
from pipelines.engine.rollups import NAMES as ROLLUPS
from pipelines.engine.settings.document import Document, duration

BACKUP_KEYS = {"to", "every", "keep", "weekly", "monthly", "second", "key_file"}
COUNTS = {"keep": (7, 1), "weekly": (4, 0), "monthly": (12, 0)}
SECOND_SCHEMES = ("sftp", "rsync", "ssh+rsync")
FOR_EVER = "for ever"
# KPIs of a month need its readings, and a clerk comes back from holiday.
SHORTEST = timedelta(days=31)
# What is published stays, and the numbers of sensors stand in every reading.
NEVER_DROPPED = ("values", "register")


@dataclass(frozen=True)
class BackupPlan:
    """Where the town is copied to, how often, which copies stay, and the second place that the newest goes to."""

    to: Path
    every: timedelta
    keep: int
    weekly: int = 0
    monthly: int = 0
    # A folder, or an address of another computer; with the key or password file that opens it.
    second: str | None = None
    key_file: Path | None = None


def read_backup(document: Document, raw: Mapping[str, Any], town: Path) -> BackupPlan | None:
    """The plan of [backup]; None where the town has none."""
    if not raw:
        return None
    for key in set(raw) - BACKUP_KEYS:
        document.unknown("backup", key, BACKUP_KEYS)
    to, every = raw.get("to"), timedelta(days=1)
    if not isinstance(to, str) or not to.strip():
        document.wrong("backup", "to", 'name a folder on another disk, for example `to = "/media/usb/townboard"`.')
        to = "."
    try:
        every = duration(raw.get("every", "1 day"))
    except ValueError as error:
        document.wrong("backup", "every", f"`every`: {error}.")
    counts = {key: _count(document, key, raw.get(key, usual), least) for key, (usual, least) in COUNTS.items()}
    key_file = raw.get("key_file")
    if key_file is not None and not (isinstance(key_file, str) and (town / key_file).is_file()):
        document.wrong("backup", "key_file", f"`key_file = {key_file!r}`: there is no such file.")
        key_file = None
    return BackupPlan(
        town / to, every, **counts, second=_second(document, raw.get("second"), town),
        key_file=town / key_file if key_file else None,
    )  # fmt: skip


def _count(document: Document, key: str, value: Any, least: int) -> int:
    """How many copies of a kind stay."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    above = "above 0" if least else "from 0 on"
    document.wrong("backup", key, f"`{key} = {value!r}` must be a whole number {above}, for example `{key} = 7`.")
    return COUNTS[key][0]


def _second(document: Document, value: Any, town: Path) -> str | None:
    """The second place: an absolute folder, or an address as it was written."""
    if value is None:
        return None
    if isinstance(value, str) and value.strip():
        found = urlsplit(value)
        if not found.scheme:
            return str(town / value)
        if found.scheme in SECOND_SCHEMES and found.hostname and not found.password:
            return value
    document.wrong(
        "backup", "second", f'`second = {value!r}`: name a folder ("/mnt/share/townboard") or another computer '
        '("sftp://townboard@nas.example/backups", "ssh+rsync://townboard@nas.example/backups", '
        '"rsync://nas.example/backups"). A key or a password stands in a file: `key_file`.',
    )  # fmt: skip
    return None


def read_retention(document: Document, raw: Mapping[str, Any], tables: Iterable[Table]) -> dict[str, timedelta]:
    """Table or rollup -> how long its rows are kept; what is kept for ever is not in it."""
    known = {table.name: table for table in tables if not table.replaces and table.retention not in NEVER_DROPPED}
    classes = {*RETENTION} - {*NEVER_DROPPED}
    own: dict[str, timedelta | None] = {}
    for key, value in raw.items():
        if key in known or key in classes:
            own[key] = _span(document, key, value)
        else:
            document.unknown("retention", key, {*known, *classes})
    kept = {name: own.get(name, own.get(table.retention, RETENTION[table.retention])) for name, table in known.items()}
    rollups = own.get("rollups", RETENTION["rollups"])
    if rollups is not None and (kept.get("readings") is None or rollups < (kept["readings"] or rollups)):
        document.wrong(
            "retention", "rollups", "rollups must be kept at least as long as the readings they are made of."
        )
    kept |= dict.fromkeys(ROLLUPS, rollups)
    return {name: span for name, span in kept.items() if span is not None}


def _span(document: Document, key: str, value: Any) -> timedelta | None:
    if value == FOR_EVER:
        return None
    try:
        span = duration(value)
    except ValueError as error:
        document.wrong("retention", key, f'`{key}`: {error}, or "{FOR_EVER}".')
        return None
    if span < SHORTEST:
        document.wrong("retention", key, f'`{key} = "{value}"`: keep rows at least {SHORTEST.days} d.')
    return span
