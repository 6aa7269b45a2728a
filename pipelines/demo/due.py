"""Which readings a sensor sends now: each has its own second, so that something always moves."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.blocks import Block
from pipelines.demo.calendar import OFFSET_S
from pipelines.demo.chance import Floats, streams, uniform
from pipelines.demo.feeds import Reading, aligned, lateness
from pipelines.demo.incidents import World

Due = tuple[NDArray[np.int64], Floats]


class Pace:
    """When each series of a block sends, live."""

    def __init__(self, seed: int, block: Block, speed: float = 1.0) -> None:
        self.block = block
        self.step = float(block.every_s if block.interval else max(round(block.live_s / speed), 1))
        names = [s.asset for s in block.series]
        self.phase = np.floor(uniform(streams(seed, names), 1)[:, 0] * self.step)
        self.late = block.every_s + lateness(seed, block) if block.interval else np.zeros(len(names))

    def latest(self, now: float) -> Floats:
        """The instant (or label) of each series' newest reading that has been sent by `now`."""
        if self.block.interval:
            labels: Floats = np.floor((now - self.late + OFFSET_S) / self.step) * self.step - OFFSET_S
            return labels
        instants: Floats = np.floor((now - self.phase) / self.step) * self.step + self.phase
        return instants

    def due(self, since: float, now: float) -> Due:
        """Series and instants that are sent in since < t <= now, at most the newest one each."""
        newest = self.latest(now)
        which = np.nonzero(newest > self.latest(since))[0]
        return which, newest[which]


def readings(world: World, block: Block, due: Due) -> Iterator[Reading]:
    """The values of these series at these instants."""
    which, at = due
    moments, place = np.unique(at, return_inverse=True)
    values = block.at(world, moments)[which, place] if len(which) else np.empty(0)
    for series, t, value in zip(which.tolist(), at.tolist(), values.tolist(), strict=True):
        yield block.series[series].sensor, t, value


def missed(world: World, block: Block, pace: Pace, since: float, now: float) -> list[Reading]:
    """What the block should have sent between the end of history and the start of the live town, at history's pace."""
    if block.interval:
        days = aligned(since - pace.step * 2.0, now, block.every_s)
        sent = days[None, :] + pace.late[:, None]
        which, column = np.nonzero((sent > since) & (sent <= now))
        return list(readings(world, block, (which, days[column])))
    grid = aligned(since, now, block.every_s)
    which, column = np.nonzero(np.ones((len(block.series), len(grid))))
    return list(readings(world, block, (which, grid[column])))
