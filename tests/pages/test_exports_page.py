"""The exports page on a small real town: every table of the dictionary can be looked at before it is taken along."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dash
import pytest

from components import visitor
from components.first_paint import to_html
from pipelines.engine.people.roles import person
from pipelines.engine.people.sessions import Visit
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.glass.serve import plain_api

NOW = small_town.NOON
BILLS = "DMA,From,To,Billed m3\nD1,01/02/2026,28/02/2026,900.5\nD1,01/03/2026,31/03/2026,1000\n"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = small_town.make(tmp_path_factory.mktemp("towns") / "testville")
    line = small_town.open_line(folder, NOW, frozenset())
    small_town.send(line, "bills", BILLS.encode(), NOW)
    rows = [("P1.p", NOW - timedelta(minutes=15), 22.5), ("P2.p", NOW - timedelta(minutes=30), 30.25)]
    small_town.send(line, "network", small_town.csv_of(rows), NOW)
    line.close()
    yield Town(small_town.read(folder), lambda: NOW)


@pytest.fixture(scope="module")
def page(town: Town) -> Any:
    from components.web import build

    build(town, plain_api)
    return sys.modules[dash.page_registry["pages.exports"]["module"]]


def shown(page: Any, table: str, ward: str = "all", days: tuple[str, str] = ("2026-03-01", "2026-03-10")) -> str:
    return to_html(page.preview(table, ward, *days, "csv"))


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer looks at the page."""
    monkeypatch.setattr(visitor, "current", lambda: Visit(person("asha", "viewer")))


def test_visitors_are_offered_no_table_that_is_not_public(
    page: Any, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = set(page.tables())
    monkeypatch.setattr(visitor, "current", Visit)
    assert every - set(page.tables()) == {"quarantine", "device_reports", "edge_states", "sensor_clocks"}
    assert "There is no such table here" in shown(page, "quarantine")


@pytest.mark.parametrize("ward", ["all", "W2"])
def test_every_table_of_the_dictionary_can_be_looked_at(page: Any, town: Town, ward: str) -> None:
    names = set(town.dictionary()["table"])
    assert names == set(page.tables())
    for name in sorted(names):
        text = shown(page, name, ward)
        assert f"Columns of {name}" in text, name
        assert ("ward=" in text) == (ward == "W2" and page.names_wards(name)), name


def test_a_table_without_a_ward_offers_none(page: Any) -> None:
    assert not page.names_wards("water_bills")
    assert page.names_wards("service_requests") and page.names_wards("assets") and page.names_wards("readings")


def test_a_table_of_days_shows_the_days_that_were_asked_for(page: Any) -> None:
    march = shown(page, "water_bills")
    assert "<b>1 row</b>" in march and "2026-03-01" in march and "900.5" not in march
    assert "<b>2 rows</b>" in shown(page, "water_bills", days=("2026-02-01", "2026-03-01"))


def test_registers_are_shown_whole_and_without_days(page: Any) -> None:
    wards = shown(page, "wards")
    assert "North" in wards and "<b>2 rows</b>" in wards and "from=" not in wards
    assert "High Street" in shown(page, "assets", "W2") and "North zone" not in shown(page, "assets", "W2")
    assert "minimum_pressure_m" in shown(page, "dmas")


def test_readings_name_their_sensors_and_say_where_those_of_one_asset_are(page: Any) -> None:
    text = shown(page, "readings")
    assert "P1.p" in text and "22.5" in text and "on the asset&#x27;s page" in text.replace("'", "&#x27;")
    ward = shown(page, "readings", "W2")
    assert "P2.p" in ward and "P1.p" not in ward
    assert "/api/v1/tables/readings?from=2026-02-28T18:30:00Z&amp;to=2026-03-10T18:30:00Z&amp;ward=W2" in ward


def test_a_choice_that_makes_no_sense_is_answered_in_words(page: Any) -> None:
    assert "The last day is before the first" in shown(page, "wards", days=("2026-03-10", "2026-03-01"))
    assert "Give both days" in shown(page, "wards", days=("", "2026-03-01"))
    assert "no such table" in shown(page, "personal_notes")


def test_address_carries_the_whole_choice_and_a_view_that_ends_today_goes_with_the_days(page: Any) -> None:
    text = to_html(
        page.exports(
            {"table": "service_requests", "ward": "W2", "start": "2026-03-01", "end": "2026-03-09", "form": "xlsx"}
        )
    )
    assert "exports?table=service_requests&amp;ward=W2&amp;start=2026-03-01&amp;end=2026-03-09&amp;form=xlsx" in text
    assert "from=2026-02-28T18:30:00Z&amp;to=2026-03-09T18:30:00Z&amp;ward=W2&amp;format=xlsx" in text
    recent = to_html(page.exports({"table": "water_bills", "last": "7"}))
    assert "exports?table=water_bills&amp;form=csv&amp;last=7" in recent


@pytest.mark.parametrize(
    "query", [{"last": "0"}, {"last": "x"}, {"last": "99999"}, {"ward": "W9"}, {"form": "pdf"}, {"start": "x"}]
)
def test_an_address_that_chooses_nonsense_is_answered_in_words_or_as_usual(page: Any, query: dict[str, str]) -> None:
    text = to_html(page.exports({"table": "water_bills", **query}))
    assert "Exports" in text and "Traceback" not in text


def test_a_workbook_tells_its_progress_and_a_small_file_is_an_ordinary_link(page: Any) -> None:
    assert "data-making" in to_html(page.preview("wards", "all", "2026-03-01", "2026-03-10", "xlsx"))
    assert "data-making" not in shown(page, "wards")


def test_views_are_kept_under_a_name_for_oneself_alone(town: Any, door: Any) -> None:
    import asyncio

    from pipelines.engine.asking import Misasked
    from pipelines.engine.people.roles import VISITOR, Forbidden
    from pipelines.engine.people.saved_views import SavedViews

    views, asha, ravi = SavedViews(door.path, door.line), person("asha", "viewer"), person("ravi", "admin")
    choice = {"table": "readings", "last": "7"}
    asyncio.run(views.keep(asha, "  Last   week ", choice))
    asyncio.run(views.keep(ravi, "mine", {"table": "wards"}))
    assert views.of(asha) == {"Last week": choice}
    asyncio.run(views.keep(asha, "Last week", {"table": "wards"}))
    assert views.of(asha) == {"Last week": {"table": "wards"}}
    asyncio.run(views.let_go(asha, "Last week"))
    assert (views.of(asha), set(views.of(ravi)), views.of(VISITOR)) == ({}, {"mine"}, {})
    for name in ("", " ", "x" * 61):
        with pytest.raises(Misasked, match="a name of at most 60"):
            asyncio.run(views.keep(asha, name, choice))
    with pytest.raises(Misasked, match="no such view"):
        asyncio.run(views.let_go(asha, "mine"))
    with pytest.raises(Forbidden):
        asyncio.run(views.keep(VISITOR, "mine", choice))


def test_readings_of_days_whose_last_hour_is_silent_are_shown_and_not_called_none(page: Any) -> None:
    days = ("2026-03-01", "2026-03-10")
    assert "P1.p" in to_html(page.preview("readings", "all", *days, "csv"))
    empty = to_html(page.preview("readings", "all", "2026-02-01", "2026-02-02", "csv"))
    assert "No rows in this time and place" in empty


def test_number_of_rows_is_told_as_well_as_files_tell_it(page: Any) -> None:
    assert [page._rounded(n) for n in (7, 99, 1_234, 987_654)] == [7, 99, 1_200, 990_000]
