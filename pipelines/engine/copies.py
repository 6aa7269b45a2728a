"""Copies of the town where they stand: how they are called, which of them stay, and what was verified last."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine import archive, backup, state_file
from pipelines.engine.errors import StoreError
from pipelines.engine.second_place import Place, place_of
from pipelines.engine.settings import BackupPlan

NAME = "town-%Y-%m-%d-%H%MZ.tar.zst"
# What is remembered of the second place: which copy came there last, verified.
SECOND = "_backup_second"
Make = Callable[[Path], None]


@dataclass(frozen=True)
class Done:
    """What became of a run by the plan: how many copies stand in each place, whether one was made, words of failure."""

    standing: int
    made: bool = False
    sent: bool = False
    faults: tuple[str, ...] = ()


def dated(names: Iterable[str]) -> dict[str, datetime]:
    """The copies among these file names, with the moment that their names tell; others' files are left out."""
    found = {}
    for name in names:
        try:
            found[name] = datetime.strptime(name, NAME).replace(tzinfo=UTC)
        except ValueError:
            continue
    return found


def standing(folder: Path) -> dict[str, datetime]:
    """The copies in a folder."""
    return dated(path.name for path in folder.glob("town-*Z.tar.zst"))


def staying(copies: Mapping[str, datetime], plan: BackupPlan) -> set[str]:
    """Which copies stay: the newest so many, then the newest of each of so many weeks and months that have one.

    Weeks are ISO weeks, both by UTC. What the plan keeps of a month is the last copy of it that was made.
    """
    ordered = sorted(copies, key=lambda name: copies[name], reverse=True)
    by_week = {copies[name].isocalendar()[:2]: name for name in reversed(ordered)}
    by_month = {(copies[name].year, copies[name].month): name for name in reversed(ordered)}
    kept = {*ordered[: plan.keep]}
    for groups, number in ((by_week, plan.weekly), (by_month, plan.monthly)):
        kept |= {groups[key] for key in sorted(groups, reverse=True)[:number]}
    return kept


def is_due(plan: BackupPlan, copies: Mapping[str, datetime], now: datetime) -> bool:
    """Whether a copy is to be made. One from the future is from a clock that was wrong: it proves nothing."""
    return not any(timedelta(0) <= now - at < plan.every for at in copies.values())


def lacks_second(plan: BackupPlan, store: Path, copies: Mapping[str, datetime]) -> str | None:
    """The newest copy, where the second place does not have it yet."""
    if plan.second is None or not copies:
        return None
    newest = max(copies, key=lambda name: copies[name])
    sent = state_file.read_cursor(store / "state.sqlite", SECOND)
    known = sent.get("place") == plan.second and sent.get("file")
    return None if known == newest else newest


@dataclass(frozen=True)
class Last:
    """The last verified copy in a place; without one `at` is None."""

    place: str
    at: datetime | None = None
    size: int = 0


def last(plan: BackupPlan | None, store: Path) -> list[Last]:
    """The last verified copy in each place of the plan; without a plan, the one that was made by hand."""
    path = store / "state.sqlite"
    made, sent = state_file.read_cursor(path, backup.LAST), state_file.read_cursor(path, SECOND)
    found = [_last(str(plan.to) if plan else str(made.get("file", "")), made)] if plan or made else []
    if plan and plan.second:
        found.append(_last(plan.second, sent if sent.get("place") == plan.second else {}))
    return found


def _last(place: str, about: Mapping[str, Any]) -> Last:
    return Last(place, datetime.fromisoformat(about["at"]), int(about["bytes"])) if about else Last(place)


def late(plan: BackupPlan, store: Path, now: datetime) -> str:
    """The words where the last verified copy is twice as old as it may be, in either place; empty where all is well."""
    for cursor, place in ((backup.LAST, str(plan.to)), (SECOND, plan.second)):
        last = state_file.read_cursor(store / "state.sqlite", cursor)
        if place and last and now - datetime.fromisoformat(last["at"]) > 2 * plan.every:
            return (
                f"The last verified copy in {place} is from {last['at'][:16].replace('T', ' ')} UTC. Is it there, and "
                "is there room? The job backup on the page Feeds says what failed; it is tried again each hour."
            )
    return ""


def run(plan: BackupPlan, town: Path, now: datetime, make: Make | None = None) -> Done:
    """Make a copy where one is due, thin out the old ones, and bring the newest to the second place, verified.

    What fails in one place is told and keeps nothing from the other.
    Raises StoreError when the first place is not there.
    """
    if not plan.to.is_dir():
        raise StoreError(
            f"{plan.to} is not there, so no copy of the town was written. Put in the disk, or make the folder on it; "
            "it is tried again within the hour."
        )
    faults, made = [], False
    if is_due(plan, standing(plan.to), now):
        try:
            (make or (lambda file: _made(town, file, now)))(plan.to / f"{now.astimezone(UTC):{NAME}}")
            made = True
            _thin(plan)
        except StoreError as error:
            faults.append(str(error))
    sent = False
    if newest := lacks_second(plan, town / "store", standing(plan.to)):
        try:
            send(plan, town / "store", newest, now)
            sent = True
        except StoreError as error:
            faults.append(str(error))
    return Done(len(standing(plan.to)), made, sent, tuple(faults))


def _made(town: Path, file: Path, now: datetime) -> None:
    backup.make(town, file, now)


def _thin(plan: BackupPlan) -> None:
    copies = standing(plan.to)
    for name in copies.keys() - staying(copies, plan):
        (plan.to / name).unlink(missing_ok=True)
    for left in plan.to.glob(f"town-*Z.tar.zst{archive.PART}"):
        left.unlink(missing_ok=True)


def send(plan: BackupPlan, store: Path, name: str, now: datetime) -> None:
    """One copy to the second place, read there again and found equal; old ones thinned there too; remembered.

    Raises StoreError: not reachable, no room, or what stands there is not what was sent.
    """
    assert plan.second is not None
    place: Place = place_of(plan.second, plan.key_file)
    place.put(plan.to / name)
    there = dated(place.names())
    place.remove(sorted(there.keys() - staying(there, plan) - {name}))
    about: dict[str, Any] = {"at": now.isoformat(), "place": plan.second, "file": name,
                             "bytes": (plan.to / name).stat().st_size}  # fmt: skip
    state_file.keep_cursor(store / "state.sqlite", SECOND, about)
