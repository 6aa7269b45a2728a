"""Adapters: the catalogue's alarm vectors through the product's own condition."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.engine.alarms.conditions import Limit, timeline

START = datetime(2026, 1, 1, tzinfo=UTC)


def hysteresis(inputs: dict[str, Any]) -> list[bool]:
    """AL-09: whether the alarm stands after each sample; stamps from `dt_s`, or given as `t_s` or `stamps_s`."""
    seconds = (
        inputs.get("t_s") or inputs.get("stamps_s") or [n * inputs.get("dt_s", 1) for n in range(len(inputs["values"]))]
    )
    low = inputs.get("high") is None
    limit = Limit(
        float(inputs["low"]) if low else -math.inf,
        math.inf if low else float(inputs["high"]),
        float(inputs.get("deadband") or 0),
        timedelta(seconds=inputs.get("on_delay_s") or 0),
        timedelta(seconds=inputs.get("off_delay_s") or 0),
    )
    return timeline(inputs["values"], (START + timedelta(seconds=s) for s in seconds), limit)


ADAPTERS = {"AL-09": hysteresis}
