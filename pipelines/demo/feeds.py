"""The feeds of the town: what stands in town.toml for each, and how readings are written in each one's format."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.demo import air, meters, microgrid, power, traffic, water
from pipelines.demo.blocks import Block
from pipelines.demo.calendar import OFFSET_S, iso
from pipelines.demo.chance import Floats, streams, uniform

# Sensor, instant (seconds since 1970), value.
Reading = tuple[str, float, float]
# Feed: what town.toml says of it. A `path` becomes the url below the simulator's address.
FEEDS: dict[str, dict[str, str]] = {
    "bus_timetable": {"use": "transport.gtfs_static", "from": "poll", "path": "/gtfs/nadipur.zip", "every": "12 h"},
    "bus_positions": {
        "use": "transport.vehicle_positions",
        "from": "poll",
        "path": "/gtfs-rt/vehicle-positions",
        "every": "10 s",
    },
    "bus_trips": {"use": "transport.trip_updates", "from": "poll", "path": "/gtfs-rt/trip-updates", "every": "30 s"},
    "bus_alerts": {"use": "transport.service_alerts", "from": "poll", "path": "/gtfs-rt/alerts", "every": "1 min"},
    "traffic": {
        "from": "poll",
        "path": "/traffic.json",
        "every": "30 s",
        "format": "json",
        "table": "readings",
        "records": "measurements",
    },
    "microgrid": {"use": "energy.microgrid_status", "from": "poll", "path": "/microgrid.json", "every": "15 s"},
    "complaints": {
        "use": "grievances.open311_json",
        "from": "poll",
        "path": "/open311/v2/requests.json",
        "every": "20 s",
    },
    "water_telemetry": {"from": "http_push", "every": "1 min", "format": "csv", "table": "readings"},
    "power_telemetry": {"from": "http_push", "every": "1 min", "format": "csv", "table": "readings"},
    "water_meters": {"from": "drop_folder", "every": "5 min", "format": "csv", "table": "readings"},
    "air_stations": {"use": "pollution.air_stations", "from": "drop_folder", "every": "1 min"},
    "noise_sites": {"use": "pollution.noise_sites", "from": "drop_folder", "every": "5 min"},
    "effluent_samples": {"use": "pollution.effluent_samples", "from": "drop_folder", "every": "1 d"},
    "outages": {"use": "energy.outages", "from": "drop_folder", "every": "15 min"},
    "energy_accounts": {"use": "energy.energy_accounts", "from": "drop_folder", "every": "31 d"},
    "street_light_nights": {"use": "energy.street_light_nights", "from": "drop_folder", "every": "1 d"},
    "street_light_surveys": {"use": "energy.street_light_surveys", "from": "drop_folder", "every": "7 d"},
    "crashes": {"use": "transport.crashes", "from": "drop_folder", "every": "31 d"},
    "climate_activities": {"from": "drop_folder", "every": "31 d", "format": "csv", "table": "climate_activities"},
    "water_bills": {"from": "drop_folder", "every": "1 d", "format": "csv", "table": "water_bills"},
    "water_samples": {"from": "drop_folder", "every": "1 d", "format": "csv", "table": "water_samples"},
    "water_audits": {"from": "drop_folder", "every": "31 d", "format": "csv", "table": "water_audits"},
    "water_accounts": {"from": "drop_folder", "every": "31 d", "format": "csv", "table": "water_accounts"},
    "water_connections": {"from": "drop_folder", "every": "31 d", "format": "csv", "table": "water_connections"},
    "sewage_accounts": {"from": "drop_folder", "every": "31 d", "format": "csv", "table": "sewage_accounts"},
}
# Headings of the readings' CSV files, where a feed's are not the plain ones.
HEADINGS = {"air_stations": ("sensor", "time", "value", "unit"), "noise_sites": ("sensor", "time", "laeq_dba")}
PLAIN = ("sensor", "observed_at", "value")
MICROGRID_FIELDS = {
    "solar": ("solar_kw",),
    "load": ("load_kw",),
    "grid_import": ("grid", "import_kw"),
    "grid_export": ("grid", "export_kw"),
    "battery": ("battery", "discharge_kw"),
    "soc": ("battery", "soc_pct"),
    "diesel": ("diesel_kw",),
}


def blocks(seed: int) -> list[Block]:
    """All sensors of the town."""
    found: list[Block] = [
        *water.BLOCKS,
        *power.BLOCKS,
        *microgrid.BLOCKS,
        *air.BLOCKS,
        *traffic.BLOCKS,
        meters.block(seed),
    ]
    return found


def lateness(seed: int, block: Block) -> Floats:
    """Seconds after the end of an interval at which each of its sensors sends it; the meters need most of an hour."""
    names = [s.asset for s in block.series]
    return (
        np.floor(
            uniform(streams(seed, names), 0)[:, 0]
            * min(0.985 * block.every_s, 3540.0)
            * (1.0 if block.every_s >= 3600 else 0.12)
        )
        + 4.0
    )


def aligned(start: float, end: float, step: int) -> Floats:
    """Instants start <= t < end that lie on the step of the town's clock."""
    first = np.ceil((start + OFFSET_S) / step) * step - OFFSET_S
    return np.arange(first, end, float(step))


def as_csv(feed: str, readings: Sequence[Reading], units: dict[str, str]) -> bytes:
    """Readings in the feed's CSV."""
    headings = HEADINGS.get(feed, PLAIN)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(headings)
    for sensor, at, value in readings:
        unit = (units.get(sensor, ""),) if "unit" in headings else ()
        writer.writerow((sensor, iso(at), value, *unit))
    return text.getvalue().encode()


def as_measurements(readings: Sequence[Reading]) -> bytes:
    """Readings as the traffic server tells them."""
    rows = [{"sensor": sensor, "observed_at": iso(at), "value": value} for sensor, at, value in readings]
    return json.dumps({"measurements": rows}).encode()


def as_sites(site: str, at: Sequence[float], values: Floats) -> bytes:
    """The microgrid's states, one per instant; `values` has a row per series."""
    names = [s.sensor.partition(".")[2] for s in microgrid.SERIES]
    states = []
    for column, t in enumerate(at):
        state: dict[str, Any] = {"site": site, "at": iso(t), "grid": {}, "battery": {}}
        for row, name in enumerate(names):
            *outer, field = MICROGRID_FIELDS[name]
            (state[outer[0]] if outer else state)[field] = float(values[row, column])
        states.append(state)
    return json.dumps({"sites": states}).encode()


def rows_csv(rows: list[dict[str, object]]) -> bytes:
    """Rows as CSV with a heading line."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
