"""How the buses really run: a line's day at once, with delays that build up, carry over, and bunch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.demo.air import traffic_share
from pipelines.demo.calendar import day_date, day_number, day_start
from pipelines.demo.chance import Floats, normal, stream, uniform
from pipelines.demo.incidents import World
from pipelines.demo.lines import Line, network
from pipelines.demo.timetable import service_of, starts, trip_id

EARLIEST_S = -75.0
RECOVERY_S = 30.0
CANCELLED = 0.012
HELD_UP = 0.009
CLOSE_S = 45.0


@dataclass(frozen=True)
class Leg:
    """One trip of one day: scheduled and actual departures at its stops, seconds since 1970, and the bus."""

    trip: str
    line: Line
    direction: int
    date: str
    vehicle: str
    cancelled: bool
    scheduled: NDArray[np.int64]
    actual: NDArray[np.int64]
    begins: int
    ends: int

    def delay_at(self, t: float) -> int:
        """Seconds behind schedule at the last stop passed, 0 before the first."""
        passed = int(np.searchsorted(self.actual, t, side="right"))
        return int(self.actual[passed - 1] - self.scheduled[passed - 1]) if passed else 0


def day_of(world: World, day: int) -> list[Leg]:
    """All trips of a service day, made once."""
    key = ("buses", day)
    if key not in world.memory:
        world.memory[key] = [leg for line in network(world.seed) for leg in _line_day(world, line, day)]
    return world.memory[key]


def forget(world: World, before: int) -> None:
    """Drop the days before this one, so that a town that runs for weeks stays small."""
    for key in [
        k
        for k in list(world.memory)
        if isinstance(k, tuple) and len(k) == 2 and isinstance(k[1], int) and k[1] < before
    ]:
        del world.memory[key]


def _line_day(world: World, line: Line, day: int) -> list[Leg]:
    service = service_of(day)
    fleet, wait = line.vehicles(service), line.layover_s(service)
    scheduled = [
        np.add.outer(np.array(starts(line, service, d)), np.array(line.offsets(d), dtype=np.float64)) + day_start(day)
        for d in (0, 1)
    ]
    trips = len(scheduled[0])
    gone = uniform(stream(world.seed, f"cancelled {line.route.line} {day}"), np.arange(trips)) < CANCELLED
    own = [_own_delays(world, line, direction, day, scheduled[direction]) for direction in (0, 1)]
    delays = [np.zeros_like(s) for s in scheduled]
    carried = np.zeros(fleet)
    for first in range(0, trips, fleet):
        rows = slice(first, min(first + fleet, trips))
        count = rows.stop - rows.start
        for direction in (0, 1):
            late = np.maximum(own[direction][rows] + carried[:count, None], EARLIEST_S)
            delays[direction][rows] = np.where(gone[rows, None], 0.0, late)
            carried[:count] = np.maximum(delays[direction][rows][:, -1] - wait + RECOVERY_S, 0.0)
    for direction in (0, 1):
        delays[direction] = np.round(_bunched(world, line, scheduled[direction], delays[direction]))
    return list(_legs(line, day, scheduled, delays, gone))


def _own_delays(world: World, line: Line, direction: int, day: int, scheduled: Floats) -> Floats:
    """Delay at each stop of each trip that is the trip's own: a late start, slow streets, a few long hold-ups."""
    name = f"delay {line.route.line} {direction} {day}"
    numbers = np.arange(len(scheduled))[:, None]
    at_call = numbers * 100 + np.arange(scheduled.shape[1])
    luck = 1.0 + 0.65 * normal(stream(world.seed, name), numbers)
    busy = traffic_share(scheduled[:, :1]) + np.zeros_like(scheduled)
    stretch = np.diff(scheduled, axis=1, prepend=scheduled[:, :1])
    chance = normal(stream(world.seed, name + " stretch"), at_call)
    held_up = uniform(stream(world.seed, name + " held up"), at_call) < HELD_UP
    leaving = np.maximum(20.0 + 45.0 * normal(stream(world.seed, name + " start"), numbers), -20.0)
    added = stretch * (0.33 * (busy - 0.40) * luck + 0.11 * chance) + 190.0 * held_up
    return leaving + np.cumsum(added, axis=1)


def _bunched(world: World, line: Line, scheduled: Floats, delays: Floats) -> Floats:
    """The delays with the incident in them: every second bus falls back until the one behind has caught up."""
    ordered = np.sort(scheduled.ravel())
    held = world.strength("bunching", line.route.line, ordered)
    if not held.any():
        return delays
    behind = np.vstack([(scheduled + delays)[1:] - scheduled[:-1] - CLOSE_S, delays[-1:]])
    odd = (np.arange(len(scheduled)) % 2)[:, None]
    return delays + np.interp(scheduled, ordered, held) * odd * np.maximum(behind - delays, 0.0)


def _legs(
    line: Line, day: int, scheduled: list[Floats], delays: list[Floats], gone: NDArray[np.bool_]
) -> Iterator[Leg]:
    date, service = day_date(day).strftime("%Y%m%d"), service_of(day)
    fleet = line.vehicles(service)
    for direction in (0, 1):
        planned = scheduled[direction].astype(np.int64)
        apart = np.arange(planned.shape[1]) * 20
        # Nobody overtakes himself: at least twenty seconds from stop to stop.
        actual = np.maximum.accumulate(planned + delays[direction].astype(np.int64) - apart, axis=1) + apart
        begins, ends = np.minimum(planned[:, 0], actual[:, 0]), np.maximum(planned[:, -1], actual[:, -1])
        for k, cancelled in enumerate(gone.tolist()):
            bus, trip = f"NNP-{line.route.line}{k % fleet + 1:02d}", trip_id(line, service, direction, k)
            span = int(begins[k]), int(ends[k])
            yield Leg(trip, line, direction, date, bus, cancelled, planned[k], actual[k], *span)


def around(world: World, t: float, before_s: float, after_s: float) -> list[Leg]:
    """Trips that run, or should run, at some time between t - before_s and t + after_s."""
    today = int(day_number(t))
    return [
        leg
        for day in (today - 1, today)
        for leg in day_of(world, day)
        if leg.begins <= t + after_s and leg.ends >= t - before_s
    ]
