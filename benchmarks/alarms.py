"""10,000 alarm conditions held against new values in one beat, against the 50 ms it may take."""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipelines import available
from pipelines.engine import registers, settings
from pipelines.engine.alarms.watch import Alarms
from pipelines.engine.garbage import keep_what_the_start_made
from pipelines.engine.model import INSTANT
from pipelines.engine.state import State

LIMIT_MS = 50.0
SENSORS = 5_000
BEATS = 60
START = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)
EVERY = timedelta(seconds=2)
TOWN = """[town]
name = "Benchmark"
timezone = "UTC"
domains = ["water"]

[feeds.network]
use = "water.network_readings"
from = "drop_folder"
"""


def town(folder: Path, more: str = "") -> tuple[settings.Settings, registers.Registers]:
    """A town with so many pressure points: two conditions each, low and high; `more` settings."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    names = [f"P{n:05d}" for n in range(SENSORS)]
    (folder / "town.toml").write_text(TOWN + more, "utf-8")
    (reference / "wards.csv").write_text("ward,name,population,households\nW1,North,1000,250\n", "utf-8")
    rows = "".join(f"{name},water,pressure_point,,W1,,,\n" for name in names)
    (reference / "assets.csv").write_text(f"asset,domain,kind,name,ward,lat,lon,parent\n{rows}", "utf-8")
    rows = "".join(f"{name}.p,{name},pressure_m,metre_head,1 min\n" for name in names)
    (reference / "sensors.csv").write_text(f"sensor,asset,quantity,unit,every\n{rows}", "utf-8")
    found = settings.load(folder, available)
    return found, registers.load(found)


def samples(rng: np.random.Generator, now: datetime, low: int) -> pl.DataFrame:
    """A new value of every sensor; `low` of them below their limit."""
    values = rng.normal(25.0, 2.0, SENSORS)
    values[:low] = 2.0
    names = [f"P{n:05d}.p" for n in range(SENSORS)]
    return pl.DataFrame(
        {"sensor": names, "every_s": [60.0] * SENSORS, "observed_at": [now] * SENSORS, "value": values},
        schema_overrides={"observed_at": INSTANT},
    )


def beats(alarms: Alarms, start: datetime, low: int) -> tuple[list[float], list[float]]:
    """Milliseconds of CPU that each beat took, and those of beats in which something rang."""
    rng = np.random.default_rng(7)
    took: list[float] = []
    rang: list[float] = []
    kpis: Any = SimpleNamespace(works={kpi: SimpleNamespace(current=EMPTY) for kpi in KPIS})
    for n in range(BEATS):
        now = start + n * EVERY
        frame = samples(rng, now, low)
        before, began = len(alarms.book.alarms), time.process_time()
        alarms.watch(frame, kpis, {}, now)
        (took if before == len(alarms.book.alarms) else rang).append((time.process_time() - began) * 1_000)
    return took[5:], rang


EMPTY = pl.DataFrame(schema={"area": pl.String, "value": pl.Float64, "as_of": INSTANT})
KPIS: list[str] = []


def told(words: str, took: list[float]) -> float:
    """One line of the outcome; gives the median."""
    median, high = statistics.median(took), sorted(took)[int(len(took) * 0.95)]
    spread = f"p95 {high:6.1f}  worst {max(took):6.1f}"
    print(f"{words:52} median {median:6.1f} ms  {spread}  limit/median {LIMIT_MS / median:5.1f}")
    return median


def main() -> int:
    """Run it; 1 when a median, or the beat in which all ring, does not keep the limit."""
    with tempfile.TemporaryDirectory() as made:
        found, registered = town(Path(made) / "town")
        KPIS.extend(kpi.id for kpi in found.kpis)
        alarms = Alarms(found, registered, State(Path(made) / "state.sqlite"), START)
        keep_what_the_start_made()
        number = len(alarms.watched.conditions.keys)
        calm = told(f"{number:,} conditions, every value new, nothing rings", beats(alarms, START, 0)[0])
        took, rang = beats(alarms, START + timedelta(hours=1), 1_000)
        stand = told(f"{number:,} conditions, 1,000 alarms stand", took)
        ring = told("the beat in which all of them ring", rang)
        standing = sum(alarm.active for alarm in alarms.book.alarms.values())
        print(f"alarms that stand: {standing:,}")
    return 0 if max(calm, stand, ring) <= LIMIT_MS and standing == 1_000 else 1


if __name__ == "__main__":
    sys.exit(main())
