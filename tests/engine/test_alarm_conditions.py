"""Alarm conditions as arrays: deadband, delays, bands, rates; equal to the same said one sample at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.alarms.conditions import Conditions, Limit, rounds, stamp, timeline

T0 = datetime(2026, 1, 1, tzinfo=UTC)
HIGH = {"limit": 100.0, "sign": 1, "deadband": 5.0, "on": 0, "off": 0}


def flags(values: list[float], every_s: float = 10, **changed: Any) -> str:
    """The alarm after each sample, as a line of . and #."""
    how = {**HIGH, **changed}
    sides = {"high": how["limit"]} if how["sign"] > 0 else {"low": how["limit"]}
    delays = {"on_delay": timedelta(seconds=how["on"]), "off_delay": timedelta(seconds=how["off"])}
    limit = Limit(**sides, deadband=how["deadband"], **delays)
    stamps = [T0 + timedelta(seconds=n * every_s) for n in range(len(values))]
    return "".join("#" if on else "." for on in timeline(values, stamps, limit))


@pytest.mark.parametrize(
    ("values", "how", "expected"),
    [
        # Catalogue AL-09#1: 99.5 lies within the deadband, so the alarm stays.
        ([99, 101, 99.5, 101, 94.9, 94.9], {}, ".###.."),
        # At the limit it is not beyond it; at limit - deadband it is not back.
        ([100, 100.1, 95, 94.9], {}, ".##."),
        # Without a deadband it returns below the limit.
        ([101, 100, 99.9], {"deadband": 0}, "##."),
        # The on-delay has lasted when the time between stamps is at least as long.
        ([101, 101, 101, 101], {"on": 20}, "..##"),
        ([101, 101, 101, 101], {"on": 20.1}, "...#"),
        # The timer starts again whenever the condition breaks.
        ([101, 101, 99, 101, 101, 101], {"on": 20}, ".....#"),
        ([101, 90, 90, 96, 90, 90, 90], {"off": 20}, "######."),
        # A sample inside the deadband breaks the way back.
        ([101, 94, 97, 94, 94], {"off": 10}, "####."),
        # Low limits mirror.
        ([1.2, 0.9, 1.05, 1.3], {"limit": 1.0, "sign": -1, "deadband": 0.2}, ".##."),
        ([0.9, 0.9, 0.9, 1.3, 1.3], {"limit": 1.0, "sign": -1, "deadband": 0.2, "on": 10, "off": 10}, ".###."),
        ([], {}, ""),
    ],
)
def test_condition_follows_the_catalogue(values: list[float], how: dict[str, Any], expected: str) -> None:
    assert flags(values, **how) == expected


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.floats(80, 120), max_size=30), st.integers(0, 40), st.integers(0, 40), st.floats(0, 10))
def test_low_limit_is_the_mirror_of_the_high_one(values: list[float], on: int, off: int, deadband: float) -> None:
    high = flags(values, deadband=deadband, on=on, off=off)
    low = flags([-value for value in values], limit=-100.0, sign=-1, deadband=deadband, on=on, off=off)
    assert high == low


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.floats(80, 120), max_size=30))
def test_without_delays_the_alarm_is_a_plain_schmitt_trigger(values: list[float]) -> None:
    expected, on = "", False
    for value in values:
        on = value >= 95.0 if on else value > 100.0
        expected += "#" if on else "."
    assert flags(values) == expected


@pytest.mark.parametrize(
    ("values", "how", "expected"),
    [
        # Outside a band on either side; back only when inside by the deadband from both.
        ([50, 101, 96, 94, 39, 44, 46], {}, ".##.##."),
        ([39, 101, 60], {}, "##."),
        ([39, 39, 60], {"on_delay": timedelta(seconds=10)}, ".#."),
    ],
)
def test_band_is_left_on_either_side(values: list[float], how: dict[str, Any], expected: str) -> None:
    stamps = [T0 + timedelta(seconds=10 * n) for n in range(len(values))]
    found = timeline(values, stamps, Limit(40.0, 100.0, 5.0, **how))
    assert "".join("#" if on else "." for on in found) == expected


def test_sample_that_is_not_newer_or_unknown_changes_nothing() -> None:
    conditions = Conditions()
    row = np.array([conditions.add("a", Limit(high=100.0))])
    hold = lambda value, seconds: conditions.hold(  # noqa: E731
        row, np.array([value]), np.array([stamp(T0 + timedelta(seconds=seconds))])
    )[0]
    assert [turn.active for turn in hold(101.0, 0)] == [True]
    told = conditions.told(0)
    for value, seconds in ((1.0, 0), (1.0, -1), (np.nan, 10)):
        assert hold(value, seconds) == []
        assert conditions.told(0) == told
    assert [turn.active for turn in hold(1.0, 10)] == [False]


@dataclass
class Plain:
    """The catalogue's rule (AL-09), one sample at a time."""

    limit: Limit
    active: bool = False
    since: int | None = None

    def hold(self, value: float, second: int) -> bool:
        inside = self.limit.low + self.limit.deadband < value < self.limit.high - self.limit.deadband
        outside = value > self.limit.high or value < self.limit.low
        if not (inside if self.active else outside):
            self.since = None
            return self.active
        self.since = second if self.since is None else self.since
        if second - self.since >= (self.limit.off_delay if self.active else self.limit.on_delay).total_seconds():
            self.active, self.since = not self.active, None
        return self.active


SAMPLES = st.lists(st.tuples(st.integers(0, 4), st.floats(30, 110)), max_size=60)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(SAMPLES, st.integers(1, 7), st.integers(0, 3), st.integers(0, 3), st.floats(0, 10))
def test_many_conditions_at_once_are_as_each_alone(
    samples: list[tuple[int, float]], batch: int, on: int, off: int, deadband: float
) -> None:
    limit = Limit(40.0, 100.0, deadband, timedelta(seconds=on), timedelta(seconds=off))
    conditions, plain = Conditions(), {n: Plain(limit) for n in range(5)}
    for n in range(5):
        conditions.add(str(n), limit)
    rows, values = np.array([n for n, _ in samples], int), np.array([v for _, v in samples], float)
    at = np.array([stamp(T0 + timedelta(seconds=n)) for n in range(len(samples))], int)
    for start in range(0, len(samples), batch):
        part = slice(start, start + batch)
        turns, _ = conditions.hold(rows[part], values[part], at[part])
        before = {n: each.active for n, each in plain.items()}
        turned = []
        for second in range(start, min(start + batch, len(samples))):
            n, value = samples[second]
            if plain[n].hold(value, second) != before[n]:
                before[n] = plain[n].active
                turned.append((n, plain[n].active))
        assert sorted((turn.row, turn.active) for turn in turns) == sorted(turned)
    assert [bool(conditions.active[n]) for n in range(5)] == [plain[n].active for n in range(5)]


@settings(max_examples=100, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=40))
def test_rounds_name_every_row_once_and_keep_its_order(rows: list[int]) -> None:
    array = np.array(rows, np.int64)
    order = np.arange(array.size)
    parts = [order[part] for part in rounds(array)]
    assert sorted(place for part in parts for place in part) == list(range(len(rows)))
    for part in parts:
        assert len({rows[place] for place in part}) == len(part)
    for row in set(rows):
        assert [place for part in parts for place in part if rows[place] == row] == [
            place for place, own in enumerate(rows) if own == row
        ]


def test_where_a_condition_stood_is_taken_up_by_another_process() -> None:
    limit = Limit(high=100.0, on_delay=timedelta(seconds=20))
    first, second = Conditions(), Conditions()
    row = np.array([first.add("a", limit)])
    first.hold(row, np.array([101.0]), np.array([stamp(T0)]))
    second.add("a", limit)
    second.recall(0, first.told(0))
    turns, _ = second.hold(row, np.array([101.0]), np.array([stamp(T0 + timedelta(seconds=20))]))
    assert [(turn.active, turn.at) for turn in turns] == [(True, T0 + timedelta(seconds=20))]
