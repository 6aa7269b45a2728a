"""The axes of a chart: how far they reach and where their named ticks stand, said once for picture and Plotly."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from components import wording
from components.drawn.axis import local_ticks
from components.tongue import current

# How many ticks an axis has about; and how much room, as a share, is left above, below and beside a line.
TICKS, ROOM, BESIDE = 5, 0.05, 0.01
LEAST_LEFT, LETTER, LETTERS_APART = 40, 7, 12
STEPS = (1.0, 2.0, 5.0, 10.0)


def upright(values: Iterable[float | None], *, from_zero: bool = False) -> dict[str, Any]:
    """The axis of values: its reach, its ticks and their names."""
    known = [float(value) for value in values if value is not None] or [0.0]
    least, most = min(known), max(known)
    if from_zero:
        least, most = min(least, 0.0), max(most, 0.0)
    span = (most - least) or abs(most) or 1.0
    low, high = least - ROOM * span, most + ROOM * span
    if least >= 0:
        low = max(low, 0.0)
    return {"range": [low, high], "autorange": False, **_ticks(low, high)}


def _ticks(low: float, high: float) -> dict[str, Any]:
    rough = (high - low) / TICKS
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(one for one in STEPS if one * size >= rough * (1 - 1e-9))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    places = [
        round(n * step, decimals) for n in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]
    return {"tickmode": "array", "tickvals": places, "ticktext": [wording.number(one, decimals) for one in places]}


def of_time(first: str, last: str) -> dict[str, Any]:
    """The axis of time of a line, on the town's own clock, with an hour around an instant that stands alone."""
    start, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    ticks = local_ticks(start, end) if end > start else [(start, current().day(start, "MMMd"))]
    around = (end - start) * BESIDE or timedelta(minutes=30)
    reach = [(start - around).isoformat(), (end + around).isoformat()]
    return {"range": reach, "autorange": False, **_named(ticks)}


def of_bars(x: Sequence[str], reach: tuple[datetime, datetime], step: str) -> dict[str, Any]:
    """The axis below the bars of months or years."""
    each = max(1, -(-len(x) // 6))
    at = [datetime.fromisoformat(one) for one in x][::-1][::each][::-1]
    yearly = step != "month"
    ticks = [(one, current().digits(f"{one:%Y}") if yearly else current().day(one, "yMMM")) for one in at]
    return {"range": [one.isoformat() for one in reach], "autorange": False, **_named(ticks)}


def _named(ticks: Sequence[tuple[datetime, str]]) -> dict[str, Any]:
    at, names = [one.isoformat() for one, _name in ticks], [name for _one, name in ticks]
    return {"tickmode": "array", "tickvals": at, "ticktext": names}


def left(names: Iterable[str]) -> int:
    """How many pixels the names of the values need."""
    return max(LEAST_LEFT, LETTERS_APART + LETTER * max(map(len, names), default=0))
