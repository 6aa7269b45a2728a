"""Beats by the hundred on the wall and a domain page: nothing of a beat stays behind, and none takes long."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.soak import Open, open_page
from benchmarks.soaked import MOST_GROWTH, Screen
from tests.browser.conftest import Served

pytestmark = [pytest.mark.browser, pytest.mark.slow]
# Until all that a beat may fill is full, and after that.
FIRST, THEN = 20, 60
# The whole of a beat takes less of the thread than one task may.
LONG_TASK_MS = 50.0


@pytest.fixture
def screens(chromium: Any, served: Served) -> Iterator[list[Open]]:
    """Wall and domain page, each in a process of its own; only the test beats."""
    opened = [open_page(chromium, served.address, path, 20) for path in ("/wall", "/water")]
    for one in opened:
        one.page.wait_for_load_state("networkidle")
    served.paused = True
    yield opened
    served.paused = False
    served.values.clear()
    served.statuses.clear()
    for one in opened:
        one.page.context.close()


def shown(one: Open, seq: int) -> None:
    """Waited for without a script that the page's own rules would forbid."""
    for _ in range(500):
        if one.page.evaluate("window.townboard.seq") >= seq:
            return
        one.page.wait_for_timeout(20)
    raise AssertionError(f"{one.path} did not show {seq} within ten seconds")


def beaten(served: Served, screens: list[Open], times: int) -> list[Screen]:
    """The pages after so many beats, each of them seen by all before the next."""
    for number in range(times):
        served.statuses["supply_per_head"] = ("watch", "breach")[number % 2]
        served.publish(supply_per_head=80.0 + number, peak_loading=40.0 + number, on_time_performance=70.0 + number)
        for one in screens:
            shown(one, served.seq)
    return [one.screen() for one in screens]


def test_beats_leave_nothing_behind_and_none_takes_as_long_as_a_long_task(served: Served, screens: list[Open]) -> None:
    before = beaten(served, screens, FIRST)
    after = beaten(served, screens, THEN)
    for one, first, last in zip(screens, before, after, strict=True):
        assert last.heap < first.heap * MOST_GROWTH, one.path
        assert last.nodes <= first.nodes * 1.02 and last.listeners <= first.listeners, one.path
        assert 1000 * last.busy_s / THEN < LONG_TASK_MS, one.path
        assert one.crashed == []
