"""The jobs that look after the store: copies on another disk, and rows that were kept long enough."""

from datetime import timedelta
from pathlib import Path

from pipelines.engine import archive, backup, compaction, manifest, state_file, upkeep
from pipelines.engine.schedule import Schedule
from pipelines.engine.tables import ENGINE_TABLES
from tests.engine.small_town import NOON, TOWN, ZONE, csv_of, make, open_line, send

DAY = timedelta(days=1)
KPIS = frozenset({"pressure_compliance"})


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
