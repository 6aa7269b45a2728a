"""What goes wrong on the way: rows twice, rows late, rows corrected, rows lost, values null; by a fixed seed."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from tests.oracles.plain import Rows

WARDS = "ward,name,population,households\nW1,North,12000,3000\nW2,South,4500,1100\nW3,Hill,800,200\n"
# The town's squares: W1 west, W2 east, W3 beyond; a hole in W2 belongs to nobody.
GEOJSON = """{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"ward":"W1"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}},
{"type":"Feature","properties":{"ward":"W2"},"geometry":{"type":"Polygon","coordinates":
 [[[1,0],[2,0],[2,1],[1,1],[1,0]],[[1.4,0.4],[1.6,0.4],[1.6,0.6],[1.4,0.6],[1.4,0.4]]]}},
{"type":"Feature","properties":{"ward":"W3"},"geometry":{"type":"MultiPolygon","coordinates":
 [[[[2,0],[3,0],[3,1],[2,1],[2,0]]],[[[5,5],[6,5],[6,6],[5,6],[5,5]]]]}}]}"""


def soiled(
    table: str, rows: Rows, dice: random.Random, changed: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> list[tuple[str, Rows]]:
    """The rows in three pushes: most at once, shuffled; then late ones; then some again, and some corrected."""
    shuffled = list(rows)
    dice.shuffle(shuffled)
    late = max(1, len(rows) // 10)
    again = dice.sample(shuffled, min(len(shuffled), late))
    batches = [(table, shuffled[late:]), (table, shuffled[:late]), (table, again)]
    if changed is not None:
        batches.append((table, [changed(row) for row in dice.sample(shuffled, min(len(shuffled), late))]))
    return [(name, batch) for name, batch in batches if batch]


def paced(
    sensor: str, start: datetime, end: datetime, every: timedelta, value: Callable[[datetime], float],
    dice: random.Random, *, lost: float = 0.05, null: float = 0.03, gaps: bool = True,
) -> Rows:  # fmt: skip
    """A sensor's readings at its pace: some lost, one long gap, some measured but unusable."""
    count = int((end - start) / every)
    began = dice.randrange(max(1, count))
    gap = range(began, began + count // 8) if gaps and dice.random() < 0.4 else range(0)
    found: Rows = []
    for step in range(count):
        at = start + every * step
        if dice.random() < lost or step in gap:
            continue
        found.append({"sensor": sensor, "observed_at": at, "value": None if dice.random() < null else value(at)})
    return found


def square(lat: float | None, lon: float | None) -> str | None:
    """The ward of a point in the squares of the dirty town."""
    if lat is None or lon is None or not 0 <= lat <= 1:
        return None
    if 1.4 < lon < 1.6 and 0.4 < lat < 0.6:
        return None
    return "W1" if lon < 1 else "W2" if lon < 2 else "W3" if lon < 3 else None
