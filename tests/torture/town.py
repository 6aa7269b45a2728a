"""The town under torture: a dozen sensors in two wards and a complaint book; every row and every poison by seed."""

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.engine import small_town

Row = tuple[str, datetime, float]
# Testville keeps India's time: its Monday begins at 18:30 UTC on Sunday.
MONDAY = datetime(2026, 3, 1, 18, 30, tzinfo=UTC)
STEPS = 7
DAY = timedelta(days=1)
EVERY = timedelta(hours=2)
ZONES, POINTS = ("D1", "D2"), ("P1", "P2", "P3", "P4")
TANKS = ("T1", "T2")
ASSETS = "D2,water,dma,South zone,W2,0.5,1.5,\nP3,water,pressure_point,Dam Road,W1,0.5,0.5,D2\nP4,water,pressure_point,Fort Lane,W2,0.5,1.5,D2\nT2,water,tank,Fort tank,W1,0.5,0.5,\n"
METERED = (
    *((f"{zone}.in", zone, "inflow_m3_h", "m^3/h", "") for zone in ZONES),
    *((f"{point}.p", point, "pressure_m", "metre_head", "") for point in POINTS),
    *((f"{tank}.level", tank, "tank_level_m", "m", "10") for tank in TANKS),
    *((f"{tank}.out", tank, "tank_outflow_m3_h", "m^3/h", "") for tank in TANKS),
    *((f"{tank}.into", tank, "tank_inflow_m3_h", "m^3/h", "") for tank in TANKS),
)
SENSORS = tuple(name for name, *_ in METERED)
FILED, PUSHED = SENSORS[::2], SENSORS[1::2]
HEAD = (
    "service_request_id,status,service_name,service_code,agency_responsible,"
    "requested_datetime,updated_datetime,closed_at,ward,state"
)


@dataclass(frozen=True)
class Payload:
    """What a sender hands over at once. `refused`: the bytes that must stand in quarantine afterwards, as they are."""

    feed: str
    body: bytes
    refused: tuple[bytes, ...] = ()


def make(folder: Path, text: str | None = None) -> Path:
    """The town's folder on disk."""
    small_town.make(folder, text)
    reference = folder / "reference"
    with (reference / "assets.csv").open("a") as file:
        file.write(ASSETS)
    lines = [f"{s},{asset},{quantity},{unit},2 h,0,{high}" for s, asset, quantity, unit, high in METERED]
    (reference / "sensors.csv").write_text("\n".join(["sensor,asset,quantity,unit,every,low,high", *lines, ""]))
    with (reference / "tanks.csv").open("a") as file:
        file.write("T2,8,0.5,4\n")
    with (reference / "dmas.csv").open("a") as file:
        file.write("D2,900,300,10\n")
    return folder


def measured(step: int, sensors: Sequence[str]) -> list[Row]:
    """What these sensors measure in one day of the week, in order of time."""
    start, found = MONDAY + step * DAY, []
    for turn in range(12):
        for sensor in sensors:
            place, number = SENSORS.index(sensor), step * 12 + turn
            at = start + turn * EVERY + timedelta(minutes=place + 3)
            found.append((sensor, at, round(2 + place % 5 + (number * 7 + place * 3) % 23 / 16, 4)))
    return found


def complaints(step: int) -> list[str]:
    """The rows of the complaint book that are new or have changed in one day."""
    start, end = MONDAY + step * DAY, MONDAY + (step + 1) * DAY
    found = []
    for n in range(STEPS * 6):
        asked = MONDAY + n * timedelta(hours=4) + timedelta(minutes=7)
        closed = asked + timedelta(hours=5 + n % 31)
        if start <= asked < end:
            found.append(_complaint(n, asked, None))
        if n % 3 and start <= closed < end:
            found.append(_complaint(n, asked, closed))
    return found


def _complaint(n: int, asked: datetime, closed: datetime | None) -> str:
    at = closed.isoformat() if closed else ""
    status, state = ("closed", "closed") if closed else ("open", "received")
    return (
        f"R{n},{status},No water,WATER,Water works,{asked.isoformat()},{at or asked.isoformat()},{at},"
        f"W{n % 2 + 1},{state}"
    )


def book(lines: Iterable[str]) -> Payload:
    """A page of the complaint book."""
    return Payload("book", "\n".join([HEAD, *lines, ""]).encode())


def filed(rows: Iterable[Row]) -> Payload:
    """A file of readings for the drop folder."""
    return Payload("network", small_town.csv_of(rows))


def pushed(rows: Iterable[Row]) -> Payload:
    """Readings as devices push them over HTTP."""
    return Payload("push", json.dumps({"readings": [said(row) for row in rows]}).encode())


def said(row: Row) -> dict[str, object]:
    """One reading as JSON."""
    sensor, at, value = row
    return {"sensor": sensor, "observed_at": at.isoformat(), "value": value}


def poison(chance: random.Random, now: datetime) -> Payload:
    """A payload without one usable row, and what of it must be found in quarantine."""
    kind = chance.choice(["noise", "cut", "future", "epoch", "foreign", "text", "range"])
    if kind == "noise":
        body = b"\xff\x00" + chance.randbytes(chance.randint(1, 400))
        return Payload(chance.choice(["push", "network", "book"]), body, (body,))
    if kind == "cut":
        body = pushed(measured(0, PUSHED)).body[: chance.randint(2, 300)]
        return Payload("push", body, (body,))
    tick = timedelta(seconds=chance.randint(1, 80_000))
    line = {
        "future": f"P1.p,{(now + timedelta(days=1) + tick).isoformat()},4.0,",
        "epoch": f"P1.p,{(datetime(1970, 1, 1, tzinfo=UTC) + tick).isoformat()},4.0,",
        "foreign": f"X{chance.randint(1, 999)}.p,{(now - tick).isoformat()},4.0,",
        "text": f"P1.p,{(now - tick).isoformat()},error{chance.randint(1, 999)},",
        "range": f"T1.level,{(now - tick).isoformat()},{chance.randint(40, 4000)},",
    }[kind]
    return Payload("network", f"sensor,observed_at,value,unit\n{line}\n".encode(), (line.encode(),))
