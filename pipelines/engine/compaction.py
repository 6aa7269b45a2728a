"""Journal -> sorted, unique Parquet by local day or month, with rollups; published by one manifest."""

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl

from pipelines.engine import cold
from pipelines.engine import manifest as manifests
from pipelines.engine.calendar import local_day, local_month
from pipelines.engine.cold import Pass
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import Entry, frames, number, rotten, segments, unpack
from pipelines.engine.manifest import Manifest, Part
from pipelines.engine.model import Table
from pipelines.engine.rollups import PLACES, Rollups
from pipelines.engine.tables import shaped, stamped

log = logging.getLogger("townboard")
PASS_BYTES = 24 << 20
# Readers may still hold the files of the manifest before; nobody reads a file for longer than this.
ORPHAN_AGE = timedelta(minutes=10)


def compact(
    folder: Path,
    tables: Iterable[Table],
    zone: str,
    pass_bytes: int = PASS_BYTES,
    *,
    sensors: pl.DataFrame | None = None,
) -> Manifest:
    """Merge every frame that is not compacted yet, a bounded number of bytes at a time, and publish after each pass.

    `sensors`: the register (sensor, quantity, ward); without it nothing is rolled up by ward and by value.
    Raises StoreError when the manifest is unreadable or another compaction runs here. Killed at any instant, the old
    or the new manifest stands.
    """
    known = {table.name: table for table in tables}
    with alone(folder):
        current = manifests.read(folder)
        while batch := _next(folder, current.applied_seq, pass_bytes):
            current = _Compaction(folder, known, zone, sensors).merge(current, batch)
    return current


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Held by one compaction at a time; a child that outlived its line must not meet the next one's."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "compaction.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(f"{folder} is being compacted already; nothing is to be done.") from error
        yield


def _next(folder: Path, applied: int, limit: int) -> list[tuple[int, list[Entry]]]:
    """The next frames after `applied`, up to about `limit` bytes."""
    found: list[tuple[int, list[Entry]]] = []
    size = 0
    present = segments(folder / "journal")
    starts = [number(path) for path in present]
    last = applied
    for path, following in zip(present, [*starts[1:], None], strict=True):
        if following is not None and following - 1 <= applied:
            continue
        raw, end = path.read_bytes(), 0
        for offset, seq, payload in frames(raw):
            end, last = offset, seq or last
            if seq is not None and seq > applied:
                found.append((seq, unpack(payload)))
                size += len(payload)
                if size >= limit:
                    return found
        if following is not None and end < len(raw) and following > last + 1:
            raise rotten(path, last)
    return found


@dataclass(frozen=True)
class _Compaction:
    folder: Path
    tables: Mapping[str, Table]
    zone: str
    sensors: pl.DataFrame | None

    def merge(self, current: Manifest, batch: list[tuple[int, list[Entry]]]) -> Manifest:
        """The manifest after these frames; it is published."""
        done = Pass(current.rev + 1, current.applied_seq, batch[-1][0])
        parts = {name: dict(partitions) for name, partitions in current.parts.items()}
        rows = _gathered(batch, self.tables)
        # The numbers of sensors come first: rollups by ward need them.
        for name in sorted(rows, key=lambda name: name != "series"):
            table, standing = self.tables[name], parts.setdefault(name, {})
            merged = _merged(self.folder, table, standing, rows[name], self.zone)
            for partition, frame in merged.items():
                place = f"cold/{name}/{partition}.{done.rev}.parquet"
                standing[partition] = cold.write(self.folder, place, frame, table, done)
            if name == "readings":
                Rollups(self.folder, self.zone, places(self.folder, parts, self.sensors)).roll(parts, merged, done)
        published = Manifest(done.rev, done.applied, parts, current.let_go, current.held_seq)
        _publish(self.folder, current, published)
        return published


def places(folder: Path, parts: Mapping[str, Mapping[str, Part]], sensors: pl.DataFrame | None) -> pl.DataFrame | None:
    """Which series measures what, and in which ward; None where the sensors are not known."""
    if sensors is None:
        return None
    numbered = [cold.read(folder / part.file) for part in parts.get("series", {}).values()]
    if not numbered:
        return pl.DataFrame(schema=PLACES)
    return pl.concat(numbered).join(sensors, on="sensor").select(list(PLACES)).cast(PLACES)


def _publish(folder: Path, before: Manifest, after: Manifest) -> None:
    """Replace the manifest; the files that it no longer names are stamped, as their last readers begin to leave now."""
    for file in before.files() - after.files():
        if (folder / file).exists():
            os.utime(folder / file)
    manifests.write(folder, after)


def _gathered(batch: list[tuple[int, list[Entry]]], tables: Mapping[str, Table]) -> dict[str, pl.DataFrame]:
    """All rows of a pass by table, the newest per key; of a whole data set only the last."""
    found: dict[str, list[pl.DataFrame]] = {}
    for _, entries in batch:
        for entry in entries:
            if entry.table in tables:
                rows = stamped(shaped(entry.rows, tables[entry.table]), entry.facts)
                if tables[entry.table].replaces:
                    found[entry.table] = [rows]
                else:
                    found.setdefault(entry.table, []).append(rows)
    return {
        name: pl.concat(rows).unique(tables[name].key, keep="last", maintain_order=True) for name, rows in found.items()
    }


def _merged(
    folder: Path, table: Table, standing: Mapping[str, Part], rows: pl.DataFrame, zone: str
) -> dict[str, pl.DataFrame]:
    """Partition -> all its rows after the new ones are in; only partitions that change."""
    if table.replaces:
        return {"all": rows}
    assert table.time is not None
    label = local_day(table.time, zone) if table.daily else _month(table, rows, zone)
    labelled = rows.with_columns(_part=label).partition_by("_part", as_dict=True, include_key=False)
    fresh = {str(key): part for (key,), part in labelled.items()}
    merged = {}
    moved = table.time not in table.key
    for partition in set(fresh) | (set(standing) if moved else set()):
        old = _standing(folder, standing[partition]) if partition in standing else None
        new = fresh.get(partition)
        if old is not None:
            kept = old.join(rows.select(table.key), on=list(table.key), how="anti")
            if new is None and kept.height == old.height:
                continue
            kept = shaped(kept, table)
            new = pl.concat([kept.select(rows.columns), new]) if new is not None else kept
        assert new is not None
        merged[partition] = new.sort(*table.key) if table.time in table.key else new.sort(table.time, *table.key)
    return merged


def _standing(folder: Path, part: Part) -> pl.DataFrame | None:
    """The rows of a file; None when it is damaged: it is set aside for whoever can mend it, and named."""
    path = folder / part.file
    words = manifests.fault(folder, part, whole=True)
    if words is None:
        return cold.read(path)
    log.error("%s; it was set aside, and its rows are missing until it is restored from a backup", words)
    if path.exists():
        aside = folder / "damaged" / part.file
        aside.parent.mkdir(parents=True, exist_ok=True)
        path.rename(aside)
    return None


def _month(table: Table, rows: pl.DataFrame, zone: str) -> pl.Expr:
    assert table.time is not None
    return local_month(table.time, zone, of_day=rows.schema[table.time] == pl.Date)


def sweep(folder: Path, now: datetime) -> int:
    """Delete files that no manifest names and that no reader can still hold; returns how many."""
    live, swept = manifests.read(folder).files(), 0
    for path in [*folder.glob("cold/*/*"), *folder.glob("roll/*/*")]:
        age = now.timestamp() - path.stat().st_mtime
        if str(path.relative_to(folder)) not in live and age > ORPHAN_AGE.total_seconds():
            path.unlink()
            swept += 1
    return swept
