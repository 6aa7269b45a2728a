"""`python -m benchmarks.alarm_quality`: a day of a town with planted faults, minute by minute through the line.

Voltages are recorded (one house in Sceaux, `--data` names the folder, default ../shared/data) or made where that is
absent; the rest is made. Printed: precision, recall and delay by rule, and the alarm rate against ISA-18.2's.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.engine import flow
from pipelines.engine.alarms.performance import MANAGEABLE, Stretch, judged
from pipelines.engine.alarms.record import Transition
from pipelines.engine.tables import GOOD
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.small_town import csv_of, send

Series = npt.NDArray[np.float64]
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
RECORDED = "energy/uci_household_power_sceaux_1min_2007_02_04.csv.gz"
START, MINUTES, MINUTE = datetime(2026, 3, 10, tzinfo=UTC), 1440, timedelta(minutes=1)
# So much of a stretch of the same value must be marked.
STUCK_MARKED = 0.9
POINTS = [f"P{n}" for n in range(1, 7)]
METERS = [f"V{n}" for n in range(1, 5)]
ASSETS = (
    "asset,domain,kind,name,ward,lat,lon,parent,depends_on\n"
    "F1,energy,feeder,Mill feeder,W1,,,,\nPU1,water,pump,Pump 1,W1,,,,F1\nT1,water,tank,Hill tank,W2,,,,\n"
    + "".join(f"{name},water,pressure_point,,W1,,,,{'PU1' if name in ('P5', 'P6') else ''}\n" for name in POINTS)
    + "".join(f"{name},energy,transformer,,W2,,,,\n" for name in METERS)
)
SENSORS = (
    "sensor,asset,quantity,unit,every,stuck_after\nF1,F1,feeder_power_kw,kW,1 min,\n"
    "PU1,PU1,pressure_m,metre_head,1 min,1 h\nT1,T1,tank_level_m,m,1 min,\n"
    + "".join(f"{name},{name},pressure_m,metre_head,1 min,1 h\n" for name in POINTS)
    + "".join(f"{name},{name},voltage_v,V,1 min,\n" for name in METERS)
)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong: what it does to a sensor's values, and which alarm it must raise (none: none)."""

    words: str
    sensor: str
    begins: int
    lasts: int
    does: Callable[[Series, np.random.Generator], Series]
    alarm: str = ""
    explained: bool = False

    def over(self, minute: float) -> bool:
        """Whether an alarm at this minute is of this fault; rates know of it for a while longer."""
        return self.begins <= minute <= self.begins + self.lasts + 30


def to(value: float) -> Callable[[Series, np.random.Generator], Series]:
    """Values about a level, as noisy as a good sensor."""
    return lambda was, rng: value + rng.normal(0, 0.01 * max(1.0, abs(value)) ** 0.5, was.size)


def towards(value: float) -> Callable[[Series, np.random.Generator], Series]:
    """A drift that ends at a value."""
    return lambda was, rng: was + (value - was) * np.linspace(0, 1, was.size)


def flicker(low: float, high: float) -> Callable[[Series, np.random.Generator], Series]:
    """One value and the other by turns."""
    return lambda was, rng: np.where(np.arange(was.size) % 2 == 0, low, high)


SILENT = to(np.nan)
FAULTS = (
    Fault("burst main", "P2", 100, 60, to(3.0), "pressure_low|P2"),
    Fault("sensor stuck", "P3", 200, 240, lambda was, rng: np.full(was.size, 25.3)),
    Fault("sensor silent", "P4", 400, 90, SILENT, "sensor_silent|P4"),
    Fault("feeder trip", "F1", 560, 40, to(0.0), "feeder_dead|F1"),
    Fault("feeder trip", "PU1", 560, 40, to(1.0), "pressure_low|PU1", explained=True),
    Fault("feeder trip", "P5", 560, 40, to(2.0), "pressure_low|P5", explained=True),
    Fault("feeder trip", "P6", 560, 40, to(2.0), "pressure_low|P6", explained=True),
    Fault("drift that stays above the limit", "P1", 300, 600, towards(8.5)),
    Fault("noise around the limit", "P6", 800, 60, lambda was, rng: rng.normal(7.0, 0.4, was.size), "pressure_low|P6"),
    Fault("tank drains", "T1", 900, 50, lambda was, rng: was - np.arange(was.size) / 24, "tank_falls_fast|T1"),
    Fault("sag", "V1", 150, 30, to(200.0), "voltage_low|V1"),
    Fault("swell", "V2", 700, 20, to(257.0), "voltage_high|V2"),
    Fault("drift that stays above the limit", "V3", 500, 360, towards(209.0)),
    Fault("flicker about the limit", "V4", 950, 60, flicker(206.5, 208.5)),
)


def voltages(data: Path, rng: np.random.Generator) -> tuple[list[Series], str]:
    """A day of voltage for each meter, and where they are from."""
    if not (data / RECORDED).exists():
        return [rng.normal(238.0, 2.5, MINUTES) for _ in METERS], "made"
    frame = pl.read_csv(data / RECORDED, null_values=["?", ""], infer_schema_length=None)
    (column,) = [name for name in frame.columns if "voltage" in name.lower()]
    found = frame[column].cast(pl.Float64, strict=False).fill_null(strategy="forward").to_numpy()
    return [found[n * MINUTES : (n + 1) * MINUTES].copy() for n in range(len(METERS))], "recorded in Sceaux"


def series(data: Path) -> tuple[dict[str, Series], str]:
    """The values of every sensor by minute, faults and all (nan: nothing comes)."""
    rng = np.random.default_rng(5)
    day = np.sin(np.arange(MINUTES) * 2 * np.pi / 1440)
    recorded, source = voltages(data, rng)
    found = {
        "F1": 400 + 150 * day + rng.normal(0, 10, MINUTES), "T1": 4 + day + rng.normal(0, 0.005, MINUTES),
        **{name: 25 + 3 * day + rng.normal(0, 0.3, MINUTES) for name in ("PU1", *POINTS)},
        **dict(zip(METERS, recorded, strict=True)),
    }  # fmt: skip
    for fault in FAULTS:
        span = slice(fault.begins, fault.begins + fault.lasts)
        found[fault.sensor][span] = fault.does(found[fault.sensor][span], rng)
    return found, source


@dataclass(frozen=True)
class Outcome:
    """What the town's alarms did: the log, the share of the stuck sensor's readings that were marked, the source."""

    log: Sequence[Transition]
    stuck: float
    source: str

    @property
    def rates(self) -> dict[str, Any]:
        """How the alarm system did (performance.judged)."""
        return judged(self.log, Stretch(START, START + MINUTES * MINUTE))


def replay(folder: Path, data: Path) -> Outcome:
    """A day through the line, a beat a minute."""
    made = small_town.make(folder, domains=("water", "energy", "grievances"))
    for name in ("dmas", "tanks"):
        (made / "reference" / f"{name}.csv").unlink()
    (made / "reference" / "assets.csv").write_text(ASSETS, "utf-8")
    (made / "reference" / "sensors.csv").write_text(SENSORS, "utf-8")
    values, source = series(data)
    line = small_town.open_line(made, START, frozenset())
    for minute in range(MINUTES):
        now = START + minute * MINUTE
        rows = [(name, now, round(float(own[minute]), 4)) for name, own in values.items() if not np.isnan(own[minute])]
        send(line, "network", csv_of(rows), now)
        flow.beat(line, now)
    log = [one for _, one in line.state.transitions()]
    line.close()
    return Outcome(log, _stuck(Town(line.settings, lambda: START + MINUTES * MINUTE)), source)


def _stuck(town: Town) -> float:
    (fault,) = [one for one in FAULTS if one.words == "sensor stuck"]
    start = START + fault.begins * MINUTE
    quality = town.readings([fault.sensor], start, start + fault.lasts * MINUTE)["quality"]
    return float((quality != GOOD).mean() or 0.0)


def by_rule(log: Sequence[Transition]) -> dict[str, dict[str, Any]]:
    """Rule -> rung, of them right, faults, of them found, delays in minutes; a fault that rings twice is wrong once."""
    found: dict[str, dict[str, Any]] = {}
    missed = [fault for fault in FAULTS if fault.alarm]
    for one in (one for one in log if one.event == "rise"):
        minute = (one.noted_at - START) / MINUTE
        rule = found.setdefault(one.facts["rule"], {"rung": 0, "right": 0, "delays": []})
        rule["rung"] += 1
        fault = next((f for f in missed if f.alarm == one.alarm and f.over(minute)), None)
        # What a cause explains calls nobody; what stands for itself does.
        if fault is not None and fault.explained != one.annunciated:
            missed.remove(fault)
            rule["right"] += 1
            rule["delays"].append(minute - fault.begins)
    for fault in missed:
        found.setdefault(fault.alarm.partition("|")[0], {"rung": 0, "right": 0, "delays": []})
    for name, rule in found.items():
        rule["faults"] = sum(fault.alarm.startswith(f"{name}|") for fault in FAULTS)
    return found


def report(outcome: Outcome) -> bool:
    """Print it; whether every fault was found, nothing else rang, and the rate can be managed."""
    rules = by_rule(outcome.log)
    print(f"{MINUTES / 60:.0f} hours, {len(SENSORS.splitlines()) - 1} sensors, voltages {outcome.source}")
    for name, one in sorted(rules.items()):
        precision = one["right"] / one["rung"] if one["rung"] else float("nan")
        recall = one["right"] / one["faults"] if one["faults"] else float("nan")
        delay = f"{np.median(one['delays']):.0f}, worst {max(one['delays']):.0f} min" if one["delays"] else "-"
        print(f"{name:18} rung {one['rung']:2}  precision {precision:4.2f}  recall {recall:4.2f}  delay {delay}")
    rate = outcome.rates["rate"]
    print(f"called {outcome.rates['alarms']} times: {rate['per_10min']:.3f} in ten minutes ({rate['grade']}; ISA-18.2: "
          f"at most {MANAGEABLE:g}); stuck sensor: {outcome.stuck:.0%} of its readings marked")  # fmt: skip
    return _all_right(rules) and rate["per_10min"] <= MANAGEABLE and outcome.stuck > STUCK_MARKED


def _all_right(rules: Mapping[str, Mapping[str, Any]]) -> bool:
    return all(one["right"] == one["rung"] == one["faults"] for one in rules.values())


def main() -> int:
    """Run it; 1 when a fault was missed, something else rang, or the room cannot keep up."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, default=DATA)
    with tempfile.TemporaryDirectory(prefix="townboard-quality-") as made:
        return 0 if report(replay(Path(made) / "town", asked.parse_args().data)) else 1


if __name__ == "__main__":
    sys.exit(main())
