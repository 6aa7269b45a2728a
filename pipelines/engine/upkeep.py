"""Jobs that look after what is stored: what was kept long enough goes, clocks are compared, a copy goes elsewhere."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.engine import retention
from pipelines.engine.archive import PART
from pipelines.engine.errors import SourceDown, StoreError
from pipelines.engine.line import Line
from pipelines.engine.schedule import Job
from pipelines.engine.settings import BackupPlan

NICE = 10
LONGEST_BACKUP_S = 6 * 3600
HOUR = timedelta(hours=1)
NAME = "town-%Y-%m-%d-%H%MZ.tar.zst"


def jobs(line: Line, clock: Callable[[], datetime]) -> list[Job]:
    """The jobs of a town: retention, devices' clocks, and the backup where the town has planned one."""
    settings = line.settings

    def let_go() -> int | None:
        try:
            rows = retention.run(settings.store, settings.retention, clock())
        except StoreError as error:
            raise SourceDown(str(error)) from error
        if rows:
            line.adopt(clock())
        return rows or None

    found = [
        Job("retention", 6 * HOUR, "let go of rows that were kept long enough", let_go, HOUR / 4),
        Job("clocks", HOUR / 4, "find devices whose clock is off", lambda: line.clocks.look(line, clock()), HOUR / 30),
    ]
    plan = settings.backup
    if plan is not None:
        found.append(
            Job(
                "backup",
                min(plan.every, HOUR),
                f"copy the town to {plan.to}",
                lambda: copy_town(plan, clock(), lambda file: _backup(settings.folder, file)),
                timedelta(minutes=2),
            )
        )
    return found


def copy_town(plan: BackupPlan, now: datetime, make: Callable[[Path], None]) -> int | None:
    """Have a copy made when the newest is old enough, and the oldest beyond `keep` deleted; how many stand there.

    Raises SourceDown when the place is absent or the copy failed; it is tried again with the next run.
    """
    if not plan.to.is_dir():
        raise SourceDown(
            f"{plan.to} is not there, so no copy of the town was written. Put in the disk, or make the folder on it; "
            "it is tried again within the hour."
        )
    standing = copies(plan.to)
    # A copy from the future is from a clock that was wrong: it proves nothing.
    if any(timedelta(0) <= now - at < plan.every for at in standing.values()):
        return None
    target = plan.to / f"{now.astimezone(UTC):{NAME}}"
    make(target)
    standing = {**copies(plan.to), target: now}
    for file in sorted(standing, key=lambda file: standing[file])[: -plan.keep]:
        file.unlink(missing_ok=True)
    for left in plan.to.glob(f"town-*Z.tar.zst{PART}"):
        left.unlink(missing_ok=True)
    return len(copies(plan.to))


def copies(folder: Path) -> dict[Path, datetime]:
    """The copies that stand in a folder, with the moment that their names tell."""
    found = {}
    for file in folder.glob("town-*Z.tar.zst"):
        try:
            found[file] = datetime.strptime(file.name, NAME).replace(tzinfo=UTC)
        except ValueError:
            # Somebody else's file.
            continue
    return found


def _backup(town: Path, file: Path) -> None:
    """Run the backup in a niced child: it may use time that the line must not."""
    done = subprocess.run(
        [*command(town, "backup"), str(file.resolve())],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.nice(NICE),
        timeout=LONGEST_BACKUP_S,
    )
    if done.returncode:
        raise SourceDown(done.stderr.strip()[-500:] or f"the backup ended with {done.returncode}.")


def command(town: Path, name: str) -> list[str]:
    """The command line of one of our own processes."""
    return [sys.executable, str(Path(__file__).resolve().parents[2] / "app.py"), "--town", str(town), name]
