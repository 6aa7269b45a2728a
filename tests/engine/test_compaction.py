"""Compaction: Parquet is exactly the newest row per key of all frames so far, whatever happens in between."""

import fcntl
import os
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import cold as module
from pipelines.engine import compaction, manifest, sql
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import Entry, Journal, Rot, segments
from pipelines.engine.model import INSTANT, Column, Table
from pipelines.engine.store import Store
from pipelines.engine.tables import READINGS

REQUESTS = Table(
    name="requests",
    meaning="Rows whose place in time may move.",
    key=("id",),
    time="at",
    columns=(
        Column(name="id", meaning="Number."),
        Column(name="at", kind="instant", meaning="When."),
        Column(name="note", meaning="Words."),
    ),
)
STOPS = Table(
    name="stops",
    meaning="A whole data set.",
    key=("stop",),
    time=None,
    replaces=True,
    columns=(Column(name="stop", meaning="Stop."), Column(name="name", meaning="Name.")),
)
TABLES = (READINGS, REQUESTS, STOPS)
ROME = "Europe/Rome"
START = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
Row = tuple[Any, ...]


def readings(*rows: tuple[int, datetime, float | None]) -> pl.DataFrame:
    whole = [(series, at, value, 0) for series, at, value in rows]
    return pl.DataFrame(whole, schema=dict(READINGS.schema), orient="row")


def requests(*rows: tuple[str, datetime, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict(REQUESTS.schema), orient="row")


def append(journal: Journal, name: str, frame: pl.DataFrame) -> None:
    journal.append([Entry(name, frame, {"received_s": START.timestamp()})])


def some_frames(folder: Path, seed: int, count: int = 30) -> dict[str, dict[Row, Row]]:
    """Random frames in the journal, and what the newest row of each key is by a plain dictionary."""
    chance = random.Random(seed)
    truth: dict[str, dict[Row, Row]] = {"readings": {}, "requests": {}}
    journal = Journal(folder / "journal", segment_bytes=6000)
    for number in range(count):
        rows = [
            (chance.randrange(3), START + timedelta(minutes=15 * chance.randrange(400)), float(chance.randrange(100)))
            for _ in range(chance.randrange(1, 12))
        ]
        append(journal, "readings", readings(*rows))
        truth["readings"] |= {(series, at): (value,) for series, at, value in rows}
        moved = [(f"R{chance.randrange(6)}", START + timedelta(days=chance.randrange(90)), f"note {number}")]
        append(journal, "requests", requests(*moved))
        truth["requests"] |= {(name,): (at, note) for name, at, note in moved}
    journal.close()
    return truth


def cold(folder: Path, name: str) -> dict[Row, Row]:
    """Everything that Parquet holds of a table; fails when a key stands in it twice."""
    found: dict[Row, Row] = {}
    for part in manifest.read(folder).parts.get(name, {}).values():
        frame = module.read(folder / part.file)
        assert frame.height == part.rows
        columns = ("series", "observed_at", "value") if name == "readings" else ("id", "at", "note")
        width = 2 if name == "readings" else 1
        for row in frame.select(columns).iter_rows():
            assert row[:width] not in found, f"{row} stands twice"
            found[row[:width]] = row[width:]
    return found


def check_rollups(folder: Path, truth: dict[Row, Row], zone: str) -> None:
    """Hourly and daily rollups against plain Python over the true readings."""
    for grain, keys in (("hourly", ("hour",)), ("daily", ())):
        expected: dict[Row, list[float]] = {}
        for (series, at), (value,) in sorted(truth.items(), key=lambda item: item[0][1]):
            local = at.astimezone(ZoneInfo(zone))
            start = local.replace(minute=0, second=0, hour=local.hour if keys else 0, fold=local.fold if keys else 0)
            expected.setdefault((series, start.astimezone(UTC)), []).append(value)
        found = {}
        for part in manifest.read(folder).parts[f"roll_{grain}"].values():
            for row in pl.read_parquet(folder / part.file).iter_rows(named=True):
                key = (row["series"], row["observed_at"])
                assert key not in found
                found[key] = tuple(row[name] for name in ("n", "sum", "min", "max", "last"))
        assert found == {key: (len(v), sum(v), min(v), max(v), v[-1]) for key, v in expected.items()}


@pytest.mark.parametrize("pass_bytes", [1, 5000, 1 << 20])
def test_parquet_is_the_newest_row_of_every_key(tmp_path: Path, pass_bytes: int) -> None:
    truth = some_frames(tmp_path, seed=pass_bytes)
    done = compaction.compact(tmp_path, TABLES, ROME, pass_bytes)
    assert done.applied_seq == 60
    assert cold(tmp_path, "readings") == truth["readings"]
    assert cold(tmp_path, "requests") == truth["requests"]
    check_rollups(tmp_path, truth["readings"], ROME)


def test_partitions_are_local_days_also_where_the_clock_changes(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    append(journal, "readings", readings(*((1, START + timedelta(minutes=15 * n), 1.0) for n in range(200))))
    journal.close()
    compaction.compact(tmp_path, TABLES, ROME)
    days = manifest.read(tmp_path).parts["readings"]
    # 20:00 UTC is 21:00 in Rome; 29 March 2026 has 23 hours there.
    assert {day: part.rows for day, part in days.items()} == {"2026-03-28": 12, "2026-03-29": 92, "2026-03-30": 96}
    assert days["2026-03-29"].low == datetime(2026, 3, 28, 23, 0, tzinfo=UTC)


def test_row_that_moves_to_another_month_leaves_its_old_one(tmp_path: Path) -> None:
    for at, note in ((START, "first"), (START + timedelta(days=60), "moved")):
        journal = Journal(tmp_path / "journal")
        append(journal, "requests", requests(("R1", at, note), (f"other {note}", START, "stays")))
        journal.close()
        compaction.compact(tmp_path, TABLES, ROME)
    assert cold(tmp_path, "requests")[("R1",)] == (START + timedelta(days=60), "moved")
    assert len(cold(tmp_path, "requests")) == 3


def test_whole_data_set_is_the_last_that_came(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for names in (["a", "b"], ["b"], ["c", "d"]):
        append(journal, "stops", pl.DataFrame({"stop": names, "name": names}))
    journal.close()
    compaction.compact(tmp_path, TABLES, ROME)
    (part,) = manifest.read(tmp_path).parts["stops"].values()
    assert pl.read_parquet(tmp_path / part.file)["stop"].to_list() == ["c", "d"]


def test_late_rows_change_only_their_own_day(tmp_path: Path) -> None:
    truth = some_frames(tmp_path, seed=5)
    first = compaction.compact(tmp_path, TABLES, ROME).parts["readings"]
    late = (1, START + timedelta(minutes=15, seconds=7), 55.0)
    journal = Journal(tmp_path / "journal")
    append(journal, "readings", readings(late))
    journal.close()
    second = compaction.compact(tmp_path, TABLES, ROME).parts["readings"]
    assert {day for day in second if second[day] != first[day]} == {"2026-03-28"}
    truth["readings"][late[:2]] = late[2:]
    assert cold(tmp_path, "readings") == truth["readings"]
    check_rollups(tmp_path, truth["readings"], ROME)


class Killed(BaseException):
    """The process ends here."""


def killing_at(patch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Ends the compaction at the n-th call that touches the disk; gives the number of calls so far."""
    made = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            nonlocal made
            made += 1
            if made == step:
                raise Killed
            return original(*args, **named)

        return call

    patch.setattr(module.pq, "write_table", counted(module.pq.write_table))
    patch.setattr(os, "fsync", counted(os.fsync))
    patch.setattr(Path, "rename", counted(Path.rename))
    patch.setattr(Path, "mkdir", counted(Path.mkdir))
    patch.setattr(manifest.json, "dump", counted(manifest.json.dump))
    return lambda: made


def test_kill_between_any_two_steps_leaves_the_old_or_the_new_manifest(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    truth = some_frames(origin, seed=3, count=4)
    compaction.compact(origin, TABLES, ROME)
    journal = Journal(origin / "journal")
    rows = [(1, START + timedelta(minutes=15 * n), float(n)) for n in range(3)]
    append(journal, "readings", readings(*rows))
    append(journal, "requests", requests(("R1", START + timedelta(days=200), "moved far")))
    journal.close()
    truth["readings"] |= {(series, at): (value,) for series, at, value in rows}
    truth["requests"][("R1",)] = (START + timedelta(days=200), "moved far")
    step, old, outcomes = 0, manifest.read(origin), set()
    while True:
        step += 1
        folder = tmp_path / f"kill{step}"
        shutil.copytree(origin, folder)
        with pytest.MonkeyPatch.context() as patch:
            made = killing_at(patch, step)
            with suppress(Killed):
                compaction.compact(folder, TABLES, ROME)
            reached = made() >= step
        stands = manifest.read(folder)
        outcomes.add(stands.applied_seq)
        assert stands.applied_seq in (old.applied_seq, old.applied_seq + 2)
        assert all((folder / file).is_file() for file in stands.files())
        reader = Store(folder, TABLES)
        reader.open()
        seen = reader.rows("readings", columns=["series", "observed_at", "value"])
        assert {row[:2]: row[2:] for row in seen.iter_rows()} == truth["readings"]
        assert seen.height == len(truth["readings"])
        compaction.compact(folder, TABLES, ROME)
        assert cold(folder, "readings") == truth["readings"]
        assert cold(folder, "requests") == truth["requests"]
        shutil.rmtree(folder)
        if not reached:
            break
    assert step > 15
    assert outcomes == {old.applied_seq, old.applied_seq + 2}


def test_leftovers_are_swept_once_no_reader_can_hold_them(tmp_path: Path) -> None:
    some_frames(tmp_path, seed=1)
    compaction.compact(tmp_path, TABLES, ROME, pass_bytes=1000)
    orphan = tmp_path / "cold" / "readings" / "2026-01-01.99.new"
    orphan.write_bytes(b"half")
    changed = datetime.fromtimestamp(orphan.stat().st_mtime, UTC)
    assert compaction.sweep(tmp_path, changed + timedelta(minutes=9)) == 0
    present = {str(path.relative_to(tmp_path)) for path in [*tmp_path.glob("cold/*/*"), *tmp_path.glob("roll/*/*")]}
    live = manifest.read(tmp_path).files()
    assert compaction.sweep(tmp_path, changed + timedelta(minutes=11)) == len(present - live) > 1
    assert {str(p.relative_to(tmp_path)) for p in [*tmp_path.glob("cold/*/*"), *tmp_path.glob("roll/*/*")]} == live


def test_rot_in_a_sealed_segment_stops_the_compaction_instead_of_being_skipped(tmp_path: Path) -> None:
    some_frames(tmp_path, seed=2)
    first = segments(tmp_path / "journal")[0]
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 1
    first.write_bytes(raw)
    with pytest.raises(Rot):
        compaction.compact(tmp_path, TABLES, ROME)
    assert manifest.read(tmp_path).applied_seq == 0


def test_second_compaction_is_refused_while_one_runs(tmp_path: Path) -> None:
    with (tmp_path / "compaction.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="compacted already"):
            compaction.compact(tmp_path, TABLES, ROME)


@pytest.mark.parametrize("left", ["gone", "half", "garbled", "empty"])
@pytest.mark.parametrize("dropped", [False, True])
def test_lost_manifest_is_made_again_from_files_and_journal(tmp_path: Path, left: str, dropped: bool) -> None:
    truth = some_frames(tmp_path, seed=11)
    compaction.compact(tmp_path, TABLES, ROME, pass_bytes=3000)
    if dropped:
        journal = Journal(tmp_path / "journal")
        journal.drop_before(manifest.read(tmp_path).applied_seq)
        journal.close()
    journal = Journal(tmp_path / "journal")
    append(journal, "readings", readings((1, START + timedelta(days=1), 321.0)))
    journal.close()
    truth["readings"][(1, START + timedelta(days=1))] = (321.0,)
    lose(tmp_path / "manifest.json", left)
    (tmp_path / "cold" / "readings" / "2026-03-29.99999.parquet").write_bytes(b"PAR1 and then nothing")
    found = manifest.mended(tmp_path)
    assert manifest.read(tmp_path) == found
    store = Store(tmp_path, TABLES)
    store.open()
    rows = store.rows("readings", columns=["series", "observed_at", "value"]).iter_rows()
    assert {row[:2]: row[2:] for row in rows} == truth["readings"]
    assert {row[:1]: row[1:] for row in store.rows("requests", columns=["id", "at", "note"]).iter_rows()} == truth[
        "requests"
    ]
    compaction.compact(tmp_path, TABLES, ROME)
    assert cold(tmp_path, "readings") == truth["readings"]
    assert cold(tmp_path, "requests") == truth["requests"]
    check_rollups(tmp_path, truth["readings"], ROME)


def lose(path: Path, left: str) -> None:
    """What an accident makes of a manifest."""
    raw = path.read_bytes()
    path.unlink()
    if left != "gone":
        garbled = raw.replace(b'"applied_seq": ', b'"applied_seq": 1', 1)
        path.write_bytes({"half": raw[: len(raw) // 2], "garbled": garbled, "empty": b""}[left])


@pytest.mark.parametrize("frames", [1, 6])
def test_lost_manifest_with_files_of_a_pass_that_was_never_published_loses_and_doubles_nothing(
    tmp_path: Path, frames: int
) -> None:
    origin = tmp_path / "origin"
    truth = some_frames(origin, seed=21, count=frames)
    compaction.compact(origin, TABLES, ROME)
    journal = Journal(origin / "journal")
    append(journal, "readings", readings((2, START + timedelta(minutes=7), 77.0)))
    append(journal, "requests", requests(("R1", START + timedelta(days=300), "moved far")))
    journal.close()
    truth["readings"][(2, START + timedelta(minutes=7))] = (77.0,)
    truth["requests"][("R1",)] = (START + timedelta(days=300), "moved far")
    for step in range(1, 40):
        folder = tmp_path / f"kill{step}"
        shutil.copytree(origin, folder)
        with pytest.MonkeyPatch.context() as patch:
            made = killing_at(patch, step)
            with suppress(Killed):
                compaction.compact(folder, TABLES, ROME)
            reached = made() >= step
        (folder / "manifest.json").unlink()
        manifest.mended(folder)
        for since in (START - timedelta(days=1), START + timedelta(days=2)):
            check_opened(folder, truth, since)
        compaction.compact(folder, TABLES, ROME)
        assert cold(folder, "readings") == truth["readings"]
        assert cold(folder, "requests") == truth["requests"]
        shutil.rmtree(folder)
        if not reached:
            break
    assert step > 10


def check_opened(folder: Path, truth: dict[str, dict[Row, Row]], hot_since: datetime) -> None:
    """A writer that opens the store finds every row once, and counts it once."""
    store = Store(folder, TABLES, hot_since)
    store.open()
    for name, columns in (("readings", ["series", "observed_at", "value"]), ("requests", ["id", "at", "note"])):
        rows, keys = store.rows(name, columns=columns).rows(), len(TABLES[name == "requests"].key)
        assert {row[:keys]: row[keys:] for row in rows} == truth[name]
        assert len(rows) == len(truth[name])
    counted = store.sums("readings", ["quality"], "series")
    assert counted["payloads"].sum() == len(truth["readings"])


@pytest.mark.parametrize("harm", ["gone", "cut", "garbled"])
def test_damaged_file_is_named_and_set_aside_and_the_rest_serves(tmp_path: Path, harm: str) -> None:
    truth = some_frames(tmp_path, seed=12)
    parts = compaction.compact(tmp_path, TABLES, ROME).parts["readings"]
    part = sorted(parts.items())[1][1]
    path = tmp_path / part.file
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 3] ^= 0x55
    path.unlink()
    if harm != "gone":
        path.write_bytes(raw if harm == "garbled" else raw[: len(raw) // 2])
    rest = {key: row for key, row in truth["readings"].items() if not part.low <= key[1] <= part.high}
    assert 0 < len(rest) < len(truth["readings"])
    store = Store(tmp_path, TABLES)
    store.open()
    rows = store.rows("readings", columns=["series", "observed_at", "value"]).iter_rows()
    assert {row[:2]: row[2:] for row in rows} == rest
    assert part.file in store.damaged[part.file]
    late = (1, part.low, 5.0)
    journal = Journal(tmp_path / "journal")
    append(journal, "readings", readings(late))
    journal.close()
    compaction.compact(tmp_path, TABLES, ROME)
    assert cold(tmp_path, "readings") == rest | {late[:2]: late[2:]}
    assert (tmp_path / "damaged" / part.file).exists() == (harm != "gone")


# values at rest ------------------------------------------------------------------------------------------------------

VALUES = st.one_of(
    st.none(),
    st.floats(allow_nan=False),
    st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 7)).map(lambda one: one[0] / 10 ** one[1]),
    st.integers(-(2**60), 2**60).map(float),
    st.sampled_from([-0.0, 0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, float(2**53), 1e15 + 0.3]),
)


@given(st.lists(st.tuples(st.integers(0, 3), VALUES), min_size=1, max_size=40))
def test_every_value_comes_back_bit_by_bit_by_polars_and_by_duckdb(rows: list[tuple[int, float | None]]) -> None:
    frame = readings(*((series, START + timedelta(seconds=n), value) for n, (series, value) in enumerate(rows)))
    with tempfile.TemporaryDirectory() as folder:
        part = module.write(Path(folder), "cold/readings/day.1.parquet", frame, READINGS, module.Pass(1, 0, 1))
        again = module.read(Path(folder) / part.file)
        by_duckdb = duckdb.sql(f"SELECT * FROM {sql.with_values(sql.parquet(Path(folder), [part]))}").pl()
    assert again.columns == frame.columns
    for found in (again, by_duckdb.sort("observed_at")):
        assert found["value"].is_null().to_list() == frame["value"].is_null().to_list()
        bits = [column.fill_null(0.5).to_numpy().tobytes() for column in (found["value"], frame["value"])]
        assert bits[0] == bits[1]


def test_readings_of_a_resolution_take_at_most_a_byte_each(tmp_path: Path) -> None:
    chance, rows = random.Random(1), []
    for series in range(20):
        level = 2000
        for minute in range(1440):
            level += chance.randrange(-8, 9)
            rows.append((series, START + timedelta(minutes=minute), level / 100))
    part = module.write(tmp_path, "cold/readings/day.1.parquet", readings(*rows), READINGS, module.Pass(1, 0, 1))
    assert part.size / part.rows <= 1.0
    kept = pl.read_parquet(tmp_path / part.file)
    assert kept["value"].null_count() == kept.height
    assert set(kept["scale"]) == {100.0}


def test_column_that_a_table_gains_is_empty_in_rows_from_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    append(journal, "requests", requests(("R1", START, "old")))
    journal.close()
    compaction.compact(tmp_path, TABLES, ROME)
    journal = Journal(tmp_path / "journal")
    append(journal, "requests", requests(("R2", START, "old, not compacted")))
    journal.close()
    wider = Table(
        name="requests", meaning="As before.", key=("id",), time="at",
        columns=(*REQUESTS.columns, Column(name="cost", kind="number", meaning="Cost.")),
    )  # fmt: skip
    store = Store(tmp_path, (READINGS, wider))
    store.open()
    assert store.rows("requests")["cost"].to_list() == [None, None]
    fresh = pl.DataFrame([("R3", START, "new", 5.0)], schema=dict(wider.schema), orient="row")
    assert store.sort("requests", fresh).keep.height == 1
    journal = Journal(tmp_path / "journal")
    append(journal, "requests", fresh)
    journal.close()
    compaction.compact(tmp_path, (READINGS, wider), ROME)
    store = Store(tmp_path, (READINGS, wider))
    store.open()
    rows = store.rows("requests").sort("id")
    assert rows.select("id", "cost").rows() == [("R1", None), ("R2", None), ("R3", 5.0)]
    assert rows.schema["at"] == INSTANT
