"""What a meter's register says was used: increments over resets, rollovers and swaps, spread over gaps; pure."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.model import INSTANT
from pipelines.engine.tables import ESTIMATED, GOOD, MISSING

RESET, ROLLOVER, SWAP, DROPOUT = "reset", "rollover", "swap", "dropout"
# A register that begins anew stands near zero: below this share of what it said before.
NEAR_ZERO = 0.1
# Over a longer time than this nothing is spread: what was used then is not known by the interval.
LONGEST_US = 7 * 86_400_000_000
EVENTS = pl.Schema({"at": INSTANT, "event": pl.String(), "before": pl.Float64(), "after": pl.Float64()})
CELLS = pl.Schema({"observed_at": INSTANT, "value": pl.Float64(), "quality": pl.UInt8()})
Numbers = NDArray[np.float64]
Instants = NDArray[np.int64]


@dataclass(frozen=True)
class Increments:
    """What was counted between readings that follow each other (µs): `amount` nan = not known; `sure` = measured."""

    start: Instants
    end: Instants
    amount: Numbers
    sure: NDArray[np.bool_]
    events: pl.DataFrame


def increments(rows: pl.DataFrame, modulus: float | None, most_per_hour: float | None, gap_us: int) -> Increments:
    """The increments of one register, and what happened to it.

    A drop is a rollover when the modulus makes the increment a plausible one, a reset when the register then stands
    near zero, else another meter. A single reading below its neighbours is a dropout and counts for nothing.
    Shape: rows has observed_at and value, in order, without nulls; events has EVENTS.
    """
    at, value = rows["observed_at"].dt.epoch("us").to_numpy(), rows["value"].to_numpy()
    lost = np.zeros(len(at), dtype=bool)
    lost[1:-1] = (value[1:-1] < value[:-2]) & (value[2:] >= value[:-2]) & (at[2:] - at[:-2] <= LONGEST_US)
    found = [(at[i], DROPOUT, value[i - 1], value[i]) for i in np.flatnonzero(lost)]
    at, value = at[~lost], value[~lost]
    start, end, before, after = at[:-1], at[1:], value[:-1], value[1:]
    most = (most_per_hour or np.inf) * np.maximum(end - start, gap_us) / 3.6e9
    drop, amount = after < before, after - before
    around = amount + (modulus or np.nan)
    rolled = drop & (around >= 0) & (around <= np.minimum(most, NEAR_ZERO * (modulus or 0.0)))
    reset = drop & ~rolled & (after <= np.minimum(most, NEAR_ZERO * before))
    swapped = (drop & ~rolled & ~reset) | (amount > most)
    amount = np.where(rolled, around, np.where(reset, after, np.where(swapped, np.nan, amount)))
    for marks, name in ((rolled, ROLLOVER), (reset, RESET), (swapped, SWAP)):
        found += [(end[i], name, before[i], after[i]) for i in np.flatnonzero(marks)]
    events = (
        pl.DataFrame(sorted(found), schema=EVENTS, orient="row", strict=False) if found else pl.DataFrame(schema=EVENTS)
    )
    # What was counted before a reset is lost: what the register shows since is the least that was used.
    return Increments(start, end, amount, ~reset & ~swapped & (end - start <= gap_us), events)


def consumption(counted: Increments, every_us: int) -> pl.DataFrame:
    """What was used in each whole interval between the first and the last reading, labelled by its start.

    An increment is spread evenly over its time: where it spans a gap or a reset, the interval is estimated; where
    nobody can tell, it is empty; where it spans more than LONGEST_US, there is none. Sums of intervals are sums of
    increments.
    Shape: CELLS.
    """
    if not len(counted.end):
        return pl.DataFrame(schema=CELLS)
    first = -(-int(counted.start[0]) // every_us) * every_us
    labels = np.arange(first, int(counted.end[-1]) - every_us + 1, every_us, dtype=np.int64)
    edges = np.append(counted.start[:1], counted.end)
    unknown, long = np.isnan(counted.amount), counted.end - counted.start > LONGEST_US
    total = np.append(0.0, np.cumsum(np.where(unknown, 0.0, counted.amount)))
    value = np.interp(labels + every_us, edges, total) - np.interp(labels, edges, total)
    low = np.searchsorted(edges, labels, side="right") - 1
    high = np.searchsorted(edges, labels + every_us, side="left")
    runs = (np.append(0, np.cumsum(marks)) for marks in (unknown, ~counted.sure, long))
    empty, spread, far = (run[high] > run[low] for run in runs)
    quality = np.where(empty, MISSING, np.where(spread, ESTIMATED, GOOD)).astype(np.uint8)
    cells = pl.DataFrame({"observed_at": labels, "value": np.where(empty, np.nan, value), "quality": quality})
    named = cells.with_columns(pl.col("observed_at").cast(INSTANT), pl.col("value").fill_nan(None)).cast(CELLS)
    return named.filter(pl.Series(~far))
