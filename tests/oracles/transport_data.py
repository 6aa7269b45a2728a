"""A dirty bus town in New York over the day that has 25 hours: buses late, unseen, cancelled, added; a silent feed."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import GEOJSON, WARDS, soiled
from tests.oracles.plain import DAY, HOUR, Rows
from tests.oracles.readings import filled, wave

ZONE = "America/New_York"
START = datetime(2026, 10, 31, 4, tzinfo=UTC)
SERVICE_DAYS = ("2026-10-31", "2026-11-01", "2026-11-02")
# Noon less twelve hours: on the day of the change that is one o'clock.
MIDNIGHTS = {
    "2026-10-31": datetime(2026, 10, 31, 4, tzinfo=UTC), "2026-11-01": datetime(2026, 11, 1, 5, tzinfo=UTC),
    "2026-11-02": datetime(2026, 11, 2, 5, tzinfo=UTC),
}  # fmt: skip
SILENT = (START + timedelta(hours=14), START + timedelta(hours=14, minutes=50))
ASSETS = """asset,domain,kind,name,ward,lat,lon,parent
L1,transport,road_link,L1,W1,,,
L2,transport,road_link,L2,W2,,,
L3,transport,road_link,L3,W3,,,
C1,transport,counter,C1,W1,,,L1
C2,transport,counter,C2,W2,,,L2
"""
LINKS = "asset,length_km,free_flow_km_h,vehicle_length_m,detector_length_m\nL1,2.5,50,,\nL2,1.2,40,5,2\nL3,,60,,\n"
SENSORS = """sensor,asset,quantity,unit,every
C1.n,C1,traffic_count,vehicle,15 min
C2.n,C2,traffic_count,vehicle,15 min
C1.v,C1,traffic_speed_km_h,km/h,5 min
L2.v,L2,traffic_speed_km_h,km/h,5 min
L3.v,L3,traffic_speed_km_h,km/h,15 min
C1.o,C1,traffic_occupancy_pct,percent,5 min
L1.t,L1,travel_time_s,s,15 min
L2.t,L2,travel_time_s,s,15 min
L3.t,L3,travel_time_s,s,1 h
"""
FEEDS = """
[feeds.positions]
use = "transport.vehicle_positions"
from = "drop_folder"

[feeds.trips]
use = "transport.trip_updates"
from = "drop_folder"
"""


def made(seed: int = 2) -> Dirty:
    """Three days, the last one still running."""
    dice = random.Random(seed)
    registers = {
        "wards.csv": WARDS, "wards.geojson": GEOJSON, "assets.csv": ASSETS, "sensors.csv": SENSORS, "road_links.csv": LINKS,
    }  # fmt: skip
    dirty = Dirty("transport", ZONE, START, START + 3 * DAY - timedelta(hours=2, minutes=40), registers)
    dirty.facts["toml"] = FEEDS
    dirty.batches += _timetable().items()
    live = _live(dice, dirty.end)
    for table, rows in live.items():
        dirty.batches += soiled(table, rows, dice)
    dirty.batches += soiled("service_alerts", _alerts(), dice)
    dirty.batches += soiled("crashes", _crashes(dice), dice, lambda row: {**row, "deaths": row["deaths"] + 1})
    dirty.batches.append(("arrivals", _arrivals(dice, dirty.end)))
    filled(dirty, dice, {
        "traffic_count": lambda at: float(dice.randrange(5, 90)), "travel_time_s": wave(dice, 70, 400),
        "traffic_speed_km_h": lambda at: dice.choice([0.0, 12.0, 35.5, 44.0, 45.0, 58.0]),
        "traffic_occupancy_pct": wave(dice, 2, 60),
    })  # fmt: skip
    return dirty


def starts() -> dict[str, tuple[str, Any, Any, int]]:
    """Trip -> route, direction, headsign, first departure in seconds."""
    found: dict[str, tuple[str, Any, Any, int]] = {}
    for number in range(100):
        found[f"A{number}"] = ("R1", 0, "North", 6 * 3600 + number * 660)
    for number in range(50):
        found[f"B{number}"] = ("R1", 1, "South", 7 * 3600 + number * 900)
    for number in range(30):
        found[f"C{number}"] = ("R2", None, "Hill", 8 * 3600 + number * 1800)
    return found


def _timetable() -> dict[str, Rows]:
    trips = [
        {"trip": trip, "route": route, "service": "every", "direction": direction, "headsign": headsign}
        for trip, (route, direction, headsign, _) in starts().items()
    ]
    calls = [
        {
            "trip": trip, "stop_sequence": n + 1, "stop": f"{route}{headsign}{n}", "arrival_s": first + 300 * n,
            "departure_s": first + 300 * n + 20, "timepoint": n in (0, 3),
        }
        for trip, (route, _, headsign, first) in starts().items() for n in range(4)
    ]  # fmt: skip
    return {
        "gtfs_trips": trips, "gtfs_stop_times": calls,
        "gtfs_service_days": [{"service_date": day, "service": "every"} for day in SERVICE_DAYS],
    }  # fmt: skip


def _live(dice: random.Random, now: datetime) -> dict[str, Rows]:
    found: dict[str, Rows] = {"passages": [], "trip_sightings": [], "trip_updates": [], "vehicle_positions": []}
    for day, midnight in MIDNIGHTS.items():
        for trip, (route, direction, headsign, first) in starts().items():
            begun = midnight + timedelta(seconds=first)
            run = {"service_date": day, "trip": trip, "start_time": f"{first}", "route": route, "direction": direction}
            fate = dice.choices(["runs", "cancelled", "unseen"], [0.93, 0.04, 0.03])[0]
            if fate == "unseen" or begun > now:
                continue
            late = dice.gauss(70, 160)
            _add(found, dice, run, begun, late, fate=fate, name=f"{route}{headsign}", now=now)
        for number in range(4):
            added = {"service_date": day, "trip": f"X{number}", "start_time": "added", "route": "R1", "direction": 0}
            _passages(
                found,
                dice,
                {**added, "relationship": "ADDED"},
                midnight + (9 + 2 * number) * HOUR,
                0.0,
                name="R1North",
                now=now,
            )
    return found


def _add(
    found: dict[str, Rows], dice: random.Random, run: dict[str, Any], begun: datetime, late: float, *, fate: str, name: str,
    now: datetime,
) -> None:  # fmt: skip
    relationship = "CANCELED" if fate == "cancelled" else dice.choice(["SCHEDULED", None])
    for minutes in range(-10, 22, 4):
        at = begun + timedelta(minutes=minutes, seconds=dice.random() * 100)
        if at > now or SILENT[0] < at < SILENT[1] or dice.random() < 0.2:
            continue
        slot = at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0)
        delay = None if dice.random() < 0.2 or fate == "cancelled" else round(late + dice.gauss(0, 40), 1)
        told = {**run, "slot": slot, "observed_at": at, "relationship": relationship}
        found["trip_updates"].append({**told, "stamped": dice.random() < 0.8, "delay_s": delay})
        if fate == "runs" and minutes >= 0:
            found["trip_sightings"].append({**told, "vehicle": f"V{run['trip']}"})
            found["vehicle_positions"].append({
                "vehicle": f"V{run['trip'][0]}{int(run['trip'][1:]) % 9}", "observed_at": at, "stamped": dice.random() < 0.9,
                "trip": run["trip"] if dice.random() < 0.9 else None, "route": run["route"], "lat": 0.5, "lon": 0.5,
                "service_date": run["service_date"],
            })  # fmt: skip
    if fate == "runs":
        _passages(found, dice, {**run, "relationship": relationship}, begun, late, name=name, now=now)


def _passages(
    found: dict[str, Rows],
    dice: random.Random,
    run: dict[str, Any],
    begun: datetime,
    late: float,
    *,
    name: str,
    now: datetime,
) -> None:
    for n in range(4):
        at = begun + timedelta(seconds=300 * n + 20 + late + dice.gauss(0, 30), microseconds=dice.randrange(10**6))
        if at > now or SILENT[0] < at < SILENT[1] or dice.random() < 0.12:
            continue
        named = {"stop_sequence": None, "stop": f"{name}{n}", "call": f"{name}{n}"}
        numbered = {"stop_sequence": n + 1, "stop": f"{name}{n}", "call": str(n + 1)}
        call = numbered if n % 2 or run["trip"].startswith("X") else named
        whole = {
            **run, **call, "observed_at": at, "basis": dice.choice(["update", "stopped_at", "estimate"]),
            "arrived_at": at - timedelta(seconds=20) if dice.random() < 0.7 else None,
            "departed_at": at if dice.random() < 0.7 else None,
        }  # fmt: skip
        found["passages"].append(whole)
        if dice.random() < 0.1:
            # Weaker evidence of the same call, with another time.
            found["passages"].append(
                {**whole, "basis": "estimate", "observed_at": at + timedelta(seconds=75, microseconds=3)}
            )


def _alerts() -> Rows:
    return [
        {
            "alert": "N1", "part": 0, "observed_at": START + 8 * HOUR, "starts_at": START + 8 * HOUR,
            "ends_at": START + 12 * HOUR, "effect": "NO_SERVICE", "route": "R2", "trip": None, "stop": None,
        },
        {
            "alert": "N2", "part": 0, "observed_at": START + 30 * HOUR, "starts_at": None, "ends_at": None,
            "effect": "REDUCED_SERVICE", "route": None, "trip": "A7", "service_date": None, "stop": None,
        },
        {
            "alert": "N3", "part": 0, "observed_at": START + 30 * HOUR, "starts_at": None, "ends_at": None,
            "effect": "DETOUR", "route": "R1", "trip": None, "stop": None,
        },
    ]  # fmt: skip


def _crashes(dice: random.Random) -> Rows:
    return [
        {
            "crash": f"K{number}", "crashed_at": START + DAY * (2.5 - dice.random() * 420),
            "ward": dice.choice(["W1", "W2", None]), "lat": dice.choice([None, 0.5]), "lon": dice.choice([2.5, 0.5]),
            "deaths": dice.choice([0, 0, 0, 1, 2]),
        }
        for number in range(60)
    ]  # fmt: skip


def _arrivals(dice: random.Random, now: datetime) -> Rows:
    """Answers of two live feeds as the line notes them; each is received at its own time."""
    found = []
    for feed, every in (("positions", 7), ("trips", 11), ("other", 30)):
        at = START
        while at < now:
            outcome = dice.choices(["landed", "refused", "failed"], [0.9, 0.05, 0.05])[0]
            stamp = at - timedelta(seconds=dice.choice([0, 5, 40, 900, -20]))
            found.append(
                {
                    "arrival": f"{feed}{at.timestamp()}",
                    "feed": feed,
                    "observed_at": stamp,
                    "outcome": outcome,
                    "_received": at,
                }
            )
            at += timedelta(minutes=every, seconds=dice.randrange(60))
    return found
