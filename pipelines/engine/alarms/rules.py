"""What is watched: each rule with the limit it has over each thing, deadbands and delays by the kind of signal."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.engine.alarms.conditions import Limit
from pipelines.engine.model import AlarmRule, Quantity

# Codes for what no limit on a number can say: inside is normal, outside is not.
SAME, OTHER = 1.0, -1.0


@dataclass(frozen=True)
class Signal:
    """The usual deadband, as a share of the range, and delays of a kind of signal."""

    deadband: float
    on_delay: timedelta
    off_delay: timedelta


def _signals() -> dict[str, Signal]:
    """Kind of signal -> what is usual. Source: signals.csv."""
    with (Path(__file__).parent / "signals.csv").open(encoding="utf-8") as file:
        return {
            row["signal"]: Signal(
                float(row["deadband_pct"]) / 100,
                timedelta(seconds=float(row["on_delay_s"])),
                timedelta(seconds=float(row["off_delay_s"])),
            )
            for row in csv.DictReader(file)
        }


SIGNALS: Mapping[str, Signal] = _signals()
UNUSUAL = Signal(0.0, timedelta(0), timedelta(0))


def limit_of(
    rule: AlarmRule, quantity: Quantity | None = None, low: float | None = None, high: float | None = None
) -> Limit:
    """The limit that a rule sets over a thing whose values lie between low and high."""
    usual = SIGNALS.get(quantity.signal or "", UNUSUAL) if quantity and rule.of == "value" else UNUSUAL
    on_delay = usual.on_delay if rule.on_delay is None else rule.on_delay
    off_delay = usual.off_delay if rule.off_delay is None else rule.off_delay
    if rule.equals:
        return Limit(-np.inf, 0.0, 0.0, on_delay, off_delay)
    below = -np.inf if rule.below is None else rule.below
    above = np.inf if rule.above is None else rule.above
    if rule.deadband is not None:
        return Limit(below, above, rule.deadband, on_delay, off_delay)
    # A third of the band leaves room for the way back into it.
    deadband = min(usual.deadband * _span(quantity, low, high), (above - below) / 3)
    return Limit(below, above, deadband, on_delay, off_delay)


def _span(quantity: Quantity | None, low: float | None, high: float | None) -> float:
    """What the instrument spans: the range of the sensor where it has one of its own, else what is usual."""
    if quantity is None:
        return 0.0
    own = (low, high) != (None, None) and (low, high) != (quantity.low, quantity.high)
    if not own and quantity.span is not None:
        return quantity.span
    low, high = (quantity.low if low is None else low), (quantity.high if high is None else high)
    return high - low if low is not None and high is not None else 0.0


def coded(rule: AlarmRule, value: Any) -> float | None:
    """The value of an event's column as its condition sees it; None when nothing is known."""
    if value is None:
        return None
    if rule.equals:
        return SAME if value in rule.equals else OTHER
    return float(value)
