"""A town small enough for one test: two wards, one metered area, one tank, a complaint book; every clock is handed in."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import available
from pipelines.engine import flow, registers, settings
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.line import Line
from pipelines.engine.model import Domain

TOWN = """[town]
name = "Testville"
timezone = "{zone}"
domains = {domains}

[feeds.network]
use = "water.network_readings"
from = "drop_folder"

[feeds.bills]
use = "water.water_bills"

[feeds.book]
use = "grievances.complaint_book"
every = "1 h"
"""
WARDS = "ward,name,population,households\nW1,North,1000,250\nW2,South,3000,800\n"
ASSETS = (
    "asset,domain,kind,name,ward,lat,lon,parent\n"
    "D1,water,dma,North zone,W1,0.5,0.5,\n"
    "P1,water,pressure_point,Mill Lane,W1,0.5,0.5,D1\n"
    "P2,water,pressure_point,High Street,W2,0.5,1.5,D1\n"
    "T1,water,tank,Hill tank,W2,0.5,1.5,\n"
)
SENSORS = (
    "sensor,asset,quantity,unit,every,low,high\n"
    "D1.in,D1,inflow_m3_h,m^3/h,15 min,,\n"
    "P1.p,P1,pressure_m,metre_head,15 min,,\n"
    "P2.p,P2,pressure_m,metre_head,15 min,,\n"
    "T1.level,T1,tank_level_m,m,15 min,0,10\n"
    "T1.out,T1,tank_outflow_m3_h,m^3/h,15 min,,\n"
)
DMAS = "asset,population_served,connections,minimum_pressure_m\nD1,3500,900,10\n"
TANKS = "asset,diameter_m,dead_level_m,full_level_m\nT1,8,0.5,4\n"
SQUARES = """{"type":"FeatureCollection","features":[
{"type":"Feature","properties":{"ward":"W1"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,1],[0,0]]]}},
{"type":"Feature","properties":{"ward":"W2"},"geometry":{"type":"Polygon","coordinates":[[[1,0],[2,0],[2,1],[1,1],[1,0]]]}}]}"""
ZONE = "Asia/Kolkata"
NOON = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)


def make(
    folder: Path, text: str | None = None, zone: str = ZONE, domains: Iterable[str] = ("water", "grievances")
) -> Path:
    """The town's folder on disk."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    words = "[" + ", ".join(f'"{name}"' for name in domains) + "]"
    (folder / "town.toml").write_text(text or TOWN.format(zone=zone, domains=words), "utf-8")
    for name, body in (("wards", WARDS), ("assets", ASSETS), ("sensors", SENSORS), ("dmas", DMAS), ("tanks", TANKS)):
        (reference / f"{name}.csv").write_text(body, "utf-8")
    (reference / "wards.geojson").write_text(SQUARES, "utf-8")
    return folder


def read(folder: Path) -> settings.Settings:
    """Its settings."""
    return settings.load(folder, available)


def open_line(folder: Path, now: datetime, kpis: frozenset[str] | None = None) -> Line:
    """Its line; with `kpis`, one that computes only these (and has no alarms on others)."""
    found = read(folder)
    if kpis is not None:
        found = replace(found, domains=tuple(_narrowed(domain, kpis) for domain in found.domains))
    return Line(found, registers.load(found), now)


def _narrowed(domain: Domain, kpis: frozenset[str]) -> Domain:
    kept = tuple(kpi for kpi in domain.kpis if kpi.id in kpis)
    dropped = {kpi.id for kpi in domain.kpis} - kpis
    return replace(
        domain, kpis=kept, pictures=(), alarms=tuple(rule for rule in domain.alarms if rule.watches not in dropped)
    )


def abandon(line: Line) -> None:
    """What a kill leaves: nothing is settled or told; only the locks fall, as they do when a process dies."""
    line.state.close()
    line.journal.close()


def copied(source: Path, target: Path) -> Path:
    """A copy of a town as it lies on the disk at this moment."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("lock", "*.sock"))
    return target


def csv_of(rows: Iterable[tuple[str, datetime, object]]) -> bytes:
    """A file of readings as water.network_readings has it."""
    lines = [f"{sensor},{at.isoformat()},{value},{''}" for sensor, at, value in rows]
    return "\n".join(["sensor,observed_at,value,unit", *lines, ""]).encode()


def send(line: Line, feed: str, payload: bytes, now: datetime) -> Receipt:
    """One payload through steps 1 to 4."""
    (receipt,) = flow.take(line, [RawMessage(line.settings.feeds[feed], payload, now)], now)
    return receipt


def beat(line: Line, now: datetime) -> dict[str, Any]:
    """Beats until all that was touched is computed; the state on the board."""
    for work in line.kpis.works.values():
        work.next_at, work.fresh = now, True
    snapshot = flow.beat(line, now)
    while not line.kpis.settled:
        snapshot = flow.beat(line, now)
    return snapshot.state


def readings(line: Line) -> list[tuple[str, datetime, float | None]]:
    """Every stored reading by sensor and instant."""
    with line.writing:
        names = {number: sensor for sensor, number in line.series.numbers.items()}
        rows = line.store.rows("readings", columns=["series", "observed_at", "value"])
    return sorted((names[series], at, value) for series, at, value in rows.iter_rows())


def history(line: Line) -> dict[tuple[str, str, datetime], tuple[float | None, str | None]]:
    """(kpi, area, window) -> newest published value (9 digits) and reason; areas without any value left out."""
    rows = line.store.rows("kpi_values").sort("revision").unique(["kpi", "area", "window"], keep="last")
    found = {}
    for row in rows.filter(pl.col("value").is_not_null()).iter_rows(named=True):
        found[row["kpi"], row["area"], row["window"]] = (float(f"{row['value']:.9g}"), row["reason"])
    return found


def after(start: datetime, minutes: float) -> datetime:
    """An instant so many minutes later."""
    return start + timedelta(minutes=minutes)
