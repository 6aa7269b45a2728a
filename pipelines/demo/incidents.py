"""What goes wrong in the town and when: a timeline of incidents that swell, last, heal and come back."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import numpy as np

from pipelines.demo.chance import Floats

Kind = Literal["burst_main", "feeder_trip", "bunching", "smoke", "complaint_wave"]


@dataclass(frozen=True)
class Incident:
    """Something that goes wrong at `target` from `start`: it swells for `rise_s`, ends at `end`, heals for `fall_s`."""

    kind: Kind
    target: str
    start: float
    end: float
    rise_s: float
    fall_s: float

    def strength(self, t: Floats) -> Floats:
        """0 outside, 1 at full strength, straight lines between."""
        up = (_ramp(t - self.start) - _ramp(t - self.start - self.rise_s)) / self.rise_s
        down = (_ramp(t - self.end) - _ramp(t - self.end - self.fall_s)) / self.fall_s
        return up - down

    @property
    def over(self) -> float:
        """The instant from which nothing is left of it."""
        return self.end + self.fall_s


def _ramp(x: Floats) -> Floats:
    return np.maximum(0.0, x)


@dataclass(frozen=True)
class Script:
    """How one kind of incident is staged: its first entry after the start, how long it lasts, where it may strike."""

    kind: Kind
    first_s: float
    minutes: tuple[float, float]
    rise_s: float
    fall_s: float
    targets: tuple[str, ...]


# The targets' order is the cast of the first act; later acts draw from all of them.
SCRIPTS = (
    Script("burst_main", 30.0, (16.0, 25.0), 60.0, 300.0, ("D3:W07", "D1:W04", "D4:W11", "D2:W05")),
    Script("feeder_trip", 50.0, (10.0, 18.0), 1.0, 1.0, ("F4", "F2", "F6", "F3")),
    Script("bunching", 70.0, (18.0, 25.0), 300.0, 900.0, ("1", "3")),
    Script("smoke", 90.0, (15.0, 25.0), 120.0, 600.0, ("A2", "A4")),
    Script("complaint_wave", 110.0, (12.0, 20.0), 60.0, 120.0, ("W05:SWM", "W11:DRN", "W06:SLT", "W09:RDS")),
)
HOURS = 72
REST_MINUTES = (25.0, 70.0)


def timeline(start: float, seed: int, speed: float = 1.0) -> tuple[Incident, ...]:
    """Every incident of the three days after `start`, the first ones within two minutes; `speed` times as fast."""
    acts = (act for script in SCRIPTS for act in _acts(script, 0.0, seed))
    return tuple(sorted((_placed(act, round(start), speed) for act in acts), key=lambda i: i.start))


def _placed(act: Incident, start: float, speed: float) -> Incident:
    begins, ends = (start + float(round(at / speed)) for at in (act.start, act.end))
    return Incident(act.kind, act.target, begins, ends, max(act.rise_s / speed, 1.0), max(act.fall_s / speed, 1.0))


def _acts(script: Script, start: float, seed: int) -> Iterator[Incident]:
    chance = Random(f"{seed} {script.kind}")
    begins, target = start + script.first_s, script.targets[0]
    while begins < start + HOURS * 3600.0:
        begins = float(round(begins))
        ends = begins + round(chance.uniform(*script.minutes) * 60.0)
        yield Incident(script.kind, target, begins, ends, script.rise_s, script.fall_s)
        begins = ends + script.fall_s + chance.uniform(*REST_MINUTES) * 60.0
        target = chance.choice(script.targets)


@dataclass(frozen=True)
class World:
    """What the whole simulation depends on: the seed and the incidents. Everything else follows from the instant."""

    seed: int
    incidents: tuple[Incident, ...] = ()
    memory: dict[Any, Any] = field(default_factory=dict, compare=False, hash=False, repr=False)

    def of_kind(self, kind: Kind, target: str | None = None) -> tuple[Incident, ...]:
        """The incidents of this kind, at this target if named."""
        return tuple(i for i in self.incidents if i.kind == kind and target in (None, i.target))

    def strength(self, kind: Kind, target: str, t: Floats) -> Floats:
        """How strongly incidents of this kind are felt at the target, 0 to 1."""
        total = np.zeros_like(t, dtype=np.float64)
        for incident in self.of_kind(kind, target):
            if float(t[0]) <= incident.over and float(t[-1]) >= incident.start:
                total += incident.strength(t)
        return np.minimum(total, 1.0)
