"""Grouping: timelines of alarms against the waits, intervals and repeats of Alertmanager."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.delivery.grouping import Grouping, Told
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.routes import Route
from tests.engine.delivery.notices import at, firing, over

ROUTE = Route(
    key="r", receiver="all", group_by=("domain",), group_wait=timedelta(minutes=1),
    group_interval=timedelta(minutes=5), repeat_interval=timedelta(hours=1),
)  # fmt: skip
Said = tuple[list[str], list[str]]


class Town:
    """Looks at the alarms each quarter of a minute and remembers what was said when."""

    def __init__(self, told: dict[str, Told] | None = None) -> None:
        self.grouping = Grouping(ROUTE, told or {})
        self.held = False

    def look(self, minutes: float, *notices: Notice) -> list[Said]:
        said = []
        for telling in self.grouping.due(notices, at(minutes), lambda _: self.held):
            said.append(([one.id[13:] for one in telling.firing], [one.id[13:] for one in telling.ended]))
            self.grouping.keep(telling)
        return said

    def looks(self, start: float, end: float, *notices: Notice) -> dict[float, list[Said]]:
        steps = [start + step / 4 for step in range(int((end - start) * 4))]
        return {minute: said for minute in steps if (said := self.look(minute, *notices))}


def test_alarms_of_a_group_that_ring_within_the_wait_are_one_telling() -> None:
    town, a, b = Town(), firing("a"), firing("b", 0.5)
    assert town.looks(0, 0.5, a) == {}
    assert town.looks(0.5, 3, a, b) == {1.0: [(["a", "b"], [])]}


def test_an_alarm_that_joins_later_is_told_at_the_next_interval_with_those_that_stand() -> None:
    town, a, b = Town(), firing("a"), firing("b", 3)
    town.looks(0, 3, a)
    assert town.looks(3, 10, a, b) == {6.0: [(["a", "b"], [])]}


def test_the_end_of_an_alarm_is_told_once() -> None:
    town, a, b = Town(), firing("a"), firing("b", 0.25)
    town.looks(0, 2, a, b)
    assert town.looks(2, 30, over(a, 2), b) == {6.0: [(["b"], ["a"])]}
    assert town.looks(30, 60, over(a, 2), over(b, 30)) == {31.0: [([], ["b"])]}


def test_what_came_and_went_within_the_wait_is_told_to_nobody() -> None:
    town, a = Town(), firing("a")
    town.look(0, a)
    assert town.looks(0.25, 20, over(a, 0.25)) == {}
    assert town.grouping.groups == {}


def test_what_stands_is_repeated_until_somebody_has_it_in_hand() -> None:
    town, a = Town(), firing("a")
    assert list(town.looks(0, 130, a)) == [1.0, 61.0, 121.0]
    assert town.looks(130, 300, replace(a, acknowledged=True)) == {}
    assert list(town.looks(300, 310, over(a, 300))) == [301.0]


def test_a_shelved_alarm_is_neither_told_nor_taken_back() -> None:
    town, a = Town(), firing("a")
    town.looks(0, 2, a)
    muted = replace(a, muted=True)
    assert town.looks(2, 90, muted) == {}
    assert town.looks(90, 91, a) == {}
    assert list(town.looks(91, 100, a)) == [91.0]


def test_an_alarm_that_stood_before_the_start_does_not_wait_again() -> None:
    assert Town().look(10, firing("a")) == [(["a"], [])]


def test_a_restart_says_nothing_twice_and_takes_back_what_ended_meanwhile() -> None:
    a, b = firing("a"), firing("b")
    first = Town()
    first.looks(0, 2, a, b)
    second = Town(first.grouping.told)
    assert second.looks(3, 20, a, over(b, 2.5)) == {3.0: [(["a"], ["b"])]}


def test_held_alarms_wait_until_the_quiet_hours_are_over() -> None:
    town, a = Town(), firing("a")
    town.held = True
    assert town.looks(0, 30, a) == {}
    town.held = False
    assert list(town.looks(30, 40, a)) == [31.0]


def test_what_could_not_be_kept_is_due_again_at_once() -> None:
    town, a = Town(), firing("a")
    (telling,) = town.grouping.due([a], at(1), lambda _: False)
    town.grouping.again([telling], at(1))
    assert town.look(1.25, a) == [(["a"], [])]


# (alarm, minute of its begin, minutes that it stands)
LIVES = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 60), st.integers(1, 60)),
    min_size=1,
    max_size=6,
    unique_by=lambda x: x[0],
)


def states(lives: Iterable[tuple[str, int, int]], minute: float) -> list[Notice]:
    known = [(firing(name, begin), begin + stands) for name, begin, stands in lives if begin <= minute]
    return [over(one, end) if end <= minute else one for one, end in known]


@settings(max_examples=40)
@given(LIVES, st.sets(st.integers(0, 200), max_size=5))
def test_every_firing_is_told_and_taken_back_once_whatever_restarts(
    lives: list[tuple[str, int, int]], restarts: set[int]
) -> None:
    town, stands_for = Town(), {}
    for quarter in range(200 * 4):
        minute = quarter / 4
        if minute in restarts:
            town = Town(town.grouping.told)
        for up, down in town.look(minute, *states(lives, minute)):
            news = set(up) - set(stands_for)
            assert news or down or min(minute - stands_for[name] for name in up) > 0
            stands_for |= dict.fromkeys(up, minute)
            assert set(down) <= set(stands_for)
            for name in down:
                del stands_for[name]
    assert stands_for == {}
