"""Rows that have been kept long enough leave the manifest, whole Parquet files at a time; rollups and values stay."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.engine import compaction
from pipelines.engine import manifest as manifests
from pipelines.engine.manifest import Part


def run(store: Path, kept: Mapping[str, timedelta], now: datetime) -> int:
    """Take the files out of the manifest whose newest row is older than their table is kept; gives their rows.

    Only what is compacted can go: the journal is never touched. The files themselves follow with the next sweep, when
    no reader can hold the manifest that named them.
    Raises StoreError while a compaction runs; the next run does it.
    """
    with compaction.alone(store):
        current = manifests.read(store)
        going = {
            table: {name: part for name, part in parts.items() if _is_over(part, kept.get(table), now)}
            for table, parts in current.parts.items()
        }
        if not any(going.values()):
            return 0
        staying = {
            table: {name: part for name, part in parts.items() if name not in going[table]}
            for table, parts in current.parts.items()
        }
        gone = [part for parts in going.values() for part in parts.values()]
        for part in gone:
            # A sweep goes by a file's age: from now on nobody new opens this one.
            with suppress(OSError):
                os.utime(store / part.file, (now.timestamp(), now.timestamp()))
        let_go = current.let_go | {
            table: _newest(parts, current.let_go.get(table)) for table, parts in going.items() if parts
        }
        manifests.write(store, replace(current, rev=current.rev + 1, parts=staying, let_go=let_go))
    return sum(part.rows for part in gone)


def _newest(parts: Mapping[str, Part], before: datetime | None) -> datetime:
    """The newest instant of these files, or that which is gone already."""
    edges = [part.high for part in parts.values() if part.high is not None]
    return max(edges if before is None else [*edges, before])


def _is_over(part: Part, span: timedelta | None, now: datetime) -> bool:
    """Whether all rows of a file are older than they are kept; files without a time are whole sets, which stay."""
    return span is not None and part.high is not None and part.high < now - span
