"""The conditions over the register: every rule over every sensor, area and member that it watches, fed with samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from pipelines.engine.alarms.conditions import (
    MICROSECOND,
    NEVER,
    Conditions,
    Flags,
    Limit,
    Numbers,
    Stamps,
    Turn,
    rounds,
    stamp,
)
from pipelines.engine.alarms.rules import OTHER, SAME, coded, limit_of
from pipelines.engine.judge import STALE_INTERVALS
from pipelines.engine.model import INSTANT, AlarmRule
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Settings
from pipelines.engine.usual import band_at

if TYPE_CHECKING:
    from pipelines.engine.kpis import Kpis

PLACES = pl.Schema({"sensor": pl.String(), "row": pl.Int64(), "judged": pl.String()})
EXPECTED = pl.Schema({"sensor": pl.String(), "at": INSTANT, "low": pl.Float64(), "high": pl.Float64()})
# What was expected for an hour says nothing about a later one.
EXPECTED_HOLDS = timedelta(hours=1)
HOUR_US = 3_600_000_000
KPI_FRESH = timedelta(hours=1)
SHORT_STEPS = ("quarter_hour", "hour")


@dataclass(frozen=True)
class Watch:
    """One condition: the rule, its domain, and what it is held over."""

    key: str
    rule: AlarmRule
    domain: str
    area: str
    unit: str
    decimals: int | None = None


class Watched:
    """All conditions of a town that are held against numbers."""

    def __init__(self, settings: Settings, registers: Registers, own: Sequence[tuple[str, AlarmRule]] = ()) -> None:
        """`own`: the rules that people set, each with its domain."""
        self.conditions = Conditions()
        self.watches: list[Watch] = []
        self._kpis = {kpi.id: kpi for kpi in settings.kpis}
        self._registers = registers
        rules = [*((domain.name, rule) for domain in settings.domains for rule in domain.alarms), *own]
        self._on_kpis = [(domain, rule) for domain, rule in rules if rule.watches in self._kpis]
        self._on_tables = [(domain, rule) for domain, rule in rules if rule.column]
        self._places = self._over_sensors(rules)
        self._equal = {row: rule.equals for row, rule in enumerate(w.rule for w in self.watches) if rule.equals}
        self._rates = Rates([watch.rule.over for watch in self.watches], [watch.rule.of for watch in self.watches])
        self._held: dict[str, tuple[pl.DataFrame, Stamps, Numbers]] = {}

    def _over_sensors(self, rules: list[tuple[str, AlarmRule]]) -> pl.DataFrame:
        """Every condition over readings.

        Shape: PLACES; judged is what is held against the limit.
        """
        quantities, found = self._registers.quantities, []
        sensors = self._registers.sensors.select("sensor", "asset", "quantity", "low", "high", "ward")
        by_quantity = {name: part for (name,), part in sensors.group_by("quantity", maintain_order=True)}
        for domain, rule in rules:
            quantity = quantities.get(rule.watches)
            if quantity is None or rule.column or rule.watches in self._kpis:
                continue
            for sensor, asset, _, low, high, ward in by_quantity.get(rule.watches, sensors.clear()).iter_rows():
                if rule.only not in ("", f"asset:{asset}", f"ward:{ward}"):
                    continue
                watch = Watch(f"{rule.name}|{sensor}", rule, domain, f"asset:{asset}", quantity.unit)
                found.append((sensor, self._add(watch, limit_of(rule, quantity, low, high)), rule.of))
        return pl.DataFrame(found, schema=PLACES, orient="row")

    def _add(self, watch: Watch, limit: Limit) -> int:
        row = self.conditions.add(watch.key, limit)
        if row == len(self.watches):
            self.watches.append(watch)
        return row

    def limit(self, row: int, value: float) -> float | None:
        """The limit that a value is beyond."""
        return None if self.watches[row].rule.equals else self.conditions.beyond(row, value)

    @property
    def deviations(self) -> bool:
        """Whether any rule asks for what is usual."""
        return any(watch.rule.of == "deviation" for watch in self.watches)

    @property
    def tables(self) -> frozenset[str]:
        """The event tables whose rows are watched."""
        return frozenset(rule.watches for _, rule in self._on_tables)

    def readings(self, samples: pl.DataFrame, expected: pl.DataFrame, now: datetime) -> tuple[list[Turn], Stamps]:
        """Hold readings against their conditions; gives those that turned and the rows that moved.

        Shape: samples has sensor, every_s, observed_at, value (null = unusable), each sensor's newest among them;
        expected has EXPECTED: what is usual from `at` on.
        """
        rows, values, at = (column.to_numpy() for column in self._telling(samples, expected, now))
        for row, allowed in self._equal.items():
            own = rows == row
            values = np.where(own, np.where(np.isin(values, allowed), SAME, OTHER), values)
        return self.conditions.hold(*self._rates.of(rows, values, at))

    def _telling(self, samples: pl.DataFrame, expected: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """The good samples, in order, of watched sensors whose newest sample still says something about now.

        Shape: row, what is held against the limit, stamp.
        """
        told = samples.join(self._places, on="sensor", maintain_order="left")
        seen = pl.Series(self.conditions.seen[told["row"].to_numpy()])
        told = told.filter(pl.col("observed_at").dt.epoch("us") > seen)
        age = pl.lit(now) - pl.col("observed_at").max().over("sensor")
        fresh = age.dt.total_seconds() <= STALE_INTERVALS * pl.col("every_s")
        told = told.filter(fresh).filter(pl.col("value").is_not_null()).sort("observed_at", maintain_order=True)
        if (told["judged"] == "deviation").any():
            told = _against(told, expected)
        return told.select("row", "value", pl.col("observed_at").dt.epoch("us"))

    def kpis(self, kpis: "Kpis", now: datetime) -> tuple[list[Turn], Stamps]:
        """Hold the current values of KPIs against their conditions, as of now."""
        parts = [self._of_kpi(domain, rule, kpis, now) for domain, rule in self._on_kpis]
        if not parts:
            return [], np.empty(0, np.int64)
        rows, values = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return self.conditions.hold(rows, values, np.full(rows.size, stamp(now)))

    def _of_kpi(self, domain: str, rule: AlarmRule, kpis: "Kpis", now: datetime) -> tuple[Stamps, Numbers]:
        current = kpis.works[rule.watches].current
        held = self._held.get(rule.name)
        if held is None or held[0] is not current:
            held = self._held[rule.name] = (current, *self._areas(domain, rule, current))
        _, rows, values = held
        if self._kpis[rule.watches].window.step not in SHORT_STEPS:
            return rows, values
        as_of = current.filter(_telling_areas(rule))["as_of"]
        fresh = (as_of.is_null() | (as_of >= now - KPI_FRESH)).to_numpy()
        return rows[fresh], values[fresh]

    def _areas(self, domain: str, rule: AlarmRule, current: pl.DataFrame) -> tuple[Stamps, Numbers]:
        told, kpi, limit = current.filter(_telling_areas(rule)), self._kpis[rule.watches], limit_of(rule)
        watches = (Watch(f"{rule.name}|{area}", rule, domain, area, kpi.unit, kpi.decimals) for area in told["area"])
        rows = [self._add(watch, limit) for watch in watches]
        return np.array(rows, np.int64), told["value"].cast(pl.Float64).to_numpy()

    def events(self, table: str, frame: pl.DataFrame, time: str) -> tuple[list[Turn], Stamps]:
        """Hold rows of an event table against their conditions; the value of a row counts from its time on."""
        found: list[tuple[int, float, int]] = []
        frame = frame.sort(time, maintain_order=True)
        for domain, rule in self._on_tables:
            if rule.watches != table:
                continue
            limit = limit_of(rule)
            for thing, value, at in frame.select(rule.thing, rule.column, pl.col(time).dt.epoch("us")).iter_rows():
                held = coded(rule, value)
                if thing is not None and held is not None:
                    key, area = f"{rule.name}|{thing}", f"{rule.level}:{thing}"
                    found.append((self._add(Watch(key, rule, domain, area, ""), limit), held, at))
        rows, at = (np.array([one[place] for one in found], np.int64) for place in (0, 2))
        return self.conditions.hold(rows, np.array([one[1] for one in found], np.float64), at)

    def recall(self, key: str, told: Mapping[str, Any]) -> bool:
        """Take up where a condition stood; whether anybody still looks at it."""
        row = self.conditions.rows.get(key)
        if row is None:
            row = self._recalled(key)
        if row is not None:
            self.conditions.recall(row, told)
        return row is not None

    def _recalled(self, key: str) -> int | None:
        """The row of an area or of the member of a table, which no register lists."""
        name, _, thing = key.partition("|")
        for domain, rule in (*self._on_kpis, *self._on_tables):
            if rule.name == name:
                kpi = self._kpis.get(rule.watches)
                if kpi:
                    return self._add(Watch(key, rule, domain, thing, kpi.unit, kpi.decimals), limit_of(rule))
                return self._add(Watch(key, rule, domain, f"{rule.level}:{thing}", ""), limit_of(rule))
        return None


class Bands:
    """What is usual of each sensor at an instant; read anew a few times an hour, and not at all where no rule asks."""

    def __init__(self, store: Path, wanted: bool) -> None:
        self._store, self._wanted = store, wanted
        self._read_at: datetime | None = None
        self._bands = pl.DataFrame(schema=EXPECTED)

    def at(self, now: datetime) -> pl.DataFrame:
        """Shape: EXPECTED."""
        if self._wanted and (self._read_at is None or floored(now) != floored(self._read_at)):
            self._bands, self._read_at = band_at(self._store, now).select(list(EXPECTED)), now
        return self._bands


def floored(now: datetime) -> datetime:
    """The ten minutes that hold an instant."""
    return now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0)


class Rates:
    """The change per hour since an earlier sample that lies at least `over` back; other rows keep their value."""

    def __init__(self, over: list[timedelta], kinds: list[str]) -> None:
        self._over = np.array([span // MICROSECOND for span in over], np.int64)
        self._rated = np.array([kind == "rate_per_hour" for kind in kinds], np.bool_)
        self._at, self._value = np.full(len(over), NEVER), np.full(len(over), np.nan)

    def of(self, rows: Stamps, values: Numbers, at: Stamps) -> tuple[Stamps, Numbers, Stamps]:
        """The samples with rates in place of the values of rated rows, without those from which no rate follows yet."""
        rated = np.flatnonzero(self._rated[rows])
        if not rated.size:
            return rows, values, at
        values, known = values.copy(), np.ones(rows.size, np.bool_)
        for part in rounds(rows[rated]):
            own = rated[part]
            values[own], known[own] = self._once(rows[own], values[own], at[own])
        return rows[known], values[known], at[known]

    def _once(self, rows: Stamps, values: Numbers, at: Stamps) -> tuple[Numbers, Flags]:
        first = self._at[rows] == NEVER
        elapsed = np.where(first, 1, at - self._at[rows])
        known = ~first & (elapsed > 0) & (elapsed >= self._over[rows])
        rates = (values - self._value[rows]) * HOUR_US / np.maximum(elapsed, 1)
        moved = rows[known | first]
        self._at[moved], self._value[moved] = at[known | first], values[known | first]
        return rates, known


def _telling_areas(rule: AlarmRule) -> pl.Expr:
    """The areas that the rule watches and that have a value."""
    own = pl.col("area") == rule.only if rule.only else pl.col("area").str.split(":").list.first() == rule.level
    return pl.col("value").is_not_null() & own


def _against(told: pl.DataFrame, expected: pl.DataFrame) -> pl.DataFrame:
    """The samples; of those judged by deviation, how far outside the expected band, and only where one is known."""
    band = expected.cast(EXPECTED).rename({"at": "_from"}).sort("_from")
    joined = told.join_asof(
        band, left_on="observed_at", right_on="_from", by="sensor", tolerance=EXPECTED_HOLDS, check_sortedness=False
    )
    outside = pl.max_horizontal(pl.col("value") - pl.col("high"), pl.col("low") - pl.col("value"))
    deviates = pl.col("judged") == "deviation"
    known = ~deviates | (pl.col("low").is_not_null() & pl.col("high").is_not_null())
    return joined.filter(known).with_columns(value=pl.when(deviates).then(outside).otherwise("value"))
