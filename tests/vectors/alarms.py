"""Adapters: the catalogue's alarm vectors through the product's own condition."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.engine.alarms import performance
from pipelines.engine.alarms.conditions import Limit, timeline
from pipelines.engine.alarms.lifecycle import Event, Standing, State, turn

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


def flooded(inputs: dict[str, Any]) -> dict[str, Any]:
    """AL-03: the floods in counts of ten minutes; the limits of the standard unless others are given."""
    limits = {name: inputs[name] for name in ("start_more_than", "end_fewer_than") if name in inputs}
    return performance.flood(inputs["counts_10min"], **limits)


CODES = {"NORM": "normal", "UNACK": "unacknowledged", "ACKED": "acknowledged", "RTNUN": "returned_unacknowledged",
         "SHLVD": "shelved", "DSUPR": "suppressed", "OOSRV": "out_of_service"}  # fmt: skip
EVENTS = {"alarm": Event.RISE, "rtn": Event.RETURN, "ack": Event.ACKNOWLEDGE}


def states(inputs: dict[str, Any]) -> list[str]:
    """AL-08: the state after each event."""
    standing, codes, found = Standing(State(CODES[inputs["start"]])), {name: code for code, name in CODES.items()}, []
    for seconds, event in inputs["events"]:
        standing = turn(standing, EVENTS[event], START + timedelta(seconds=seconds))
        found.append(codes[standing.state])
    return found


ADAPTERS = {
    "AL-01": lambda inputs: performance.rate(inputs["alarms"], inputs["hours"], inputs["operators"]),
    "AL-02": lambda inputs: performance.peak(inputs["counts_10min"]),
    "AL-03": flooded,
    "AL-04": lambda inputs: performance.chatters(inputs["activations_s"], inputs["n"], inputs["window_s"]),
    "AL-05": lambda inputs: performance.stale(inputs["active_hours"], inputs["limit_h"]),
    "AL-06": lambda inputs: performance.top_share(inputs["counts_by_tag"], inputs["top"]),
    "AL-07": performance.mix,
    "AL-08": states,
    "AL-09": hysteresis,
}
