"""Drop folder and replay: whole files only, each told what became of it, nothing lost or doubled by a crash."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.engine.line import Line
from pipelines.engine.service import Service
from pipelines.engine.sources.drop_folder import DropFolder
from pipelines.engine.sources.replay import Replay, recorded_at
from tests.engine import small_town
from tests.engine.small_town import NOON, abandon, csv_of, make, readings

GOOD = csv_of([("P1.p", NOON - timedelta(minutes=15 * n), 20.0) for n in range(4)])
KPIS = frozenset({"pressure_compliance"})


class Town:
    """A line with its folder watch, on a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, NOON
        self.open()

    def open(self) -> None:
        self.line: Line = small_town.open_line(self.folder, self.now, KPIS)
        self.service = Service(self.line, lambda: self.now, [])
        self.service.intake.start()
        self.work = self.service.schedule._jobs["drop folders"].work
        self.drop = self.folder / "drop" / "network"

    def put(self, name: str, body: bytes) -> Path:
        path = self.drop / name
        path.write_bytes(body)
        self.touched(path)
        return path

    def touched(self, path: Path) -> None:
        os.utime(path, (self.now.timestamp(), self.now.timestamp()))

    def look(self, seconds: float = 2.5) -> int | None:
        self.now += timedelta(seconds=seconds)
        rows = self.work()
        # A file is answered for when it is durable; the line books it before it lets go of the lock.
        with self.line.writing:
            return rows

    def close(self) -> None:
        self.service.intake.stop()
        self.line.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    opened = Town(make(tmp_path / "town"))
    yield opened
    opened.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_file_is_taken_once_it_is_quiet_and_moved_to_done(town: Town) -> None:
    town.put("a.csv", GOOD)
    assert town.look() is None
    assert town.look() == 4
    assert (names(town.drop), names(town.drop / "done"), names(town.drop / "refused")) == ([], ["a.csv"], [])
    assert len(readings(town.line)) == 4
    assert town.look() is None


def test_file_that_was_dropped_before_the_clock_was_set_back_is_taken(town: Town) -> None:
    town.put("a.csv", GOOD)
    town.now -= timedelta(hours=1)
    assert town.look() is None
    assert town.look() == 4


def test_half_written_file_is_left_alone_while_it_grows(town: Town) -> None:
    path = town.put("a.csv", GOOD[:30])
    for cut in (40, 60, 80, len(GOOD)):
        assert town.look() is None
        path.write_bytes(GOOD[:cut])
        town.touched(path)
    assert readings(town.line) == []
    assert town.look() is None
    assert town.look() == 4


@pytest.mark.parametrize("name", [".a.csv", "~a.csv", "a.csv.part", "a.csv.tmp", "a.CSV.PARTIAL", "a.csv.crdownload"])
def test_name_of_an_unfinished_file_is_never_taken(town: Town, name: str) -> None:
    town.put(name, GOOD)
    assert [town.look() for _ in range(3)] == [None, None, None]
    assert names(town.drop) == [name]


def test_unreadable_file_is_refused_with_the_reason_beside_it(town: Town) -> None:
    town.put("a.csv", b"PK\x03\x04 this is no table")
    town.look()
    town.look()
    assert names(town.drop / "refused") == ["a.csv", "a.csv.reason.txt"]
    reason = (town.drop / "refused" / "a.csv.reason.txt").read_text()
    assert len(reason) > 30
    assert "Traceback" not in reason
    assert town.line.feeds.ledger()["quarantined"] == 1


def test_file_beyond_the_limit_is_refused_without_being_read(town: Town) -> None:
    town.put("a.csv", GOOD)
    folder = DropFolder(town.line.settings.feeds["network"], town.drop)
    folder.feed = town.line.settings.feeds["network"].__class__(**{**vars(folder.feed), "max_mb": 0.00001})
    words = folder.too_large(town.drop / "a.csv")
    assert words
    assert "max_mb" in words
    folder.refuse(town.drop / "a.csv", words)
    assert names(town.drop / "refused") == ["a.csv", "a.csv.reason.txt"]


def test_rows_that_were_set_aside_are_listed_in_the_report(town: Town) -> None:
    town.put("a.csv", GOOD + b"nobody,2026-03-10T06:00:00Z,5,\nP1.p,soon,5,\n")
    town.look()
    town.look()
    assert names(town.drop / "done") == ["a.csv", "a.csv.report.txt"]
    text = (town.drop / "done" / "a.csv.report.txt").read_text()
    assert "6 rows read, 4 taken in, 0 known already, 2 set aside" in text
    assert "line 6: the sensor `nobody` is not in sensors.csv" in text
    assert "line 7: " in text


def test_second_file_of_the_same_name_does_not_replace_the_first(town: Town) -> None:
    for _ in range(2):
        town.put("a.csv", GOOD)
        town.look()
        town.look()
    assert names(town.drop / "done") == ["a.2.csv", "a.csv"]
    ledger = town.line.feeds.ledger()
    assert (ledger["stored"], ledger["duplicate"]) == (4, 4)


def test_crash_between_keeping_and_moving_gives_duplicates_only(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.put("a.csv", GOOD)
    town.look()
    with monkeypatch.context() as crash:
        crash.setattr(DropFolder, "done", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            town.look()
    town.service.intake.stop()
    abandon(town.line)
    town.open()
    town.look()
    town.look()
    assert names(town.drop / "done") == ["a.csv"]
    assert len(readings(town.line)) == 4
    ledger = town.line.feeds.ledger()
    assert (ledger["stored"], ledger["duplicate"]) == (4, 4)


def test_file_stays_when_nothing_could_be_made_durable(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.put("a.csv", GOOD)
    town.look()

    def full(*_: object) -> int:
        raise OSError(28, "no space left")

    with monkeypatch.context() as broken:
        broken.setattr("pipelines.engine.journal.os.write", full)
        with pytest.raises(OSError, match="no space"):
            town.look()
    assert names(town.drop) == ["a.csv"]
    assert town.look() == 4


def test_file_that_cannot_be_opened_does_not_keep_the_others_waiting(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.put("a.csv", GOOD)
    town.put("b.csv", GOOD)
    town.look()
    whole = Path.read_bytes

    def locked(path: Path) -> bytes:
        if path.name == "a.csv":
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(Path, "read_bytes", locked)
    assert town.look() == 4
    assert names(town.drop / "done") == ["b.csv"]
    assert "cannot be opened (Permission denied)" in (town.drop / "refused" / "a.csv.reason.txt").read_text()


def test_oldest_file_comes_first(town: Town) -> None:
    later, earlier = town.put("b.csv", GOOD), town.put("c.csv", GOOD)
    os.utime(earlier, (NOON.timestamp() - 50, NOON.timestamp() - 50))
    folder = DropFolder(town.line.settings.feeds["network"], town.drop)
    now = NOON + timedelta(seconds=5)
    assert folder.look(now) == []
    assert folder.look(now) == [earlier, later]


# replay ------------------------------------------------------------------------------------------------------------


def at(seconds: float) -> datetime:
    return datetime(2026, 1, 13, 3, 8, 52, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vp_20260113T030852Z.pb", at(0)),
        ("vp-2026-01-13T03:08:52.pb", at(0)),
        ("1768273732.pb", at(0)),
        ("vp_20260113_030902.pb", at(10)),
    ],
)
def test_moment_of_recording_is_in_the_name(tmp_path: Path, name: str, expected: datetime) -> None:
    assert recorded_at(tmp_path / name) == expected


def test_moment_of_recording_is_the_files_time_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "x.pb"
    path.write_bytes(b"")
    os.utime(path, (at(5).timestamp(), at(5).timestamp()))
    assert recorded_at(path) == at(5)


def test_replay_keeps_the_gaps_divided_by_its_speed(tmp_path: Path) -> None:
    for name, body in (("20260113T030852Z", b"0"), ("20260113T030922Z", b"30"), ("20260113T031052Z", b"120")):
        (tmp_path / name).write_bytes(body)
    replay = Replay(list(tmp_path.iterdir()), NOON, speed=10.0)
    sent = {
        seconds: [body for _, body in replay.due(NOON + timedelta(seconds=seconds))]
        for seconds in (0, 2.9, 3, 11.9, 12)
    }
    assert sent == {0: [b"0"], 2.9: [], 3: [b"30"], 11.9: [], 12: [b"120"]}
    assert replay.over
    assert Replay([], NOON).over
