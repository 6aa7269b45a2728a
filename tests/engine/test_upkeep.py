"""The jobs that look after the store: copies on another disk, kept so many, and rows that were kept long enough."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines.engine import archive, backup, compaction, manifest, state_file, upkeep
from pipelines.engine.errors import SourceDown
from pipelines.engine.schedule import Schedule
from pipelines.engine.settings import BackupPlan
from pipelines.engine.tables import ENGINE_TABLES
from tests.engine.small_town import NOON, TOWN, ZONE, csv_of, make, open_line, send

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
KPIS = frozenset({"pressure_compliance"})


@pytest.fixture
def plan(tmp_path: Path) -> BackupPlan:
    (tmp_path / "stick").mkdir()
    return BackupPlan(tmp_path / "stick", DAY, keep=3)


def names(plan: BackupPlan) -> list[str]:
    return sorted(path.name for path in plan.to.iterdir())


def test_copy_is_made_once_a_day_and_so_many_are_kept(plan: BackupPlan) -> None:
    (plan.to / "letter.tar").write_bytes(b"mine")
    (plan.to / "town-2026-01-01-0000Z.tar.zst.part").write_bytes(b"half")
    made: list[datetime] = []
    for hours in range(24 * 5):
        now = NOON + hours * HOUR
        if upkeep.copy_town(plan, now, lambda file: file.write_bytes(b"copy") and None) is not None:
            made.append(now)
    assert made == [NOON + n * DAY for n in range(5)]
    assert names(plan) == [
        "letter.tar", "town-2026-03-12-0630Z.tar.zst", "town-2026-03-13-0630Z.tar.zst", "town-2026-03-14-0630Z.tar.zst"
    ]  # fmt: skip


def test_absent_disk_is_said_and_never_made(plan: BackupPlan) -> None:
    plan.to.rmdir()
    with pytest.raises(SourceDown, match=r"stick is not there.*Put in the disk"):
        upkeep.copy_town(plan, NOON, lambda _: pytest.fail("no copy may be begun"))
    assert not plan.to.exists()


def test_failed_copy_leaves_the_older_ones_and_is_tried_again(plan: BackupPlan) -> None:
    standing = plan.to / "town-2026-03-01-0000Z.tar.zst"
    standing.write_bytes(b"copy")

    def full(_: Path) -> None:
        raise SourceDown("the disk is full")

    with pytest.raises(SourceDown, match="full"):
        upkeep.copy_town(plan, NOON, full)
    assert standing.exists()
    assert upkeep.copy_town(plan, NOON + HOUR, lambda file: file.write_bytes(b"copy") and None) == 2


def test_copy_from_a_clock_that_ran_ahead_keeps_no_newer_one_away(plan: BackupPlan) -> None:
    (plan.to / "town-2031-03-10-0000Z.tar.zst").write_bytes(b"copy")
    assert upkeep.copy_town(plan, NOON, lambda file: file.write_bytes(b"copy") and None) == 2
    assert upkeep.copy_town(plan, NOON + HOUR, lambda _: pytest.fail("the copy of an hour ago is new enough")) is None


def test_town_is_copied_and_its_old_rows_let_go_by_jobs_that_are_on_record(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    text = TOWN.format(zone=ZONE, domains='["water"]').partition("[feeds.bills]")[0]
    folder = make(tmp_path / "town", f'{text}\n[backup]\nto = "{stick}"\n[retention]\nreadings = "31 d"\n')
    line = open_line(folder, NOON, KPIS)
    send(line, "network", csv_of([("P1.p", NOON - n * DAY, 20.0) for n in (0, 1, 40)]), NOON)
    compaction.compact(folder / "store", ENGINE_TABLES, ZONE)
    line.adopt(NOON)
    jobs = {job.name: job for job in upkeep.jobs(line, lambda: NOON)}
    schedule = Schedule(list(jobs.values()), line.state, lambda: NOON)
    schedule._run(jobs["backup"])
    stick.mkdir()
    schedule._run(jobs["backup"])
    schedule._run(jobs["backup"])
    schedule._run(jobs["retention"])
    runs = [(run["job"], run["rows"], run["outcome"]) for run in line.state.runs()]
    assert runs == [
        ("retention", 1, "done"), ("backup", 0, "nothing to do"), ("backup", 1, "done"), ("backup", 0, "failed")
    ]  # fmt: skip
    assert "is not there" in line.state.runs()[-1]["words"]
    (copy,) = stick.iterdir()
    assert archive.read(copy).files > 5
    assert state_file.read_cursor(folder / "store" / "state.sqlite", backup.LAST)["file"] == str(copy)
    assert line.store.rows("readings").height == len(manifest.read(folder / "store").parts["readings"]) == 2
    line.close()
