"""The list of devices on the feeds page."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from dash import html

from components import glass, visitor
from components.device_list import clocks, devices
from pipelines.engine.people.roles import person
from pipelines.engine.people.sessions import Visit
from tests.glass.fake_town import FakeTown

NOW = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer looks at the page."""
    monkeypatch.setattr(visitor, "current", lambda: Visit(person("asha", "viewer")))


def texts(node: object) -> list[str]:
    """All texts of a piece of a page, in order."""
    if isinstance(node, list | tuple):
        return [text for part in node for text in texts(part)]
    if isinstance(node, html.Td):
        return [str(node.children or "")]
    return texts(getattr(node, "children", None)) if not isinstance(node, str) and node is not None else []


def shown(town: FakeTown, *rows: dict[str, object]) -> list[list[str]]:
    """The lines of the table, cell by cell."""
    town.heard = pl.DataFrame(list(rows), schema=town.heard.schema)
    town.now = lambda: NOW  # type: ignore[assignment]
    glass.bind(town, "/")  # type: ignore[arg-type]
    cells = texts(devices())
    return [cells[i : i + 7] for i in range(0, len(cells), 7)]


def test_the_worst_devices_come_first_in_words(town: FakeTown) -> None:
    good = {
        "device": "good", "last_seen_at": NOW - timedelta(minutes=3), "frames": 96, "lost": 0, "resets": 0,
        "battery_pct": 69.0, "rssi_dbm": -103.0, "gateways": 2,
    }  # fmt: skip
    lossy = {"device": "lossy", "last_seen_at": NOW - timedelta(minutes=3), "frames": 30, "lost": 10, "resets": 2}
    empty = {"device": "empty", "last_seen_at": NOW, "frames": 9, "lost": 0, "battery_pct": 4.0}
    gone = {"device": "gone", "offline_since": NOW - timedelta(hours=2)}
    lines = shown(town, good, lossy, empty, gone)
    assert [line[0] for line in lines] == ["gone", "empty", "lossy", "good"]
    assert lines[0][1].startswith("offline since ")
    assert lines[2][2:5] == ["30", "10 (25 %)", "2"]
    assert lines[3] == ["good", "3 min ago", "96", "", "", "69 %", "\N{MINUS SIGN}103 dBm at the best of 2 gateways"]


def test_a_town_without_devices_has_no_list(town: FakeTown) -> None:
    assert shown(town) == []


def test_clocks_that_are_off_are_named_with_what_to_do(town: FakeTown) -> None:
    row = {"sensor": "P1.p", "asset": "P1", "judged_at": NOW, "words": "12 minutes behind"}
    town.off = pl.DataFrame([row], schema=town.off.schema)
    glass.bind(town, "/")  # type: ignore[arg-type]
    heading, panel = clocks()
    assert heading.children == "Device clocks"
    assert texts(panel)[:3] == ["P1.p", "P1", "12 minutes behind"]
    town.off = town.off.clear()
    assert clocks() == []


def test_visitors_see_no_devices_and_no_clocks(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor, "current", Visit)
    assert shown(town, {"device": "good", "last_seen_at": NOW, "frames": 9, "lost": 0}) == []
    assert clocks() == []
