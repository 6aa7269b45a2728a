"""state.sqlite: durable, and whatever happens to the file, the next start needs no hand."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import flow, state_file
from pipelines.engine.alarms.record import Transition
from pipelines.engine.errors import StoreError
from pipelines.engine.state import State
from tests.conftest import ROOT
from tests.engine import small_town

NOON = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
ALARMS = {
    f"tank_low|T{n}": {"condition": {"active": True}, "alarm": {"since": f"2026-03-{n % 28 + 1:02d}"}}
    for n in range(60)
}
CURSOR = {"etag": '"abc"', "page": 7}


def rung(key: str) -> Transition:
    return Transition(
        alarm=key, event="rise", before="normal", after="unacknowledged", at=NOON, noted_at=NOON, who="process",
        annunciated=True, facts={"value": 0.4},
    )  # fmt: skip


def filled(path: Path) -> Path:
    """A file with something in every table, closed as a stop closes it."""
    opened = State(path)
    opened.keep_alarms(ALARMS, [rung(key) for key in ALARMS])
    opened.keep_cursor("bus", CURSOR)
    for number in range(400):
        at = NOON + timedelta(minutes=number)
        opened.keep_run("compaction", at, at, number, "done", "x" * 40)
    opened.close()
    return path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return filled(tmp_path_factory.mktemp("state") / "state.sqlite").read_bytes()


def test_sound_file_is_opened_as_it_is(tmp_path: Path) -> None:
    opened = State(filled(tmp_path / "state.sqlite"))
    assert (opened.alarms(), opened.cursor("bus"), opened.words) == (ALARMS, CURSOR, "")
    assert [run["rows"] for run in opened.runs(2)] == [399, 398]
    opened.close()
    assert state_file.faults(opened.path) == []
    assert list(tmp_path.glob("*damaged*")) == []


@pytest.mark.parametrize("content", [b"this is no database at all" * 400, b"\0" * 8192, os.urandom(4096)])
def test_file_that_is_no_database_is_set_aside_and_a_fresh_one_made(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state.sqlite"
    path.write_bytes(content)
    opened = State(path)
    assert opened.alarms() == {}
    opened.keep_cursor("bus", CURSOR)
    opened.close()
    assert (tmp_path / "state.damaged-1.sqlite").read_bytes() == content
    assert "set aside as state.damaged-1.sqlite" in opened.words
    assert State(path).cursor("bus") == CURSOR


def test_what_can_be_read_of_a_damaged_file_is_kept(tmp_path: Path, sound: bytes) -> None:
    path = tmp_path / "state.sqlite"
    # The last page belongs to the runs; alarms and cursors lie before it.
    path.write_bytes(sound[:-4096] + b"\xff" * 4096)
    assert state_file.faults(path)
    opened = State(path)
    assert (opened.alarms(), opened.cursor("bus")) == (ALARMS, CURSOR)
    assert 0 < len(opened.runs(1000)) < 400
    assert opened.words
    opened.close()
    assert state_file.faults(path) == []


def test_header_with_an_unknown_format_is_set_aside_like_any_damage(tmp_path: Path, sound: bytes) -> None:
    # Bytes 44 to 47 of a SQLite file are the number of its schema's format.
    (tmp_path / "state.sqlite").write_bytes(sound[:44] + bytes(b ^ 0x5A for b in sound[44:48]) + sound[48:])
    opened = State(tmp_path / "state.sqlite")
    assert "set aside" in opened.words
    opened.close()


@settings(max_examples=40)
@given(
    place=st.integers(0, (1 << 20) - 1),
    length=st.sampled_from([1, 2, 16, 512, 4096, 1 << 20]),
    kind=st.sampled_from(["cut", "zero", "garble"]),
)
def test_any_damage_opens_and_what_is_read_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, sound: bytes, place: int, length: int, kind: str
) -> None:
    at = place * len(sound) >> 20
    garbled = {"cut": b"", "zero": bytes(length), "garble": bytes(b ^ 0x5A for b in sound[at : at + length])}[kind]
    path = tmp_path_factory.mktemp("damage") / "state.sqlite"
    path.write_bytes(sound[:at] + garbled + (b"" if kind == "cut" else sound[at + length :]))
    opened = State(path)
    kept = opened.alarms()
    assert {key: kept[key] for key in set(kept) & set(ALARMS)} == {k: ALARMS[k] for k in set(kept) & set(ALARMS)}
    assert opened.cursor("bus") in (CURSOR, {})
    opened.runs()
    opened.keep_alarms(ALARMS, [])
    opened.close()
    again = State(path)
    assert {key: again.alarms()[key] for key in ALARMS} == ALARMS
    again.close()


def test_file_that_is_damaged_while_the_town_runs_is_mended_at_the_next_write(tmp_path: Path, sound: bytes) -> None:
    path = filled(tmp_path / "state.sqlite")
    opened = State(path)
    opened._db.execute("PRAGMA shrink_memory")
    with path.open("rb+") as file:
        file.seek(4096)
        file.write(b"\x55" * (len(sound) - 4096))
    opened.keep_alarms(ALARMS, [])
    assert opened.alarms() == ALARMS
    assert "set aside" in opened.words
    opened.close()
    assert State(path).alarms() == ALARMS


def test_changed_digit_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    State(path).keep_cursor("_kpis", {"seq": 1234567})
    with sqlite3.connect(path) as db:
        db.execute("UPDATE cursors SET cursor = replace(cursor, '1234567', '9234567')")
    assert State(path).cursor("_kpis") == {}


def test_entries_from_before_there_were_seals_are_read(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    State(path).close()
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO cursors VALUES ('bus', '{\"page\": 7}')")
    assert State(path).cursor("bus") == {"page": 7}


def test_second_damage_does_not_replace_what_was_set_aside_first(tmp_path: Path) -> None:
    path = tmp_path / "state.sqlite"
    for _ in range(2):
        path.write_bytes(b"no database" * 100)
        State(path).close()
    assert sorted(p.name for p in tmp_path.glob("*damaged*")) == ["state.damaged-1.sqlite", "state.damaged-2.sqlite"]


def test_file_that_may_not_be_opened_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").mkdir()
    with pytest.raises(StoreError, match="doctor"):
        State(tmp_path / "state.sqlite")


def test_copy_is_whole_while_another_process_writes(tmp_path: Path) -> None:
    path = filled(tmp_path / "state.sqlite")
    writing = (
        "import itertools, sys; from pathlib import Path; from pipelines.engine.state import State\n"
        "opened = State(Path(sys.argv[1])); print('begun', flush=True)\n"
        "for n in itertools.count(): opened.keep_alarms({'a': {'n': n}, 'b': {'n': n}}, [])\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", writing, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    try:
        writer.stdout.readline()
        for number in range(2):
            state_file.copy(path, tmp_path / f"{number}.sqlite")
            state_file.keep_cursor(path, "_backup", {"n": number})
    finally:
        writer.kill()
        writer.communicate()
    assert state_file.read_cursor(path, "_backup") == {"n": 1}
    for number in range(2):
        copied = tmp_path / f"{number}.sqlite"
        assert state_file.faults(copied) == []
        kept = State(copied).alarms()
        assert kept.get("a") == kept.get("b")
    assert State(path).cursor("bus") == CURSOR


def test_damaged_file_is_copied_as_it_is_and_mended_by_whoever_opens_the_copy(tmp_path: Path, sound: bytes) -> None:
    path, target = tmp_path / "state.sqlite", tmp_path / "copy.sqlite"
    path.write_bytes(sound[:-4096] + b"\xff" * 4096)
    state_file.copy(path, target)
    opened = State(target)
    assert (opened.alarms(), opened.cursor("bus")) == (ALARMS, CURSOR)
    opened.close()
    path.write_bytes(b"no database" * 100)
    state_file.keep_cursor(path, "_backup", CURSOR)
    assert state_file.read_cursor(path, "_backup") == {}
    assert state_file.faults(path)


def test_folder_may_have_any_name(tmp_path: Path) -> None:
    path = filled(tmp_path / "50% of #1 is it?" / "state.sqlite")
    state_file.copy(path, tmp_path / "copy.sqlite")
    assert state_file.read_cursor(path, "bus") == state_file.read_cursor(tmp_path / "copy.sqlite", "bus") == CURSOR
    assert state_file.faults(path) == []


def test_town_starts_on_a_damaged_state_rings_again_and_says_so(tmp_path: Path) -> None:
    town = small_town.make(tmp_path / "town")
    line = small_town.open_line(town, NOON, frozenset())
    low = [("T1.level", NOON - timedelta(minutes=minutes), 0.2) for minutes in (20, 10, 0)]
    small_town.send(line, "network", small_town.csv_of(low), NOON)
    flow.beat(line, NOON)
    rung = [alarm["id"] for alarm in line.alarms.listed()]
    assert any("tank_low" in key for key in rung)
    line.close()
    path = town / "store" / "state.sqlite"
    for left in (path, path.with_name("state.sqlite-wal")):
        left.write_bytes(b"\xaa" * 9000)
    line = small_town.open_line(town, NOON + timedelta(minutes=1), frozenset())
    flow.beat(line, NOON + timedelta(minutes=1))
    assert [alarm["id"] for alarm in line.alarms.listed()] == rung
    (run,) = line.state.runs()
    assert (run["job"], run["outcome"]) == ("start", "mended")
    assert "set aside as state.damaged-1.sqlite" in run["words"]
    assert small_town.readings(line) == low
    line.close()
