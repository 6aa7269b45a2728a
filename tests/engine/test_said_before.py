"""Last week's value: of a running window what the board said when that window had lasted as long."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines import available
from pipelines.engine.journal import Entry
from pipelines.engine.model import Kpi
from pipelines.engine.said_before import SaidBefore
from pipelines.engine.store import Store
from pipelines.engine.tables import KPI_BOARD, KPI_VALUES
from pipelines.engine.trail import LastWeek, Trail

ROME = "Europe/Rome"
# The day after the clock was put forward: its week before begins an hour of UTC later.
NOW = datetime(2026, 3, 30, 8, tzinfo=UTC)
DAY = datetime(2026, 3, 29, 22, tzinfo=UTC)
BEFORE = datetime(2026, 3, 22, 23, tzinfo=UTC)
KPIS = {kpi.id: kpi for domain in available().values() for kpi in domain.kpis}
Say = Callable[..., None]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "journal").mkdir()
    store = Store(tmp_path, (KPI_BOARD, KPI_VALUES))
    store.open()
    return store


@pytest.fixture
def say(store: Store) -> Say:
    """Notes what the board said of a KPI of the town, hours after midnight of last week's day."""

    def noted(kpi: str, hours: float, value: float | None, *, status: str = "good", whole: bool = False) -> None:
        row = dict.fromkeys(KPI_BOARD.schema) | {
            "kpi": kpi, "area": "town", "said_at": BEFORE + timedelta(hours=hours), "window": BEFORE, "value": value,
            "status": status, "whole": whole,
        }  # fmt: skip
        frame = pl.DataFrame([row], schema=KPI_BOARD.schema)
        store.land(store.seq + 1, [Entry("kpi_board", frame, {"received_s": NOW.timestamp()})])

    return noted


def published(kpi: str, value: float) -> pl.DataFrame:
    return pl.DataFrame([{"kpi": kpi, "area": "town", "window": BEFORE, "value": value, "revision": 1}])


def trail(*names: str) -> Trail:
    kpis: list[Kpi] = [KPIS[name] for name in names]
    return Trail(kpis, ROME)


def test_running_window_is_compared_with_what_was_said_after_the_same_local_time(store: Store, say: Say) -> None:
    for hours, value in ((2, 60.0), (9.9, 70.0), (10.1, 90.0)):
        say("on_time_performance", hours, value)
    found = trail("on_time_performance")
    found.add(published("on_time_performance", 95.0))
    found.follow(store, NOW)
    assert found.last_week("on_time_performance", "town", DAY, running=True) == LastWeek(70.0)
    assert found.last_week("on_time_performance", "town", DAY, running=False) == LastWeek(95.0)


def test_whole_window_stands_in_and_is_named_where_nothing_was_said(store: Store) -> None:
    found = trail("on_time_performance", "overload_hours")
    found.add(published("on_time_performance", 95.0))
    found.add(published("overload_hours", 12.0))
    found.follow(store, NOW)
    assert found.last_week("on_time_performance", "town", DAY, running=True) == LastWeek(95.0, whole=True)
    assert found.last_week("overload_hours", "town", DAY, running=True) == LastWeek(None)


def test_what_was_said_moves_on_with_the_time_and_goes_with_the_board(store: Store, say: Say) -> None:
    said = SaidBefore(ZoneInfo(ROME))
    say("backlog", 1, 5.0)
    say("backlog", 11, 6.0)
    say("backlog", 30, 7.0, status="gone")
    answers = []
    for hours in (0, 1, 20.5, 21, 3):
        said.follow(store, NOW + timedelta(hours=hours))
        told = said.of("backlog", "town", DAY)
        answers.append(told.value if told else None)
    assert answers == [5.0, 6.0, None, None, 6.0]


def test_what_was_not_noted_again_with_the_whole_board_is_no_longer_said(store: Store, say: Say) -> None:
    said = SaidBefore(ZoneInfo(ROME))
    say("backlog", 1, 5.0)
    say("overdue", 2, 1.0, whole=True)
    said.follow(store, NOW)
    assert said.of("backlog", "town", DAY) is None
    assert said.of("overdue", "town", DAY) is not None
    assert said.of("overdue", "town", DAY - timedelta(days=1)) is None
