"""Brings the store of an earlier version forward, step by step: a backup first, resumable wherever it is cut off."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import polars as pl

from pipelines.engine import backup, cold, compaction, journal, layout, state_layouts
from pipelines.engine import manifest as manifests
from pipelines.engine.cold import Pass
from pipelines.engine.errors import StoreError
from pipelines.engine.layout import LAYOUT, Stand
from pipelines.engine.manifest import Manifest, Part
from pipelines.engine.model import Table
from pipelines.engine.people import second_factor
from pipelines.engine.rollups import Rollups
from pipelines.engine.tables import ENGINE_TABLES

# Readings of so many rows are rolled up at a time; they are held in memory.
MOST_ROWS = 2_000_000
FOLDER = "before-upgrade"
NAME = "town-layout-{layout}-%Y-%m-%d-%H%MZ.tar.zst"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """What a step works on: the store, its tables, the town's calendar and where its sensors stand."""

    store: Path
    tables: Mapping[str, Table]
    zone: str
    sensors: pl.DataFrame | None

    def written(self, before: Manifest, parts: dict[str, dict[str, Part]]) -> Manifest:
        """The manifest with these files, published as the next one."""
        after = replace(before, rev=before.rev + 1, parts=parts)
        manifests.write(self.store, after)
        return after

    def next_pass(self, before: Manifest) -> Pass:
        """The pass that writes the files of the manifest to come."""
        return Pass(before.rev + 1, before.applied_seq, before.applied_seq)


@dataclass(frozen=True)
class Step:
    """What leads to a layout; killed at any instant, it can be done again."""

    to: int
    words: str
    work: Callable[[Work, Stand], None]


def steps(found: Stand) -> list[Step]:
    """What is to be done to a store that stands there."""
    return [step for step in STEPS if step.to > found.layout]


def forward(town: Path, work: Work, now: datetime, say: Say, keep: Path | None = None) -> bool:
    """Bring a town's store to this version's layout; whether there was anything to do.

    `keep`: where the backup goes that is made before; in the town's own folder where none is given.
    Raises StoreError: the store is of a newer version, somebody writes to it, or there is no room for the backup.
    """
    found = layout.readable(work.store)
    if found is None:
        layout.write(work.store, Stand(LAYOUT))
        return False
    if found.layout == LAYOUT:
        if not (work.store / layout.NAME).exists():
            layout.write(work.store, found)
        return False
    with journal.held(work.store / "journal"), compaction.alone(work.store):
        _step_by_step(town, work, now, say, keep, found)
    return True


def _step_by_step(town: Path, work: Work, now: datetime, say: Say, keep: Path | None, found: Stand) -> None:
    say(f"The store is of layout {found.layout}; it is brought to layout {LAYOUT}. Please leave the computer on.")
    stand = _backed_up(town, work, now, say, keep, found)
    for step in steps(stand):
        say(f"Layout {step.to}: {step.words} ...")
        step.work(work, stand)
        stand = replace(stand, layout=step.to)
        layout.write(work.store, stand)
    layout.write(work.store, Stand(LAYOUT))
    say(f"Done. The backup from before is {stand.upgrading['backup']}; delete it when all has run well for some days.")


def _backed_up(town: Path, work: Work, now: datetime, say: Say, keep: Path | None, found: Stand) -> Stand:
    """The stand with the backup from before; one that was made before a kill is good still."""
    made = found.upgrading.get("backup")
    if made and Path(made).is_file():
        return found
    folder = keep or town / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / now.strftime(NAME).format(layout=found.layout)
    target.unlink(missing_ok=True)
    say(f"A backup first: {target} ...")
    try:
        backup.make(town, target, now)
    except StoreError as error:
        raise StoreError(
            f"the store was not brought forward, because there is no backup: {error} Nothing was changed. A backup to "
            "another place: python app.py upgrade --keep FOLDER"
        ) from error
    return layout.noted(work.store, found, backup=str(target.resolve()))


# the steps ----------------------------------------------------------------------------------------------------------


def _seal(work: Work, _: Stand) -> None:
    state_layouts.seal(work.store / "state.sqlite")


def _write_anew(work: Work, _: Stand) -> None:
    """Rows of tables as they are written now, file by file with its checksum; sums only get theirs."""
    current = manifests.read(work.store)
    for name in sorted(current.parts):
        unmeasured = [key for key, part in current.parts[name].items() if part.size < 0]
        if not unmeasured:
            continue
        done, standing = work.next_pass(current), dict(current.parts[name])
        for key in unmeasured:
            standing[key] = _anew(work, name, key, standing[key], done)
        current = work.written(current, {**current.parts, name: standing})


def _anew(work: Work, name: str, key: str, part: Part, done: Pass) -> Part:
    table = work.tables.get(name)
    if table is None:
        size, crc = manifests.measured(work.store / part.file)
        return replace(part, size=size, crc=crc)
    frame = cold.read(work.store / part.file)
    return cold.write(work.store, f"cold/{name}/{key}.{done.rev}.parquet", frame, table, done)


def _move_log(work: Work, _: Stand) -> None:
    state_layouts.move_log(work.store / "state.sqlite")


def _roll_anew(work: Work, stand: Stand) -> None:
    """All rollups of the days whose readings are there, some days at a time; those done before a kill are done."""
    current = manifests.read(work.store)
    rolled = layout.read(work.store) or stand
    after = str(rolled.upgrading.get("rolled", ""))
    days = {day: part for day, part in sorted(current.parts.get("readings", {}).items()) if day > after}
    for some in _some_days(days):
        parts = {name: dict(standing) for name, standing in current.parts.items()}
        frames = {day: cold.read(work.store / days[day].file) for day in some}
        rollups = Rollups(work.store, work.zone, compaction.places(work.store, parts, work.sensors))
        rollups.roll(parts, frames, work.next_pass(current))
        current = work.written(current, parts)
        rolled = layout.noted(work.store, rolled, rolled=some[-1])


def _seal_factors(work: Work, _: Stand) -> None:
    second_factor.seal_all(work.store / "state.sqlite")


def _some_days(days: Mapping[str, Part]) -> Iterator[list[str]]:
    """Days in order, as many together as may be held in memory."""
    some: list[str] = []
    rows = 0
    for day, part in days.items():
        if some and rows + part.rows > MOST_ROWS:
            yield some
            some, rows = [], 0
        some.append(day)
        rows += part.rows
    if some:
        yield some


STEPS = (
    Step(2, "alarms and cursors get their checksums", _seal),
    Step(3, "every file is written with its checksum, readings in half the room", _write_anew),
    Step(5, "what happened to alarms is put in the words of ISA-18.2", _move_log),
    Step(6, "sums by quarter hour, hour, day and month, by ward and by value, are made of all readings", _roll_anew),
    Step(7, "the secrets of second factors are sealed", _seal_factors),
)


def every_table(own: Iterable[Table]) -> dict[str, Table]:
    """The tables of domains and the engine's, by name."""
    return {table.name: table for table in (*ENGINE_TABLES, *own)}
