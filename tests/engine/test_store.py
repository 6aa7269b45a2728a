"""The store: what is new, what corrects, what is known already; hot rows and Parquet as one."""

import io
import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.engine import compaction, landing, manifest
from pipelines.engine.journal import Entry, Journal, frames
from pipelines.engine.model import Column, Table
from pipelines.engine.sorting import CORRECTS, DUPLICATE, NEW, sort_rows
from pipelines.engine.store import Store
from pipelines.engine.tables import READINGS

T0 = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
CASES = Table(
    name="cases", meaning="Versions.", key=("id",), time="at", version="version",
    columns=(
        Column(name="id", meaning="Number."),
        Column(name="at", kind="instant", meaning="When."),
        Column(name="version", kind="integer", meaning="Grows."),
        Column(name="note", meaning="Words."),
    ),
)  # fmt: skip
STOPS = Table(
    name="stops", meaning="Whole.", key=("stop",), time=None, replaces=True,
    columns=(Column(name="stop", meaning="Stop."), Column(name="name", meaning="Name.")),
)  # fmt: skip
TABLES = (READINGS, CASES, STOPS)


def readings(*rows: tuple[int, int, float | None]) -> pl.DataFrame:
    """Series, minutes after T0, value."""
    whole = [(series, T0 + timedelta(minutes=m), value, 0 if value is not None else 1) for series, m, value in rows]
    return pl.DataFrame(whole, schema=dict(READINGS.schema), orient="row")


def cases(*rows: tuple[str, int, int, str]) -> pl.DataFrame:
    whole = [(name, T0 + timedelta(days=day), version, note) for name, day, version, note in rows]
    return pl.DataFrame(whole, schema=dict(CASES.schema), orient="row")


class Writer:
    """A journal and the store that its line would hold."""

    def __init__(self, folder: Path, hot_since: datetime) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal")
        self.store = Store(folder, TABLES, hot_since)
        self.store.open()

    def take(self, name: str, frame: pl.DataFrame) -> list[int]:
        """Sort, keep, land; the outcome of each row."""
        found = self.store.sort(name, frame)
        if found.keep.height:
            entry = Entry(name, found.keep, {"received_s": T0.timestamp(), "corrects": found.corrects})
            self.store.land(self.journal.append([entry]), [entry])
        return found.outcome.to_list()

    def compact(self, hot_since: datetime) -> None:
        compaction.compact(self.folder, TABLES, "UTC")
        self.store.adopt(manifest.read(self.folder), hot_since)


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path, T0 - timedelta(days=1))


def values(store: Store) -> list[tuple[int, int, float | None]]:
    rows = store.rows("readings", columns=["series", "observed_at", "value"]).sort("series", "observed_at")
    return [(series, round((at - T0).total_seconds() / 60), value) for series, at, value in rows.iter_rows()]


def test_reading_is_new_then_duplicate_then_correction_then_back(writer: Writer) -> None:
    assert writer.take("readings", readings((1, 0, 5.0))) == [NEW]
    assert writer.take("readings", readings((1, 0, 5.0))) == [DUPLICATE]
    assert writer.take("readings", readings((1, 0, 6.0))) == [CORRECTS]
    assert writer.take("readings", readings((1, 0, 5.0))) == [CORRECTS]
    assert values(writer.store) == [(1, 0, 5.0)]


def test_a_b_a_in_one_batch_ends_with_a_and_supersedes_both(writer: Writer) -> None:
    batch = readings((1, 0, 1.0), (1, 0, 2.0), (2, 0, 9.0), (1, 0, 1.0), (1, 0, 1.0))
    found = writer.store.sort("readings", batch)
    assert found.outcome.to_list() == [NEW, CORRECTS, NEW, CORRECTS, DUPLICATE]
    assert found.superseded["value"].to_list() == [1.0, 2.0]
    writer.take("readings", batch)
    assert values(writer.store) == [(1, 0, 1.0), (2, 0, 9.0)]


def test_whoever_lands_does_not_wait_for_frames_that_are_put_into_the_tables(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, insert = threading.Event(), threading.Event(), landing._insert

    def slowly(*arguments: Any, **more: Any) -> None:
        begun.set()
        assert go_on.wait(30)
        insert(*arguments, **more)

    monkeypatch.setattr(landing, "_insert", slowly)
    writer.take("readings", readings((1, 0, 5.0)))
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(values, writer.store)
        assert begun.wait(30)
        writer.take("readings", readings((1, 1, 6.0)))
        again = pool.submit(values, writer.store)
        go_on.set()
        assert (1, 0, 5.0) in asked.result(30)
        assert again.result(30) == [(1, 0, 5.0), (1, 1, 6.0)], "a question sees what was durable before it"


def test_readings_that_several_senders_bring_out_of_order_are_sorted_out_before_they_are_in_the_tables(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert writer.take("readings", readings((1, 0, 1.0))) == [NEW]
    assert values(writer.store) == [(1, 0, 1.0)]
    assert writer.take("readings", readings((1, 5, 5.0), (1, 9, 9.0))) == [NEW, NEW]
    with monkeypatch.context() as patched:
        patched.setattr(landing, "_insert", lambda *_, **__: pytest.fail("nothing has to be asked of the tables"))
        assert writer.take("readings", readings((1, 4, 4.0), (1, 5, 5.0), (1, 9, 8.0))) == [NEW, DUPLICATE, CORRECTS]
        assert writer.take("readings", readings((1, 9, 8.0), (2, 1, 1.0), (1, 4, 3.0))) == [DUPLICATE, NEW, CORRECTS]
    assert writer.take("readings", readings((1, 0, 1.0), (1, 9, 8.0))) == [DUPLICATE, DUPLICATE]
    assert values(writer.store) == [(1, 0, 1.0), (1, 4, 3.0), (1, 5, 5.0), (1, 9, 8.0), (2, 1, 1.0)]


def test_frames_that_could_not_be_put_into_the_tables_are_put_there_by_the_next_question(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any, **__: Any) -> None:
        raise duckdb.OutOfMemoryException("no room")

    writer.take("readings", readings((1, 0, 5.0)))
    with monkeypatch.context() as patched:
        patched.setattr(landing, "_insert", refuses)
        with pytest.raises(duckdb.OutOfMemoryException):
            values(writer.store)
    writer.take("readings", readings((1, 1, 6.0)))
    assert values(writer.store) == [(1, 0, 5.0), (1, 1, 6.0)]


def test_value_that_becomes_unusable_is_a_correction(writer: Writer) -> None:
    writer.take("readings", readings((1, 0, 1.0)))
    assert writer.take("readings", readings((1, 0, None), (1, 1, None))) == [CORRECTS, NEW]
    assert writer.take("readings", readings((1, 0, None))) == [DUPLICATE]
    assert values(writer.store) == [(1, 0, None), (1, 1, None)]


def test_older_version_that_comes_late_changes_nothing(writer: Writer) -> None:
    assert writer.take("cases", cases(("A", 0, 3, "third"))) == [NEW]
    assert writer.take("cases", cases(("A", 0, 2, "second"))) == [DUPLICATE]
    assert (
        writer.take("cases", cases(("A", 0, 3, "third"), ("A", 0, 1, "first"), ("A", 0, 3, "third"))) == [DUPLICATE] * 3
    )
    assert writer.take("cases", cases(("A", 0, 3, "third, mended"))) == [CORRECTS]
    assert writer.store.rows("cases")["note"].to_list() == ["third, mended"]


def test_versions_out_of_order_in_one_batch_leave_the_newest(writer: Writer) -> None:
    assert writer.take("cases", cases(("A", 0, 1, "1"), ("A", 0, 3, "3"), ("A", 0, 2, "2"), ("A", 0, 3, "3"))) == [
        NEW, CORRECTS, DUPLICATE, DUPLICATE,
    ]  # fmt: skip
    assert writer.store.rows("cases")["note"].to_list() == ["3"]


def test_whole_set_replaces_the_one_before_and_the_same_set_again_is_duplicate(writer: Writer) -> None:
    first = pl.DataFrame({"stop": ["a", "b"], "name": ["A", "B"]})
    assert writer.take("stops", first) == [NEW, NEW]
    assert writer.take("stops", first.reverse()) == [DUPLICATE, DUPLICATE]
    assert writer.take("stops", pl.DataFrame({"stop": ["c"], "name": ["C"]})) == [NEW]
    assert writer.store.rows("stops")["stop"].to_list() == ["c"]
    again = Store(writer.folder, TABLES)
    again.open()
    assert again.rows("stops")["stop"].to_list() == ["c"]


@pytest.mark.parametrize("seed", range(6))
def test_rows_newer_than_all_known_are_told_without_looking_up_and_nothing_else_is(writer: Writer, seed: int) -> None:
    chance = random.Random(seed)
    for step in range(12):
        rows = [
            (chance.randrange(5) * 700, chance.randrange(-3000, 60 * step + 60), float(chance.randrange(3)))
            for _ in range(chance.randrange(1, 25))
        ]
        frame = readings(*rows)
        expected = sort_rows(READINGS, writer.store._known(READINGS, frame), frame)
        found = writer.store.sort("readings", frame)
        assert found.outcome.equals(expected.outcome)
        assert found.keep.equals(expected.keep)
        assert found.superseded.equals(expected.superseded)
        writer.take("readings", frame)
        if step % 4 == 3:
            writer.compact(T0 + timedelta(minutes=30 * step))


def test_late_rows_are_known_and_corrected_under_compacted_days(writer: Writer) -> None:
    writer.take("readings", readings(*((1, -60 * h, float(h)) for h in range(100))))
    writer.compact(T0)
    assert writer.store.manifest.applied_seq == 1
    late = readings((1, -60 * 50, 50.0), (1, -60 * 51, 777.0), (1, -60 * 50 - 7, 8.0))
    assert writer.take("readings", late) == [DUPLICATE, CORRECTS, NEW]
    expected = {(-60 * h): float(h) for h in range(100)} | {-60 * 51: 777.0, -60 * 50 - 7: 8.0}
    assert values(writer.store) == [(1, m, expected[m]) for m in sorted(expected)]
    writer.compact(T0)
    assert values(writer.store) == [(1, m, expected[m]) for m in sorted(expected)]


def test_reader_sees_what_the_writer_sees_at_every_step(writer: Writer) -> None:
    reader = Store(writer.folder, TABLES)
    reader.open()
    for step in range(6):
        writer.take("readings", readings(*((1, -600 * step - m, float(step)) for m in range(0, 900, 60))))
        writer.take("cases", cases((f"C{step % 2}", step * 20, step, f"note {step}")))
        if step % 3 == 1:
            compaction.compact(writer.folder, TABLES, "UTC")
            if step > 1:
                writer.store.adopt(manifest.read(writer.folder), T0 - timedelta(days=1))
        reader.catch_up()
        later = Store(writer.folder, TABLES)
        later.open()
        for name in ("readings", "cases"):
            key = list(writer.store.tables[name].key)
            expected = writer.store.rows(name).sort(key)
            assert reader.rows(name).sort(key).equals(expected)
            assert later.rows(name).sort(key).equals(expected)


def contents(store: Store) -> dict[str, bytes]:
    """Every table's rows, in the order of their keys, as bytes."""
    found = {}
    for name, table in store.tables.items():
        body = io.BytesIO()
        store.rows(name).sort(*table.key).write_ipc_stream(body)
        found[name] = body.getvalue()
    return found


@pytest.mark.parametrize("seed", range(4))
def test_replay_of_the_frames_from_any_number_gives_the_store_byte_for_byte(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    writer, stops = Writer(tmp_path / "town", T0 - timedelta(days=1)), ["a", "b", "c"]
    for step in range(14):
        rows = [(chance.randrange(3), chance.randrange(-4000, 4000), chance.choice([None, 1.0, 2.5])) for _ in range(9)]
        writer.take("readings", readings(*rows))
        writer.take("cases", cases((f"C{chance.randrange(3)}", chance.randrange(60), step, f"note {step}")))
        writer.take("stops", pl.DataFrame({"stop": chance.sample(stops, 2), "name": [f"{step}", "same"]}))
    expected = contents(writer.store)
    for applied in (0, 1, 7, writer.journal.seq):
        folder = tmp_path / f"from{applied}"
        shutil.copytree(writer.folder, folder)
        (segment,) = (folder / "journal").glob("*.journal")
        whole = segment.read_bytes()
        segment.write_bytes(whole[: next(at for at, seq, _ in frames(whole) if seq is None or seq > applied)])
        compaction.compact(folder, TABLES, "UTC")
        segment.write_bytes(whole)
        assert manifest.read(folder).applied_seq == applied
        replayed = Store(folder, TABLES)
        replayed.open()
        assert contents(replayed) == expected


def test_reader_forgets_a_frame_that_was_withdrawn(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Store(writer.folder, TABLES)
    reader.open()
    writer.take("readings", readings((1, 0, 1.0)))

    def fail(handle: int) -> None:
        reader.catch_up()
        raise OSError(5, "gone")

    with monkeypatch.context() as broken:
        broken.setattr("pipelines.engine.journal.os.fdatasync", fail)
        with pytest.raises(OSError, match="gone"):
            writer.take("readings", readings((1, 1, 2.0)))
    assert values(reader) == [(1, 0, 1.0), (1, 1, 2.0)]
    writer.take("readings", readings((1, 1, 2.0), (1, 2, 3.0)))
    reader.catch_up()
    assert values(reader) == values(writer.store) == [(1, 0, 1.0), (1, 1, 2.0), (1, 2, 3.0)]


def test_rows_never_miss_or_double_while_the_writer_adopts(writer: Writer) -> None:
    writer.take("readings", readings(*((1, -60 * h, float(h)) for h in range(240))))
    faults: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            found = writer.store.rows("readings", columns=["value"])
            if found.height != 240 or found["value"].n_unique() != 240:
                faults.append(found.height)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        compaction.compact(writer.folder, TABLES, "UTC")
        for day in range(10):
            current = manifest.read(writer.folder)
            manifest.write(writer.folder, manifest.Manifest(current.rev + 1, current.applied_seq, current.parts))
            writer.store.adopt(manifest.read(writer.folder), T0 - timedelta(days=10 - day))
    finally:
        stop.set()
        looker.join()
    assert not faults


def test_latest_of_a_series_is_its_newest_row_even_when_that_is_unusable(writer: Writer) -> None:
    writer.take("readings", readings((1, 0, 1.0), (1, 5, None), (2, 3, 4.0)))
    assert sorted(writer.store.latest().iter_rows()) == [
        (1, T0 + timedelta(minutes=5), None),
        (2, T0 + timedelta(minutes=3), 4.0),
    ]


def test_rows_are_cut_to_the_span_closed_on_the_left(writer: Writer) -> None:
    writer.take("readings", readings((1, 0, 1.0), (1, 5, 2.0), (1, 10, 3.0)))
    store, five = writer.store, T0 + timedelta(minutes=5)
    assert store.rows("readings", T0, five)["value"].to_list() == [1.0]
    assert store.rows("readings", five)["value"].to_list() == [2.0, 3.0]
    assert store.rows("readings", where="value = $v", params={"v": 3.0})["value"].to_list() == [3.0]
    assert store.rows("readings", limit=2)["value"].to_list() == [1.0, 2.0]
    assert store.rows("readings").height == 3


def test_words_in_a_parameter_are_never_sql(writer: Writer) -> None:
    writer.take("cases", cases(("A", 0, 1, "x' OR '1'='1")))
    assert writer.store.rows("cases", where="note = $n", params={"n": "' OR TRUE --"}).is_empty()
    assert writer.store.rows("cases", where="note = $n", params={"n": "x' OR '1'='1"}).height == 1


def test_packing_keeps_every_row_in_a_third_of_the_room(writer: Writer) -> None:
    many = readings(*((series, minute, float(minute % 40)) for series in range(40) for minute in range(500)))
    writer.take("readings", many)
    before, loose = writer.store.rows("readings"), room(writer.store)
    writer.store.pack()
    assert room(writer.store) * 3 < loose
    assert writer.store.rows("readings").equals(before)


def test_packing_is_left_to_the_next_time_while_somebody_writes(writer: Writer) -> None:
    writer.take("readings", readings((1, 0, 1.0)))
    before = writer.store.rows("readings")
    somebody = writer.store._db.cursor()
    somebody.execute("BEGIN")
    somebody.execute("INSERT INTO hot_cases SELECT 'a', now(), 1, 'half done', now(), 1")
    writer.store.pack()
    somebody.execute("ROLLBACK")
    assert writer.store.rows("readings").equals(before) and writer.store.rows("cases").is_empty()


def room(store: Store) -> int:
    """Bytes that the tables take."""
    return int(store.ask("SELECT CAST(sum(memory_usage_bytes) AS BIGINT) AS bytes FROM duckdb_memory()").item())
