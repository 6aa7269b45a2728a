"""Journal -> sorted, unique Parquet by local day or month, with rollups; published by one manifest."""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from pipelines.engine import manifest as manifests
from pipelines.engine.calendar import daily, earliest, hourly, latest, local_day, local_month
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import Entry, frames, number, rotten, segments, sync_folder, unpack
from pipelines.engine.manifest import Manifest, Part
from pipelines.engine.model import INSTANT, Table
from pipelines.engine.tables import shaped, stamped

PASS_BYTES = 24 << 20
# Readers may still hold the files of the manifest before; nobody reads a file for longer than this.
ORPHAN_AGE = timedelta(minutes=10)


def compact(folder: Path, tables: Iterable[Table], zone: str, pass_bytes: int = PASS_BYTES) -> Manifest:
    """Merge every frame that is not compacted yet, a bounded number of bytes at a time, and publish after each pass.

    Raises StoreError when the manifest is unreadable or another compaction runs here. Killed at any instant, the old
    or the new manifest stands.
    """
    known = {table.name: table for table in tables}
    with alone(folder):
        current = manifests.read(folder)
        while batch := _next(folder, current.applied_seq, pass_bytes):
            current = _pass(folder, known, zone, current, batch)
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


def _pass(
    folder: Path, tables: Mapping[str, Table], zone: str, current: Manifest, batch: list[tuple[int, list[Entry]]]
) -> Manifest:
    rev, parts = current.rev + 1, {name: dict(partitions) for name, partitions in current.parts.items()}
    for name, rows in _gathered(batch, tables).items():
        table, standing = tables[name], parts.setdefault(name, {})
        for partition, merged in _merged(folder, table, standing, rows, zone).items():
            # Of a day whose readings have been let go the rollup is all there is: a late row must not replace it.
            rolls = name == "readings" and (partition in standing or partition not in parts.get("roll_hourly", {}))
            standing[partition] = write(folder, f"cold/{name}/{partition}.{rev}.parquet", merged, table)
            if rolls:
                _roll(folder, parts, partition, rev, merged, zone)
    published = Manifest(rev, batch[-1][0], parts)
    manifests.write(folder, published)
    return published


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
    label = local_day(table.time, zone) if table.name == "readings" else _month(table, rows, zone)
    labelled = rows.with_columns(_part=label).partition_by("_part", as_dict=True, include_key=False)
    fresh = {str(key): part for (key,), part in labelled.items()}
    merged = {}
    moved = table.time not in table.key
    for partition in set(fresh) | (set(standing) if moved else set()):
        old = pl.read_parquet(folder / standing[partition].file) if partition in standing else None
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


def _month(table: Table, rows: pl.DataFrame, zone: str) -> pl.Expr:
    assert table.time is not None
    return local_month(table.time, zone, of_day=rows.schema[table.time] == pl.Date)


def _roll(
    folder: Path, parts: dict[str, dict[str, Part]], day: str, rev: int, readings: pl.DataFrame, zone: str
) -> None:
    """Recompute the rollups of one local day as a unit."""
    hours = hourly(readings, zone)
    for grain, frame in (("hourly", hours), ("daily", daily(hours, zone))):
        parts.setdefault(f"roll_{grain}", {})[day] = write(folder, f"roll/{grain}/{day}.{rev}.parquet", frame, None)


def write(folder: Path, name: str, frame: pl.DataFrame, table: Table | None) -> Part:
    """Write one Parquet file beside, make it durable and rename it into place."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    times = [column for column, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    pq.write_table(
        frame.to_arrow(compat_level=pl.CompatLevel.oldest()),
        beside,
        compression="zstd",
        row_group_size=122_880,
        use_dictionary=[column for column in frame.columns if column not in times],
        column_encoding=dict.fromkeys(times, "DELTA_BINARY_PACKED"),
    )
    with beside.open("rb+") as file:
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)
    at = (table.time if table else "observed_at") or ""
    if not at:
        return Part(name, frame.height, None, None)
    instants = frame[at].cast(INSTANT) if frame.schema[at] == pl.Date else frame[at]
    return Part(name, frame.height, earliest(instants), latest(instants))


def sweep(folder: Path, now: datetime) -> int:
    """Delete files that no manifest names and that no reader can still hold; returns how many."""
    live, swept = manifests.read(folder).files(), 0
    for path in [*folder.glob("cold/*/*"), *folder.glob("roll/*/*")]:
        age = now.timestamp() - path.stat().st_mtime
        if str(path.relative_to(folder)) not in live and age > ORPHAN_AGE.total_seconds():
            path.unlink()
            swept += 1
    return swept
