"""Road traffic: twelve counters and six links whose speed falls as they fill."""

from dataclasses import dataclass

import numpy as np

from pipelines.demo.air import traffic_share
from pipelines.demo.blocks import Asset, Block, Series
from pipelines.demo.chance import Floats, normal, stream, streams, wander
from pipelines.demo.geography import point_in, ward_named
from pipelines.demo.incidents import World

QUARTER_S = 900
VEHICLE_M, DETECTOR_M = 4.2, 1.8


@dataclass(frozen=True)
class Link:
    """A stretch of road: length, speed when empty, and vehicles an hour at the usual peak per its capacity."""

    asset: str
    name: str
    ward: str
    length_km: float
    free_flow_km_h: float
    peak_share: float
    capacity_veh_h: float


LINKS = (
    Link("L1", "Station Road", "W07", 1.4, 42.0, 0.86, 1500.0),
    Link("L2", "Bazaar Road", "W05", 0.9, 32.0, 0.98, 1100.0),
    Link("L3", "Nadi bridge", "W09", 0.6, 40.0, 0.95, 1300.0),
    Link("L4", "Udyog Road", "W03", 1.8, 50.0, 0.66, 1600.0),
    Link("L5", "Ring Road south", "W11", 2.6, 55.0, 0.55, 1800.0),
    Link("L6", "Gandhi Chowk", "W06", 0.7, 30.0, 0.92, 1200.0),
)
COUNTER_WARDS = ("W01", "W02", "W03", "W04", "W05", "W06", "W07", "W08", "W09", "W10", "W11", "W12")
COUNTER_PEAK = (310, 260, 420, 350, 520, 610, 560, 480, 390, 330, 300, 270)


def fullness(world: World, link: Link, t: Floats) -> Floats:
    """Demand over capacity."""
    chance = 1.0 + 0.13 * wander(stream(world.seed, f"link {link.asset}"), t, 1800.0)
    return link.peak_share * traffic_share(t) * chance


def speed_km_h(world: World, link: Link, t: Floats) -> Floats:
    """Speed by the BPR curve, made a little steeper as town streets are."""
    return link.free_flow_km_h / (1.0 + 0.75 * fullness(world, link, t) ** 3.2)


def _links(world: World, t: Floats) -> Floats:
    rows = []
    for link in LINKS:
        speed = speed_km_h(world, link, t) * (
            1.0 + 0.015 * normal(stream(world.seed, link.asset), np.floor(t).astype(np.int64))
        )
        density = fullness(world, link, t) * link.capacity_veh_h / speed
        rows += [speed, np.minimum(density * (VEHICLE_M + DETECTOR_M) / 10.0, 95.0), 3600.0 * link.length_km / speed]
    return np.stack(rows)


def _counts(world: World, t: Floats) -> Floats:
    """Whole vehicles of the quarter-hours that begin at `t`."""
    of = streams(world.seed, [s.sensor for s in COUNTS])
    usual = np.array([[float(peak)] for peak in COUNTER_PEAK]) * traffic_share(t + QUARTER_S / 2.0)
    usual = usual * (1.0 + 0.1 * wander(of, t, 5400.0))
    return np.maximum(np.round(usual + np.sqrt(usual) * normal(of, (t // QUARTER_S).astype(np.int64))), 0.0)


COUNTS = tuple(Series(f"C{n:02d}-COUNT", f"C{n:02d}", "traffic_count", "vehicle") for n in range(1, 13))
LINK_SERIES = tuple(
    Series(f"{link.asset}-{short}", link.asset, quantity, unit)
    for link in LINKS
    for short, quantity, unit in (
        ("SPEED", "traffic_speed_km_h", "km/h"),
        ("OCC", "traffic_occupancy_pct", "percent"),
        ("TIME", "travel_time_s", "s"),
    )
)
BLOCKS = (
    Block("counts", "traffic", QUARTER_S, QUARTER_S, COUNTS, _counts, interval=True),
    Block("links", "traffic", 300, 30, LINK_SERIES, _links),
)


def assets(seed: int) -> list[Asset]:
    """Counters and links."""
    found = []
    for number, ward in enumerate(COUNTER_WARDS, 1):
        lon, lat = point_in(seed, ward, f"counter {number}")
        name = f"Counter {ward_named(seed, ward).name}"
        found.append(Asset(f"C{number:02d}", "transport", "traffic_counter", name, ward, lat, lon))
    for link in LINKS:
        lon, lat = point_in(seed, link.ward, link.asset)
        found.append(Asset(link.asset, "transport", "road_link", link.name, link.ward, lat, lon))
    return found


def reference() -> list[dict[str, object]]:
    """Rows of reference/road_links.csv."""
    return [
        {
            "asset": x.asset,
            "length_km": x.length_km,
            "free_flow_km_h": x.free_flow_km_h,
            "vehicle_length_m": VEHICLE_M,
            "detector_length_m": DETECTOR_M,
        }
        for x in LINKS
    ]
