"""Randomness as a pure function: the same seed, name and moment give the same number in history and live."""

from collections.abc import Sequence
from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@cache
def stream(seed: int, name: str) -> int:
    """The number of the random stream of this name under this seed."""
    return (crc32(name.encode()) << 20) ^ (seed * 0x5851F42D4C957F2D & 0xFFFFFFFFFFFF)


def streams(seed: int, names: Sequence[str]) -> NDArray[np.uint64]:
    """The streams of these names as a column, to be combined with a row of moments."""
    return np.array([[stream(seed, name)] for name in names], dtype=np.uint64)


def uniform(of: NDArray[np.uint64] | int, at: NDArray[np.int64] | int) -> Floats:
    """Numbers in [0, 1), one per stream and position (SplitMix64's finaliser over both)."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(of, dtype=np.uint64) * _STEP + np.asarray(at).astype(np.uint64) * _MULTIPLIER_1 + _STEP
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _MULTIPLIER_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _MULTIPLIER_2
        mixed = mixed ^ (mixed >> np.uint64(31))
    return (mixed >> np.uint64(11)).astype(np.float64) * (1.0 / (1 << 53))


def normal(of: NDArray[np.uint64] | int, at: NDArray[np.int64] | int) -> Floats:
    """Standard normal numbers, one per stream and position (sum of four uniforms; never beyond 3.5)."""
    base = np.asarray(at).astype(np.int64) * 4
    total = uniform(of, base) + uniform(of, base + 1) + uniform(of, base + 2) + uniform(of, base + 3)
    return (total - 2.0) * np.sqrt(3.0)


def wander(of: NDArray[np.uint64] | int, t: Floats, period_s: float) -> Floats:
    """A smooth curve through random heights in -1..1, one every `period_s` seconds."""
    position = np.asarray(t, dtype=np.float64) / period_s
    left = np.floor(position)
    x = position - left
    blend = x * x * (3.0 - 2.0 * x)
    index = left.astype(np.int64)
    low, high = uniform(of, index), uniform(of, index + 1)
    return (low + (high - low) * blend) * 2.0 - 1.0


def weather(of: NDArray[np.uint64] | int, t: Floats, period_s: float) -> Floats:
    """A rougher curve in about -1..1: three octaves of `wander`."""
    rough = wander(of, t, period_s) + 0.5 * wander(of, t + 7.3e5, period_s / 3.7)
    return (rough + 0.25 * wander(of, t + 1.9e6, period_s / 13.0)) / 1.4
