"""Writes the town's folder: settings, registers, references and the map."""

import csv
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pipelines.demo import air, meters, microgrid, power, samples, services, tanks, traffic, water
from pipelines.demo.blocks import Asset
from pipelines.demo.calendar import ZONE
from pipelines.demo.feeds import FEEDS, blocks
from pipelines.demo.geography import geojson, wards

DOMAINS = ("transport", "water", "energy", "pollution", "grievances")
Rows = list[dict[str, object]]
# Text messages end in a folder of the town, where anybody may look at them.
DELIVERY = """
[delivery]
channels.sms = { kind = "sms_spool", folder = "spool/sms" }
receivers.control_room = { roles = ["operator"] }
receivers.supervisor = { roles = ["supervisor"] }
ladders.urgent = { matchers = ['priority=~"critical|high"'], steps = ["5 min: supervisor"] }
quiet = [{ from = "22:00", to = "06:00", priorities = ["low"] }]
cap = { sender = "board@nadipur.example", priorities = ["critical"], categories = { pollution = "Env" } }

[delivery.route]
receiver = "control_room"
group_by = ["domain", "ward"]

[[delivery.route.routes]]
matchers = ['priority="critical"']
receiver = "control_room"
group_wait = "0 s"
"""
ROTA = [
    {"role": "operator", "person": "Asha", "days": "mon-sun", "from": "06:00", "to": "18:00"},
    {"role": "operator", "person": "Ravi", "days": "mon-sun", "from": "18:00", "to": "06:00"},
    {"role": "supervisor", "person": "Meena", "days": "mon-sun", "from": "", "to": ""},
]
CONTACTS = [
    {"person": person, "channel": "sms", "address": f"+9155500{number:02}"}
    for number, person in enumerate(("Asha", "Ravi", "Meena"), 1)
]


def write_town(folder: Path, *, now: datetime, base_url: str, seed: int = 7) -> None:
    """An empty folder becomes the town Nadipur: town.toml, reference/*.csv, reference/wards.geojson, drop folders."""
    reference = folder / "reference"
    reference.mkdir(parents=True, exist_ok=True)
    for name, feed in FEEDS.items():
        if feed["from"] == "drop_folder":
            (folder / "drop" / name).mkdir(parents=True, exist_ok=True)
    (folder / "town.toml").write_text(settings(base_url, now), "utf-8")
    for name, rows in references(seed).items():
        _write(reference / f"{name}.csv", rows)
    (reference / "wards.geojson").write_text(json.dumps(geojson(seed), separators=(",", ":")), "utf-8")


def settings(base_url: str, now: datetime) -> str:
    """town.toml."""
    lines = [
        f"# Nadipur, an invented town, written {now:%Y-%m-%d}. Its feeds come from the simulator at the address below.",
        "[town]",
        'name = "Nadipur"',
        f'timezone = "{ZONE}"',
        'languages = ["en", "hi", "ur"]',
        f"domains = {json.dumps(DOMAINS)}",
        "demo = true",
        "open_wall = true",
    ]
    for name, feed in FEEDS.items():
        lines += ["", f"[feeds.{name}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in feed.items() if key not in ("path", "records")]
        if "path" in feed:
            lines += [f"url = {json.dumps(base_url.rstrip('/') + feed['path'])}", "timeout_s = 8"]
        if "records" in feed:
            lines += [f"mapping = {{ records = {json.dumps(feed['records'])} }}"]
    lines += DELIVERY.splitlines()
    return "\n".join(lines) + "\n"


def assets(seed: int) -> list[Asset]:
    """Everything in the town that has sensors or can be in trouble."""
    parts: list[Iterable[Asset]] = [
        water.assets(seed),
        power.assets(seed),
        microgrid.assets(seed),
        air.assets(seed),
        samples.assets(seed),
        traffic.assets(seed),
        meters.assets(seed),
    ]
    return [asset for part in parts for asset in part]


def references(seed: int) -> dict[str, Rows]:
    """File name -> rows of every register and reference."""
    return {
        "wards": [
            {"ward": w.ward, "name": w.name, "population": w.population, "households": w.households}
            for w in wards(seed)
        ],
        "assets": [dict(vars(asset)) for asset in assets(seed)],
        "sensors": sensors(seed),
        "dmas": water.dmas_reference(seed),
        "tanks": tanks.reference(),
        **power.references(),
        "microgrids": microgrid.reference(),
        "road_links": traffic.reference(),
        "noise_sites": air.noise_reference(),
        "effluent_plants": samples.effluent_plants(),
        "services": services.reference(),
        "rota": ROTA,
        "contacts": CONTACTS,
    }


def sensors(seed: int) -> Rows:
    """Rows of sensors.csv: every series of every block, at the pace of its block."""
    return [
        {
            "sensor": s.sensor,
            "asset": s.asset,
            "quantity": s.quantity,
            "unit": s.unit,
            "every": pace(block.every_s),
            "low": s.low,
            "high": s.high,
            "silent_after": pace(max(3 * block.live_s, 180)) if block.live_s < block.every_s else "",
            "stuck_after": "10 min" if block.name == "chlorine" else "",
        }
        for block in blocks(seed)
        for s in block.series
    ]


def pace(seconds: int) -> str:
    """The interval as the clerk writes it."""
    return f"{seconds // 3600} h" if seconds % 3600 == 0 else f"{seconds // 60} min"


def _write(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
