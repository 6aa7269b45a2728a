"""`app.py doctor`: is this installation sound? One finding a line, in plain words, with what to do."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine import backup, clocks, copies, disk, layout, line_client, registers, state_file
from pipelines.engine import settings as town_settings
from pipelines.engine.doctor_machine import Machine, look_at_machine
from pipelines.engine.doctor_store import SOUND, Finding, Level, look_at_store
from pipelines.engine.errors import SettingsError, StoreError
from pipelines.engine.feeds import spoken
from pipelines.engine.layout import LAYOUT
from pipelines.engine.line_client import run_folder
from pipelines.engine.model import Domain
from pipelines.engine.people import audit, sealing, second_factor
from pipelines.engine.settings import BackupPlan, Settings
from pipelines.engine.snapshot import Board

# A clock may be set by so much without anybody noticing.
BACK = timedelta(minutes=5)
# Without a plan, a copy of last week is what a town can live with.
BACKUP_AGE = timedelta(days=7)
STALE_BOARD = timedelta(minutes=1)
SLOW_S = 0.5
MARKS = {Level.SOUND: "ok", Level.LOOK: "look", Level.MEND: "MEND"}


@dataclass(frozen=True)
class Place:
    """What is examined: a town's folder at this instant, with what its settings say where they can be read."""

    folder: Path
    now: datetime
    settings: Settings | None

    @property
    def store(self) -> Path:
        """The folder of the store."""
        return self.folder / "store"


def examine(
    folder: Path,
    now: datetime,
    available: Callable[[], Mapping[str, Domain]],
    clock_is_set: Callable[[], bool | None] | None = None,
    machine: Machine | None = None,
) -> list[Finding]:
    """Everything that was looked at, in order; `clock_is_set`: whether the network sets the clock (None = unknown).

    `machine`: the computer, where it is to be looked at too.
    """
    settings, found = _settings(folder, available)
    if not folder.is_dir():
        return found
    place = Place(folder, now, settings)
    found += _disk(place)
    found += _clock(place, (clock_is_set or _network_time)())
    if machine is not None:
        runs = settings is not None and line_client.alive(settings)
        found += look_at_machine(machine, folder, settings, now, runs=runs)
    found += _permissions(place)
    found += _layout(place)
    found += look_at_store(place.store)
    found += _line(place)
    found += _backup(place)
    found += _jobs(place)
    found += _people(place)
    found += _factors(place)
    return found


def report(findings: list[Finding]) -> tuple[str, bool]:
    """The findings as lines of text, and whether the installation is sound."""
    lines = [f"{MARKS[found.level]:5} {found.thing}: {found.words}" for found in findings]
    broken = sum(found.level is Level.MEND for found in findings)
    lines.append(
        f"{broken} thing{'s' if broken != 1 else ''} to mend: see the lines marked MEND."
        if broken
        else "This installation is sound."
    )
    return "\n".join(lines), not broken


def _layout(place: Place) -> Iterator[Finding]:
    """Whether this version may write to the store."""
    try:
        stand = layout.readable(place.store)
    except StoreError as error:
        yield Finding(Level.MEND, "Layout", str(error))
        return
    if stand is not None and stand.layout < LAYOUT:
        words = f"the store is of layout {stand.layout}; the next start brings it to {LAYOUT}, after a backup."
        yield Finding(Level.LOOK, "Layout", words)


def _factors(place: Place) -> Iterator[Finding]:
    """Whether each second factor opens with the key that lies beside the state and in no backup."""
    state = place.store / "state.sqlite"
    try:
        shut = [name for name in sorted(second_factor.having(state)) if not second_factor.opens(state, name)]
    except StoreError as error:
        yield Finding(Level.MEND, "Second factors", str(error))
        return
    if shut:
        words = f"those of {', '.join(shut)} do not open with {sealing.key_path(state)}. {sealing.MEND}"
        yield Finding(Level.MEND, "Second factors", words)


def _people(place: Place) -> Iterator[Finding]:
    """Whether the log of what people did is as it was written; its last hash is what to hold against a backup's."""
    try:
        log = audit.entries(place.store / "state.sqlite")
    except StoreError as error:
        yield Finding(Level.MEND, "Audit log", str(error))
        return
    if wrong := audit.tampering(log):
        yield Finding(
            Level.MEND, "Audit log", f"{wrong} Find out who can write to this computer; a backup has the rest."
        )
    elif log:
        words = f"{len(log)} entries, each fits the one before; the last, of {log[-1].at[:10]}, is {log[-1].hash[:16]}."
        yield Finding(SOUND, "Audit log", words)


def _settings(folder: Path, available: Callable[[], Mapping[str, Domain]]) -> tuple[Settings | None, list[Finding]]:
    try:
        settings = town_settings.load(folder, available)
        known = registers.load(settings)
    except SettingsError as error:
        return None, [Finding(Level.MEND, "Settings", words) for words in error.mistakes]
    sound = Finding(SOUND, "Settings", f"town.toml and the registers of {settings.name} hold no mistakes.")
    return settings, [sound, *(Finding(Level.LOOK, "Map", f"{words}.") for words in known.shapes.faults)]


def _disk(place: Place) -> Iterator[Finding]:
    """Room, and whether what is written is on the disk when it says so."""
    base = place.store if place.store.is_dir() else place.folder
    free, whole = disk.room(base)
    words = disk.low(base)
    yield (
        Finding(Level.MEND, "Disk", words)
        if words
        else Finding(SOUND, "Disk", f"{free / 1e9:,.1f} GB of {whole / 1e9:,.1f} GB are free.")
    )
    probe = base / "doctor.probe"
    began = time.perf_counter()
    try:
        with probe.open("wb") as file:
            file.write(b"probe" * 1000)
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()
    except OSError as error:
        yield Finding(Level.MEND, "Disk", f"nothing can be written to {base}: {disk.in_words(error)}.")
        return
    took = time.perf_counter() - began
    slow = "" if took < SLOW_S else " That is slow: the disk may be failing, or very busy."
    level = Level.LOOK if slow else SOUND
    yield Finding(level, "Disk", f"what is written is on the disk after {took * 1e3:,.0f} ms.{slow}")


def _clock(place: Place, is_set: bool | None) -> Iterator[Finding]:
    """Whether time has gone back, by what was written last, and whether the network sets the clock."""
    marks = [*place.store.glob("journal/*.journal"), *place.store.glob("manifest.json"), *place.store.glob("run/board")]
    instants = [datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in marks]
    beat = state_file.read_cursor(place.store / "state.sqlite", "_kpis").get("at")
    instants += [datetime.fromisoformat(beat)] if beat else []
    newest = max(instants, default=place.now)
    told = f"{place.now:%Y-%m-%d %H:%M} UTC"
    if newest - place.now > BACK:
        yield Finding(
            Level.MEND,
            "Clock",
            f"it says {told}, but the store was written at {newest:%Y-%m-%d %H:%M} UTC. The clock was put back (an "
            "empty battery does that): set it, then start again.",
        )
        return
    if is_set is False:
        yield Finding(
            Level.LOOK, "Clock", f"it says {told}, but no network sets it: switch that on (timedatectl set-ntp true)."
        )
        return
    yield Finding(SOUND, "Clock", f"it says {told}" + (" and is set over the network." if is_set else "."))


def _network_time() -> bool | None:
    try:
        told = subprocess.run(
            ["timedatectl", "show", "--property=NTPSynchronized", "--value"],
            check=False,
            capture_output=True,
            text=True,
            timeout=5,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"yes": True, "no": False}.get(told.stdout.strip())


def _permissions(place: Place) -> Iterator[Finding]:
    """Whether this user may do what the town does, and whether all of the store belongs to one user."""
    folders = [place.folder, place.store, *place.store.glob("journal"), *place.folder.glob("drop/*")]
    barred = [path for path in folders if path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK)]
    files = [path for path in place.store.rglob("*") if path.is_file()]
    barred += [path for path in files if path.exists() and not os.access(path, os.R_OK)]
    owner = (place.store if place.store.is_dir() else place.folder).stat().st_uid
    # What has gone since it was listed was the line's to delete.
    strange = [path for path in files if path.exists() and path.stat().st_uid != owner]
    if barred:
        words = (
            f"this user may not read or write {barred[0]}{_more(barred)}. Run it as the town's user, or give it back."
        )
        yield Finding(Level.MEND, "Permissions", words)
    if strange:
        words = f"{strange[0]}{_more(strange)} belongs to another user than the store: chown it to the store's owner."
        yield Finding(Level.MEND, "Permissions", words)
    if not barred and not strange:
        yield Finding(SOUND, "Permissions", "all folders and files of the town can be read and written.")


def _more(paths: list[Path]) -> str:
    return f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""


def _line(place: Place) -> Iterator[Finding]:
    """Whether the line runs and publishes, and how its feeds do by its last board."""
    if place.settings is None:
        return
    board = Board(run_folder(place.settings) / "board").look()
    built = datetime.fromisoformat(board.state["built_at"]) if board else None
    if not line_client.alive(place.settings):
        since = f" since {built:%Y-%m-%d %H:%M} UTC" if built else ""
        words = f"it does not run{since}, so nothing is taken in. Start it: python app.py serve"
        yield Finding(Level.LOOK, "Line", words)
        return
    if built is None or place.now - built > STALE_BOARD:
        yield Finding(Level.MEND, "Line", "it runs but publishes no board. Look at its log, then start it again.")
        return
    assert board is not None
    yield Finding(SOUND, "Line", f"it runs; its board is from {_ago(place.now - built)}.")
    for feed in board.state["feeds"].values():
        if feed["declared"]:
            down = feed["state"] in ("silent", "failing")
            level = Level.MEND if down else SOUND if feed["state"] == "live" else Level.LOOK
            yield Finding(level, f"Feed {feed['title']}", feed["words"])
    off = sum(feed.get("clocks_off", 0) for feed in board.state["feeds"].values())
    if off:
        words = f"{clocks.spoken_off(off)}. Which, and by how much: /feeds, or app.py export sensor_clocks -o FILE."
        yield Finding(Level.LOOK, "Device clocks", f"{words} Nothing of theirs is put right by itself.")


def _backup(place: Place) -> Iterator[Finding]:
    last = state_file.read_cursor(place.store / "state.sqlite", backup.LAST)
    plan = place.settings.backup if place.settings else None
    if not last:
        words = "there has never been one" + (
            f". Check that {plan.to} is there." if plan else ": python app.py backup FILE, or [backup] in town.toml."
        )
        yield Finding(Level.MEND if plan else Level.LOOK, "Backup", words)
        return
    age = place.now - datetime.fromisoformat(last["at"])
    words = f"the last one is from {_ago(age)} ({last['file']}, {last['bytes'] / 1e6:,.1f} MB, verified)."
    yield _aged(age, plan, words)
    if plan and plan.second:
        yield _second(place, plan.second, plan)


def _second(place: Place, address: str, plan: BackupPlan) -> Finding:
    """How the second place stands."""
    last = state_file.read_cursor(place.store / "state.sqlite", copies.SECOND)
    if last.get("place") != address:
        return Finding(Level.MEND, "Backup, second place", f"nothing was brought to {address} yet. Is it there?")
    age = place.now - datetime.fromisoformat(last["at"])
    words = f"{last['file']} stands in {address} since {_ago(age)}, read there again."
    late = age > 2 * plan.every
    return Finding(Level.MEND if late else SOUND, "Backup, second place", words + (" Is it there?" if late else ""))


def _aged(age: timedelta, plan: BackupPlan | None, words: str) -> Finding:
    if plan and age > 2 * plan.every:
        return Finding(
            Level.MEND, "Backup", f"{words} It should be made every {spoken(plan.every)}: is {plan.to} there?"
        )
    if not plan and age > BACKUP_AGE:
        return Finding(Level.LOOK, "Backup", f"{words} Make a new one: python app.py backup FILE")
    return Finding(SOUND, "Backup", words)


def _ago(age: timedelta) -> str:
    return f"{spoken(age)} ago" if age >= timedelta(minutes=1) else "just now"


def _jobs(place: Place) -> Iterator[Finding]:
    """Jobs whose last run failed."""
    newest: dict[str, tuple[Any, ...]] = {}
    for job, _, ended_at, _, outcome, words in state_file.read_runs(place.store / "state.sqlite", 2000):
        newest.setdefault(job, (ended_at, outcome, words))
    for job, (ended_at, outcome, words) in newest.items():
        if outcome == "failed" and job in ("compaction", "retention", "backup"):
            yield Finding(Level.MEND, f"Job {job}", f"its last run failed ({str(ended_at)[:16]} UTC): {words}")
