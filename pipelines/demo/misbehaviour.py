"""How the town's feeds go wrong now and then, as real ones do: a timetable of mishaps and what each does."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random

from pipelines.demo.feeds import Reading

MISSING_CODE = -999.0
AHEAD_S = 7200.0
HOURS = 72
HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Please try again later.</body></html>"


@dataclass(frozen=True)
class Fault:
    """A kind of mishap: when it first comes, how long it stays, whom it may strike (the first one first)."""

    kind: str
    first_s: float
    lasts_s: float
    targets: tuple[str, ...]
    again_min: tuple[float, float] = (20.0, 50.0)


# Sensors for what garbles readings, feeds for what garbles payloads and answers.
FAULTS = (
    Fault("future_clock", 40.0, 45.0, ("P-W02-PRES", "P-W10-PRES", "DT05-KW")),
    Fault("http_500", 75.0, 40.0, ("traffic", "complaints", "bus_trips")),
    Fault("duplicate_batch", 120.0, 6.0, ("power_telemetry", "water_telemetry")),
    Fault("unknown_sensor", 150.0, 6.0, ("water_telemetry", "power_telemetry")),
    Fault("html_page", 190.0, 25.0, ("bus_positions", "bus_trips")),
    Fault("stuck", 210.0, 900.0, ("D5-CL", "D1-CL"), (40.0, 90.0)),
    Fault("out_of_range", 230.0, 62.0, ("D4-FLOW", "T2-LEVEL")),
    Fault("missing_code", 270.0, 150.0, ("A3-NO2", "A1-O3")),
    Fault("time_out", 320.0, 25.0, ("microgrid", "traffic")),
    Fault("silent", 340.0, 720.0, ("P-W12-PRES", "DT14-OIL"), (40.0, 90.0)),
    Fault("half_file", 390.0, 60.0, ("water_meters", "air_stations")),
    Fault("decimal_commas", 440.0, 70.0, ("air_stations", "water_meters")),
    Fault("late_batch", 525.0, 60.0, ("water_telemetry", "power_telemetry")),
)


@dataclass(frozen=True)
class Mishap:
    """One mishap of the timetable."""

    kind: str
    target: str
    start: float
    end: float


def schedule(start: float, seed: int) -> tuple[Mishap, ...]:
    """Every mishap of the three days after `start`, each kind once within the first ten minutes."""
    return tuple(sorted((m for fault in FAULTS for m in _returns(fault, start, seed)), key=lambda m: m.start))


def _returns(fault: Fault, start: float, seed: int) -> Iterator[Mishap]:
    chance = Random(f"{seed} {fault.kind}")
    begins, target = start + fault.first_s, fault.targets[0]
    while begins < start + HOURS * 3600.0:
        yield Mishap(fault.kind, target, begins, begins + fault.lasts_s)
        begins += fault.lasts_s + 60.0 * chance.uniform(*fault.again_min)
        target = chance.choice(fault.targets)


@dataclass
class Gremlin:
    """Knows which mishaps rage and garbles what passes through its hands; remembers the values of stuck sensors."""

    mishaps: tuple[Mishap, ...]
    frozen: dict[Mishap, float] = field(default_factory=dict)

    def raging(self, kind: str, target: str, now: float) -> bool:
        """Whether this mishap strikes this feed now."""
        return any(m.kind == kind and m.target == target and m.start <= now < m.end for m in self.mishaps)

    def garbled(self, feed: str, readings: Sequence[Reading], now: float) -> list[Reading]:
        """The readings with every raging mishap of their sensors in them."""
        raging = {m.target: m for m in self.mishaps if m.start <= now < m.end}
        found = []
        for reading in readings:
            mishap = raging.get(reading[0])
            struck = self._struck(mishap, reading) if mishap else reading
            if struck:
                found.append(struck)
        stranger = raging.get(feed)
        if found and stranger and stranger.kind == "unknown_sensor":
            found.append(("NEW-METER-0815", found[0][1], 1.0))
        return found

    def _struck(self, mishap: Mishap, reading: Reading) -> Reading | None:
        sensor, at, value = reading
        if mishap.kind == "silent":
            return None
        if mishap.kind == "stuck":
            return sensor, at, self.frozen.setdefault(mishap, value)
        if mishap.kind == "future_clock":
            return sensor, at + AHEAD_S, value
        changed = {"missing_code": MISSING_CODE, "out_of_range": 98_765.4}
        return sensor, at, changed.get(mishap.kind, value)


def half(payload: bytes) -> bytes:
    """The file as it looks when the line broke: cut in the middle of a row."""
    lines = payload.splitlines(keepends=True)
    middle = max(len(lines) // 2, 1)
    return b"".join(lines[:middle]) + b"".join(lines[middle : middle + 1])[:-5]


def with_decimal_commas(payload: bytes) -> bytes:
    """The CSV as a device with other regional settings writes it: semicolons between cells, commas in numbers."""
    return payload.replace(b",", b";").replace(b".", b",")
