"""Dirty service requests: states that come twice, late, out of order; without ward, code, date or place."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import GEOJSON, WARDS, soiled
from tests.oracles.plain import DAY

START = datetime(2024, 7, 31, 18, 30, tzinfo=UTC)
SERVICES = (
    "service_code,service_name,group,description,limit_h,within_24h\n"
    "A,Leak,Water,,,yes\nB,Lamp,Light,,60,\nC,Waste,Waste,,,yes\n"
)
SCHEMA_TEXT = (
    "service_request_id", "status", "service_name", "service_code", "agency_responsible", "ward", "state",
    "duplicate_of", "channel", "address",
)  # fmt: skip
SCHEMA_AT = (
    "requested_datetime", "updated_datetime", "expected_datetime", "closed_at", "first_response_at", "reopened_at",
    "appealed_at", "appeal_closed_at",
)  # fmt: skip


def made(seed: int = 7, count: int = 260) -> Dirty:
    """Seven weeks in Kolkata over the change of the national limit, the last month still running."""
    dice = random.Random(seed)
    rows = [request(dice, number) for number in range(count)]
    batches = soiled("service_requests", rows, dice, lambda row: _moved_on(row, dice))
    # An older state that comes last changes nothing.
    batches.append(("service_requests", [_older(row) for row in dice.sample(rows, count // 10)]))
    registers = {"wards.csv": WARDS, "services.csv": SERVICES, "wards.geojson": GEOJSON}
    return Dirty("grievances", "Asia/Kolkata", START, START + 45 * DAY, registers, batches)


def request(dice: random.Random, number: int) -> dict[str, Any]:
    asked = START + timedelta(minutes=dice.randrange(44 * 1440))
    placed = dice.random() < 0.7
    row: dict[str, Any] = {
        "service_request_id": f"R{number}", "status": "open", "requested_datetime": asked,
        "updated_datetime": asked + DAY, "service_code": dice.choice(["A", "B", "C", None]),
        "service_name": dice.choice(["Leak", "Lamp", None]), "ward": dice.choice(["W1", "W2", "W3", None]),
        "agency_responsible": dice.choice(["Roads", "Water", None]),
        "expected_datetime": dice.choice([None, asked, asked + dice.randrange(1, 20) * DAY]),
        "state": dice.choice([None, None, None, "received", "duplicate", "withdrawn", "on_hold"]),
        "duplicate_of": dice.choice([None] * 9 + ["R1"]), "paused_h": dice.choice([None, 0.0, 24.0, 100.5]),
        "first_response_at": dice.choice([None, asked + timedelta(hours=dice.expovariate(1 / 24)), asked - DAY]),
        "channel": dice.choice(["web", "phone", None]), "rating": None, "closed_at": None, "reopened_at": None,
        "lat": 0.5 + dice.random() * 0.003 if placed else None,
        "lon": dice.choice([0.5, 1.2, 1.5, 2.5]) + dice.random() * 0.003 if placed else None,
        "address": dice.choice([None, "High Street"]), "appealed_at": None, "appeal_closed_at": None,
    }  # fmt: skip
    closed = asked + timedelta(days=dice.expovariate(1 / 9))
    kind = dice.random()
    if kind < 0.6:
        row |= {"status": "closed", "closed_at": closed, "rating": dice.choice([None, 1, 2, 3, 4, 5])}
    elif kind < 0.65:
        row |= {"status": "closed"}
    elif kind < 0.75:
        row |= {"closed_at": closed, "reopened_at": closed + dice.randrange(0, 45) * DAY}
    elif kind < 0.8:
        row |= {"status": "closed", "closed_at": closed, "reopened_at": asked + (closed - asked) / 2}
    if row["closed_at"] and dice.random() < 0.2:
        row["appealed_at"] = row["closed_at"] + DAY
        row["appeal_closed_at"] = dice.choice([None, row["appealed_at"] + dice.choice([12, 30, 31]) * DAY])
    return row


def _moved_on(row: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    newer = {"updated_datetime": row["updated_datetime"] + DAY, "ward": dice.choice(["W1", "W2"])}
    closing = {"status": "closed", "closed_at": row["requested_datetime"] + 3 * DAY, "state": None}
    return {**row, **newer, **(closing if dice.random() < 0.5 else {})}


def _older(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "updated_datetime": row["updated_datetime"] - timedelta(hours=3), "state": "withdrawn"}
