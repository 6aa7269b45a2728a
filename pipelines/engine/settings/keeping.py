"""[backup] and [retention] of town.toml: where copies of the town go, and for how long each class of rows is kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.model import RETENTION, Table
from pipelines.engine.rollups import NAMES as ROLLUPS
from pipelines.engine.settings.document import Document, duration

BACKUP_KEYS = {"to", "every", "keep"}
FOR_EVER = "for ever"
# KPIs of a month need its readings, and a clerk comes back from holiday.
SHORTEST = timedelta(days=31)
# What is published stays, and the numbers of sensors stand in every reading.
NEVER_DROPPED = ("values", "register")


@dataclass(frozen=True)
class BackupPlan:
    """Where the town is copied to, how often, and how many copies stay there."""

    to: Path
    every: timedelta
    keep: int


def read_backup(document: Document, raw: Mapping[str, Any], town: Path) -> BackupPlan | None:
    """The plan of [backup]; None where the town has none."""
    if not raw:
        return None
    for key in set(raw) - BACKUP_KEYS:
        document.unknown("backup", key, BACKUP_KEYS)
    to, keep, every = raw.get("to"), raw.get("keep", 7), timedelta(days=1)
    if not isinstance(to, str) or not to.strip():
        document.wrong("backup", "to", 'name a folder on another disk, for example `to = "/media/usb/townboard"`.')
        to = "."
    if not isinstance(keep, int) or isinstance(keep, bool) or keep < 1:
        document.wrong("backup", "keep", f"`keep = {keep!r}` must be a whole number above 0, for example `keep = 7`.")
        keep = 7
    try:
        every = duration(raw.get("every", "1 day"))
    except ValueError as error:
        document.wrong("backup", "every", f"`every`: {error}.")
    return BackupPlan(town / to, every, keep)


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
