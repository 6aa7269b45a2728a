"""Retention: whole files leave the manifest and then the disk; rollups, values and what is not compacted stay."""

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import compaction, manifest, retention
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import Entry, Journal
from pipelines.engine.model import INSTANT
from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES, KPI_VALUES, QUARANTINE, READINGS, SERIES

ROME = "Europe/Rome"
NOON = datetime(2026, 3, 10, 11, tzinfo=UTC)
DAY = timedelta(days=1)


def readings(days: list[int], value: float = 1.0) -> pl.DataFrame:
    """Two readings at noon of each of these days ago, in the columns that the table has."""
    rows = [(series, NOON - day * DAY, value + series) for day in days for series in (0, 1)]
    frame = pl.DataFrame(rows, schema={"series": pl.Int32, "observed_at": INSTANT, "value": pl.Float64}, orient="row")
    given = frame.with_columns(quality=pl.lit(0, pl.UInt8))
    gained = [pl.lit(None, kind).alias(name) for name, kind in READINGS.schema.items() if name not in given.columns]
    return given.with_columns(gained).select(list(READINGS.schema))


def keep(store: Path, table: str, rows: pl.DataFrame) -> None:
    journal = Journal(store / "journal")
    journal.append([Entry(table, rows, {"received_s": NOON.timestamp()})])
    journal.close()


def stored(store: Path) -> list[datetime]:
    opened = Store(store, ENGINE_TABLES)
    opened.open()
    return sorted(set(opened.rows("readings", columns=["observed_at"])["observed_at"]))


def compacted(store: Path, days: list[int]) -> None:
    keep(store, "readings", readings(days))
    compaction.compact(store, ENGINE_TABLES, ROME)


@settings(max_examples=8)
@given(days=st.lists(st.integers(0, 60), min_size=1, max_size=8, unique=True), span=st.integers(1, 60))
def test_readings_go_when_they_are_older_than_they_are_kept(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], span: int
) -> None:
    store = tmp_path_factory.mktemp("store")
    compacted(store, days)
    gone = retention.run(store, {"readings": span * DAY}, NOON)
    assert stored(store) == sorted(NOON - day * DAY for day in days if day <= span)
    assert gone == 2 * sum(day > span for day in days)
    assert retention.run(store, {"readings": span * DAY}, NOON) == 0


def test_rollups_values_and_series_stay(tmp_path: Path) -> None:
    at = NOON - 900 * DAY
    series = {"sensor": "P1.p", "series": 0, "registered_at": at}
    value = {"kpi": "k", "area": "town", "window": at, "end": at + DAY, "revision": 1, "value": 1.0, "computed_at": at}
    keep(tmp_path, "series", pl.DataFrame([series], schema=SERIES.schema))
    keep(tmp_path, "kpi_values", pl.DataFrame([value], schema=KPI_VALUES.schema))
    compacted(tmp_path, [900])
    kept = {table.name: 731 * DAY for table in (READINGS, QUARANTINE)}
    assert retention.run(tmp_path, kept, NOON) == 2
    parts = manifest.read(tmp_path).parts
    assert {name for name, files in parts.items() if files} == {
        "series",
        "kpi_values",
        "roll_hourly",
        "roll_daily",
        "roll_monthly",
    }


def test_row_that_comes_late_for_a_day_that_is_gone_leaves_its_rollup_as_it_was(tmp_path: Path) -> None:
    compacted(tmp_path, [40])
    rolled = manifest.read(tmp_path).parts["roll_daily"]
    retention.run(tmp_path, {"readings": 31 * DAY}, NOON)
    for value in (5.0, 6.0):
        late = readings([40], value).head(1)
        keep(tmp_path, "readings", late)
        compaction.compact(tmp_path, ENGINE_TABLES, ROME)
    assert manifest.read(tmp_path).parts["roll_daily"] == rolled
    # What came late is there until the next run.
    assert stored(tmp_path) == [NOON - 40 * DAY]
    assert retention.run(tmp_path, {"readings": 31 * DAY}, NOON) == 1


def test_nothing_goes_that_is_not_compacted(tmp_path: Path) -> None:
    keep(tmp_path, "readings", readings([900]))
    assert retention.run(tmp_path, {"readings": 31 * DAY}, NOON) == 0
    assert stored(tmp_path) == [NOON - 900 * DAY]


def test_file_outlives_the_readers_that_may_still_look_for_it(tmp_path: Path) -> None:
    compacted(tmp_path, [40, 1])
    (old,) = [part for part in manifest.read(tmp_path).parts["readings"].values() if part.high == NOON - 40 * DAY]
    reader = Store(tmp_path, ENGINE_TABLES)
    reader.open()
    retention.run(tmp_path, {"readings": 31 * DAY}, NOON)
    compaction.sweep(tmp_path, NOON + timedelta(minutes=5))
    assert reader.rows("readings").height == 4
    compaction.sweep(tmp_path, NOON + timedelta(minutes=11))
    assert not (tmp_path / old.file).exists()
    reader.catch_up()
    assert reader.rows("readings").height == 2


def test_run_during_a_compaction_leaves_it_to_the_next(tmp_path: Path) -> None:
    with (tmp_path / "compaction.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="compacted already"):
            retention.run(tmp_path, {"readings": DAY}, NOON)
