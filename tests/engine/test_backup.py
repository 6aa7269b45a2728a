"""Backup and restore: whole or not at all, equal to the original, whatever is killed and whatever is damaged."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import available
from pipelines.engine import archive, backup, compaction, disk, state_file
from pipelines.engine.errors import StoreError
from pipelines.engine.line import Line
from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES
from tests.conftest import ROOT
from tests.engine.small_town import NOON, csv_of, make, open_line, send

KPIS = frozenset({"pressure_compliance"})
TABLES = (*ENGINE_TABLES, *(table for domain in available().values() for table in domain.tables))
ZONE = "Asia/Kolkata"
COMPLAINTS = ROOT / "data" / "samples" / "grievances" / "complaint_book.csv"


def fill(line: Line, days: int = 3) -> None:
    """Readings of some days, complaints, and a row that is set aside."""
    for day in range(days):
        rows = [("P1.p", NOON - timedelta(days=day, minutes=15 * n), 10.0 + n) for n in range(40)]
        send(line, "network", csv_of([*rows, ("nobody", NOON, 1.0)]), NOON)
    send(line, "book", COMPLAINTS.read_bytes(), NOON)


def rows_of(town: Path) -> dict[str, pl.DataFrame]:
    """Every row of every table as a reader sees them."""
    store = Store(town / "store", TABLES)
    store.open()
    return {name: store.rows(name).sort(table.key) for name, table in store.tables.items()}


def assert_equal(town: Path, original: dict[str, pl.DataFrame]) -> None:
    found = rows_of(town)
    assert {name for name, rows in original.items() if not found[name].equals(rows)} == set()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with compacted days, a journal behind them, a state and a file that nobody has taken in yet."""
    folder = make(tmp_path_factory.mktemp("backup") / "town")
    line = open_line(folder, NOON, KPIS)
    fill(line)
    compaction.compact(folder / "store", TABLES, ZONE)
    line.adopt(NOON)
    fill(line, 5)
    line.state.keep_cursor("book", {"page": 7})
    line.close()
    for place in ("drop/network/later.csv", "drop/network/done/old.csv", "town-2026-03-09.tar"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(place)
    return folder


@pytest.fixture(scope="module")
def original(town: Path) -> dict[str, pl.DataFrame]:
    return rows_of(town)


@pytest.mark.parametrize("ending", [".tar", ".tar.zst"])
def test_restored_town_equals_the_original_in_every_table(
    town: Path, original: dict[str, pl.DataFrame], tmp_path: Path, ending: str
) -> None:
    made = backup.make(town, tmp_path / f"town{ending}", NOON)
    restored = tmp_path / "restored"
    assert backup.restore(made.file, restored).files == made.files
    assert {name for name, rows in original.items() if rows.height} >= {
        "readings", "series", "arrivals", "quarantine", "service_requests"
    }  # fmt: skip
    assert_equal(restored, original)
    for name in ("town.toml", "reference/sensors.csv", "reference/wards.geojson", "drop/network/later.csv"):
        assert (restored / name).read_bytes() == (town / name).read_bytes()
    assert not (restored / "drop" / "network" / "done").exists()
    assert not list(restored.glob("*.tar"))
    line = open_line(restored, NOON, KPIS)
    assert line.state.cursor("book") == {"page": 7}
    assert line.journal.torn_bytes == 0
    line.close()


def test_archive_can_be_checked_with_ordinary_tools(town: Path, tmp_path: Path) -> None:
    backup.make(town, tmp_path / "town.tar", NOON)
    subprocess.run(["tar", "-xf", "town.tar"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path, check=True)


def test_last_backup_is_remembered(town: Path, tmp_path: Path) -> None:
    made = backup.make(town, tmp_path / "town.tar", NOON)
    last = state_file.read_cursor(town / "store" / "state.sqlite", backup.LAST)
    assert (last["at"], last["file"], last["bytes"]) == (NOON.isoformat(), str(made.file), made.file.stat().st_size)
    assert not (town / "store" / "backup.new").exists()


def test_backup_while_rows_come_and_are_compacted_holds_all_that_was_acknowledged_before(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON, KPIS)
    fill(line)
    acknowledged: list[int] = []
    ended = threading.Event()

    def work() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            send(line, "network", csv_of([("P2.p", NOON - timedelta(days=30, seconds=number), float(number))]), NOON)
            acknowledged.append(number)
            if number % 20 == 0:
                compaction.compact(folder / "store", TABLES, ZONE)
                line.adopt(NOON)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        for number in range(2):
            while len(acknowledged) < 15 * number:
                ended.wait(0.01)
            before = set(map(float, acknowledged))
            made = backup.make(folder, tmp_path / f"{number}.tar", NOON)
            backup.restore(made.file, tmp_path / f"restored-{number}")
            readings = rows_of(tmp_path / f"restored-{number}")["readings"]
            assert before <= set(readings["value"])
            assert readings.select("series", "observed_at").is_unique().all()
    finally:
        ended.set()
        worker.join(20)
        line.close()


def hashed(rows: pl.DataFrame) -> str:
    """SHA-256 over every cell of every row, in the order of all columns."""
    return hashlib.sha256(rows.sort(rows.columns).write_csv().encode()).hexdigest()


def test_backup_taken_under_load_restores_to_a_store_equal_by_hashes(tmp_path: Path) -> None:
    folder = make(tmp_path / "town")
    line = open_line(folder, NOON, KPIS)
    ended, number = threading.Event(), 0

    def work() -> None:
        nonlocal number
        while not ended.is_set():
            number += 1
            rows = [(s, NOON - timedelta(days=9, seconds=number), float(number)) for s in ("P1.p", "P2.p", "D1.in")]
            send(line, "network", csv_of([*rows, (f"nobody {number}", NOON, 1.0)]), NOON)
            if number % 10 == 0:
                compaction.compact(folder / "store", TABLES, ZONE)
                line.adopt(NOON)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        while number < 24:
            ended.wait(0.005)
        made = backup.make(folder, tmp_path / "town.tar", NOON)
        taken = number
        while number < taken + 10:
            ended.wait(0.005)
    finally:
        ended.set()
        worker.join(20)
        line.close()
    backup.restore(made.file, tmp_path / "restored")
    copy, whole = rows_of(tmp_path / "restored"), rows_of(folder)
    frames = [int(name.partition(".")[0]) for name in copy["arrivals"]["arrival"]]
    upto = len(frames)
    # The payload that is counted may still be on its way.
    assert 23 <= upto < number
    # The town as it was after as many payloads as the copy holds: each brought three readings and one refused row.
    then = {
        "readings": whole["readings"].filter(pl.col("value") <= upto),
        "arrivals": whole["arrivals"].filter(pl.col("arrival").str.split(".").list.first().cast(int) <= max(frames)),
        "quarantine": whole["quarantine"].filter(
            pl.col("original").cast(pl.String).str.extract(r"nobody (\d+)").cast(int) <= upto
        ),
        "series": whole["series"],
    }
    for name, rows in then.items():
        assert rows.height, name
        assert hashed(plain(copy[name])) == hashed(plain(rows)), name


def plain(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with bytes as text, which a CSV can hold."""
    return rows.with_columns(pl.col(pl.Binary).bin.encode("hex"))


# killed --------------------------------------------------------------------------------------------------------------


def killed_after(script: str, arguments: list[str], delay_s: float) -> None:
    """A process that says when it begins its work, killed some time later."""
    process = subprocess.Popen(
        [sys.executable, "-c", script, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    threading.Event().wait(delay_s)
    process.send_signal(signal.SIGKILL)
    process.communicate()


BACKUPS = """import sys
from datetime import UTC, datetime
from pathlib import Path
from pipelines.engine import backup
print("begun", flush=True)
while True:
    backup.make(Path(sys.argv[1]), Path(sys.argv[2]), datetime(2026, 3, 10, tzinfo=UTC))
    Path(sys.argv[2]).unlink()
"""


def test_killed_backup_leaves_a_whole_archive_or_none_under_its_name(
    town: Path, original: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    target, halves = tmp_path / "town.tar", 0
    for number in range(3):
        killed_after(BACKUPS, [str(town), str(target)], 0.003 + 0.02 * number)
        halves += (tmp_path / "town.tar.part").exists() or (town / "store" / "backup.new").exists()
        if target.exists():
            archive.read(target)
    assert halves
    backup.make(town, target, NOON)
    backup.restore(target, tmp_path / "restored")
    assert_equal(tmp_path / "restored", original)
    assert [path.name for path in tmp_path.glob("*.part")] == []
    assert not (town / "store" / "backup.new").exists()


class Killed(BaseException):
    """Stands for SIGKILL: nothing is tidied up after it."""


def dies_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Let the process die at its n-th step on the disk; tells whether it came to that."""
    count = 0

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **named: object) -> object:
            nonlocal count
            count += 1
            if count == number:
                raise Killed
            return real(*args, **named)

        return step

    for owner, name in ((os, "fsync"), (Path, "rename"), (Path, "rmdir"), (Path, "unlink"), (Path, "mkdir")):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))
    return lambda: count >= number


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in archive.files(folder)}


def test_restore_that_is_killed_at_any_step_can_be_run_again(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backup.make(town, tmp_path / "town.tar", NOON)
    backup.restore(made.file, tmp_path / "whole")
    whole = contents(tmp_path / "whole")
    number, died = 0, True
    while died:
        number += 7
        restored = tmp_path / f"restored-{number}"
        with monkeypatch.context() as patch:
            died_yet = dies_at(number, patch)
            with suppress(Killed):
                backup.restore(made.file, restored)
            died = died_yet()
        if (restored / "town.toml").exists():
            # All was there when it died: this is a town, and no second restore may touch it.
            with pytest.raises(StoreError, match="not empty"):
                backup.restore(made.file, restored)
        else:
            backup.restore(made.file, restored)
        assert contents(restored) == whole
    assert number > 30


# refused -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archives(town: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("archives")
    return {ending: backup.make(town, folder / f"town{ending}", NOON).file.read_bytes() for ending in archive.ENDINGS}


@settings(max_examples=25)
@given(st.data())
def test_damaged_archive_is_refused_or_its_damage_touches_no_file(
    tmp_path_factory: pytest.TempPathFactory,
    archives: dict[str, bytes],
    original: dict[str, pl.DataFrame],
    data: st.DataObject,
) -> None:
    ending = data.draw(st.sampled_from(archive.ENDINGS), "ending")
    raw = archives[ending]
    at = data.draw(st.integers(0, len(raw) - 1), "at")
    cut = data.draw(st.booleans(), "cut")
    folder = tmp_path_factory.mktemp("damage")
    file = folder / f"town{ending}"
    file.write_bytes(raw[:at] if cut else raw[:at] + bytes([raw[at] ^ 0x41]) + raw[at + 1 :])
    try:
        backup.restore(file, folder / "restored")
    except StoreError as refusal:
        assert "older backup" in str(refusal)
        assert list((folder / "restored").iterdir()) == []
    else:
        # Bytes that fill up a block of the tar, or its closing zeroes, belong to no file.
        assert_equal(folder / "restored", original)


def test_folder_that_is_not_empty_is_left_alone(archives: dict[str, bytes], tmp_path: Path) -> None:
    file, here = tmp_path / "town.tar", tmp_path / "here"
    file.write_bytes(archives[".tar"])
    here.mkdir()
    (here / "letter.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"not empty.*--town"):
        backup.restore(file, here)
    assert [path.name for path in here.iterdir()] == ["letter.txt"]


def hostile(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize("member", [hostile("../evil"), hostile("/evil"), hostile("link", tarfile.SYMTYPE)])
def test_archive_that_points_outside_is_refused(tmp_path: Path, member: tarfile.TarInfo) -> None:
    with tarfile.open(tmp_path / "town.tar", "w") as tar:
        tar.addfile(member)
    with pytest.raises(StoreError, match="no plain file"):
        backup.restore(tmp_path / "town.tar", tmp_path / "inner" / "restored")
    assert not (tmp_path / "inner" / "evil").exists()


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(disk, "room", lambda _: (1 << 20, 1 << 30))
    yield


def test_backup_without_room_is_not_begun(town: Path, tmp_path: Path, crowded: None) -> None:
    with pytest.raises(StoreError, match=r"1 MB free.*larger disk"):
        backup.make(town, tmp_path / "town.tar", NOON)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("town.zip", "call an archive like town-2026-03-10.tar"), ("stick/town.tar", "put in the disk")],
)
def test_backup_to_a_place_that_cannot_be_is_refused_in_words(
    town: Path, tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(StoreError, match=words):
        backup.make(town, tmp_path / name, NOON)


@pytest.fixture
def read_only(town: Path, tmp_path: Path) -> Iterator[Path]:
    """The town on a disk that Linux has made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount")
    shutil.copytree(town, folder / "town")
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder / "town"
    subprocess.run(["umount", str(folder)], check=True)


def test_town_on_a_read_only_disk_can_still_be_backed_up(
    read_only: Path, original: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    made = backup.make(read_only, stick / "town.tar", NOON)
    assert [path.name for path in stick.iterdir()] == ["town.tar"]
    backup.restore(made.file, tmp_path / "restored")
    assert_equal(tmp_path / "restored", original)


def test_second_backup_at_the_same_time_waits_its_turn(town: Path, tmp_path: Path) -> None:
    with backup._staging(town, tmp_path / "x.tar"), pytest.raises(StoreError, match="another backup"):
        backup.make(town, tmp_path / "town.tar", NOON)


def test_folder_without_a_town_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"no town\.toml"):
        backup.make(tmp_path, tmp_path / "town.tar", NOON)
    with pytest.raises(StoreError, match="does not exist"):
        backup.restore(tmp_path / "town.tar", tmp_path / "restored")
