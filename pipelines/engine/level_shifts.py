"""Steps of a level that stay, as a leak makes them in the night flow: found some days after they came."""

from collections.abc import Iterator, Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

# The level is the median of so many known days before; a step is beyond it on each of so many days in a row ...
LEVEL_DAYS, LEAST_LEVEL_DAYS, STAYS_DAYS = 28, 10, 3
# ... by more than so many robust standard deviations, and by more than this share of the level.
DEVIATIONS, LEAST_SHARE = 4.0, 0.1
MAD_TO_SIGMA = 1.4826
SHIFTS = pl.Schema(
    {
        "series": pl.String(),
        "came": pl.Date(),
        "found": pl.Date(),
        "before": pl.Float64(),
        "after": pl.Float64(),
    }
)


def level_shifts(days: pl.DataFrame) -> pl.DataFrame:
    """Every step of a level, up or down, that stayed.

    Shape: SHIFTS: `came` is its first day, `found` the day on which it could be told, before and after the medians.
    days has series, day, value; one row a day, nulls and missing days are unknown. After a step the level is learnt
    anew, so a step is told once.
    """
    rows: list[tuple[object, ...]] = []
    known = days.filter(pl.col("value").is_not_null()).sort("series", "day")
    for (series,), part in known.partition_by("series", as_dict=True, maintain_order=True).items():
        rows += [(series, *shift) for shift in _shifts(part["day"].to_list(), part["value"].to_numpy())]
    return pl.DataFrame(rows, schema=SHIFTS, orient="row")


def _shifts(days: Sequence[date], values: NDArray[np.float64]) -> Iterator[tuple[date, date, float, float]]:
    begin = 0
    for last in range(len(days)):
        first = last - STAYS_DAYS + 1
        level = values[max(begin, first - LEVEL_DAYS) : max(begin, first)]
        if level.size < LEAST_LEVEL_DAYS:
            continue
        stayed, middle = values[first : last + 1], float(np.median(level))
        least = max(DEVIATIONS * MAD_TO_SIGMA * float(np.median(np.abs(level - middle))), LEAST_SHARE * abs(middle))
        if (stayed > middle + least).all() or (stayed < middle - least).all():
            yield days[first], days[last], middle, float(np.median(stayed))
            begin = first
