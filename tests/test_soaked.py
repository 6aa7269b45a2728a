"""The judgement over a soak: leaks are found, noise is not taken for one, and a page that lies about being live is."""

from collections.abc import Callable

import pytest

from benchmarks.soaked import Ledger, Look, Screen, falsely_live, steady_growth


def ledger(hours: float, heap: Callable[[float], float], line: Callable[[float], float]) -> Ledger:
    """A look every two minutes."""
    minutes = [float(minute) for minute in range(0, int(hours * 60) + 1, 2)]
    screen = lambda minute: Screen(heap(minute), 2000, 45, 1.0, 0, 0.0)  # noqa: E731
    return Ledger([Look(minute, {"/wall": screen(minute)}, {"line": line(minute)}) for minute in minutes])


def saw(minute: float) -> float:
    """What garbage and a day's work do: up and down."""
    return minute % 14 / 20


@pytest.mark.parametrize("hours", [1.5, 3.0, 24.0])
def test_a_flat_soak_is_green_however_long(hours: float) -> None:
    assert ledger(hours, lambda m: 20 + saw(m), lambda m: 480 + 20 * saw(m)).faults() == []


def test_a_heap_that_grows_is_red_and_named() -> None:
    faults = ledger(3, lambda m: 20 + m / 40 + saw(m), lambda m: 480).faults()
    assert len(faults) == 2 and all(words.startswith("/wall: the heap grew from 20.") for words in faults)
    assert "after 120" in faults[0] and "after 180" in faults[1]


def test_a_heap_may_take_a_tenth_more_than_after_ten_minutes() -> None:
    step = lambda most: lambda m: 20.0 if m < 60 else 20.0 * most  # noqa: E731
    assert ledger(3, step(1.09), lambda m: 480).faults() == []
    assert ledger(3, step(1.11), lambda m: 480).faults()


def test_a_process_that_grows_steadily_is_red_and_one_that_fills_up_first_is_not() -> None:
    # Quarters of 165 looks from minute 120 on: the middle of the first is minute 284, of the last minute 1274.
    assert ledger(24, saw, lambda m: 480 + m / 12).faults() == ["line: its memory grows steadily, from 504 to 586 MB"]
    assert ledger(24, saw, lambda m: 400 + min(m, 120)).faults() == []


def test_growth_that_stops_or_is_small_is_not_steady() -> None:
    assert steady_growth([100, 100, 100, 140, 140, 140, 140, 140, 140, 139, 139, 139]) is None
    assert steady_growth([3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6]) is None
    assert steady_growth([100, 100, 100, 110, 110, 110, 120, 120, 120, 130, 130, 130]) == (100, 130)
    assert steady_growth([100, 200]) is None


def test_a_page_is_falsely_live_with_old_figures_or_behind_the_board() -> None:
    assert falsely_live(built=1000.0, newest=1000.0, now=1031.0) is None
    assert falsely_live(built=1000.0, newest=1011.0, now=1012.0) is None
    assert falsely_live(built=1000.0, newest=1000.0, now=1040.0) == "said it is live with figures 40 s old"
    assert falsely_live(built=1000.0, newest=1020.0, now=1021.0) == "said it is live 20 s behind the board"


def test_what_was_seen_on_the_pages_is_red_whatever_the_figures_say() -> None:
    kept = ledger(1.5, saw, lambda m: 480)
    kept.wrong.append("/wall: the page crashed (minute 3.0)")
    assert kept.faults() == ["/wall: the page crashed (minute 3.0)"]
