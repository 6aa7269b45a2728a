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
