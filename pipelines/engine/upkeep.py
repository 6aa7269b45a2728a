"""Jobs that look after what is stored: what was kept long enough goes, clocks are compared, a copy goes elsewhere."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.engine import copies, retention, state_file
from pipelines.engine.errors import SourceDown, StoreError
from pipelines.engine.line import Line
from pipelines.engine.schedule import Job
from pipelines.engine.settings import BackupPlan
from pipelines.engine.supervise import beside, command

# Making it, and bringing it to the second place.
LONGEST_BACKUP_S = 13 * 3600
HOUR = timedelta(hours=1)
PACK_EVERY = timedelta(minutes=5)


def jobs(line: Line, clock: Callable[[], datetime]) -> list[Job]:
    """The jobs of a town: packing, retention, devices' clocks, and the backup where the town has planned one."""
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
        Job("packing", PACK_EVERY, "hold what came lately in less memory", line.store.pack, timedelta(minutes=1)),
        Job("retention", 6 * HOUR, "let go of rows that were kept long enough", let_go, HOUR / 4),
        Job("clocks", HOUR / 4, "find devices whose clock is off", lambda: line.clocks.look(line, clock()), HOUR / 30),
    ]
    if settings.backup is not None:
        plan = settings.backup

        def copy() -> int | None:
            try:
                return copy_town(plan, settings.folder, clock())
            finally:
                line.troubles["backup_late"] = copies.late(plan, settings.store, clock())

        found.append(Job("backup", min(plan.every, HOUR), f"copy the town to {plan.to}", copy, timedelta(minutes=2)))
    return found


def copy_town(plan: BackupPlan, town: Path, now: datetime) -> int | None:
    """Have the plan carried out where something is due; how many copies stand then, None where nothing was to do.

    Raises SourceDown when a place is absent or a copy failed; it is tried again with the next run.
    """
    before = copies.standing(plan.to) if plan.to.is_dir() else None
    if before and not copies.is_due(plan, before, now) and not copies.lacks_second(plan, town / "store", before):
        return None
    sent = state_file.read_cursor(town / "store" / "state.sqlite", copies.SECOND)
    _backup(town)
    after = copies.standing(plan.to)
    changed = after != before or state_file.read_cursor(town / "store" / "state.sqlite", copies.SECOND) != sent
    return len(after) if changed else None


def _backup(town: Path) -> None:
    """Carry out the plan in a niced child: it may use time that the line must not."""
    done = beside(command(town, "backup"), LONGEST_BACKUP_S)
    if done.returncode:
        raise SourceDown(done.stderr.strip()[-500:] or f"the backup ended with {done.returncode}.")
