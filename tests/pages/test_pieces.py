"""Pieces of pages by themselves: bars, strips, sparklines, the asset table."""

import polars as pl
import pytest

from components import asset_table, freshness, glass
from components.asset_table import Ask
from components.drawing import spark
from components.first_paint import to_html
from components.ward_bars import ordered
from tests.glass.fake_town import WARD_NAMES, FakeTown


@pytest.fixture(autouse=True)
def bound(town: FakeTown) -> FakeTown:
    glass.bind(town, "/")  # type: ignore[arg-type]
    return town


def test_wards_stand_worst_first_and_unknown_last(town: FakeTown) -> None:
    kpi = next(k for k in town.domain("water").kpis if k.id == "non_revenue_water")
    state = glass.state()
    values = {"W01": 30.0, "W02": None, "W03": 45.0}
    for ward, value in values.items():
        state["kpis"][f"non_revenue_water|ward:{ward}"]["value"] = value
    rows = ordered(state, kpi, {w: w for w in values})
    assert [r[0] for r in rows] == ["W03", "W01", "W02"]


def test_a_sparkline_breaks_where_a_value_is_missing() -> None:
    drawn = spark([1.0, 2.0, None, 3.0, 4.0])
    assert drawn.split('spark-line" d="')[1].count("M") == 2
    assert 'class="spark-line"' not in spark([None, 1.0])


@pytest.mark.parametrize(
    ("share", "look"), [(None, "unknown"), (0.0, "none"), (0.3, "some"), (0.75, "most"), (0.98, "full"), (1.2, "full")]
)
def test_an_hour_looks_as_complete_as_it_was(share: float | None, look: str) -> None:
    assert freshness.band(share) == look


def test_the_books_say_whether_every_row_is_accounted_for() -> None:
    assert freshness.books({"decoded": 10, "stored": 7, "duplicate": 2, "quarantined": 1}).startswith(
        "The books balance"
    )
    assert freshness.books({"decoded": 1010, "stored": 7, "duplicate": 2, "quarantined": 1}).startswith("1,000 rows")


def test_the_asset_table_searches_filters_and_sorts(town: FakeTown) -> None:
    rows = asset_table.rows_of(glass.state(), "water")
    assert rows.height == 60
    assert asset_table.asked(rows, Ask())["asset"][0] == "WA-0003"  # the one in alarm
    assert asset_table.asked(rows, Ask(text=WARD_NAMES[0].upper()))["ward_name"].unique().to_list() == [WARD_NAMES[0]]
    assert asset_table.asked(rows, Ask(state="stale"))["state"].unique().to_list() == ["stale"]
    names = asset_table.asked(rows, Ask(sort="name", falling=True))["name"].to_list()
    assert names == sorted(names, reverse=True)
    assert asset_table.asked(rows, Ask(text="(.*")).is_empty()


def test_the_asset_table_shows_one_page_and_says_how_many_there_are() -> None:
    rows = asset_table.rows_of(glass.state(), "water")
    shown = to_html(asset_table.table(rows, Ask(page=99)))
    assert "60 assets, page 3 of 3" in shown
    assert shown.count("data-asset-row") == 10


def test_an_asset_without_a_reading_is_no_data(town: FakeTown) -> None:
    town.latest = lambda domain=None: FakeTown.latest(town, domain).filter(pl.col("asset") != "WA-0009")  # type: ignore[method-assign]
    rows = asset_table.rows_of(glass.state(), "water")
    assert rows.filter(pl.col("asset") == "WA-0009")["state"].to_list() == ["no data"]


def test_a_ratio_shows_its_numerator_and_what_did_not_arrive(town: FakeTown) -> None:
    from components.kpi_tile import tile

    kpi = town.domain("water").kpis[1]
    shown = to_html(tile(glass.state(), kpi))
    assert "1,880.00 / 2,000.00" in shown
    assert "1,880 of 2,000 expected; 120 did not arrive or were set aside" in shown
    assert "/api/v1/kpis/pressure_compliance/history?area=town&amp;format=csv" in shown


def test_every_active_alarm_comes_before_a_few_that_are_back_to_normal() -> None:
    from components.alarm_list import shown

    alarms = [{"id": i, "state": "active" if i % 2 else "returned"} for i in range(20)]
    assert [a["id"] for a in shown(alarms, 20)] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 0, 2, 4]
    assert len(shown(alarms, 4)) == 7
