"""Ten inflow areas of a city in Italy, hourly text in local time over four clock changes, from a spreadsheet."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import polars as pl
import pytest

from pipelines.engine import coverage
from pipelines.engine.calendar import windows
from pipelines.engine.model import every

from .recording import Recording, at, folder_of, opened

pytestmark = pytest.mark.slow
ROME = ZoneInfo("Europe/Rome")
M3_H = 3.6  # of one litre a second
AREAS = "abcdefghij"
NOW = at("2022-07-26T00:00")


@pytest.fixture(scope="module")
def hours(recorded: Path) -> dict[tuple[str, datetime], float]:
    """(area, instant) -> m3/h of every filled cell; of an hour that stands twice the second is winter time."""
    book = openpyxl.load_workbook(recorded / "water/bwdf_Inflow_Data_1.xlsx", read_only=True)
    rows = book["InflowData"].iter_rows(min_row=2, values_only=True)
    found, seen = {}, set()
    for when, *cells in rows:
        if when is None:
            continue
        local = datetime.strptime(when, "%d/%m/%Y %H:%M").replace(tzinfo=ROME)
        instant = local.replace(fold=int(local in seen)).astimezone(UTC)
        seen.add(local)
        for area, cell in zip(AREAS, cells, strict=False):
            if isinstance(cell, int | float):
                found[area, instant] = cell * M3_H
    book.close()
    return found


@pytest.fixture(scope="module")
def inflow(recorded: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The whole spreadsheet."""
    folder = folder_of("inflow_areas", tmp_path_factory.mktemp("inflow"))
    with opened(folder, NOW, ["minimum_night_flow", "supply_per_head"]) as town:
        (receipt,) = town.land("inflow", (recorded / "water/bwdf_Inflow_Data_1.xlsx").read_bytes())
        assert (receipt.decoded, receipt.quarantined) == (10 * 13679, 0)
        town.evaluate()
        yield town


def local_days(hours: dict[tuple[str, datetime], float]) -> dict[tuple[str, date], dict[datetime, float]]:
    """(area, local day) -> the flows of its hours."""
    days = defaultdict(dict)
    for (area, when), flow in hours.items():
        days[area, when.astimezone(ROME).date()][when] = flow
    return days


def test_every_filled_cell_is_a_reading_at_its_instant(inflow: Recording, hours: dict[tuple[str, datetime], float]):
    for area in AREAS:
        rows = inflow.town.readings([f"dma-{area}:inflow"], at("2020-12-31T00:00"), NOW).drop_nulls("value")
        ours = dict(rows.select("observed_at", "value").iter_rows())
        assert ours == pytest.approx({when: flow for (name, when), flow in hours.items() if name == area})


@pytest.mark.parametrize(
    ("day", "length"), [("2021-03-28", 23), ("2021-10-31", 25), ("2022-03-27", 23), ("2022-03-28", 24)]
)
def test_a_local_day_expects_as_many_hours_as_it_has(
    inflow: Recording, hours: dict[tuple[str, datetime], float], day: str, length: int
):
    start = datetime.fromisoformat(day).replace(tzinfo=ROME).astimezone(UTC)
    grid = windows(every("day"), start, start + timedelta(hours=1), NOW, "Europe/Rome")
    end = grid["end"].item()
    inputs = inflow.line.inputs
    counted = coverage.of_readings(inputs.get("inflow_m3_h", start, end), coverage.places(inputs.dimension), grid)
    ours = {area: (n, due) for area, n, due in counted.select("area", "n", "n_expected").iter_rows()}
    expected = {
        f"asset:dma-{area}": (sum(name == area and start <= when < end for name, when in hours), length)
        for area in AREAS
    }
    assert {area: count for area, count in ours.items() if area.startswith("asset:")} == expected
    assert ours["town"] == (sum(n for n, _ in expected.values()), 10 * length)


def test_the_night_flow_of_every_night_equals_the_spreadsheet(
    inflow: Recording, hours: dict[tuple[str, datetime], float]
):
    nights = {}
    for (area, day), flows in local_days(hours).items():
        quiet = [flow for when, flow in flows.items() if when.astimezone(ROME).hour in (2, 3)]
        if quiet and day < date(2022, 7, 26):
            nights[area, day] = min(quiet)
    history = inflow.town.history("minimum_night_flow").filter(pl.col("value").is_not_null())
    ours = {
        (area.removeprefix("asset:dma-"), start.astimezone(ROME).date()): value
        for area, start, value in history.select("area", "window", "value").iter_rows()
    }
    assert ours == pytest.approx(nights)
    assert len(nights) > 5000


def test_the_days_supply_counts_23_and_25_hours(inflow: Recording, hours: dict[tuple[str, datetime], float]):
    people = {area: 1000 * number for number, area in enumerate(AREAS, 1)}  # reference/dmas.csv
    history = inflow.town.history("supply_per_head").filter(pl.col("value").is_not_null())
    ours = {(a, w.astimezone(ROME).date()): v for a, w, v in history.select("area", "window", "value").iter_rows()}
    whole = 0
    for (area, day), flows in local_days(hours).items():
        start = datetime(day.year, day.month, day.day, tzinfo=ROME).astimezone(UTC)
        following = day + timedelta(days=1)
        length = (
            datetime(following.year, following.month, following.day, tzinfo=ROME).astimezone(UTC) - start
        ).total_seconds()
        if len(flows) == length / 3600:
            whole += 1
            assert ours[f"asset:dma-{area}", day] == pytest.approx(sum(flows.values()) * 1000 / people[area])
    assert whole > 4000
    assert ("asset:dma-c", date(2021, 10, 31)) in ours
