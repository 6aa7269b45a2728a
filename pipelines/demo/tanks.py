"""The four service tanks: what flows in and out and the level that follows; the books balance at every instant."""

from dataclasses import dataclass
from functools import lru_cache
from math import pi

import numpy as np

from pipelines.demo.blocks import Asset, Series
from pipelines.demo.calendar import DAY_S, bump, day_number, day_start, hour_of_day
from pipelines.demo.chance import Floats, stream, uniform
from pipelines.demo.demand import BURST_M3_H, DMAS, dma_of, inflow_m3_h
from pipelines.demo.geography import point_in
from pipelines.demo.incidents import Incident, World

MINUTE = 60.0
MAKE_UP_S = 5400.0
# Energy to lift one cubic metre by one metre: 9.81 kJ.
GRAVITY_KWH = 9.81 / 3600.0


@dataclass(frozen=True)
class Tank:
    """A tank, the pump that fills it and the feeder that drives the pump."""

    asset: str
    name: str
    ward: str
    diameter_m: float
    dead_level_m: float
    full_level_m: float
    pump: str
    feeder: str

    @property
    def area_m2(self) -> float:
        """Surface of the water."""
        return pi * self.diameter_m**2 / 4.0


TANKS = (
    Tank("T1", "Kila Pahar tank", "W02", 20.0, 0.6, 5.5, "PU1", "F1"),
    Tank("T2", "Bazaar tank", "W05", 19.0, 0.6, 5.5, "PU2", "F3"),
    Tank("T3", "Station tank", "W07", 17.0, 0.5, 5.0, "PU3", "F4"),
    Tank("T4", "South Bank tank", "W10", 24.0, 0.6, 6.0, "PU4", "F6"),
)
LEVELS = tuple(Series(f"{t.asset}-LEVEL", t.asset, "tank_level_m", "m", 0.0, t.full_level_m + 0.5) for t in TANKS)
FLOWS = tuple(
    Series(f"{t.asset}-{way}", t.asset, f"tank_{'in' if way == 'IN' else 'out'}flow_m3_h", "m^3/h")
    for t in TANKS
    for way in ("IN", "OUT")
)
PUMPS = tuple(
    Series(f"{t.pump}-{short}", t.pump, quantity, unit)
    for t in TANKS
    for short, quantity, unit in (
        ("KWH", "pump_energy_kwh", "kWh"),
        ("M3", "pump_volume_m3", "m^3"),
        ("HEAD", "pump_head_m", "metre_head"),
    )
)


@dataclass(frozen=True)
class Plan:
    """Minute by minute: instants, inflow and outflow in m3/h, and the volume gained since the first instant in m3."""

    t: Floats
    inflow: Floats
    outflow: Floats
    gained_m3: Floats


def _gained(t: Floats, net_m3_h: Floats) -> Floats:
    steps = np.diff(t) / 3600.0 * (net_m3_h[1:] + net_m3_h[:-1]) / 2.0
    return np.concatenate([[0.0], np.cumsum(steps)])


def midnight_level_m(seed: int, tank: Tank, day: int) -> float:
    """The level at which the operators hand over at midnight."""
    share = 0.62 + 0.12 * float(uniform(stream(seed, f"midnight {tank.asset}"), day))
    return share * tank.full_level_m


def _demand(seed: int, tank: Tank, t: Floats) -> Floats:
    calm = World(seed)
    return np.sum([inflow_m3_h(calm, dma, t) for dma in DMAS if dma.tank == tank.asset], axis=0)


@lru_cache(maxsize=64)
def plan(seed: int, tank: Tank, day: int) -> Plan:
    """A day without incidents: the pumps' schedule, scaled so that the level ends where the next day begins."""
    t = day_start(day) + np.arange(0.0, DAY_S + 1.0, MINUTE)
    out = _demand(seed, tank, t)
    hour = hour_of_day(t[:-1])
    shape = 0.62 + 0.85 * bump(hour, 7.0, 2.2) + 0.35 * bump(hour, 13.0, 2.5) + 0.6 * bump(hour, 18.5, 2.4)
    shape = np.append(shape, shape[0])
    start, end = (midnight_level_m(seed, tank, d) for d in (day, day + 1))
    needed = _gained(t, out)[-1] + (end - start) * tank.area_m2
    inflow = shape * needed / _gained(t, shape)[-1]
    return Plan(t, inflow, out, _gained(t, inflow - out))


def _calm(seed: int, tank: Tank, t: Floats) -> tuple[Floats, Floats, Floats]:
    """Inflow, outflow and volume above the floor, without incidents."""
    inflow, outflow, volume = np.empty_like(t), np.empty_like(t), np.empty_like(t)
    days = day_number(t)
    for day in np.unique(days):
        at, today = days == day, plan(seed, tank, int(day))
        inflow[at] = np.interp(t[at], today.t, today.inflow)
        outflow[at] = np.interp(t[at], today.t, today.outflow)
        begin = midnight_level_m(seed, tank, int(day)) * tank.area_m2
        volume[at] = begin + np.interp(t[at], today.t, today.gained_m3)
    return inflow, outflow, volume


def _extra(world: World, tank: Tank, incident: Incident) -> Plan | None:
    """What an incident adds to inflow and outflow, until the pumps have made up for it; None if felt elsewhere."""
    if incident.kind == "burst_main" and dma_of(incident.target.partition(":")[2]).tank == tank.asset:
        drain = BURST_M3_H
    elif incident.kind == "feeder_trip" and incident.target == tank.feeder:
        drain = 0.0
    else:
        return None
    t = np.arange(incident.start, incident.over + MAKE_UP_S + 31.0, 15.0)
    strength = incident.strength(t)
    out = drain * strength
    stopped = np.zeros_like(t) if drain else -_calm(world.seed, tank, t)[0] * strength
    lost = _gained(t, stopped - out)[-1]
    share = np.sin(np.pi * np.clip((t - incident.over) / MAKE_UP_S, 0.0, 1.0)) ** 2
    inflow = stopped - share * lost / _gained(t, share)[-1]
    return Plan(t, inflow, out, _gained(t, inflow - out))


def _extras(world: World, tank: Tank) -> list[Plan]:
    key = ("tank", tank.asset)
    if key not in world.memory:
        world.memory[key] = [p for p in (_extra(world, tank, i) for i in world.incidents) if p is not None]
    return world.memory[key]


def state(world: World, tank: Tank, t: Floats) -> tuple[Floats, Floats, Floats]:
    """Inflow and outflow (m3/h) and level (m): area times change of level is what came in less what went out."""
    inflow, outflow, volume = _calm(world.seed, tank, t)
    for extra in _extras(world, tank):
        if t[-1] >= extra.t[0] and t[0] <= extra.t[-1]:
            inflow = inflow + np.interp(t, extra.t, extra.inflow, left=0.0, right=0.0)
            outflow = outflow + np.interp(t, extra.t, extra.outflow, left=0.0, right=0.0)
            volume = volume + np.interp(t, extra.t, extra.gained_m3, left=0.0, right=0.0)
    return inflow, outflow, volume / tank.area_m2


def levels(world: World, t: Floats) -> Floats:
    """One row per tank."""
    return np.stack([state(world, tank, t)[2] for tank in TANKS])


def flows(world: World, t: Floats) -> Floats:
    """Two rows per tank: in, out."""
    return np.concatenate([np.stack(state(world, tank, t)[:2]) for tank in TANKS])


def pumping(world: World, t: Floats) -> Floats:
    """Three rows per pump for the quarter-hours that begin at `t`: energy, volume, head."""
    rows = []
    for number, tank in enumerate(TANKS):
        parts = [state(world, tank, t + offset) for offset in (150.0, 450.0, 750.0)]
        volume = np.mean([inflow for inflow, _, _ in parts], axis=0) / 4.0
        head = 31.0 + 3.0 * number + np.mean([level for _, _, level in parts], axis=0)
        worn = 0.64 - 0.035 * number
        rows += [GRAVITY_KWH * volume * head / worn, volume, head]
    return np.stack(rows)


def assets(seed: int) -> list[Asset]:
    """Tanks and their pumps."""
    found = []
    for tank in TANKS:
        lon, lat = point_in(seed, tank.ward, "tank")
        found.append(Asset(tank.asset, "water", "tank", tank.name, tank.ward, lat, lon))
        found.append(Asset(tank.pump, "water", "pump", f"Pump of {tank.name}", tank.ward, lat, lon, tank.asset))
    return found


def reference() -> list[dict[str, object]]:
    """Rows of reference/tanks.csv."""
    return [
        {"asset": t.asset, "diameter_m": t.diameter_m, "dead_level_m": t.dead_level_m, "full_level_m": t.full_level_m}
        for t in TANKS
    ]
