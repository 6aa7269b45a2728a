"""What a rule would have rung: the past through the same conditions, and what that adds to the room's load."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from pipelines.engine.alarms.conditions import Conditions, Limit
from pipelines.engine.alarms.performance import ACCEPTABLE, TEN_MINUTES, Stretch, peak

DAY = timedelta(days=1)
# About 144 alarms a day of one person are acceptable (ISA-18.2 16.4.2).
BUDGET_A_DAY = ACCEPTABLE * (DAY / TEN_MINUTES)
MOST_SHOWN = 200
SAMPLES = pl.Schema({"thing": pl.String(), "at": pl.Datetime("us", "UTC"), "value": pl.Float64()})


@dataclass(frozen=True)
class Firing:
    """Once that a rule would have rung, and until when (None: it would still stand)."""

    thing: str
    at: datetime
    until: datetime | None
    value: float


def firings(samples: pl.DataFrame, limits: dict[str, Limit]) -> list[Firing]:
    """Every time that a limit over a thing would have rung, oldest first.

    Shape: samples has SAMPLES, in any order.
    """
    conditions = Conditions()
    rows = {thing: conditions.add(thing, limit) for thing, limit in limits.items()}
    known = samples.filter(pl.col("thing").is_in(list(rows)) & pl.col("value").is_not_null()).sort("at", "thing")
    placed = known["thing"].replace_strict(rows, return_dtype=pl.Int64).to_numpy()
    turns, _ = conditions.hold(placed, known["value"].to_numpy(), known["at"].dt.epoch("us").to_numpy())
    found: list[Firing] = []
    standing: dict[int, int] = {}
    for turn in sorted(turns, key=lambda turn: turn.at):
        if turn.active:
            standing[turn.row] = len(found)
            found.append(Firing(conditions.keys[turn.row], turn.at, None, turn.value))
        else:
            place = standing.pop(turn.row)
            known_firing = found[place]
            found[place] = Firing(known_firing.thing, known_firing.at, turn.at, known_firing.value)
    return found


def report(found: Sequence[Firing], called: Sequence[datetime], stretch: Stretch) -> dict[str, Any]:
    """What a rule adds to what called in a stretch already, against the room's budget.

    Shape: firings (number), shown (the newest), a_day (of the rule), load_a_day (of the room with it), budget_a_day,
    within_budget, peak_10min (most in ten minutes with it).
    """
    days = max((stretch.end - stretch.start) / DAY, 1e-9)
    added, already = len(found) / days / stretch.operators, len(called) / days / stretch.operators
    first = stretch.start
    counts = np.bincount([(at - first) // TEN_MINUTES for at in (*called, *(one.at for one in found))] or [0])
    return {
        "from": stretch.start,
        "to": stretch.end,
        "firings": len(found),
        "shown": [
            {"thing": one.thing, "at": one.at, "until": one.until, "value": one.value}
            for one in sorted(found, key=lambda one: one.at, reverse=True)[:MOST_SHOWN]
        ],
        "a_day": added,
        "load_a_day": added + already,
        "budget_a_day": BUDGET_A_DAY,
        "within_budget": added + already <= BUDGET_A_DAY,
        "peak_10min": int(peak(counts.tolist())["max"]) if found or called else 0,
    }


def in_words(told: dict[str, Any]) -> str:
    """The report as a sentence."""
    days = (told["to"] - told["from"]) / DAY
    verdict = "within" if told["within_budget"] else "above"
    return (
        f"It would have rung {told['firings']} times in the last {days:.0f} days, {told['a_day']:.1f} a day. With it "
        f"the room gets {told['load_a_day']:.1f} alarms a day, {verdict} its budget of {told['budget_a_day']:.0f}."
    )
