"""What a series says of itself: too fast, spike, stuck, replayed; pure, and bounded in how far a row can reach."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.tables import GOOD, RATE, REPLAYED, SPIKE, STUCK

DAY_US = 86_400_000_000
# Readings nearer to each other than this are held against what can happen in it: their noise alone would be a leap.
SHORTEST_US = 300_000_000
# The Hampel identifier: this many scaled median deviations from the median of the five around it.
# Source: Pearson, Outliers in process modeling and identification, IEEE Trans. Control Syst. Technol. 10 (2002).
HAMPEL, TO_SIGMA = 6.0, 1.4826
# A copied block: so many values that moved, and nearly all of them those of the day before.
FEWEST_MOVES, SHARE_ALIKE = 12, 0.9
Numbers = NDArray[np.float64]
Instants = NDArray[np.int64]
Marks = NDArray[np.bool_]

LIMITS = pl.Schema(
    {
        "series": pl.Int32(),
        "gap": pl.Int64(),
        "rate": pl.Float64(),
        "spike": pl.Float64(),
        "stuck": pl.Int64(),
        "rest": pl.Float64(),
        "block": pl.Int64(),
    }
)


@dataclass(frozen=True)
class Track:
    """Rows of many series in order of series and time, each with the limits of its series; instants in microseconds."""

    series: Instants
    at: Instants
    value: Numbers
    gap: Instants
    rate: Numbers
    spike: Numbers
    stuck: Instants
    rest: Numbers
    block: Instants

    @property
    def linked(self) -> Marks:
        """Whether a row follows the one before it without a gap."""
        found = np.zeros(len(self.at), dtype=bool)
        found[1:] = (self.series[1:] == self.series[:-1]) & (self.at[1:] - self.at[:-1] <= self.gap[1:])
        return found


def reach(limits: pl.DataFrame) -> pl.Series:
    """How far, in microseconds, a row can change what is said of others of its series (and again a day later)."""
    far = pl.max_horizontal(pl.col("stuck").fill_null(0), 2 * pl.col("gap"), pl.col("block").fill_null(0))
    return limits.select(far + pl.col("gap")).to_series()


def codes(rows: pl.DataFrame, limits: pl.DataFrame) -> pl.Series:
    """The quality code of each row: good, too fast, spike, stuck or replayed.

    Shape: rows has series, observed_at, value (no nulls), sorted by both, each instant once; limits has LIMITS.
    """
    track = _track(rows, limits)
    found = np.full(len(track.at), GOOD, dtype=np.uint8)
    if len(found):
        spikes = spiking(track)
        for marks, code in (
            (too_fast(track, spikes), RATE),
            (spikes, SPIKE),
            (stuck(track), STUCK),
            (replayed(track), REPLAYED),
        ):
            found[marks] = code
    return pl.Series("code", found, dtype=pl.UInt8)


def _track(rows: pl.DataFrame, limits: pl.DataFrame) -> Track:
    never = 1 << 62
    joined = rows.join(limits, on="series", how="left", maintain_order="left").with_columns(
        pl.col("observed_at").dt.epoch("us"),
        pl.col("gap", "block").fill_null(0),
        pl.col("stuck").fill_null(never),
        pl.col("rate", "spike").fill_null(np.inf),
        pl.col("rest").fill_null(np.nan),
    )
    get = {name: joined[name].to_numpy() for name in ("value", "gap", "rate", "spike", "stuck", "rest", "block")}
    return Track(series=joined["series"].cast(pl.Int64).to_numpy(), at=joined["observed_at"].to_numpy(), **get)


def spiking(track: Track) -> Marks:
    """Rows that stand alone: far from the median of themselves and the two before and after, by the Hampel identifier.

    The newest two rows are not judged yet: what follows them decides.
    """
    found = np.zeros(len(track.at), dtype=bool)
    linked = track.linked
    inner = np.flatnonzero(np.isfinite(track.spike[2:-2])) + 2
    inner = inner[linked[inner - 1] & linked[inner] & linked[inner + 1] & linked[inner + 2]]
    five = np.stack([track.value[inner + step] for step in (-2, -1, 0, 1, 2)])
    middle = np.median(five, axis=0)
    spread = np.median(np.abs(five - middle), axis=0)
    away = np.abs(track.value[inner] - middle)
    found[inner] = (away > track.spike[inner]) & (away > HAMPEL * TO_SIGMA * spread)
    return found


def too_fast(track: Track, spikes: Marks) -> Marks:
    """Rows that differ from the last row that is no spike by more than the quantity can change in that time."""
    found = np.zeros(len(track.at), dtype=bool)
    calm = np.flatnonzero(~spikes)
    now, before = calm[1:], calm[:-1]
    apart = track.at[now] - track.at[before]
    near = (track.series[now] == track.series[before]) & (apart <= track.gap[now])
    hours = np.maximum(apart, SHORTEST_US) / 3.6e9
    found[now] = near & (np.abs(track.value[now] - track.value[before]) > track.rate[now] * hours)
    return found


def stuck(track: Track) -> Marks:
    """Rows that repeat a value for longer than is plausible, from its second row on; a gap ends a repetition.

    The value at which the quantity may rest (zero flow) is never stuck.
    """
    if not len(track.at):
        return np.zeros(0, dtype=bool)
    same = track.linked
    same[1:] &= (track.value[1:] == track.value[:-1]) & (track.value[1:] != track.rest[1:])
    first = np.flatnonzero(~same)
    last = np.append(first[1:], len(same)) - 1
    long = (track.at[last] - track.at[first]) >= track.stuck[first]
    return same & np.repeat(long, last - first + 1)


def replayed(track: Track) -> Marks:
    """Rows of a block that copies the day before: its values move, and nearly all are those of 24 hours earlier.

    A row is of such a block when any span of the block's length that begins with a row holds it and looks like that.
    """
    at = _apart(track)
    place = np.searchsorted(at, at - DAY_US)
    known = at[place] == at - DAY_US
    alike = known & (track.value[place] == track.value)
    moves = track.linked & known & (track.block > 0)
    moves[1:] &= track.value[1:] != track.value[:-1]
    moved, matched = _running(moves), _running(moves & alike)
    here, after = np.arange(len(at)), np.searchsorted(at, at + track.block)
    many = moved[after] - moved[here]
    begins = _running((many >= FEWEST_MOVES) & (matched[after] - matched[here] >= SHARE_ALIKE * many))
    copied = begins[here + 1] > begins[np.searchsorted(at, at - track.block, side="right")]
    return copied & alike & (track.block > 0)


def _apart(track: Track) -> Instants:
    """The instants of all series on one line, far enough from each other that no span reaches into the next series."""
    first, last = track.at.min(), track.at.max()
    stride = last - first + 2 * DAY_US + int(track.block.max())
    order = np.cumsum(np.append(False, track.series[1:] != track.series[:-1]))
    placed: Instants = order * stride + (track.at - first)
    return placed


def _running(marks: Marks) -> Instants:
    counted: Instants = np.append(0, np.cumsum(marks))
    return counted
