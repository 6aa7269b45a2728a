"""Pieces of pages by themselves: bars, strips, sparklines, the asset table."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from components import asset_table, freshness, glass, map_words, shell, wording
from components.asset_table import Ask
from components.drawing import spark
from components.first_paint import to_html
from components.ward_bars import ordered, ward_bars
from pipelines.engine.equity import Side, compared
from tests.glass.fake_town import WARD_NAMES, FakeTown

WARD_IDS = [f"W{number:02}" for number in range(1, 13)]


@pytest.fixture(autouse=True)
def bound(town: FakeTown) -> FakeTown:
    glass.bind(town, "/")  # type: ignore[arg-type]
    return town


def side(ward: str, value: float | None, low: float | None = None, high: float | None = None) -> Side:
    return Side(ward, value, low, high, population=2000.0)


def test_wards_stand_worst_tier_first_by_name_within_it_and_unknown_last() -> None:
    sides = compared(
        [side("W04", None), side("W03", 30, 29, 31), side("W01", 28, 27, 29.5), side("W02", 5, 4, 6)], "lower"
    )
    assert [(begins, one.ward) for begins, one in ordered(sides)] == [
        (False, "W01"), (False, "W03"), (True, "W02"), (True, "W04"),
    ]  # fmt: skip


def test_ward_comparison_says_when_the_order_would_be_noise(town: FakeTown) -> None:
    state = glass.state()
    kpi = next(k for k in town.domain("water").kpis if k.id == "non_revenue_water")
    for ward in WARD_IDS:
        row = {"value": None} if ward > "W02" else {"value": 30.0, "numerator": 3.0, "denominator": 10.0, "n": 10}
        state["kpis"][f"non_revenue_water|ward:{ward}"] |= row
    state["kpis"]["non_revenue_water|ward:W02"] |= {"value": 40.0, "numerator": 4.0}
    drawn = to_html(ward_bars(state, kpi, dict(zip(WARD_IDS, WARD_NAMES, strict=True))))
    assert "No ward differs from the others by more than chance" in drawn
    # Wilson for 3 of 10: 10.8 % to 60.3 %.
    ends = [wording.number(kpi.scale * end, kpi.decimals) for end in (0.1078, 0.6032)]
    assert f"{ends[0]} to {ends[1]} (Wilson 95 % interval of a share)" in drawn


@pytest.mark.parametrize(
    ("figures", "priorities", "status", "words"),
    [
        (["good", "good"], [], "good", "Good"),
        (["watch", "good"], ["critical", "high"], "breach", "Breach: 2 alarms"),
        (["breach", "good"], ["critical"], "breach", "Breach"),
        (["good", "good"], ["low"], "watch", "Watch: 1 alarm"),
        (["watch", "good"], ["medium"], "watch", "Watch"),
        (["stale", "no data"], ["medium", "high"], "breach", "Breach: 1 alarm"),
    ],
)
def test_a_domain_says_why_when_alarms_alone_make_its_state(
    town: FakeTown, figures: list[str], priorities: list[str], status: str, words: str
) -> None:
    state, domain = town.state_at(7), town.domain("pollution")
    for kpi in domain.kpis:
        state["kpis"][f"{kpi.id}|town"]["status"] = "good"
    for kpi, own in zip(domain.kpis, figures, strict=False):
        state["kpis"][f"{kpi.id}|town"]["status"] = own
    state["alarms"] = [{"domain": "pollution", "priority": name, "active": True} for name in priorities]
    state["alarms"].append({"domain": "pollution", "priority": "critical", "active": False})
    assert (shell.standing(state, domain), shell.standing_words(state, domain)) == (status, words)


def test_a_map_is_told_in_a_sentence_and_as_a_table(town: FakeTown) -> None:
    state = town.state_at(7)
    for ward in WARD_IDS:
        state["kpis"][f"supply_per_head|ward:{ward}"] |= {"status": "good", "value": 140.0}
    for ward, status, value in (("W02", "breach", 98.4), ("W03", "watch", 131.0), ("W04", "no data", None)):
        state["kpis"][f"supply_per_head|ward:{ward}"] |= {"status": status, "value": value}
    words = map_words.sentence(state, "supply_per_head", WARD_IDS)
    assert words == "Map of 12 wards: 1 in breach, 1 on watch, 1 without figures."
    rows = re.findall(r"<tr data-ward-row.*?</tr>", to_html(map_words.as_table(state, "supply_per_head", "L")))
    told = [re.findall(r">([^<>]+)<", row) for row in rows[:4]]
    assert told == [["Bazaar", "140", "Good"], ["Riverside", "98", "Breach"], ["Station Road", "131", "Watch"],
                    ["Old Fort", "–", "No data"]]  # fmt: skip


def test_a_map_without_a_kpi_tells_the_alarms_of_each_ward(town: FakeTown) -> None:
    state = town.state_at(7)
    state["alarms"] = [{"ward": "W02", "priority": "high", "active": True}, {"ward": "W02", "priority": "low", "active": True},
                       {"ward": "W05", "priority": "medium", "active": True}, {"ward": "W06", "priority": "high", "active": False}]  # fmt: skip
    assert map_words.sentence(state, None, WARD_IDS) == "Map of 12 wards: 1 in breach, 1 on watch, 0 without figures."
    assert 'Riverside</th><td class="num" data-f="map-value">2</td>' in to_html(map_words.as_table(state, None))


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

    alarms = [{"id": i, "state": "acknowledged" if i % 2 else "normal", "active": bool(i % 2)} for i in range(20)]
    assert [a["id"] for a in shown(alarms, 20)] == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 0, 2, 4]
    assert len(shown(alarms, 4)) == 7


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"state": "unacknowledged"}, "not acknowledged"),
        ({"state": "acknowledged", "acknowledged_by": "asha"}, "acknowledged, asha sees to it"),
        ({"state": "acknowledged", "acknowledged_by": "asha", "owner": "ravi"}, "acknowledged, ravi sees to it"),
        ({"state": "unacknowledged", "consequences": 14}, "not acknowledged; explains 14 more alarms"),
        ({"state": "returned_unacknowledged"}, "not acknowledged"),
        ({"state": "latched"}, "held until it is reset"),
        ({"state": "out_of_service"}, "out of service"),
    ],
)
def test_alarm_says_where_it_stands_and_what_it_explains(row: dict[str, Any], words: str) -> None:
    from components.alarm_list import standing

    assert standing(row) == words
    # The page's script writes the same words: it knows every one that is not just the state's name.
    script = (Path(__file__).resolve().parents[2] / "assets" / "paint_lists.js").read_text("utf-8")
    plain = standing({"state": row["state"]})
    assert plain == row["state"].replace("_", " ") or f"{row['state']}: _('{plain}')" in script


def test_missing_hours_are_a_gap_and_the_newest_value_is_the_boards(town: FakeTown) -> None:
    from components.address import View
    from components.histories import points, series

    kpi = next(k for k in town.domain("transport").kpis if k.id == "service_delivered")
    hours = [datetime(2026, 11, 23, h, tzinfo=UTC) for h in (1, 2, 6)]
    frame = pl.DataFrame({"window": hours, "value": [1.0, 2.0, 3.0], "revision": [1, 1, 1]})
    x, y = series(frame, "Asia/Kolkata", kpi)
    assert y == [1.0, 2.0, None, 3.0]
    assert (x[0], x[2], x[3]) == ("2026-11-23T06:30:00", "2026-11-23T08:30:00", "2026-11-23T11:30:00")
    last = town.history("service_delivered", None, None, None)["window"][-1]
    row = {**glass.state()["kpis"]["service_delivered|town"], "value": 55.5, "window_start": last.isoformat()}
    assert points(kpi, "town", View(), row)[1][-1] == 55.5


def test_the_store_is_asked_once_per_window(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    from components.address import View
    from components.histories import points

    asked = []
    monkeypatch.setattr(town, "history", lambda *a: asked.append(a) or FakeTown.history(town, *a))
    kpi, row = town.domain("transport").kpis[0], glass.state()["kpis"]["on_time_performance|town"]
    for _ in range(3):
        points(kpi, "town", View(), row)
    assert len(asked) == 1
    points(kpi, "town", View(), {**row, "window_start": "2030-01-01T00:00:00+00:00"})
    assert len(asked) == 2


def test_usual_course_is_drawn_behind_a_habitual_kpi_and_can_be_downloaded(town: FakeTown) -> None:
    from components.address import View
    from components.trend import trends

    kpi = next(k for k in town.domain("transport").kpis if k.id == "service_delivered")
    plain = to_html(trends(glass.state(), [kpi], [], View(), ()))
    banded = to_html(trends(glass.state(), [replace(kpi, habitual=True)], [], View(), ()))
    assert "usual" not in plain
    assert "shaded: usual at this hour" in banded
    assert "/api/v1/expected?kpi=service_delivered&amp;area=town" in banded


def test_a_kpi_without_a_history_gives_its_place_to_one_that_has_one(town: FakeTown) -> None:
    from components.address import View
    from components.trend import trends

    domain = town.domain("pollution")
    state = glass.state()
    shown = to_html(trends(state, domain.kpis[:2], domain.kpis[2:], View(), ()))
    assert shown.count("chart-box") == 2
    assert "Not drawn, for there are fewer than two values in this period: PM2.5, daily mean." in shown


def test_months_are_bars_from_zero_with_the_target_in_the_margin() -> None:
    from components.trend import bar_figure

    figure = bar_figure(["2026-09-01T00:00:00", "2026-10-01T00:00:00"], [28.0, 29.0], {"target": 20}, "month")
    assert figure["data"][0]["type"] == "bar"
    assert figure["layout"]["yaxis"]["range"][0] == 0.0
    label = figure["layout"]["annotations"][0]
    assert (label["x"], label["xanchor"], label["text"]) == (1, "left", "target<br>20")
    first, last = figure["layout"]["xaxis"]["range"]
    assert datetime.fromisoformat(last) - datetime.fromisoformat(first) > timedelta(days=150)


def test_headline_tiles_leave_no_lone_one_in_a_row(town: FakeTown) -> None:
    from components.kpi_tile import tiles

    kpis = town.domain("water").kpis
    for count, desk in ((3, 3), (4, 4), (5, 5), (6, 3)):
        made = tiles(glass.state(), kpis[:count], "town", {})
        assert made.style["--desk"] == desk
        assert count % desk != 1


def test_a_tile_says_why_it_has_no_line() -> None:
    from components.kpi_tile import tile

    state, kpi = glass.state(), glass.town().domain("water").kpis[0]
    state["kpis"]["supply_per_head|town"]["spark"] = [1.0]
    assert "too few earlier values for a line" in to_html(tile(state, kpi))


def test_a_feed_in_trouble_says_so_in_words_and_a_slow_one_has_no_hourly_strip() -> None:
    state = glass.state()
    state["feeds"]["bills"]["every_s"] = 2_678_400
    shown = to_html(freshness.feed_table(state))
    rows = {r.split('"')[0]: r for r in shown.split('id="feed-')[1:]}
    assert next(iter(rows)) == "air_stations"
    assert "every 31 days" in rows["bills"] and "strip" not in rows["bills"].replace("no hourly strip", "")
    assert "hidden>Arriving as expected" in rows["bus_positions"]
    assert "hidden" not in rows["scada"]
    assert shown.count("Water telemetry<") == 1


def test_the_overview_lists_only_feeds_that_are_not_live() -> None:
    shown = to_html(freshness.feed_strip(glass.state(), troubled_only=True))
    hidden = [part for part in shown.split("<li ")[1:] if "hidden" in part.split(">")[0]]
    assert len(hidden) == 4
    assert freshness.feeds_in_a_sentence(glass.state()) == "4 of 6 feeds arriving as expected."


def test_only_the_topmost_alarm_shows_what_to_do() -> None:
    from components.alarm_list import alarm_list

    shown = to_html(alarm_list(glass.state()))
    assert shown.count('class="todo" open') == 1
    assert shown.index('class="todo" open') < shown.index("Transformer loaded")
