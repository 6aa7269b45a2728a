"""Air and noise: four stations that breathe with the season, the hour and the traffic, and five microphones."""

from dataclasses import dataclass

import numpy as np

from pipelines.demo.blocks import Asset, Block, Series
from pipelines.demo.calendar import bump, festive, hour_of_day, rest_day, warmth, year_angle
from pipelines.demo.chance import Floats, normal, stream, streams, weather
from pipelines.demo.geography import point_in, ward_named
from pipelines.demo.incidents import World

DAY_S = 86_400.0


@dataclass(frozen=True)
class Station:
    """An air station: how much industry and traffic it sees, and how strongly smoke of each place reaches it."""

    asset: str
    ward: str
    industry: float
    traffic: float


STATIONS = (
    Station("A1", "W06", 0.9, 1.35),
    Station("A2", "W03", 1.55, 1.0),
    Station("A3", "W10", 0.8, 0.8),
    Station("A4", "W12", 1.15, 0.95),
)
# Pollutant: quantity, unit, annual mean in clean weather, what smoke adds at full strength.
POLLUTANTS = (
    ("PM25", "pm25_ug_m3", "ug/m^3", 41.0, 210.0),
    ("PM10", "pm10_ug_m3", "ug/m^3", 84.0, 265.0),
    ("NO2", "no2_ug_m3", "ug/m^3", 27.0, 24.0),
    ("O3", "o3_ug_m3", "ug/m^3", 46.0, -6.0),
    ("SO2", "so2_ug_m3", "ug/m^3", 11.0, 38.0),
    ("CO", "co_mg_m3", "mg/m^3", 0.8, 2.4),
    ("NH3", "nh3_ug_m3", "ug/m^3", 17.0, 3.0),
)
SPILL = {("A2", "A4"): 0.22, ("A2", "A1"): 0.12, ("A4", "A2"): 0.18, ("A4", "A3"): 0.15}


@dataclass(frozen=True)
class NoiseSite:
    """A microphone, the class of its zone, and the loudness of its calm day and night, dB(A)."""

    asset: str
    ward: str
    zone_class: str
    day_dba: float
    night_dba: float


SITES = (
    NoiseSite("N1", "W06", "commercial", 63.4, 52.5),
    NoiseSite("N2", "W03", "industrial", 71.0, 66.0),
    NoiseSite("N3", "W04", "residential", 54.2, 43.6),
    NoiseSite("N4", "W10", "silence", 50.6, 41.4),
    NoiseSite("N5", "W07", "residential", 56.3, 45.8),
)


def season(t: Floats) -> Floats:
    """Particles: high in winter's still air, washed out by the monsoon around July and August."""
    monsoon = 0.5 * (1.0 + np.cos(year_angle(t) - 2.0 * np.pi * 210.0 / 365.0))
    return 1.0 - 0.42 * warmth(t) - 0.38 * monsoon**3 + 0.15 * festive(t)


def traffic_share(t: Floats) -> Floats:
    """How busy the streets are, 0 to about 1."""
    hour, rest = hour_of_day(t), rest_day(t)
    working = 0.06 + 0.8 * bump(hour, 9.2, 1.5) + 0.45 * bump(hour, 13.5, 2.8) + 0.85 * bump(hour, 18.3, 1.8)
    resting = 0.07 + 0.5 * bump(hour, 11.5, 2.6) + 0.75 * bump(hour, 19.0, 2.2)
    return (1.0 - rest) * working + rest * resting


def smoke(world: World, station: str, t: Floats) -> Floats:
    """How thick smoke from burning waste is at the station, 0 to 1."""
    near = [share * world.strength("smoke", source, t) for (source, at), share in SPILL.items() if at == station]
    return np.minimum(world.strength("smoke", station, t) + sum(near, np.zeros_like(t)), 1.0)


def _pollutant(world: World, station: Station, name: str, mean: float, t: Floats) -> Floats:
    hour, busy = hour_of_day(t), traffic_share(t)
    still = 0.75 + 0.4 * bump(hour, 7.5, 2.3) + 0.45 * bump(hour, 21.5, 2.6)
    air = np.exp(0.42 * weather(stream(world.seed, "stagnation"), t, 2.2 * DAY_S))
    own = np.exp(0.2 * weather(stream(world.seed, f"air {station.asset} {name}"), t, 9000.0))
    if name == "O3":
        light = 0.35 + 1.25 * bump(hour, 14.5, 3.2)
        return mean * light * (1.0 + 0.15 * warmth(t)) * own * (1.15 - 0.2 * station.traffic)
    if name in ("NO2", "CO"):
        return mean * air**0.6 * own * station.traffic * (0.45 + 0.4 * still + 0.75 * busy)
    if name == "SO2":
        return mean * air**0.5 * own * station.industry**1.8 * (0.7 + 0.6 * bump(hour, 12.0, 4.5))
    if name == "NH3":
        return mean * own * still
    return mean * season(t) * air * own * station.industry**0.8 * still * (0.85 + 0.3 * busy)


def _air(world: World, t: Floats) -> Floats:
    rows = []
    for station in STATIONS:
        thick = smoke(world, station.asset, t)
        for name, _, _, mean, added in POLLUTANTS:
            rows.append(_pollutant(world, station, name, mean, t) + added * thick)
    noise = 1.0 + 0.01 * normal(streams(world.seed, [s.sensor for s in AIR]), np.floor(t).astype(np.int64))
    return np.maximum(np.stack(rows) * noise, 0.05)


def _noise(world: World, t: Floats) -> Floats:
    hour = hour_of_day(t)
    awake = 1.0 / (1.0 + np.exp(-(hour - 6.0) * 2.2)) * (1.0 / (1.0 + np.exp((hour - 22.2) * 1.7)))
    of = streams(world.seed, [site.asset for site in SITES])
    night = np.array([[s.night_dba] for s in SITES])
    day = np.array([[s.day_dba] for s in SITES])
    level = night + (day - night) * awake + 3.2 * (traffic_share(t) - 0.55) * awake
    party = (
        festive(t) * bump(hour, 21.5, 2.0) * np.array([[9.0 if s.zone_class != "industrial" else 2.0] for s in SITES])
    )
    return level + party + 1.3 * normal(of, np.floor(t / 300.0).astype(np.int64))


AIR = tuple(
    Series(f"{s.asset}-{name}", s.asset, quantity, unit) for s in STATIONS for name, quantity, unit, _, _ in POLLUTANTS
)
NOISE = tuple(Series(f"{s.asset}-LAEQ", s.asset, "noise_dba", "dBA") for s in SITES)
BLOCKS = (
    Block("air", "air_stations", 300, 60, AIR, _air),
    Block("noise", "noise_sites", 300, 300, NOISE, _noise, interval=True),
)


def assets(seed: int) -> list[Asset]:
    """Air stations and noise sites."""
    found = []
    for kind, words, places in (("air_station", "Air station", STATIONS), ("noise_site", "Noise meter", SITES)):
        for place in places:
            lon, lat = point_in(seed, place.ward, place.asset)
            name = f"{words} {ward_named(seed, place.ward).name}"
            found.append(Asset(place.asset, "pollution", kind, name, place.ward, lat, lon))
    return found


def noise_reference() -> list[dict[str, object]]:
    """Rows of reference/noise_sites.csv."""
    return [{"asset": site.asset, "zone_class": site.zone_class} for site in SITES]
