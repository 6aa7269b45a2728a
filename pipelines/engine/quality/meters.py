"""Consumption from meters' registers: computed sensors, kept true to all that the registers have said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import polars as pl

from pipelines.engine.quality import counters
from pipelines.engine.quality.waiting import PATIENCE, Due, Waiting
from pipelines.engine.registers import Registers
from pipelines.engine.store import Store
from pipelines.engine.tables import METER_EVENTS, SUSPECT
from pipelines.engine.units import conversion

GAP_INTERVALS = 3
# Rows on either side of a touched span whose intervals it can change: the neighbour, and whether that is a dropout.
NEIGHBOURS = 3
REACH = timedelta(microseconds=2 * counters.LONGEST_US)
WITHDRAWN = "withdrawn"
USED = pl.Schema({"sensor": pl.String(), **counters.CELLS})


@dataclass(frozen=True)
class Meter:
    """A register and the sensor that is computed from it: intervals in µs, factor from the register's unit."""

    sensor: str
    factor: float
    every: int
    modulus: float | None
    most_per_hour: float | None


@dataclass(frozen=True)
class Books:
    """What changes in the books of some meters: consumption (shape: USED) and events (shape: METER_EVENTS)."""

    used: pl.DataFrame
    events: pl.DataFrame
    taken: dict[int, Due]


class Meters(Waiting):
    """Knows which registers have news and what follows from them; the books are a function of the stored readings."""

    def __init__(self, store: Store, registers: Registers) -> None:
        super().__init__()
        self._store, self._registers = store, registers
        self._meters: dict[int, Meter] = {}
        self._numbers: dict[str, int] = {}

    def use(self, numbers: Mapping[str, int]) -> None:
        """Take the current numbering of sensors."""
        self._numbers = dict(numbers)
        self._meters = {numbers[name]: meter for name, meter in _meters(self._registers) if name in numbers}
        self._reach = dict.fromkeys(self._meters, 0)
        self._pace = dict.fromkeys(self._meters, PATIENCE)

    def judge(self, taken: dict[int, Due]) -> Books:
        """What must change in the books of the registers that were taken up."""
        used, events = [pl.DataFrame(schema=USED)], [pl.DataFrame(schema=METER_EVENTS.schema)]
        for series, due in taken.items():
            for low, high in due.spans:
                cells, happened = self._of(series, _instant(low), _instant(high))
                used.append(cells)
                events.append(happened)
        return Books(
            pl.concat(used).unique(["sensor", "observed_at"], keep="last", maintain_order=True),
            pl.concat(events).unique(list(METER_EVENTS.key), keep="last", maintain_order=True),
            taken,
        )

    def confirm(self, books: Books) -> Books:
        """The same without the meters that were touched meanwhile; those stay due."""
        again = self.again(books.taken)
        self.undo({series: books.taken[series] for series in again})
        names = [self._meters[series].sensor for series in again if series in self._meters]
        return Books(
            books.used.filter(~pl.col("sensor").is_in(names)), books.events.filter(~pl.col("series").is_in(again)), {}
        )

    def _of(self, series: int, low: datetime, high: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        meter = self._meters[series]
        rows = self._read(series, low - REACH, high + REACH)
        if rows.is_empty():
            return pl.DataFrame(schema=USED), pl.DataFrame(schema=METER_EVENTS.schema)
        counted = counters.increments(rows, meter.modulus, meter.most_per_hour, GAP_INTERVALS * meter.every)
        at = rows["observed_at"]
        first = at[max(int((at < low).sum()) - NEIGHBOURS, 0)]
        last = at[min(int((at <= high).sum()) + NEIGHBOURS, rows.height) - 1]
        cells = counters.consumption(counted, meter.every).filter(
            (pl.col("observed_at") >= first - timedelta(microseconds=meter.every)) & (pl.col("observed_at") < last)
        )
        happened = counted.events.filter((pl.col("at") >= first) & (pl.col("at") <= last))
        return self._fresh_cells(meter, cells), self._fresh_events(series, happened, first, last)

    def _fresh_cells(self, meter: Meter, cells: pl.DataFrame) -> pl.DataFrame:
        """The intervals that the store has not, or has otherwise; suspicion of its value is not ours to lift."""
        # Rounded, so that it does not matter from which reading on the sums were formed.
        cells = cells.with_columns((pl.col("value") * meter.factor).round(6))
        series = self._numbers.get(meter.sensor)
        if series is not None and cells.height:
            known = self._read(series, cells["observed_at"][0], cells["observed_at"][-1], every=True)
            both = cells.join(known, on="observed_at", how="left", suffix="_known")
            same = (pl.col("quality") == pl.col("quality_known")) | (pl.col("quality_known") >= SUSPECT)
            unchanged = (same & pl.col("value").eq_missing(pl.col("value_known"))).fill_null(value=False)
            cells = both.filter(~unchanged).select(cells.columns)
        return cells.select(pl.lit(meter.sensor).alias("sensor"), *cells.columns).cast(USED)

    def _fresh_events(self, series: int, happened: pl.DataFrame, first: datetime, last: datetime) -> pl.DataFrame:
        """The events that are not on record, and those on record that a late reading has explained."""
        columns = ["at", "event", "before", "after"]
        known = self._store.rows(
            "meter_events",
            first,
            last + timedelta(microseconds=1),
            "series = $series",
            {"series": series},
            columns=columns,
        ).cast(counters.EVENTS)
        gone = known.join(happened, on="at", how="anti").filter(pl.col("event") != WITHDRAWN)
        fresh = happened.join(known, on=columns, how="anti", nulls_equal=True)
        rows = pl.concat([fresh, gone.with_columns(event=pl.lit(WITHDRAWN))])
        return rows.select(pl.lit(series, pl.Int32).alias("series"), *columns).cast(METER_EVENTS.schema)

    def _read(self, series: int, low: datetime, high: datetime, *, every: bool = False) -> pl.DataFrame:
        """Readings of one series in [low, high]: observed_at, value, quality; without the empty ones unless `every`."""
        where = "series = $series" + ("" if every else " AND value IS NOT NULL")
        rows = self._store.rows(
            "readings", low, high + timedelta(microseconds=1), where, {"series": series},
            columns=["observed_at", "value", "quality"],
        )  # fmt: skip
        return rows.cast(counters.CELLS)


def _meters(registers: Registers) -> Iterator[tuple[str, Meter]]:
    """Each register that some sensor is computed from, with that sensor."""
    by_name = {row["sensor"]: row for row in registers.sensors.iter_rows(named=True)}
    for row in by_name.values():
        if row["register"] in by_name:
            counter = by_name[row["register"]]
            quantity, own = registers.quantities[counter["quantity"]], registers.quantities[row["quantity"]]
            factor, _ = conversion(quantity.unit, own.unit, None, registers.gas_temperature_c)
            modulus = counter["modulus"] if counter["modulus"] is not None else quantity.modulus
            every = round(row["every_s"] * 1e6)
            yield counter["sensor"], Meter(row["sensor"], factor, every, modulus, quantity.most_per_hour)


def _instant(us: int) -> datetime:
    return datetime.fromtimestamp(us // 1_000_000, UTC) + timedelta(microseconds=us % 1_000_000)
