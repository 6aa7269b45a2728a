"""The doctor: finds what is wrong, says where and what to do, touches nothing, and is quiet about what is sound."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pipelines import available
from pipelines.engine import backup, compaction, disk, doctor, flow, line_client, manifest
from pipelines.engine.doctor_store import Finding, Level
from pipelines.engine.journal import segments
from pipelines.engine.state import State
from tests.conftest import ROOT
from tests.engine.small_town import NOON, TOWN, ZONE, abandon, copied, csv_of, make, open_line, send

KPIS = frozenset({"pressure_compliance"})
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with Parquet, several journal segments behind them, a state and a backup of this noon."""
    folder = make(tmp_path_factory.mktemp("doctor") / "town")
    line = open_line(folder, NOON, KPIS)
    send(line, "network", csv_of([("P1.p", NOON - n * HOUR, 20.0) for n in range(50)]), NOON)
    compaction.compact(folder / "store", line.store.tables.values(), ZONE)
    line.adopt(NOON)
    line.journal._limit = 1
    for n in range(4):
        send(line, "network", csv_of([("P1.p", NOON + timedelta(minutes=n), 20.0)]), NOON + HOUR)
    flow.beat(line, NOON)
    line.close()
    backup.make(folder, folder.parent / "town.tar", NOON)
    return folder


@pytest.fixture
def town(whole: Path, tmp_path: Path) -> Path:
    return copied(whole, tmp_path / "town")


def found(town: Path, now: datetime = NOON + HOUR, network_time: bool | None = None) -> list[Finding]:
    for path in town.rglob("*"):
        # The clock of these tests is their own, so files must not be from the other one.
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    return doctor.examine(town, now, available, lambda: network_time)


def amiss(town: Path, now: datetime = NOON + HOUR, network_time: bool | None = None) -> list[tuple[str, str]]:
    """(thing, words) of what is not as it should be; that the line of these towns does not run is no news."""
    return [
        (one.thing, one.words)
        for one in found(town, now, network_time)
        if one.level is not Level.SOUND and not one.words.startswith("it does not run")
    ]


def contents(town: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in town.rglob("*") if path.is_file() and "sqlite-" not in path.name}


def test_sound_town_is_called_sound_and_left_as_it_was(town: Path) -> None:
    before = contents(town)
    assert amiss(town) == []
    assert contents(town) == before
    words, sound = doctor.report(found(town, network_time=True))
    assert sound
    assert words.endswith("This installation is sound.")
    assert "and is set over the network" in words
    assert "the last one is from 1 hour ago" in words


def test_town_is_examined_while_its_line_runs(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_client, "alive", lambda _: True)
    line = open_line(town, NOON + HOUR, KPIS)
    flow.beat(line, NOON + HOUR)
    late = [(one.thing, one.words) for one in found(town) if one.level is Level.MEND]
    assert [thing for thing, _ in late] == []
    # Nothing comes for four hours, at a feed that should come every five minutes.
    flow.beat(line, NOON + 5 * HOUR)
    late = [(one.thing, one.words) for one in found(town, NOON + 5 * HOUR) if one.level is Level.MEND]
    assert [thing for thing, _ in late] == ["Feed Network"]
    assert "should come every 5 minutes" in late[0][1]
    assert [one.thing for one in found(town, NOON + 6 * HOUR) if "publishes no board" in one.words] == ["Line"]
    abandon(line)


def part(town: Path) -> Path:
    parts = manifest.read(town / "store").parts["readings"]
    return town / "store" / next(iter(parts.values())).file


def flip(path: Path, at: float = 0.5) -> None:
    raw = bytearray(path.read_bytes())
    raw[int(len(raw) * at)] ^= 0x20
    path.write_bytes(raw)


def garble_state(town: Path) -> None:
    path = town / "store" / "state.sqlite"
    for left in (path.with_name("state.sqlite-wal"), path.with_name("state.sqlite-shm")):
        left.unlink(missing_ok=True)
    path.write_bytes(b"no database" * 500)


def set_aside(town: Path) -> None:
    aside = town / "store" / "damaged" / "cold" / "readings" / "2026-03-09.1.parquet"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(b"damaged")


def restarted(town: Path) -> None:
    garble_state(town)
    State(town / "store" / "state.sqlite").close()
    backup.make(town, town.parent / "town.tar", NOON)


DAMAGE: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "parquet is changed": (lambda town: flip(part(town)), "Store", "does not match its checksum"),
    "parquet is gone": (lambda town: part(town).unlink(), "Store", "is missing"),
    "parquet is cut": (lambda town: os.truncate(part(town), 10), "Store", "has 10 bytes where"),
    "parquet was set aside": (set_aside, "Store", "1 damaged file was set aside"),
    "sealed segment is changed": (lambda town: flip(segments(town / "store/journal")[-2]), "Journal", "is damaged after"),
    "segments are gone": (
        lambda town: [path.unlink() for path in segments(town / "store/journal")[:3]], "Journal", "are missing"
    ),
    "state was mended": (restarted, "State", "state.damaged-1.sqlite was damaged, set aside"),
    "setting is wrong": (lambda town: (town / "town.toml").write_text("[town]"), "Settings", "name is missing"),
    "register is wrong": (lambda town: (town / "reference/sensors.csv").write_text("sensor\n"), "Settings", "sensors.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_with_its_place(town: Path, name: str) -> None:
    damage, thing, words = DAMAGE[name]
    damage(town)
    told = amiss(town)
    assert any(one == thing and words in text for one, text in told), told
    assert {one for one, _ in told} == {thing}


def test_damaged_state_is_named_and_so_is_the_backup_that_it_knew(town: Path) -> None:
    garble_state(town)
    told = dict(amiss(town))
    assert "Start the town again" in told["State"]
    assert "never been one" in told["Backup"]


def test_torn_end_of_the_journal_is_what_a_power_cut_leaves(town: Path) -> None:
    last = segments(town / "store" / "journal")[-1]
    last.write_bytes(last.read_bytes()[:-7])
    assert amiss(town) == []


def test_clock_that_went_back_is_named(town: Path) -> None:
    (told,) = amiss(town, NOON - timedelta(days=3))
    assert told[0] == "Clock"
    assert "2026-03-10 06:30 UTC" in told[1]
    assert "put back" in told[1]


def test_clock_that_no_network_sets_is_worth_a_look(town: Path) -> None:
    ((thing, words),) = amiss(town, network_time=False)
    assert (thing, "set-ntp" in words) == ("Clock", True)
    assert doctor.report(found(town, network_time=False))[1]


@pytest.mark.parametrize(
    ("code", "words"), [(errno.EROFS, "read-only"), (errno.ENOSPC, "disk is full"), (errno.EIO, "reports errors")]
)
def test_disk_that_refuses_is_named(town: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    def refuse(_: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("pipelines.engine.doctor.os.fsync", refuse)
    ((thing, told),) = amiss(town)
    assert (thing, words in told) == ("Disk", True)


def test_disk_that_is_nearly_full_is_named(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "room", lambda _: (1 << 20, 1 << 34))
    ((thing, told),) = amiss(town)
    assert (thing, told.startswith("Only 1 MB are free")) == ("Disk", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_file_of_another_user_is_named(town: Path) -> None:
    path = segments(town / "store" / "journal")[0]
    os.chown(path, 12345, 12345)
    ((thing, told),) = amiss(town)
    assert (thing, path.name in told, "chown" in told) == ("Permissions", True, True)


@pytest.mark.parametrize(("days", "level"), [(1, Level.SOUND), (3, Level.MEND)])
def test_planned_backup_that_is_not_made_is_named(town: Path, days: int, level: Level) -> None:
    text = TOWN.format(zone=ZONE, domains='["water", "grievances"]') + '[backup]\nto = "/media/usb"\n'
    (town / "town.toml").write_text(text)
    (told,) = [one for one in found(town, NOON + timedelta(days=days)) if one.thing == "Backup"]
    assert told.level is level
    assert level is Level.SOUND or "is /media/usb there?" in told.words


def test_job_that_failed_last_is_named(town: Path) -> None:
    state = State(town / "store" / "state.sqlite")
    state.keep_run("compaction", NOON, NOON, 0, "failed", "the disk is full")
    state.keep_run("retention", NOON, NOON, 0, "failed", "busy")
    state.keep_run("retention", NOON, NOON, 3, "done", "")
    state.close()
    assert amiss(town) == [("Job compaction", "its last run failed (2026-03-10T06:30 UTC): the disk is full")]


def test_command_tells_by_its_exit_status(town: Path) -> None:
    def told() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "app.py", "--town", str(town), "doctor"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert told().returncode == 0
    shutil.rmtree(town / "store" / "cold")
    unsound = told()
    assert (unsound.returncode, "Traceback" in unsound.stderr) == (1, False)
    assert "MEND  Store: " in unsound.stdout


def test_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    (told,) = found(tmp_path / "nowhere")
    assert (told.thing, told.level) == ("Settings", Level.MEND)
    assert not (tmp_path / "nowhere").exists()


def test_changed_audit_log_is_named(town: Path) -> None:
    import sqlite3

    from pipelines.engine.people import audit

    path = town / "store" / "state.sqlite"
    audit.noted(path, NOON, "asha", "signed in")
    audit.noted(path, NOON, "asha", "signed out")
    told = next(one for one in found(town) if one.thing == "Audit log")
    assert told.level is Level.SOUND and told.words.startswith("2 entries")
    with sqlite3.connect(path) as db:
        db.execute("UPDATE audit SET who = 'ravi' WHERE seq = 1")
    (wrong,) = [words for thing, words in amiss(town) if thing == "Audit log"]
    assert wrong.startswith("Entry 1 of the audit log")
