"""Summaries: whatever came late and whenever it was compacted, they are what plain Python makes of the newest readings."""

import random
import statistics
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from pipelines.engine import cold, compaction, manifest, rolled, rollups
from pipelines.engine.calendar import floor, local_day
from pipelines.engine.cold import Pass
from pipelines.engine.journal import Entry, Journal
from pipelines.engine.manifest import Part
from pipelines.engine.store import Store
from pipelines.engine.summaries import Summaries, quantiles
from pipelines.engine.tables import READINGS, SERIES, SPIKE

TABLES = (READINGS, SERIES)
SENSORS = pl.DataFrame({
    "sensor": ["A", "B", "C", "D"],
    "quantity": ["flow", "flow", "flow", "level"],
    "ward": ["W1", "W2", None, "W1"],
})  # fmt: skip
PLACES = SENSORS.with_columns(series=pl.Series([0, 1, 2, 3], dtype=pl.Int32)).select("series", "quantity", "ward")
FLOWS = PLACES.filter(pl.col("quantity") == "flow")
# Two weeks over a change of the clock and a change of the month.
START = datetime(2026, 3, 24, tzinfo=UTC)
SPAN = timedelta(days=14)
Truth = dict[tuple[int, datetime], tuple[float | None, int]]


def batch(chance: random.Random) -> list[tuple[int, datetime, float | None, int]]:
    """Readings anywhere in the two weeks; some unusable, some suspect."""
    rows = []
    for _ in range(chance.randrange(1, 60)):
        at = START + timedelta(minutes=10 * chance.randrange(14 * 144))
        value = None if chance.random() < 0.1 else chance.randrange(-40, 400) / 10
        rows.append((chance.randrange(4), at, value, SPIKE if chance.random() < 0.1 else 0))
    return list({row[:2]: row for row in rows}.values())


class Town:
    """A store that grows by batches, some compacted, and what is true of it."""

    def __init__(self, folder: Path, zone: str) -> None:
        self.folder, self.zone = folder, zone
        self.journal = Journal(folder / "journal")
        self.truth: Truth = {}
        numbers = SENSORS.select("sensor").with_columns(
            series=pl.Series([0, 1, 2, 3], dtype=pl.Int32), registered_at=pl.lit(START).dt.cast_time_unit("us")
        )
        self.journal.append([Entry("series", numbers.select(list(SERIES.schema)), {"received_s": START.timestamp()})])

    def take(self, rows: list[tuple[int, datetime, float | None, int]]) -> None:
        frame = pl.DataFrame(rows, schema=dict(READINGS.schema), orient="row")
        self.journal.append([Entry("readings", frame, {"received_s": START.timestamp(), "corrects": True})])
        self.truth |= {(series, at): (value, quality) for series, at, value, quality in rows}

    def compact(self, sensors: pl.DataFrame | None = SENSORS) -> None:
        compaction.compact(self.folder, TABLES, self.zone, sensors=sensors)

    def summaries(self) -> Summaries:
        store = Store(self.folder, TABLES)
        store.open()
        return Summaries(store, self.zone)

    def good(self, start: datetime, end: datetime) -> Iterator[tuple[int, datetime, float]]:
        for (series, at), (value, quality) in sorted(self.truth.items(), key=lambda item: item[0][1]):
            if value is not None and quality < SPIKE and start <= at < end:
                yield series, at, value


@pytest.fixture(params=["Europe/Rome", "Asia/Kolkata", "Australia/Lord_Howe"])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Town:
    """Three rounds of late batches with compactions between; rows of the last round stand in the journal alone."""
    made, chance = Town(tmp_path, request.param), random.Random(request.param)
    for number in range(6):
        made.take(batch(chance))
        if number in (1, 4):
            made.compact()
    return made


def by_step(town: Town, step: str, series: set[int]) -> dict[tuple[int, datetime], list[float]]:
    found: dict[tuple[int, datetime], list[float]] = {}
    for one, at, value in town.good(START, START + SPAN):
        if one in series:
            found.setdefault((one, floor(at, step, town.zone)), []).append(value)
    return found


@pytest.mark.parametrize("step", ["quarter_hour", "hour", "day", "month"])
def test_steps_of_series_equal_plain_python_after_late_rows(town: Town, step: str) -> None:
    rows = town.summaries().by_series([0, 2], START - timedelta(days=40), START + timedelta(days=40), step)
    found = {
        (row["series"], row["observed_at"]): (row["n"], row["sum"], row["min"], row["max"], row["last"])
        for row in rows.iter_rows(named=True)
    }
    expected = by_step(town, step, {0, 2})
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == (len(values), pytest.approx(sum(values)), min(values), max(values), values[-1])


def test_quarter_hours_are_rolled_up_of_series_that_report_more_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town, chance = Town(tmp_path, "Asia/Kolkata"), random.Random(6)
    town.take(batch(chance))
    town.compact()
    # From here on a series with more than two readings a day reports often; the days before were not rolled up.
    monkeypatch.setattr(rollups, "MOST_QUARTERS", 2)
    for _ in range(4):
        town.take(batch(chance))
        town.compact()
    town.take(batch(chance))
    days = [part.rows for part in manifest.read(tmp_path).parts["roll_quarter_hourly"].values()]
    assert sum(days) > 20
    test_steps_of_series_equal_plain_python_after_late_rows(town, "quarter_hour")


def test_quarter_hours_stay_when_their_readings_were_let_go(tmp_path: Path) -> None:
    town = Town(tmp_path, "Asia/Kathmandu")
    day = floor(START, "day", town.zone)
    town.take([(0, day + timedelta(minutes=minute), float(minute), 0) for minute in range(24 * 60)])
    town.compact()
    store = Store(tmp_path, TABLES)
    store.open()
    store.manifest = store.manifest.without({part.file for part in store.manifest.parts["readings"].values()})
    rows = Summaries(store, town.zone).by_series([0], day, day + timedelta(days=1), "quarter_hour")
    assert rows["n"].to_list() == [15] * 96
    assert rows["max"].to_list() == [15.0 * quarter + 14 for quarter in range(96)]


@pytest.mark.parametrize("step", ["hour", "day", "month"])
def test_wards_and_the_town_add_up_to_their_readings_after_late_rows(town: Town, step: str) -> None:
    ends = (START - timedelta(days=40), START + timedelta(days=40))
    wards = town.summaries().by_area(FLOWS, *ends, step=step, wards=True)
    whole = town.summaries().by_area(FLOWS, *ends, step=step, wards=False)
    per_ward: dict[tuple[datetime, str | None], list[float]] = {}
    per_town: dict[datetime, list[float]] = {}
    ward_of = dict(FLOWS.select("series", "ward").iter_rows())
    for (series, at), values in by_step(town, step, {0, 1, 2}).items():
        per_ward.setdefault((at, ward_of[series]), []).extend(values)
        per_town.setdefault(at, []).extend(values)
    found = {(row["observed_at"], row["ward"]): (row["n"], row["sum"]) for row in wards.iter_rows(named=True)}
    assert found == {key: (len(v), pytest.approx(sum(v))) for key, v in per_ward.items()}
    found_whole = {row["observed_at"]: (row["n"], row["max"]) for row in whole.iter_rows(named=True)}
    assert found_whole == {at: (len(v), max(v)) for at, v in per_town.items()}


@pytest.mark.parametrize("few_quarters", [0, 10_000])
def test_wards_of_many_series_add_up_whether_few_or_many_hours_are_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_quarters: int
) -> None:
    monkeypatch.setattr(rolled, "FEW_SERIES", 1)
    monkeypatch.setattr(rolled, "FEW_QUARTERS", few_quarters)
    town, chance = Town(tmp_path, "Asia/Kolkata"), random.Random(12)
    for compacts in (True, True, False):
        town.take(batch(chance))
        if compacts:
            town.compact()
    test_wards_and_the_town_add_up_to_their_readings_after_late_rows(town, "hour")


def test_percentiles_are_those_of_all_readings_after_late_rows(town: Town) -> None:
    low, high = (floor(START + timedelta(days=days), "day", town.zone) for days in (3, 12))
    values = [value for series, _, value in town.good(low, high) if series < 3]
    shares = (0.0, 0.05, 0.5, 0.95, 1.0)
    found = town.summaries().percentiles(FLOWS, low, high, shares)
    assert found == pytest.approx([float(np.percentile(values, share * 100)) for share in shares])


def test_days_rolled_up_without_wards_are_added_up_from_their_series(tmp_path: Path) -> None:
    town, chance = Town(tmp_path, "Asia/Kolkata"), random.Random(3)
    town.take(batch(chance))
    town.compact(None)
    town.take(batch(chance))
    rows = town.summaries().by_area(FLOWS, START, START + SPAN, step="month", wards=False)
    values = [value for series, _, value in town.good(START - SPAN, START + SPAN) if series < 3]
    assert rows["n"].sum() == len(values)
    share = town.summaries().percentiles(FLOWS, START, START + SPAN, [0.5])
    assert share == [statistics.median(values)]


def test_quantity_with_too_many_values_is_counted_from_its_readings(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "MOST_VALUES", 2)
    town.take([(0, START + timedelta(days=5, minutes=number), float(number), 0) for number in range(40)])
    town.compact()
    test_percentiles_are_those_of_all_readings_after_late_rows(town)


def test_hours_whose_readings_were_let_go_stay_when_a_row_comes_late(tmp_path: Path) -> None:
    town = Town(tmp_path, "UTC")
    town.take([(0, START + timedelta(minutes=10 * number), 1.0, 0) for number in range(6)])
    town.compact()
    store = Store(tmp_path, TABLES)
    store.open()
    store.manifest = store.manifest.without({part.file for part in store.manifest.parts["readings"].values()})
    late = pl.DataFrame([(0, START + timedelta(minutes=5), 9.0, 0)], schema=dict(READINGS.schema), orient="row")
    store.land(town.journal.seq + 1, [Entry("readings", late, {"received_s": START.timestamp()})])
    rows = Summaries(store, "UTC").by_series([0], START, START + timedelta(hours=1), "hour")
    assert rows["n"].to_list() == [6]


def test_quantiles_of_nothing_are_unknown() -> None:
    assert quantiles(np.array([]), np.array([], dtype=np.int64), [0.5]) == [None]


def test_span_is_widened_to_whole_local_days(tmp_path: Path) -> None:
    town = Town(tmp_path, "Asia/Kolkata")
    local = [datetime(2026, 3, 25, hour, 5, tzinfo=ZoneInfo("Asia/Kolkata")).astimezone(UTC) for hour in (0, 12, 23)]
    town.take([(0, at, 2.0, 0) for at in local])
    town.compact()
    rows = town.summaries().by_series([0], local[1], local[1] + timedelta(minutes=1), "day")
    assert rows["n"].to_list() == [3]


def test_files_by_day_of_an_earlier_version_are_taken_up_in_the_month(tmp_path: Path) -> None:
    town, chance = Town(tmp_path, "Asia/Kolkata"), random.Random(8)
    town.take(batch(chance))
    town.compact()
    current = manifest.read(tmp_path)
    done = Pass(current.rev, current.applied_seq, current.applied_seq)
    by_day: dict[str, Part] = {}
    for part in current.parts["roll_daily"].values():
        rows = pl.read_parquet(tmp_path / part.file).with_columns(_day=local_day("observed_at", town.zone))
        for (day,), of_day in rows.partition_by("_day", as_dict=True, include_key=False).items():
            name = f"roll/daily/{day}.{current.rev}.parquet"
            by_day[str(day)] = cold.write(
                tmp_path, name, of_day.with_columns(sum_squares=pl.col("sum") ** 2), None, done
            )
    manifest.write(tmp_path, replace(current, parts={**current.parts, "roll_daily": by_day}))
    test_steps_of_series_equal_plain_python_after_late_rows(town, "day")
    town.take([(0, START + timedelta(days=2, minutes=number), 7.0, 0) for number in range(9)])
    town.compact()
    names = set(manifest.read(tmp_path).parts["roll_daily"])
    assert "2026-03" in names
    assert not any(name.startswith("2026-03-") for name in names)
    test_steps_of_series_equal_plain_python_after_late_rows(town, "day")
