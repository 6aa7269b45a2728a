"""The water service's sensors: inflow and pressure of the metered areas, chlorine, tanks."""

import numpy as np

from pipelines.demo import tanks
from pipelines.demo.blocks import Asset, Block, Series
from pipelines.demo.calendar import ambient_c
from pipelines.demo.chance import Floats, normal, streams, wander
from pipelines.demo.demand import DMAS, SERVED, head_m, inflow_m3_h, population
from pipelines.demo.geography import point_in, ward_named
from pipelines.demo.incidents import World

METERS = 2000
CHLORINE_AT = ("D1", "D3", "D5")
# What a burst takes from the pressure in its own ward, beside what the whole area loses: the alarm rings at any hour.
BURST_NEAR_M = 17.0


def _areas(world: World, t: Floats) -> Floats:
    noise = 1.0 + 0.008 * normal(streams(world.seed, [f"inflow {d.asset}" for d in DMAS]), np.floor(t).astype(np.int64))
    return np.stack([inflow_m3_h(world, dma, t) for dma in DMAS]) * noise


def _points(world: World, t: Floats) -> Floats:
    rows = []
    for dma in DMAS:
        head = head_m(world, dma, t)
        for number, ward in enumerate(dma.wards):
            near = BURST_NEAR_M * world.strength("burst_main", f"{dma.asset}:{ward}", t)
            rows.append(np.maximum(head - 2.4 * number - near, 0.3))
    noise = 0.12 * normal(streams(world.seed, [s.sensor for s in PRESSURE]), np.floor(t).astype(np.int64))
    return np.stack(rows) + noise


def _chlorine(world: World, t: Floats) -> Floats:
    base = 0.46 - 0.005 * (ambient_c(t) - 26.0)
    of = streams(world.seed, [s.sensor for s in CHLORINE])
    return np.maximum(base + 0.13 * wander(of, t, 15_000.0) + 0.006 * normal(of, np.floor(t).astype(np.int64)), 0.02)


INFLOW = tuple(Series(f"{d.asset}-FLOW", d.asset, "inflow_m3_h", "m^3/h") for d in DMAS)
PRESSURE = tuple(
    Series(f"P-{ward}-PRES", f"P-{ward}", "pressure_m", "metre_head", 0.0, 80.0) for d in DMAS for ward in d.wards
)
CHLORINE = tuple(
    Series(f"{d}-CL", f"P-{next(a for a in DMAS if a.asset == d).wards[0]}", "chlorine_mg_l", "mg/L")
    for d in CHLORINE_AT
)
# Daily volumes are taken from the mean of all flows of a day, so inflow keeps one pace in history and live.
BLOCKS = (
    Block("inflow", "water_telemetry", 60, 60, INFLOW, _areas),
    Block("pressure", "water_telemetry", 300, 20, PRESSURE, _points),
    Block("chlorine", "water_telemetry", 300, 60, CHLORINE, _chlorine),
    Block("tank levels", "water_telemetry", 300, 15, tanks.LEVELS, tanks.levels),
    Block("tank flows", "water_telemetry", 300, 30, tanks.FLOWS, tanks.flows),
    Block("pumps", "water_telemetry", 900, 900, tanks.PUMPS, tanks.pumping, interval=True),
)


def assets(seed: int) -> list[Asset]:
    """Areas, pressure points, tanks and pumps."""
    found = [Asset(d.asset, "water", "dma", f"Metered area {d.name}", d.wards[0]) for d in DMAS]
    for dma in DMAS:
        for ward in dma.wards:
            lon, lat = point_in(seed, ward, "pressure")
            name = f"Pressure point {ward_named(seed, ward).name}"
            found.append(Asset(f"P-{ward}", "water", "pressure_point", name, ward, lat, lon, dma.asset))
    return found + tanks.assets(seed)


def dmas_reference(seed: int) -> list[dict[str, object]]:
    """Rows of reference/dmas.csv."""
    rows: list[dict[str, object]] = []
    for dma in DMAS:
        people = population(seed, dma)
        rows.append(
            {
                "asset": dma.asset,
                "population_served": people,
                "connections": round(METERS * people / (60_000 * SERVED)),
                "minimum_pressure_m": 12.0,
                "baseline_night_m3_h": round(dma.leakage_m3_h * 1.06 + people * 0.0006, 1),
                "non_domestic_night_m3_h": 1.5,
                "n1": dma.n1,
                "mains_km": round(people / 720, 1),
                "private_pipe_km": round(people / 2400, 1),
                "average_pressure_m": round(dma.pressure_m - 4.0, 1),
            }
        )
    return rows
