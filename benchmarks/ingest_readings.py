"""The readings of the ingest benchmark, and a town that knows their sensors."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

SENSORS = 1_000
STEP = timedelta(seconds=60)
# All readings lie in the past of whoever runs this.
BEGIN = datetime(2026, 6, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Batch:
    """Some readings in order of time, as CSV (sensor,observed_at,value) and as line protocol; where the next begins."""

    readings: int
    csv: bytes
    lines: bytes
    ends: int


def batch(rows: pl.DataFrame, ends: int) -> Batch:
    """Rows of sensor, observed_at and value as the bytes that are sent."""
    at = pl.col("observed_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    line = pl.format("r,sensor={} v={} {}", "sensor", "value", pl.col("observed_at").dt.epoch("s"))
    lines = "\n".join(rows.select(line.alias("line"))["line"])
    return Batch(rows.height, rows.with_columns(at).write_csv().encode(), lines.encode(), ends)


def batches(readings: int, size: int, after: int = 0) -> Iterator[Batch]:
    """So many readings: every sensor a step after the other, each on a random walk; values depend on `after` alone."""
    chance = np.random.default_rng(7 + after)
    level = chance.integers(1500, 4500, SENSORS)
    rows = np.arange(readings)
    steps = chance.integers(-8, 9, (readings // SENSORS + 1, SENSORS)).cumsum(axis=0) + level
    value = steps.ravel()[:readings] / 100
    at = pl.Series((rows // SENSORS + after) * STEP.seconds * 1_000_000 + round(BEGIN.timestamp() * 1_000_000))
    names = pl.Series([f"P{n:04d}.p" for n in range(SENSORS)])
    whole = pl.DataFrame(
        {"sensor": names.gather(rows % SENSORS), "observed_at": at.cast(pl.Datetime("us", "UTC")), "value": value}
    )
    for start in range(0, readings, size):
        part = whole.slice(start, size)
        yield batch(part, after + (start + part.height - 1) // SENSORS + 1)


def town(folder: Path) -> None:
    """The smallest town that has the sensors: a thousand pressure points in two wards."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    (folder / "town.toml").write_text(
        '[town]\nname = "Benchmark"\ntimezone = "Asia/Kolkata"\ndomains = ["water"]\n', "utf-8"
    )
    (reference / "wards.csv").write_text("ward,name,population,households\nW1,North,1000,250\nW2,South,3000,800\n")
    assets = [f"P{n:04d},water,pressure_point,Point {n},W{n % 2 + 1},0.5,0.5,\n" for n in range(SENSORS)]
    (reference / "assets.csv").write_text("asset,domain,kind,name,ward,lat,lon,parent\n" + "".join(assets))
    sensors = [f"P{n:04d}.p,P{n:04d},pressure_m,metre_head,1 min,,\n" for n in range(SENSORS)]
    (reference / "sensors.csv").write_text("sensor,asset,quantity,unit,every,low,high\n" + "".join(sensors))
