"""The minutes of the board: noted when a figure, state, window or reason changed, and no oftener than they have to."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.engine.minutes import Minutes

T0 = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def board(town: float | None, ward: float | None = 5.0, **more: Any) -> dict[str, dict[str, Any]]:
    """A board of one KPI for the town and a ward."""
    rows = {}
    for area, value in (("town", town), ("ward:W1", ward)):
        rows[f"k|{area}"] = {
            "kpi": "k", "area": area, "value": value, "decimals": 1, "status": "good", "reason": None, "detail": None,
            "window_start": T0.isoformat(), "window_end": (T0 + timedelta(hours=1)).isoformat(), "as_of": None,
            "numerator": 1.0, "denominator": 2.0, "n": 1, "n_expected": 2, "coverage": 0.5, "target": 3.0, **more,
        }  # fmt: skip
    return rows


def noted(minutes: Minutes, shown: dict[str, dict[str, Any]], at: datetime) -> set[str]:
    """The areas that are noted of a board."""
    rows = minutes.due(shown, at)
    minutes.noted(shown, rows, at)
    return set(rows["area"])


def test_the_first_board_is_noted_whole() -> None:
    assert noted(Minutes(), board(1.0), T0) == {"town", "ward:W1"}


def test_a_figure_that_looks_the_same_is_not_noted_again() -> None:
    minutes = Minutes()
    noted(minutes, board(1.24), T0)
    assert noted(minutes, board(1.16, n=7), T0 + MINUTE) == set()
    assert noted(minutes, board(1.25), T0 + 2 * MINUTE) == {"town"}


def test_state_window_reason_and_detail_are_noted_when_the_figure_stands() -> None:
    changes: list[dict[str, Any]] = [
        {"status": "stale"}, {"window_start": (T0 + MINUTE).isoformat()}, {"reason": "late"}, {"detail": "PM10"},
    ]  # fmt: skip
    for change in changes:
        minutes = Minutes()
        noted(minutes, board(1.0), T0)
        assert noted(minutes, board(1.0, **change), T0 + MINUTE) == {"town"}


def test_the_town_is_noted_once_a_minute_and_areas_each_quarter_of_an_hour() -> None:
    minutes = Minutes()
    noted(minutes, board(1.0), T0)
    assert noted(minutes, board(2.0, 6.0), T0 + timedelta(seconds=59)) == set()
    assert noted(minutes, board(2.0, 6.0), T0 + MINUTE) == {"town"}
    assert noted(minutes, board(2.0, 6.0), T0 + 14 * MINUTE) == set()
    assert noted(minutes, board(2.0, 6.0), T0 + 15 * MINUTE) == {"ward:W1"}


def test_all_is_noted_anew_after_a_day() -> None:
    minutes, shown = Minutes(), board(1.0)
    noted(minutes, shown, T0)
    assert noted(minutes, shown, T0 + timedelta(hours=12)) == set()
    assert noted(minutes, shown, T0 + timedelta(hours=24)) == {"town", "ward:W1"}


def test_what_could_not_be_kept_is_due_again() -> None:
    minutes, shown = Minutes(), board(1.0)
    assert minutes.due(shown, T0).height == minutes.due(shown, T0 + timedelta(seconds=2)).height == 2


def test_a_clock_that_is_set_back_does_not_stop_the_minutes() -> None:
    minutes = Minutes()
    noted(minutes, board(1.0), T0)
    assert noted(minutes, board(2.0), T0 - timedelta(hours=3)) == {"town", "ward:W1"}


def test_an_unknown_value_is_noted_with_its_reason() -> None:
    rows = Minutes().due(board(None, reason="only 10 % has arrived", status="no data"), T0)
    assert rows.filter(area="town").select("value", "reason", "status").row(0) == (
        None, "only 10 % has arrived", "no data",
    )  # fmt: skip


def test_what_leaves_the_board_is_noted_as_gone_once() -> None:
    minutes, shown = Minutes(), board(1.0)
    noted(minutes, shown, T0)
    del shown["k|ward:W1"]
    rows = minutes.due(shown, T0 + 15 * MINUTE)
    minutes.noted(shown, rows, T0 + 15 * MINUTE)
    assert rows.select("area", "status").rows() == [("ward:W1", "gone")]
    assert noted(minutes, shown, T0 + 30 * MINUTE) == set()
