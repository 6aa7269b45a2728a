"""How the replay of planted faults is judged (benchmarks/alarm_quality.py): each way to be wrong counts once."""

from datetime import timedelta
from typing import Any

import pytest

from benchmarks.alarm_quality import FAULTS, START, by_rule
from pipelines.engine.alarms.record import Transition


def rise(alarm: str, minute: float, annunciated: bool = True) -> Transition:
    at = START + timedelta(minutes=minute)
    after = "unacknowledged" if annunciated else "suppressed"
    return Transition(
        alarm=alarm, event="rise", before="normal", after=after, at=at, noted_at=at, who="process", why="",
        annunciated=annunciated, facts={"rule": alarm.partition("|")[0]},
    )  # fmt: skip


def as_planted() -> list[Transition]:
    return [rise(one.alarm, one.begins + 2, not one.explained) for one in FAULTS if one.alarm]


def told(log: list[Transition], rule: str) -> tuple[int, int, int]:
    one: dict[str, Any] = by_rule(log)[rule]
    return one["rung"], one["right"], one["faults"]


def test_every_fault_that_rings_once_in_its_time_is_right() -> None:
    rules = by_rule(as_planted())
    assert all(one["rung"] == one["right"] == one["faults"] for one in rules.values())
    assert {delay for one in rules.values() for delay in one["delays"]} == {2}
    assert sum(one["faults"] for one in rules.values()) == sum(bool(fault.alarm) for fault in FAULTS)


@pytest.mark.parametrize(
    ("changed", "rule", "expected"),
    [
        (lambda log: [one for one in log if one.alarm != "voltage_low|V1"], "voltage_low", (0, 0, 1)),
        (lambda log: [*log, rise("voltage_low|V1", 170)], "voltage_low", (2, 1, 1)),
        (lambda log: [*log, rise("voltage_low|V3", 700)], "voltage_low", (2, 1, 1)),
        (lambda log: [*log, rise("chlorine_low|P1", 700)], "chlorine_low", (1, 0, 0)),
        (lambda log: [rise("feeder_dead|F1", 900)], "feeder_dead", (1, 0, 1)),
        # A consequence that calls somebody is as wrong as a cause that calls nobody.
        (lambda log: [rise("pressure_low|PU1", 562)], "pressure_low", (1, 0, 5)),
        (lambda log: [rise("feeder_dead|F1", 562, annunciated=False)], "feeder_dead", (1, 0, 1)),
    ],
)
def test_missed_doubled_late_and_foreign_alarms_are_wrong(
    changed: Any, rule: str, expected: tuple[int, int, int]
) -> None:
    assert told(changed(as_planted()), rule) == expected
