"""The town's score (CO-02): each KPI against its target, 1 is on target; the mean of all, raw beside rounded up."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Boston's scores have no cap; an on-time metric of 100 against 80 reaches 1.25, and no other may outweigh it.
CAP = 1.25
MIN_HISTORY = 90
DIRECTIONS = {"higher": "up", "lower": "down"}


@dataclass(frozen=True)
class Scored:
    """One KPI in the town's score; `reason` says why it has none."""

    kpi: str
    value: float | None
    target: float | None
    raw: float | None
    score: float | None
    from_history: bool = False
    reason: str | None = None


def rounded_up(value: float) -> float:
    """Rounded up to two decimals; what binary arithmetic adds beyond the ninth decimal is no reason to."""
    return math.ceil(round(value * 100, 7)) / 100


def raw_score(value: float | None, target: float | None, direction: str) -> float | None:
    """value / target (up) or target / value (down), neither rounded nor capped; null where that divides by zero."""
    if value is None or target is None:
        return None
    part, whole = (value, target) if direction == "up" else (target, value)
    return part / whole if whole else None


def score(value: float | None, target: float | None, direction: str, cap: float = math.inf) -> float | None:
    """The raw score rounded up to two decimals, at most `cap`.

    Source: City of Boston, CityScoreToolkit models.py.
    """
    raw = raw_score(value, target, direction)
    return None if raw is None else min(rounded_up(raw), cap)


def mean_score(scores: Iterable[float | None]) -> float | None:
    """The mean of the scores that there are, rounded up to two decimals."""
    known = [one for one in scores if one is not None]
    return rounded_up(sum(known) / len(known)) if known else None


def historic_target(mean: float, deviation: float, n: int, direction: str) -> float | None:
    """The target of a KPI that has no fixed one: its usual value and a deviation; null with 90 values or fewer.

    `deviation` is that of the population. Source: City of Boston, CityScoreToolkit, set_historic_target.
    """
    if n <= MIN_HISTORY:
        return None
    return abs(mean - deviation) if direction == "up" else mean + deviation


def target_of_history(values: Sequence[float], direction: str) -> float | None:
    """The historic target of these values."""
    if len(values) <= MIN_HISTORY:
        return None
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return historic_target(mean, deviation, len(values), direction)


def scored(kpi: str, value: float | None, target: float | None, direction: str, history: Sequence[float]) -> Scored:
    """A KPI's place in the score; a target of 0 can be in no ratio, then that of its history takes its place."""
    own = target if target else target_of_history(history, direction)
    raw = raw_score(value, own, direction)
    reason = None
    if value is None:
        reason = "no value"
    elif own is None:
        reason = f"the target 0 is in no ratio, and {MIN_HISTORY} values or fewer were published"
    elif raw is None:
        reason = "a value of 0 is in no ratio"
    return Scored(
        kpi, value, own, raw, score(value, own, direction, CAP), from_history=own is not None and not target,
        reason=reason,
    )  # fmt: skip
