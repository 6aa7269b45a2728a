"""The layout of a store: its number, kept beside the manifest; of stores that are older than the number, what it is.

1 values as they came, nothing sealed; 2 seals in the state, records of few rows; 3 whole multiples, checksums of files;
4 rollups by month; 5 what happened to alarms by ISA-18.2; 6 quarter hours, rollups without sums of squares;
7 secrets of second factors sealed.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.engine import manifest as manifests
from pipelines.engine import state_layouts
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import segments, sync_folder
from pipelines.engine.manifest import Manifest
from pipelines.engine.version import VERSION

LAYOUT = 7
NAME = "layout.json"
DAY = len("2026-03-10")


@dataclass(frozen=True)
class Stand:
    """Where a store stands: its layout, the version that wrote it so and, while it is brought forward, how far."""

    layout: int
    version: str = VERSION
    # The backup from before, and what steps have noted of how far they are.
    upgrading: Mapping[str, Any] = field(default_factory=dict)


def read(store: Path) -> Stand | None:
    """Where a store stands; None where there is no store yet.

    Raises StoreError when it cannot be told.
    """
    try:
        told = json.loads((store / NAME).read_bytes())
        return Stand(int(told["layout"]), str(told["version"]), dict(told.get("upgrading", {})))
    except FileNotFoundError:
        return _unnumbered(store)
    except (ValueError, KeyError, TypeError) as error:
        found = _unnumbered(store)
        if found is None:
            raise StoreError(f"{store / NAME} is damaged ({error}). Delete it, then start again.") from error
        return found


def write(store: Path, stand: Stand) -> None:
    """Keep it: written beside, made durable, renamed."""
    store.mkdir(parents=True, exist_ok=True)
    beside = store / f"{NAME}.new"
    with beside.open("w") as file:
        json.dump(asdict(stand), file)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(store / NAME)
    sync_folder(store)


def noted(store: Path, stand: Stand, **facts: Any) -> Stand:
    """The stand with something noted on the way, kept."""
    found = replace(stand, upgrading={**stand.upgrading, **facts})
    write(store, found)
    return found


def require(store: Path) -> None:
    """Nothing where this version may write to the store; one without a number was looked at when the town started.

    Raises StoreError: it is of a newer layout, or of an older one that was not brought forward yet.
    """
    if not (store / NAME).exists():
        return
    stand = readable(store)
    if stand is not None and stand.layout < LAYOUT:
        raise StoreError(
            f"{store} is of layout {stand.layout}, this Townboard writes {LAYOUT}. Start the town once "
            "(python app.py serve), or bring it forward by hand: python app.py upgrade"
        )


def readable(store: Path) -> Stand | None:
    """Where a store stands that this version may read; None where there is no store yet.

    Raises StoreError: it is of a newer layout, or cannot be told.
    """
    stand = read(store)
    if stand is not None and stand.layout > LAYOUT:
        raise StoreError(
            f"{store} was written by a newer Townboard, {stand.version} (layout {stand.layout}; this one is {VERSION} "
            f"and knows up to {LAYOUT}). Nothing was touched. Install that version again; or restore the backup from "
            "before the upgrade: python app.py --town NEWFOLDER restore FILE"
        )
    return stand


def _unnumbered(store: Path) -> Stand | None:
    """What a store without a number is, by what lies in it."""
    state = store / "state.sqlite"
    if not (state.exists() or (store / manifests.NAME).exists() or segments(store / "journal")):
        return None
    return Stand(_recognised(manifests.read(store), store, state), "0.1.0")


def _recognised(manifest: Manifest, store: Path, state: Path) -> int:
    parts = [part for partitions in manifest.parts.values() for part in partitions.values()]
    if state_layouts.has_unsealed(state):
        return 1
    if any(part.size < 0 for part in parts):
        return 2
    if any(len(name) == DAY for name in manifest.parts.get("roll_daily", {})):
        return 3
    if state_layouts.has_old_log(state):
        return 4
    if any(_squares(store / part.file) for part in manifest.parts.get("roll_daily", {}).values()):
        return 5
    return 6 if state_layouts.has_open_factors(state) else LAYOUT


def _squares(path: Path) -> bool:
    """Whether a rollup still carries sums of squares."""
    try:
        return "sum_squares" in pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError):
        return False
