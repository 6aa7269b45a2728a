"""The hospital's solar microgrid: sun by clock and cloud, a battery that integrates, and a balance that closes."""

from math import cos, radians, sin

import numpy as np
from numpy.typing import NDArray

from pipelines.demo import outages
from pipelines.demo.blocks import Asset, Block, Series
from pipelines.demo.calendar import DAY_S, bump, day_number, day_start, hour_of_day, year_angle
from pipelines.demo.chance import Floats, stream, wander, weather
from pipelines.demo.geography import LAT, point_in
from pipelines.demo.incidents import World

ASSET, WARD, FEEDER = "MG1", "W10", outages.FEEDERS[5]
SOLAR_KWP, BATTERY_KWH, SOC_MIN = 420.0, 1500.0, 20.0
# The hospital keeps this charge for itself: below it the diesel generator takes over.
RESERVE = 50.0
CHARGE, DISCHARGE = 0.96, 0.95
BATTERY_KW, DIESEL_KW = 150.0, 160.0
MINUTE = 60.0
# The battery is down to its reserve well before dawn, so each plan may begin there without a step.
BEGINS_S = 5 * 3600.0
NAMES = ("poa", "solar", "load", "import", "export", "battery", "diesel", "soc")
Plan = dict[str, Floats]


def irradiance_w_m2(seed: int, t: Floats) -> Floats:
    """Light on the panels: the sun's height by date and hour, thinned by passing clouds."""
    declination = np.radians(23.44) * np.sin(year_angle(t) - 2.0 * np.pi * 80.0 / 365.0)
    angle = (hour_of_day(t) - 12.0) / 24.0 * 2.0 * np.pi
    height = sin(radians(LAT)) * np.sin(declination) + cos(radians(LAT)) * np.cos(declination) * np.cos(angle)
    day = 0.5 + 0.5 * wander(stream(seed, "overcast"), t, 1.7 * DAY_S)
    cloud = np.clip(weather(stream(seed, "cloud"), t, 2100.0) * (0.25 + day) - 0.1, 0.0, 0.75)
    return 1020.0 * np.maximum(height, 0.0) ** 1.15 * (1.0 - cloud)


def load_kw(seed: int, t: Floats) -> Floats:
    """What the hospital draws."""
    shape = 62.0 + 52.0 * bump(hour_of_day(t), 12.0, 3.6) + 24.0 * bump(hour_of_day(t), 19.5, 2.0)
    return shape * (1.0 + 0.06 * wander(stream(seed, "hospital"), t, 1500.0))


def _dispatch(
    solar: Floats, load: Floats, hour: Floats, dark: NDArray[np.bool_]
) -> tuple[list[float], list[float], list[float], list[float]]:
    """Battery (discharge positive), diesel, curtailed sun and charge, minute by minute."""
    battery, diesel, spilled, charges = [], [], [], []
    soc, step = RESERVE, 100.0 * MINUTE / 3600.0 / BATTERY_KWH
    for sun, need, clock, cut in zip(solar.tolist(), load.tolist(), hour.tolist(), dark.tolist(), strict=True):
        charges.append(soc)
        spare = (soc - RESERVE) / step * DISCHARGE
        room = (100.0 - soc) / step / CHARGE
        flow = 0.0
        if sun > need:
            flow = -min(sun - need, BATTERY_KW, room)
        elif cut or clock >= 17.0 or clock < BEGINS_S / 3600.0:
            flow = min(need - sun, BATTERY_KW, spare)
        engine = min(max(need - sun - flow, 0.0), DIESEL_KW) if cut else 0.0
        battery.append(flow)
        diesel.append(engine)
        spilled.append(max(sun + flow - need, 0.0) if cut else 0.0)
        soc -= step * (flow / DISCHARGE if flow > 0.0 else flow * CHARGE)
    charges.append(soc)
    return battery, diesel, spilled, charges


def _planned(world: World, day: int) -> Plan:
    """The minutes from 05:00 of this day to 05:00 of the next."""
    t = day_start(day) + BEGINS_S + np.arange(0.0, DAY_S, MINUTE)
    poa = irradiance_w_m2(world.seed, t)
    sun = SOLAR_KWP * poa / 1000.0 * (0.80 - 0.03 * poa / 1000.0)
    load = load_kw(world.seed, t)
    dark = outages.share_out(world, FEEDER, t) > 0.99
    battery, diesel, spilled, soc = _dispatch(sun, load, hour_of_day(t), dark)
    solar = sun - np.array(spilled)
    rest = load - solar - np.array(battery) - np.array(diesel)
    found = (
        poa,
        solar,
        load,
        np.maximum(rest, 0.0),
        np.maximum(-rest, 0.0),
        np.array(battery),
        np.array(diesel),
        np.array(soc),
    )
    return dict(zip(NAMES, found, strict=True))


def plan(world: World, day: int) -> Plan:
    """The plan of a day, made once."""
    key = ("microgrid", day)
    if key not in world.memory:
        world.memory[key] = _planned(world, day)
    return world.memory[key]


def values(world: World, t: Floats) -> Floats:
    """One row per quantity; powers hold for a minute, the charge moves along a straight line within it."""
    days = day_number(t - BEGINS_S)
    found = np.empty((len(NAMES), len(t)))
    for day in np.unique(days):
        at = days == day
        today = plan(world, int(day))
        position = (t[at] - day_start(int(day)) - BEGINS_S) / MINUTE
        minute = np.minimum(position.astype(np.int64), len(today["load"]) - 1)
        for row, name in enumerate(NAMES[:-1]):
            found[row, at] = today[name][minute]
        found[-1, at] = np.interp(position, np.arange(len(today["soc"])), today["soc"])
    return found


_QUANTITIES = (
    ("solar", "solar_power_kw", "kW"),
    ("load", "load_power_kw", "kW"),
    ("grid_import", "grid_import_kw", "kW"),
    ("grid_export", "grid_export_kw", "kW"),
    ("battery", "battery_power_kw", "kW"),
    ("diesel", "diesel_power_kw", "kW"),
    ("soc", "battery_soc_pct", "percent"),
)
SERIES = tuple(Series(f"{ASSET}.{short}", ASSET, quantity, unit) for short, quantity, unit in _QUANTITIES)
LIGHT = (Series(f"{ASSET}.poa", ASSET, "poa_irradiance_w_m2", "W/m^2"),)
BLOCKS = (
    Block("microgrid", "microgrid", 300, 15, SERIES, lambda world, t: values(world, t)[1:]),
    Block("light", "power_telemetry", 300, 30, LIGHT, lambda world, t: values(world, t)[:1]),
)


def assets(seed: int) -> list[Asset]:
    """The microgrid."""
    lon, lat = point_in(seed, WARD, ASSET)
    return [Asset(ASSET, "energy", "microgrid", "Hospital microgrid", WARD, lat, lon, FEEDER.asset)]


def reference() -> list[dict[str, object]]:
    """Rows of reference/microgrids.csv."""
    return [
        {
            "asset": ASSET,
            "battery_kwh": BATTERY_KWH,
            "soc_min_pct": SOC_MIN,
            "discharge_efficiency": DISCHARGE,
            "solar_kwp": SOLAR_KWP,
        }
    ]
