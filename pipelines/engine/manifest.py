"""The manifest: which Parquet files hold the store and up to which frame; replaced in one step."""

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.engine.errors import StoreError
from pipelines.engine.journal import sync_folder


@dataclass(frozen=True)
class Part:
    """One Parquet file: its path below the store, the rows in it and the span of their time column."""

    file: str
    rows: int
    low: datetime | None
    high: datetime | None


@dataclass(frozen=True)
class Manifest:
    """Everything that is compacted. parts: table (or rollup) -> partition -> Part.

    Invariant: the parts hold exactly the newest row per key of all frames up to applied_seq.
    """

    rev: int = 0
    applied_seq: int = 0
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)

    def files(self) -> set[str]:
        """Paths of all files named."""
        return {part.file for partitions in self.parts.values() for part in partitions.values()}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def read(store: Path) -> Manifest:
    """The manifest of a store; an empty one where nothing was compacted yet.

    Raises StoreError when the file is there and unreadable.
    """
    path = store / "manifest.json"
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        parts = {
            table: {
                name: Part(p["file"], p["rows"], _instant(p["low"]), _instant(p["high"]))
                for name, p in partitions.items()
            }
            for table, partitions in raw["parts"].items()
        }
        return Manifest(raw["rev"], raw["applied_seq"], parts)
    except FileNotFoundError:
        return Manifest()
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} cannot be read ({error}). Restore the last backup: python app.py restore FILE"
        ) from error


def write(store: Path, manifest: Manifest) -> None:
    """Publish a manifest: written beside, made durable, renamed, the folder made durable."""
    raw = {
        "rev": manifest.rev,
        "applied_seq": manifest.applied_seq,
        "parts": {
            table: {
                name: {
                    "file": p.file,
                    "rows": p.rows,
                    "low": p.low.isoformat() if p.low else None,
                    "high": p.high.isoformat() if p.high else None,
                }
                for name, p in partitions.items()
            }
            for table, partitions in manifest.parts.items()
        },
    }
    beside = store / "manifest.json.new"
    with beside.open("w") as file:
        json.dump(raw, file, indent=0)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(store / "manifest.json")
    sync_folder(store)
