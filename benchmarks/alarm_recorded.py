"""`python -m benchmarks.alarm_recorded`: the declared rules over recorded months and years with faults planted in them.

Recorded are a house's voltage (Sceaux, a minute), a transformer's oil (ETTh1, an hour), fine particles (Valencia, an
hour) and the inflow of ten areas (BWDF, an hour); `--data` names the folder. Planted are faults that must ring, and
decoys that must not. Printed by rule: precision, recall, delay; and what 2,000 sensors like these would ring in ten
minutes, against ISA-18.2's manageable rate. What rings outside a planted fault counts as wrong, although some of it may
be what really happened.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import openpyxl
import polars as pl

from pipelines import available
from pipelines.engine import registers, settings
from pipelines.engine.alarms.performance import MANAGEABLE, TEN_MINUTES
from pipelines.engine.alarms.watched import EXPECTED, Watched
from pipelines.engine.expectation import Season, expected

Values = npt.NDArray[np.float64]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ROME, LITRES_A_SECOND = ZoneInfo("Europe/Rome"), 3.6
TOWN_OF = 2_000
TOWN = """[town]
name = "Recorded"
timezone = "{zone}"
domains = ["water", "energy", "pollution"]

[feeds.network]
use = "water.network_readings"
from = "drop_folder"
"""
# Domain, asset kind and unit of each quantity.
KINDS = {
    "voltage_v": ("energy", "transformer", "V"), "oil_temperature_c": ("energy", "transformer", "degC"),
    "pm25_ug_m3": ("pollution", "air_station", "ug/m^3"), "inflow_m3_h": ("water", "dma", "m^3/h"),
}  # fmt: skip


@dataclass(frozen=True)
class Planted:
    """A fault or (without a rule) a decoy: where in the series it begins, how many steps it lasts, what it does."""

    words: str
    steps: int
    does: Callable[[Values], Values]
    rule: str = ""


@dataclass
class Recording:
    """One sensor's recorded series, and what is planted in it at which step."""

    sensor: str
    quantity: str
    step: timedelta
    start: datetime
    values: Values
    planted: dict[int, Planted] = field(default_factory=dict)

    def plant(self, what: Sequence[Planted], rng: np.random.Generator, after: int = 0) -> None:
        """Plant each once, far from the others, behind so many steps."""
        room = (self.values.size - after) // (len(what) + 1)
        for number, one in enumerate(what):
            at = after + number * room + int(rng.integers(room // 4, room // 2))
            self.values[at : at + one.steps] = one.does(self.values[at : at + one.steps])
            self.planted[at] = one

    def instant(self, step: int) -> datetime:
        """When a step begins."""
        return self.start + step * self.step

    def frame(self) -> pl.DataFrame:
        """Its samples, as alarms are given them."""
        at = pl.datetime_range(self.start, self.instant(self.values.size - 1), self.step, time_zone="UTC", eager=True)
        values = pl.Series("value", self.values).fill_nan(None)
        every_s = pl.repeat(self.step.total_seconds(), self.values.size, eager=True)
        sensor = pl.repeat(self.sensor, self.values.size, eager=True)
        return pl.DataFrame({"sensor": sensor, "every_s": every_s, "observed_at": at, "value": values})


def to(value: float, low: float = -np.inf, high: float = np.inf) -> Callable[[Values], Values]:
    """The recorded ups and downs about another level, but never beyond low and high."""
    return lambda was: np.clip(value + (was - np.nanmean(was)), low, high)


def times(factor: float) -> Callable[[Values], Values]:
    """So many times the recorded value."""
    return lambda was: was * factor


def more(by: float) -> Callable[[Values], Values]:
    """So much on top of the recorded value."""
    return lambda was: was + by


VOLTAGE = (
    Planted("sag", 10, to(198.0, high=206.0), "voltage_low"), Planted("dip of a minute", 1, to(180.0)),
    Planted("swell", 20, to(258.0, low=254.0), "voltage_high"),
    Planted("near the limit", 120, to(210.0, low=207.0, high=253.0)),
    Planted("long sag", 240, to(195.0, high=206.0), "voltage_low"), Planted("swell of a minute", 1, to(260.0)),
    Planted("deep sag", 4, to(120.0), "voltage_low"), Planted("silence", 300, times(np.nan)),
    Planted("swell", 6, to(262.0, low=254.0), "voltage_high"),
    Planted("near the limit", 60, to(250.0, low=207.0, high=253.0)),
)  # fmt: skip
OIL = (
    Planted("overheats", 3, to(96.0, low=91.0), "transformer_oil_hot"), Planted("a hot day", 8, to(82.0, high=90.0)),
    Planted("overheats", 10, to(104.0, low=91.0), "transformer_oil_hot"), Planted("silence", 24, times(np.nan)),
    Planted("overheats", 5, to(93.0, low=91.0), "transformer_oil_hot"), Planted("a hot week", 120, to(75.0, high=90.0)),
)  # fmt: skip
SMOKE = (
    Planted("fire upwind", 4, more(320.0), "smoke"), Planted("fireworks, an hour", 1, more(320.0)),
    Planted("waste burns", 3, more(280.0), "smoke"), Planted("dust", 24, more(110.0)),
    Planted("fire upwind", 12, more(500.0), "smoke"), Planted("silence", 48, times(np.nan)),
)  # fmt: skip
INFLOW = (
    Planted("burst", 24, times(1.6), "inflow_unusual"), Planted("a valve is closed", 12, times(0.3), "inflow_unusual"),
    Planted("burst, soon closed", 6, times(1.8), "inflow_unusual"), Planted("silence", 24, times(np.nan)),
    Planted("large burst", 36, times(2.2), "inflow_unusual"),
)  # fmt: skip


def recordings(data: Path, shorter: int = 1) -> list[Recording]:
    """All of them with what is planted; `shorter`: only the first of so many parts, and one area in place of ten."""
    rng, found = np.random.default_rng(11), []
    for name, quantity, step, start, values, what in _read(data, areas="abcdefghij"[: 10 // shorter]):
        part = values[: values.size // shorter].copy()
        one = Recording(name, quantity, step, start, part)
        # What is usual of an inflow is known after eight weeks.
        one.plant(what, rng, after=24 * 80 if what is INFLOW else 0)
        found.append(one)
    return found


def _read(data: Path, areas: str) -> Iterator[tuple[str, str, timedelta, datetime, Values, Sequence[Planted]]]:
    house = pl.read_csv(data / "energy/uci_household_power_sceaux_1min_2007_02_04.csv.gz", null_values=["?", ""],
                        infer_schema_length=None)  # fmt: skip
    yield "house", "voltage_v", MINUTE, datetime(2007, 2, 1, tzinfo=UTC), _floats(house["Voltage"]), VOLTAGE
    oil = pl.read_csv(data / "energy/ETTh1_transformer_hourly_2016_2018.csv.gz")
    yield "oil", "oil_temperature_c", HOUR, datetime(2016, 7, 1, tzinfo=UTC), _floats(oil["OT"]), OIL
    air = pl.read_csv(data / "air/valencia_es_avda_francia_hourly_2019_2022.csv.gz", infer_schema_length=None)
    yield "air", "pm25_ug_m3", HOUR, datetime(2019, 1, 1, tzinfo=UTC), _floats(air["pm2.5"]), SMOKE
    for name, start, values in inflows(data / "water/bwdf_Inflow_Data_1.xlsx", areas):
        yield f"dma-{name}", "inflow_m3_h", HOUR, start, values, INFLOW


def _floats(series: pl.Series) -> Values:
    return series.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy().copy()


def inflows(path: Path, areas: str) -> Iterator[tuple[str, datetime, Values]]:
    """Area, first instant and m3/h by hour; the sheet's clock is local, an hour that it holds twice is summer first."""
    book = openpyxl.load_workbook(path, read_only=True)
    rows = [row for row in book["InflowData"].iter_rows(min_row=2, values_only=True) if row[0] is not None]
    book.close()
    seen: set[str] = set()
    hours: list[datetime] = []
    for when, *_ in rows:
        local = datetime.strptime(str(when), "%d/%m/%Y %H:%M").replace(tzinfo=ROME, fold=int(str(when) in seen))
        seen.add(str(when))
        hours.append(local.astimezone(UTC))
    start = min(hours)
    for place, name in enumerate(areas, 1):
        values = np.full((max(hours) - start) // HOUR + 1, np.nan)
        for at, row in zip(hours, rows, strict=True):
            cell = row[place]
            values[(at - start) // HOUR] = cell * LITRES_A_SECOND if isinstance(cell, int | float) else np.nan
        yield name, start, values


def watched(folder: Path, found: Sequence[Recording]) -> Watched:
    """The declared conditions over these sensors."""
    reference = folder / "reference"
    reference.mkdir(parents=True)
    (folder / "town.toml").write_text(TOWN.format(zone="Europe/Rome"), "utf-8")
    (reference / "wards.csv").write_text("ward,name,population,households\nW1,North,1000,250\n", "utf-8")
    rows = "".join(f"{one.sensor},{KINDS[one.quantity][0]},{KINDS[one.quantity][1]},,W1,,,\n" for one in found)
    (reference / "assets.csv").write_text(f"asset,domain,kind,name,ward,lat,lon,parent\n{rows}", "utf-8")
    rows = "".join(
        f"{one.sensor},{one.sensor},{one.quantity},{KINDS[one.quantity][2]},{int(one.step / MINUTE)} min\n"
        for one in found
    )
    (reference / "sensors.csv").write_text(f"sensor,asset,quantity,unit,every\n{rows}", "utf-8")
    made = settings.load(folder, available)
    return Watched(made, registers.load(made))


def bands(one: Recording) -> pl.DataFrame:
    """What was usual of an inflow at each hour, by what was known then; nothing of other quantities."""
    if one.quantity != "inflow_m3_h":
        return pl.DataFrame(schema=EXPECTED)
    history = one.frame().select(series="sensor", observed_at="observed_at", value="value")
    told = expected(history, history.select("series", "observed_at").clear(), Season("hour", "Europe/Rome"))
    return told.select(sensor="series", at="observed_at", low="low", high="high").cast(EXPECTED)


@dataclass(frozen=True)
class Outcome:
    """Of one rule over one recording: how often it rang, which faults it found and after how long, over which span."""

    rule: str
    rung: int
    faults: int
    delays: tuple[timedelta, ...]
    span: timedelta


def play(conditions: Watched, one: Recording) -> list[Outcome]:
    """Hold a recording against its conditions, in its order, and judge what rang."""
    rang, samples = dict[str, list[datetime]](), one.frame()
    turns, _ = conditions.readings(samples, bands(one), samples["observed_at"][-1])
    for turn in turns:
        if turn.active:
            rang.setdefault(conditions.watches[turn.row].rule.name, []).append(turn.at)
    rules = {watch.rule.name for watch in conditions.watches if watch.area == f"asset:{one.sensor}"}
    return [_judged(rule, rang.get(rule, []), one) for rule in sorted(rules)]


def _judged(rule: str, rang: Sequence[datetime], one: Recording) -> Outcome:
    """The first ring within a fault (and the time of its rule's delays) is right; every other one is wrong."""
    faults = {at: fault for at, fault in one.planted.items() if fault.rule == rule}
    delays = []
    for at, fault in faults.items():
        begins, ends = one.instant(at), one.instant(at + fault.steps) + one.step
        first = next((ring for ring in rang if begins <= ring <= ends), None)
        delays += [first - begins] if first else []
    return Outcome(rule, len(rang), len(faults), tuple(delays), one.step * one.values.size)


def added(outcomes: Sequence[Outcome]) -> dict[str, Mapping[str, float]]:
    """Rule -> rung, right, faults, precision, recall, delay_min (median), worst_min, per_10min of a town's sensors."""
    found: dict[str, Mapping[str, float]] = {}
    for rule in sorted({one.rule for one in outcomes}):
        own = [one for one in outcomes if one.rule == rule]
        rung, faults = sum(one.rung for one in own), sum(one.faults for one in own)
        delays = [delay / MINUTE for one in own for delay in one.delays]
        right = len(delays)
        # Planted faults ring because they were planted; a town's load is what else rings.
        each = (rung - right) / (sum((one.span for one in own), timedelta(0)) / TEN_MINUTES)
        found[rule] = {
            "rung": rung, "right": right, "faults": faults, "precision": right / rung if rung else float("nan"),
            "recall": right / faults if faults else float("nan"),
            "delay_min": float(np.median(delays)) if delays else float("nan"),
            "worst_min": max(delays, default=float("nan")), "per_10min": each * TOWN_OF,
        }  # fmt: skip
    return found


def replay(folder: Path, data: Path, shorter: int = 1) -> dict[str, Mapping[str, float]]:
    """All recordings through the conditions (shape: added)."""
    found = recordings(data, shorter)
    conditions = watched(folder, found)
    return added([outcome for one in found for outcome in play(conditions, one)])


def main() -> int:
    """Run it; 1 when a rule with a limit misses a fault or rings without one, or the room cannot keep up."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    with tempfile.TemporaryDirectory(prefix="townboard-recorded-") as made:
        found = replay(Path(made) / "town", asked.parse_args().data)
    for rule, one in found.items():
        print(
            f"{rule:20} rung {one['rung']:3.0f}  precision {one['precision']:4.2f}  recall {one['recall']:4.2f} "
            f"({one['right']:.0f} of {one['faults']:.0f})  delay {one['delay_min']:5.0f} min, worst "
            f"{one['worst_min']:5.0f}  {TOWN_OF:,} such sensors: {one['per_10min']:.3f} in ten minutes"
        )
    load = sum(one["per_10min"] for one in found.values()) / len(found)
    print(f"a town of {TOWN_OF:,} such sensors, mixed: {load:.3f} in ten minutes; manageable are {MANAGEABLE:g}")
    limits = [one for rule, one in found.items() if rule != "inflow_unusual" and one["faults"]]
    return 0 if load <= MANAGEABLE and all(one["precision"] == one["recall"] == 1 for one in limits) else 1


if __name__ == "__main__":
    sys.exit(main())
