"""Power cuts: planned, unplanned and the incidents' trips, each restored step by step."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from random import Random

import numpy as np

from pipelines.demo.calendar import day_date, day_number, day_start, iso, weekday
from pipelines.demo.chance import Floats
from pipelines.demo.incidents import World

CAUSES = (
    "tree on the line",
    "jumper burnt",
    "cable fault",
    "lightning",
    "bird on the insulator",
    "transformer fuse blown",
)


@dataclass(frozen=True)
class Feeder:
    """A medium-voltage feeder: where it goes, whom it serves, and what kind of load it carries."""

    asset: str
    name: str
    wards: tuple[str, ...]
    customers: int
    load: str


FEEDERS = (
    Feeder("F1", "Vidya", ("W01", "W02"), 2010, "residential"),
    Feeder("F2", "Udyog", ("W03",), 860, "industrial"),
    Feeder("F3", "Bazaar", ("W05", "W06"), 3240, "commercial"),
    Feeder("F4", "Station", ("W07",), 1250, "residential"),
    Feeder("F5", "Shanti and Ghat", ("W04", "W08"), 2450, "residential"),
    Feeder("F6", "South Bank", ("W09", "W10", "W11", "W12"), 4570, "mixed"),
)


@dataclass(frozen=True)
class Step:
    """Customers of a ward who get power back at the same instant."""

    ward: str
    customers: int
    restored: float


@dataclass(frozen=True)
class Outage:
    """One interruption of (part of) a feeder."""

    outage: str
    feeder: Feeder
    start: float
    steps: tuple[Step, ...]
    planned: bool
    cause: str

    @property
    def end(self) -> float:
        """When the last customers have power again."""
        return max(step.restored for step in self.steps)

    def share_out(self, t: Floats) -> Floats:
        """Share of the feeder's customers without power."""
        out = np.zeros_like(t)
        for step in self.steps:
            out += np.where((t >= self.start) & (t < step.restored), step.customers / self.feeder.customers, 0.0)
        return np.minimum(out, 1.0)


def _steps(chance: Random, feeder: Feeder, customers: int, start: float, minutes: float) -> tuple[Step, ...]:
    """Up to three steps, the first after a third of the time, the last at its end."""
    parts = 1 if minutes < 25 else chance.choice((1, 2, 3))
    shares = [chance.uniform(0.6, 1.4) for _ in range(parts)]
    wards = [chance.choice(feeder.wards) for _ in range(parts)]
    steps, left = [], customers
    for number, (share, ward) in enumerate(zip(shares, wards, strict=True), 1):
        count = left if number == parts else round(customers * share / sum(shares))
        left -= count
        steps.append(Step(ward, max(count, 1), start + round(60.0 * minutes * (number / parts) ** 1.4)))
    return tuple(steps)


@lru_cache(maxsize=64)
def of_day(seed: int, day: int) -> tuple[Outage, ...]:
    """The cuts that begin on this local day: on average two in three days, and maintenance on Tuesday or Friday."""
    chance = Random(f"outages {seed} {day}")
    found: list[Outage] = []
    for _ in range(sum(chance.random() < p for p in (0.42, 0.18, 0.05))):
        feeder = chance.choice(FEEDERS)
        start = day_start(day) + round(chance.triangular(0.0, 86_000.0, 61_000.0))
        minutes = chance.choice((1.0, 3.0)) if chance.random() < 0.25 else min(240.0, 8.0 + chance.expovariate(1 / 42))
        customers = round(feeder.customers * chance.choice((0.12, 0.2, 0.35, 0.5, 1.0)))
        found.append(
            Outage(
                _number(day, len(found)),
                feeder,
                start,
                _steps(chance, feeder, customers, start, minutes),
                False,
                chance.choice(CAUSES),
            )
        )
    if int(weekday(day)) in (1, 4) and chance.random() < 0.6:
        feeder = chance.choice(FEEDERS)
        start = day_start(day) + 10 * 3600.0
        steps = _steps(chance, feeder, round(feeder.customers * 0.3), start, chance.choice((60.0, 90.0, 120.0)))
        found.append(Outage(_number(day, len(found)), feeder, start, steps, True, "maintenance, announced"))
    return tuple(found)


def _number(day: int, position: int) -> str:
    return f"OUT-{day_date(day):%Y%m%d}-{position + 1}"


def _trips(world: World) -> list[Outage]:
    """The incidents' trips: the whole feeder goes; half comes back at two thirds of the time, the rest at the end."""
    found = []
    for incident in world.of_kind("feeder_trip"):
        feeder = next(f for f in FEEDERS if f.asset == incident.target)
        half = feeder.customers // 2
        middle = float(round(incident.start + 0.66 * (incident.end - incident.start)))
        steps = (Step(feeder.wards[0], half, middle), Step(feeder.wards[-1], feeder.customers - half, incident.end))
        begun = datetime.fromtimestamp(incident.start, UTC)
        name = f"TRIP-{begun:%Y%m%d-%H%M%S}"
        found.append(Outage(name, feeder, incident.start, steps, False, "feeder breaker tripped on overcurrent"))
    return found


def begun_between(world: World, start: float, end: float) -> list[Outage]:
    """All cuts that begin in start <= t < end."""
    if ("trips",) not in world.memory:
        world.memory[("trips",)] = _trips(world)
    days = range(int(day_number(start)), int(day_number(end)) + 1)
    every = [o for day in days for o in of_day(world.seed, day)] + world.memory[("trips",)]
    return sorted((o for o in every if start <= o.start < end), key=lambda o: o.start)


def share_out(world: World, feeder: Feeder, t: Floats) -> Floats:
    """Share of a feeder's load that is off."""
    out = np.zeros_like(t)
    for outage in begun_between(world, float(t.min()) - 6 * 3600.0, float(t.max()) + 1.0):
        if outage.feeder is feeder or outage.feeder == feeder:
            out += outage.share_out(t)
    return np.minimum(out, 1.0)


def rows(world: World, start: float, end: float, now: float) -> list[dict[str, object]]:
    """Rows of `outages` for cuts that begin in start <= t < end, as known at `now`; restored_at is empty while out."""
    return [
        {
            "outage": outage.outage,
            "step": number,
            "feeder": outage.feeder.asset,
            "ward": step.ward,
            "started_at": iso(outage.start),
            "restored_at": iso(step.restored) if step.restored <= now else None,
            "customers": step.customers,
            "planned": str(outage.planned).lower(),
            "cause": outage.cause,
        }
        for outage in begun_between(world, start, end)
        for number, step in enumerate(outage.steps, 1)
    ]


def changes(world: World, start: float, end: float) -> bool:
    """Whether a cut began or customers got power back in start < t <= end."""
    return any(
        start < at <= end
        for outage in begun_between(world, start - 8 * 3600.0, end + 1.0)
        for at in (outage.start, *(step.restored for step in outage.steps))
    )
