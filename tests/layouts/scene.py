"""One small town's days, told to whatever version of Townboard stands in the working folder; run by `make.py` alone.

It imports nothing of the tests: it runs in trees that are older than they are.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pipelines
from pipelines.engine import compaction, flow, registers, settings
from pipelines.engine.flow import RawMessage
from pipelines.engine.line import Line
from pipelines.engine.tables import ENGINE_TABLES

NOON = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)
TOWN = """[town]
name = "Testville"
timezone = "Asia/Kolkata"
domains = ["water", "grievances"]

[feeds.network]
use = "water.network_readings"
from = "drop_folder"

[feeds.book]
use = "grievances.complaint_book"
every = "1 h"
"""
REGISTERS = {
    "wards.csv": "ward,name,population,households\nW1,North,1000,250\nW2,South,3000,800\n",
    "assets.csv": "asset,domain,kind,name,ward,lat,lon,parent\nD1,water,dma,North zone,W1,0.5,0.5,\n"
    "P1,water,pressure_point,Mill Lane,W1,0.5,0.5,D1\nP2,water,pressure_point,High Street,W2,0.5,1.5,D1\n",
    "sensors.csv": "sensor,asset,quantity,unit,every,low,high\nD1.in,D1,inflow_m3_h,m^3/h,15 min,,\n"
    "P1.p,P1,pressure_m,metre_head,15 min,,\nP2.p,P2,pressure_m,metre_head,15 min,,\n",
    "dmas.csv": "asset,population_served,connections,minimum_pressure_m\nD1,3500,900,10\n",
    "wards.geojson": '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"ward":"W1"},"geometry":'
    '{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}},{"type":"Feature","properties":{"ward":"W2"},'
    '"geometry":{"type":"Polygon","coordinates":[[[1,0],[2,0],[2,1],[1,1],[1,0]]]}}]}',
}
TOO_HIGH = 60.0
CURSOR = {"etag": "march-10", "page": 7}


def readings(day: int) -> list[tuple[str, datetime, float]]:
    """What the three sensors measured on one of the days before noon of the tenth, each quarter hour."""
    start = NOON - timedelta(days=day, hours=6)
    found = []
    for n in range(24):
        at = start + timedelta(minutes=15 * n)
        found += [("P1.p", at, 20 + day + n / 8), ("P2.p", at, 30.25 - day / 3 + n / 7), ("D1.in", at, 40.0 + n)]
    return found


def sent(rows: list[tuple[str, datetime, float]]) -> bytes:
    """They as the file of a feed."""
    return "\n".join(
        ["sensor,observed_at,value,unit", *(f"{s},{at.isoformat()},{v!r}," for s, at, v in rows), ""]
    ).encode()


def complaints() -> bytes:
    """Three complaints, one of them closed."""
    return (
        b"service_request_id,service_code,service_name,status,ward,requested_datetime,updated_datetime,closed_datetime,"
        b"lat,long\n"
        b"SR1,no_water,No water,open,W1,2026-03-08T04:30:00Z,,,0.5,0.5\n"
        b"SR2,leak,Leak,closed,W2,2026-03-08T05:00:00Z,2026-03-09T05:00:00Z,2026-03-09T05:00:00Z,0.5,1.5\n"
        b"SR3,no_water,No water,open,W2,2026-03-09T05:10:00Z,,,0.5,1.5\n"
    )


def furnish(town: Path) -> None:
    """Its settings and registers."""
    (town / "reference").mkdir(parents=True)
    (town / "town.toml").write_text(TOWN, "utf-8")
    for name, text in REGISTERS.items():
        (town / "reference" / name).write_text(text, "utf-8")


def play(town: Path) -> None:
    """Three days that are compacted, a fourth and a correction that stand in the journal, a cursor, alarms, values."""
    furnish(town)
    given = settings.load(town, pipelines.available)
    line = Line(given, registers.load(given), NOON)

    def send(feed: str, payload: bytes, now: datetime = NOON) -> None:
        flow.take(line, [RawMessage(given.feeds[feed], payload, now)], now)

    for day in (3, 2, 1):
        send("network", sent(readings(day)))
    send("book", complaints())
    tables = (*ENGINE_TABLES, *(table for domain in given.domains for table in domain.tables))
    compaction.compact(given.store, tables, given.zone)
    line.adopt(NOON)
    send("network", sent([*readings(0), ("nobody", NOON, 1.0)]))
    send("network", sent([("P1.p", readings(1)[0][1], 99.5)]))
    line.state.keep_cursor("book", CURSOR)
    for now in (NOON, LATER):
        send("network", sent([("P2.p", now, TOO_HIGH)]), now)
        flow.beat(line, now)
    line.close()


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    play(Path(sys.argv[1]))
