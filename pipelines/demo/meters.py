"""Two thousand smart water meters, one per block of houses, and the monthly bills made from them."""

import itertools
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.blocks import Asset, Block, Series
from pipelines.demo.calendar import EPOCH, day_number, day_start
from pipelines.demo.chance import Floats, normal, stream, streams, uniform
from pipelines.demo.demand import DMAS, consumption_m3_h, dma_of
from pipelines.demo.geography import point_in, wards
from pipelines.demo.incidents import World
from pipelines.demo.water import METERS

HOUR_S = 3600
BILLED_MONTHS = 12


@dataclass(frozen=True)
class Fleet:
    """All meters: their names, wards, areas, and each one's share of what its area draws."""

    meters: tuple[str, ...]
    wards: tuple[str, ...]
    dmas: NDArray[np.int64]
    shares: Floats
    streams: NDArray[np.uint64]


@lru_cache(maxsize=2)
def fleet(seed: int) -> Fleet:
    """The meters, spread over the wards by population."""
    names: list[str] = []
    where: list[str] = []
    total = sum(w.population for w in wards(seed))
    for ward in wards(seed):
        count = round(METERS * ward.population / total)
        names += [f"M{ward.ward[1:]}{n:03d}" for n in range(1, count + 1)]
        where += [ward.ward] * count
    areas = np.array([DMAS.index(dma_of(ward)) for ward in where])
    size = np.exp(0.45 * normal(stream(seed, "meter size"), np.arange(len(names))))
    shares = size / np.bincount(areas, size)[areas]
    return Fleet(tuple(names), tuple(where), areas, shares, streams(seed, names))


def series(seed: int) -> tuple[Series, ...]:
    """One sensor per meter."""
    return tuple(Series(f"{m}-L", m, "consumption_l", "L") for m in fleet(seed).meters)


def block(seed: int) -> Block:
    """Hourly litres, which the head-end writes into the drop folder in batches all through the next hour."""
    return Block("meters", "water_meters", HOUR_S, HOUR_S, series(seed), litres, interval=True)


def litres(world: World, t: Floats) -> Floats:
    """Litres of each meter in the hours that begin at `t`."""
    every = fleet(world.seed)
    drawn = np.mean(
        [[consumption_m3_h(world, dma, t + part * 1200.0 + 600.0) for dma in DMAS] for part in range(3)], axis=0
    )
    chance = np.exp(0.35 * normal(every.streams, (t // HOUR_S).astype(np.int64)) - 0.0605)
    return drawn[every.dmas] * 1000.0 * every.shares[:, None] * chance


def assets(seed: int) -> list[Asset]:
    """One asset per meter."""
    every = fleet(seed)
    found = []
    for number, (meter, ward) in enumerate(zip(every.meters, every.wards, strict=True)):
        lon, lat = point_in(seed, ward, "meter", number)
        found.append(
            Asset(meter, "water", "water_meter", f"Meter {meter}", ward, lat, lon, DMAS[every.dmas[number]].asset)
        )
    return found


def _months(now: float) -> list[tuple[date, date]]:
    """First days of the billed months and of the months after them, oldest first, ending with the current month."""
    today = EPOCH.fromordinal(EPOCH.toordinal() + int(day_number(now)))
    starts = [
        date(today.year + (today.month - 1 - back) // 12, (today.month - 1 - back) % 12 + 1, 1)
        for back in range(-1, BILLED_MONTHS)
    ]
    starts.reverse()
    return list(itertools.pairwise(starts))


def _drawn_m3(seed: int, start: date, end: date) -> Floats:
    """What each area's customers drew from the start of one day to the start of another."""
    first, last = ((day - EPOCH).days for day in (start, end))
    t = np.arange(day_start(first) + HOUR_S / 2, day_start(last), HOUR_S)
    return np.array([consumption_m3_h(World(seed), dma, t).sum() for dma in DMAS])


def bills(seed: int, now: float) -> list[dict[str, object]]:
    """Rows of water_bills: closed months, and the current month up to today."""
    today = EPOCH.fromordinal(EPOCH.toordinal() + int(day_number(now)))
    rows: list[dict[str, object]] = []
    for start, end in _months(now):
        until = min(end, today)
        if until <= start:
            continue
        for dma, drawn in zip(DMAS, _drawn_m3(seed, start, until), strict=True):
            last = EPOCH.fromordinal(until.toordinal() - 1)
            billed = round(
                float(drawn) * (0.985 + 0.01 * float(uniform(stream(seed, dma.asset), start.toordinal()))), 1
            )
            rows.append(
                {
                    "dma": dma.asset,
                    "period_start": start.isoformat(),
                    "period_end": last.isoformat(),
                    "billed_m3": billed,
                }
            )
    return rows
