"""How a simulated service describes its sensors: blocks of series that are computed and sent together."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.demo.chance import Floats
from pipelines.demo.incidents import World


@dataclass(frozen=True)
class Asset:
    """A row of assets.csv."""

    asset: str
    domain: str
    kind: str
    name: str
    ward: str
    lat: float | None = None
    lon: float | None = None
    parent: str = ""


@dataclass(frozen=True)
class Series:
    """A row of sensors.csv: what one sensor measures."""

    sensor: str
    asset: str
    quantity: str
    unit: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Block:
    """Series that one feed carries at one pace, and the function that knows their values at any instant.

    `every_s` is the pace of the register and of history, `live_s` that of the live town. Values of `interval`
    blocks (counts, energies, litres) belong to the interval that begins at their label and exist at its end.
    `values(world, t)` gives one row per series and one column per instant.
    """

    name: str
    feed: str
    every_s: int
    live_s: int
    series: tuple[Series, ...]
    values: Callable[[World, Floats], Floats]
    interval: bool = False

    def at(self, world: World, t: Floats) -> Floats:
        """The values as they are sent: three decimals, the same in history and live."""
        return np.round(self.values(world, t), 3)
