"""Five district metered areas: what their customers draw, how much leaks, and the pressure that is left."""

from dataclasses import dataclass

import numpy as np

from pipelines.demo.calendar import bump, festive, hour_of_day, rest_day, warmth
from pipelines.demo.chance import Floats, stream, wander
from pipelines.demo.geography import ward_named
from pipelines.demo.incidents import World

LITRES_PER_HEAD_DAY = 96.0
SERVED = 0.94
BURST_M3_H = 42.0


@dataclass(frozen=True)
class Dma:
    """A district metered area: its wards, pressure and leakage at mean pressure."""

    asset: str
    name: str
    wards: tuple[str, ...]
    tank: str
    pressure_m: float
    leakage_m3_h: float
    n1: float


DMAS = (
    Dma("D1", "North", ("W01", "W02", "W04"), "T1", 27.0, 20.4, 1.0),
    Dma("D2", "Bazaar", ("W05", "W06"), "T2", 24.0, 22.9, 1.15),
    Dma("D3", "Station", ("W07", "W03"), "T3", 25.0, 13.4, 1.0),
    Dma("D4", "Ghat and Basti", ("W08", "W11"), "T4", 23.0, 16.4, 0.9),
    Dma("D5", "South Bank", ("W09", "W10", "W12"), "T4", 22.0, 20.6, 1.1),
)


def dma_of(ward: str) -> Dma:
    """The area that supplies this ward."""
    return next(d for d in DMAS if ward in d.wards)


def population(seed: int, dma: Dma) -> int:
    """Residents of the area with a connection."""
    return round(SERVED * sum(ward_named(seed, ward).population for ward in dma.wards))


def pattern(t: Floats) -> Floats:
    """Demand as a multiple of the day's mean: peaks before work and school and in the evening, later when resting."""
    hour, rest = hour_of_day(t), rest_day(t)
    working = 0.22 + 1.75 * bump(hour, 7.0, 1.5) + 0.85 * bump(hour, 12.5, 2.6) + 1.3 * bump(hour, 18.6, 1.9)
    resting = 0.24 + 1.55 * bump(hour, 8.4, 1.9) + 1.15 * bump(hour, 12.8, 2.8) + 1.15 * bump(hour, 19.0, 2.1)
    return ((1.0 - rest) * working + rest * resting) / 1.004


def consumption_m3_h(world: World, dma: Dma, t: Floats) -> Floats:
    """What the customers of an area draw."""
    mean = population(world.seed, dma) * LITRES_PER_HEAD_DAY / 24_000.0
    season = 1.0 + 0.09 * warmth(t) + 0.06 * festive(t)
    chance = 1.0 + 0.05 * wander(stream(world.seed, f"demand {dma.asset}"), t, 5400.0)
    return mean * season * chance * pattern(t)


def burst(world: World, dma: Dma, t: Floats) -> Floats:
    """How strongly a burst main is felt in the area, 0 to 1."""
    return sum((world.strength("burst_main", f"{dma.asset}:{w}", t) for w in dma.wards), np.zeros_like(t))


def head_m(world: World, dma: Dma, t: Floats) -> Floats:
    """Mean pressure of the area: low when demand is high, lower when a main has burst."""
    loss = 1.9 * pattern(t) ** 1.85
    slow = 0.7 * wander(stream(world.seed, f"head {dma.asset}"), t, 20_000.0)
    return dma.pressure_m + slow - loss - 4.0 * burst(world, dma, t)


def inflow_m3_h(world: World, dma: Dma, t: Floats) -> Floats:
    """What enters the area: consumption, leakage that grows with pressure, and what a burst main loses."""
    ratio = np.maximum(head_m(world, dma, t), 1.0) / dma.pressure_m
    leak = dma.leakage_m3_h * ratio**dma.n1
    return consumption_m3_h(world, dma, t) + leak + BURST_M3_H * burst(world, dma, t)
