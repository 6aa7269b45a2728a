"""`app.py backup`, `restore`, `doctor` and `upgrade`: what whoever looks after the computer asks for by hand."""

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipelines.engine import backup as backups
from pipelines.engine import copies, installing, layout, upgrade
from pipelines.engine import doctor as doctors
from pipelines.engine.doctor_machine import Machine
from pipelines.engine.errors import StoreError
from pipelines.engine.installing import Service
from pipelines.engine.layout import LAYOUT
from pipelines.engine.model import Domain
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Settings
from pipelines.engine.upgrade import Work
from pipelines.engine.version import VERSION

Available = Callable[[], Mapping[str, Domain]]
Known = Callable[[Settings], Registers | None]


@dataclass(frozen=True)
class Desk:
    """What the commands are about: the town's folder, this instant, and how its settings and registers are read."""

    folder: Path
    now: datetime
    available: Available
    settings: Callable[[], Settings]
    registers: Known
    program: Path


def run(options: Namespace, desk: Desk) -> int:
    """One of these commands; gives the exit status."""
    if options.command == "backup":
        return (
            backup(desk.folder, options.file, desk.now) if options.file else backup_by_plan(desk.settings(), desk.now)
        )
    if options.command == "restore":
        return restore(options.file, desk.folder)
    if options.command == "doctor":
        return doctor(desk, options.port)
    if options.command == "install":
        return install(options, desk)
    settings = desk.settings()
    if not options.check:
        forward(settings, desk.available, desk.registers, desk.now, options.keep)
    return upgrade_check(settings)


def backup(town: Path, file: Path, now: datetime) -> int:
    """One archive of the town, verified; gives the exit status."""
    try:
        made = backups.make(town, file, now)
    except StoreError as refused:
        print(f"No backup: {refused}", file=sys.stderr)
        return 1
    print(f"{made.file}: {made.files} files, {made.size / 1e6:,.1f} MB, read back and found as they were written.")
    return 0


def backup_by_plan(settings: Settings, now: datetime) -> int:
    """What [backup] says, as far as it is due; gives the exit status."""
    plan = settings.backup
    if plan is None:
        print("town.toml has no [backup]. Name a file: python app.py backup town.tar.zst", file=sys.stderr)
        return 1
    try:
        done = copies.run(plan, settings.folder, now)
    except StoreError as refused:
        print(str(refused), file=sys.stderr)
        return 1
    for words in done.faults:
        print(words, file=sys.stderr)
    told = [
        f"{done.standing} copies stand in {plan.to}" + (", a new one among them, read back." if done.made else "."),
        *([f"The newest stands in {plan.second} too, read there again."] if done.sent else []),
    ]
    print(" ".join(told))
    return 1 if done.faults else 0


def restore(file: Path, town: Path) -> int:
    """The town of an archive, in an empty folder; gives the exit status."""
    try:
        made = backups.restore(file, town)
    except StoreError as refused:
        print(f"Nothing was restored: {refused}", file=sys.stderr)
        return 1
    print(f"{town} is the town as it was at {made.made_at:%Y-%m-%d %H:%M} UTC ({made.files} files, all checked).")
    print(f"Start it: python app.py --town {town} serve")
    return 0


def doctor(desk: Desk, port: int) -> int:
    """Whether the installation is sound; gives the exit status."""
    words, sound = doctors.report(doctors.examine(desk.folder, desk.now, desk.available, machine=Machine(port=port)))
    print(words)
    return 0 if sound else 1


def install(options: Namespace, desk: Desk) -> int:
    """Townboard as a service, or no longer; gives the exit status."""
    try:
        if options.remove:
            installing.remove(_say, installing.commands)
            return 0
        service = Service(
            desk.folder.resolve(), desk.program.resolve(), Path(sys.executable), options.user, options.host,
            options.port, options.prefix, installing.writes_of(desk.settings()),
        )  # fmt: skip
        if options.show:
            print(service.unit(), end="")
            return 0
        installing.install(service, _say, installing.commands)
    except StoreError as refused:
        print(str(refused), file=sys.stderr)
        return 1
    return 0


def forward(
    settings: Settings, available: Available, registers: Known, now: datetime, keep: Path | None = None
) -> bool:
    """Bring the store to the layout of this version; whether there was anything to do.

    Raises StoreError.
    """
    folder = keep or (settings.backup.to if settings.backup and settings.backup.to.is_dir() else None)
    own = [table for domain in available().values() for table in domain.tables]
    stand = layout.read(settings.store)
    # Reading the registers takes a moment of every start; they are needed by steps alone.
    known = registers(settings) if stand is not None and upgrade.steps(stand) else None
    work = Work(settings.store, upgrade.every_table(own), settings.zone, known.sensors if known else None)
    return upgrade.forward(settings.folder, work, now, _say, folder)


def _say(words: str) -> None:
    print(words, flush=True)


def upgrade_check(settings: Settings, say: Callable[[str], None] = print) -> int:
    """What an upgrade would do; changes nothing and gives the exit status: 1 where it cannot be done."""
    try:
        stand = layout.readable(settings.store)
        if stand is None:
            say(f"There is no store yet: the first start makes one (layout {LAYOUT}, Townboard {VERSION}).")
            return 0
    except StoreError as refused:
        print(str(refused), file=sys.stderr)
        return 1
    if stand.layout == LAYOUT:
        say(f"The store is of layout {LAYOUT}, as Townboard {VERSION} writes it. Nothing is to be done.")
        return 0
    say(f"The store is of layout {stand.layout}, Townboard {VERSION} writes layout {LAYOUT}. The next start, or")
    say("`python app.py upgrade` while the town is stopped, makes a backup and then does this:")
    for step in upgrade.steps(stand):
        say(f"  layout {step.to}: {step.words}")
    return 0
