"""Wards side by side for one KPI: how sure each value is, which differ beyond chance, how far the worst is behind."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

# A ward with fewer residents is left out of the comparison: its rates swing by themselves.
MIN_RESIDENTS = 1000
# The normal distribution's two-sided 95 %.
Z = 1.959964
SHARE_METHOD = "Wilson 95 % interval of a share"
COUNT_METHOD = "Byar 95 % interval of a count"
SWING_METHOD = "95 % of the ward's own swing from window to window"
FEWEST_WINDOWS = 5
Interval = tuple[float, float]


@dataclass(frozen=True)
class Gap:
    """CO-01: `gap` in the KPI's unit (points for percentages), `ratio` worst / best, `town` weighted by residents."""

    town: float | None
    gap: float | None
    ratio: float | None
    worst: str | None
    best: str | None
    wards: int


@dataclass(frozen=True)
class Side:
    """One ward in a comparison; `tier` counts from the worst, wards of one tier are alike within chance.

    `low` and `high` are null where nothing tells how sure the value is; `hidden` says in words why it is left out.
    """

    ward: str
    value: float | None
    low: float | None = None
    high: float | None = None
    method: str | None = None
    n: int | None = None
    population: float | None = None
    hidden: str | None = None
    tier: int | None = None


def ward_gap(values: Mapping[str, float | None], residents: Mapping[str, float | None], better: str) -> Gap:
    """How far the worst ward is behind the best; wards without a value do not count.

    `better` is higher, lower or context; of a context KPI the lowest and highest stand for worst and best.
    Source: ISO 37120 and SDG 11 disaggregation; ratio by the four-fifths rule.
    """
    known = {ward: value for ward, value in values.items() if value is not None}
    if not known:
        return Gap(None, None, None, None, None, 0)
    lowest, highest = min(known, key=lambda w: known[w]), max(known, key=lambda w: known[w])
    worst, best = (highest, lowest) if better == "lower" else (lowest, highest)
    ratio = known[worst] / known[best] if known[best] else (1.0 if known[worst] == known[best] else None)
    weights = {ward: residents.get(ward) or 0.0 for ward in known}
    people = sum(weights.values())
    town = sum(value * weights[ward] for ward, value in known.items()) / people if people else None
    return Gap(town, known[highest] - known[lowest], ratio, worst, best, len(known))


def fair(ratio: float | None, better: str, four_fifths: float = 0.8) -> bool | None:
    """Whether the ratio keeps the four-fifths rule (for a KPI that is better lower: its inverse does)."""
    if ratio is None or better == "context":
        return None
    return ratio >= four_fifths if better == "higher" else ratio <= 1 / four_fifths


def wilson(numerator: float, denominator: float) -> Interval:
    """The interval of a share of counted things, both ends between 0 and 1.

    Source: Wilson 1927, without correction for continuity.
    """
    share, z2 = numerator / denominator, Z * Z / denominator
    middle = (share + z2 / 2) / (1 + z2)
    half = Z / (1 + z2) * math.sqrt(share * (1 - share) / denominator + z2 / (4 * denominator))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def byar(count: float) -> Interval:
    """The interval of a number of events.

    Source: Byar's approximation to the Poisson limits, Breslow and Day 1987.
    """
    above = count + 1
    low = count * (1 - 1 / (9 * count) - Z / (3 * math.sqrt(count))) ** 3 if count else 0.0
    return max(0.0, low), above * (1 - 1 / (9 * above) + Z / (3 * math.sqrt(above))) ** 3


def swing(value: float, past: Iterable[float | None]) -> Interval | None:
    """The value, give or take 1.96 sample deviations of the ward's own earlier windows; null with under five."""
    known = [one for one in past if one is not None]
    if len(known) < FEWEST_WINDOWS:
        return None
    mean = sum(known) / len(known)
    half = Z * math.sqrt(sum((one - mean) ** 2 for one in known) / (len(known) - 1))
    return value - half, value + half


def interval(row: Mapping[str, Any], scale: float, past: Iterable[float | None]) -> tuple[Interval | None, str | None]:
    """How sure a value is, and by which method: a share of counted things, a count per head, else its own swing."""
    numerator, denominator, n = row.get("numerator"), row.get("denominator"), row.get("n")
    if numerator is not None and denominator and n:
        if math.isclose(denominator, n) and 0 <= numerator <= denominator:
            low, high = wilson(numerator, denominator)
            return (scale * low, scale * high), SHARE_METHOD
        if math.isclose(numerator, n):
            low, high = byar(numerator)
            return (scale * low / denominator, scale * high / denominator), COUNT_METHOD
    found = swing(row["value"], past)
    return found, SWING_METHOD if found else None


def compared(sides: Iterable[Side], better: str) -> list[Side]:
    """The sides from the worst tier to the best, by name within a tier; those that cannot be compared come last.

    A tier begins at a ward whose interval does not overlap with that of the tier's first. A ward that is hidden, has
    no value or of which nothing tells how sure it is stands in no tier.
    """
    every = sorted(sides, key=lambda side: side.ward)
    sure = [side for side in every if side.hidden is None and side.low is not None]
    sure.sort(key=lambda side: side.value or 0.0, reverse=better == "lower")
    tiers: list[list[Side]] = []
    for side in sure:
        if not tiers or _apart(tiers[-1][0], side):
            tiers.append([])
        tiers[-1].append(side)
    placed = [
        replace(side, tier=number)
        for number, tier in enumerate(tiers, 1)
        for side in sorted(tier, key=lambda side: side.ward)
    ]
    rest = [side for side in every if side not in sure]
    return placed + sorted(rest, key=lambda side: side.value is None)


def _apart(one: Side, other: Side) -> bool:
    """Whether two intervals do not overlap."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.high < other.low or other.high < one.low
