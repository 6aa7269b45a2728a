"""What KPI functions are handed: each table read once a beat, rollups kept up to date by the hours that were touched."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.calendar import ROLLUP_SCHEMA, daily, floor, hourly
from pipelines.engine.model import GRAINS, INSTANT
from pipelines.engine.registers import Registers
from pipelines.engine.store import Store

BEGINNING = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
OF_QUANTITY = "series IN (SELECT unnest($ids)) AND value IS NOT NULL"
READING = ["sensor", "asset", "kind", "ward", "observed_at", "value"]
DIMENSION = ["series", "sensor", "asset", "kind", "ward"]


class Inputs:
    """Reads tables, readings and rollups for a span of time; caches until `forget` is called at the next beat."""

    def __init__(self, store: Store, registers: Registers, zone: str) -> None:
        self._store, self._registers, self._zone = store, registers, zone
        self._cache: dict[tuple[Any, ...], pl.DataFrame] = {}
        self._hours: pl.DataFrame | None = None
        self._hours_from: datetime | None = None
        self._whole: dict[str, pl.DataFrame] = {}
        self._recent: dict[str, pl.DataFrame] = {}
        self._recent_from: datetime | None = None
        self.dimension = pl.DataFrame(schema=dict.fromkeys(DIMENSION, pl.String) | {"series": pl.Int32, "quantity": pl.String})
        self._series: dict[str, list[int]] = {}

    def use(self, series: dict[str, int]) -> None:
        """Take the current numbering of sensors."""
        numbers = pl.DataFrame({"sensor": list(series), "series": list(series.values())}, schema={"sensor": pl.String, "series": pl.Int32})
        columns = [*DIMENSION, "quantity", "every_s", "parent"]
        self.dimension = self._registers.sensors.join(numbers, on="sensor", how="inner").select(columns)
        self._series = {name: part["series"].to_list() for (name,), part in self.dimension.partition_by("quantity", as_dict=True).items()}
        self._recent = {}

    def forget(self, touched: Mapping[str, tuple[datetime, datetime]]) -> None:
        """Start a new beat: `touched` names what changed since the last one, `readings` with its whole span."""
        self._cache.clear()
        for name in touched:
            self._whole.pop(name, None)
        if "readings" not in touched:
            return
        try:
            self._refresh_recent(*touched["readings"])
            if self._hours is not None:
                self._refresh_hours(*touched["readings"])
        except BaseException:
            self._recent, self._hours = {}, None
            raise

    def get(self, name: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        """The table of this name for [start, end); start None means from the beginning."""
        key = (name, start, end)
        if key not in self._cache:
            self._cache[key] = self._read(name, start, end)
        return self._cache[key]

    def cached(self, key: tuple[Any, ...], make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """What `make` gives, once a beat."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    def _read(self, name: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        registers = self._registers
        if name in registers.references:
            return registers.references[name]
        if name == "wards":
            return registers.wards
        if name == "assets":
            return registers.assets
        if name == "sensors":
            return registers.sensors.select("sensor", "asset", "kind", "ward", "quantity", "unit", "every_s", "low", "high", "parent")
        if name in registers.quantities:
            return self.readings(name, start, end)
        base, _, grain = name.rpartition("_")
        if grain in GRAINS and base in registers.quantities:
            return self._rollup(base, grain, start or BEGINNING, end)
        if self._store.tables[name].replaces:
            if name not in self._whole:
                self._whole[name] = self._store.rows(name)
            return self._whole[name]
        return self._store.rows(name) if start is None else self._store.rows(name, start, end)

    def published(self, kpi: str, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        """The newest published revision of a KPI per window and area."""
        rows = self._store.rows("kpi_values", start, end, "kpi = $kpi", {"kpi": kpi})
        return rows.sort("revision").unique(["window", "area"], keep="last", maintain_order=True)

    def series_of(self, quantity: str) -> list[int]:
        """Series numbers of all sensors of a quantity."""
        return self._series.get(quantity, [])

    def readings(self, quantity: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        """Good readings of a quantity with the sensor's place, in order of time."""
        since = self._store.hot_since
        if since is None or end <= since:
            return self._stored(quantity, start, end)
        recent = self._recent_of(quantity, since)
        if start is None or start < since:
            return pl.concat([self._stored(quantity, start, since), recent.filter(pl.col("observed_at") < end)])
        return recent.filter((pl.col("observed_at") >= start) & (pl.col("observed_at") < end))

    def _recent_of(self, quantity: str, since: datetime) -> pl.DataFrame:
        """All hot readings of a quantity, kept in memory and brought up to date by what was touched."""
        if self._recent_from != since:
            self._recent = {}
            self._recent_from = since
        if quantity not in self._recent:
            self._recent[quantity] = self._stored(quantity, since, None)
        return self._recent[quantity]

    def _refresh_recent(self, low: datetime, high: datetime) -> None:
        """Read the touched span once and put it into the frames of its quantities."""
        after = high + timedelta(microseconds=1)
        if not self._recent or self._recent_from is None or after <= self._recent_from:
            return
        rows = self._store.rows("readings", max(low, self._recent_from), after, "value IS NOT NULL", columns=["series", "observed_at", "value"])
        fresh = self._placed(rows).partition_by("quantity", as_dict=True)
        outside = (pl.col("observed_at") < low) | (pl.col("observed_at") > high)
        for quantity, known in list(self._recent.items()):
            kept = known if known.is_empty() or known["observed_at"][-1] < low else known.filter(outside)
            part = fresh.get((quantity,))
            joined = pl.concat([kept, part.select(READING)]) if part is not None else kept
            in_order = kept.is_empty() or kept["observed_at"][-1] < low
            self._recent[quantity] = joined if in_order else joined.sort("observed_at", maintain_order=True)

    def _stored(self, quantity: str, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        rows = self._store.rows(
            "readings", start, end, OF_QUANTITY, {"ids": self.series_of(quantity)}, columns=["series", "observed_at", "value"]
        )
        return self._placed(rows).select(READING)

    def _placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        places = self.dimension.select(*DIMENSION, "every_s", "quantity")
        return rows.cast({"series": pl.Int32, "observed_at": INSTANT}).join(places, on="series", how="inner", maintain_order="left")

    def _rollup(self, quantity: str, grain: str, start: datetime, end: datetime) -> pl.DataFrame:
        ids = self.series_of(quantity)
        step = "day" if grain == "daily" else "hour"
        start = floor(start, step, self._zone) if start > BEGINNING else start
        hours = self._hot_hours(ids, start, end)
        fresh = daily(hours, self._zone) if grain == "daily" else hours
        parts = [fresh]
        old = self._store.rollup(grain, start, end, ids)
        if old.height:
            old = old.cast(ROLLUP_SCHEMA).select(list(ROLLUP_SCHEMA))
            parts.append(old.join(fresh, on=["series", "observed_at"], how="anti"))
        seconds = 86400.0 if grain == "daily" else 3600.0
        rows = self._placed(pl.concat(parts)).with_columns(expected=seconds / pl.col("every_s"))
        return rows.select("sensor", "asset", "kind", "ward", "observed_at", "n", "expected", "sum", "sum_squares", "min", "max", "last")

    def _hot_hours(self, ids: list[int], start: datetime, end: datetime) -> pl.DataFrame:
        """Hourly rollups of everything that Parquet does not hold yet."""
        since = self._store.hot_since
        if since is None:
            return self._late_hours(ids, start, end, end)
        if self._hours is None or self._hours_from != since:
            self._hours, self._hours_from = hourly(self._raw(since, None), self._zone), since
        wanted = pl.col("series").is_in(ids) & (pl.col("observed_at") >= start) & (pl.col("observed_at") < end)
        recent = self._hours.filter(wanted)
        return pl.concat([recent, self._late_hours(ids, start, end, since)]) if start < since else recent

    def _late_hours(self, ids: list[int], start: datetime, end: datetime, before: datetime) -> pl.DataFrame:
        """Whole days older than the hot span into which late rows fell, rolled up again from all their rows."""
        late = self._store.hot_keys_before("readings", before).filter(
            pl.col("series").is_in(ids) & (pl.col("observed_at") >= start) & (pl.col("observed_at") < end)
        )
        if late.is_empty():
            return pl.DataFrame(schema=ROLLUP_SCHEMA)
        low = floor(late["observed_at"].min(), "day", self._zone)
        touched = late["series"].unique().to_list()
        rows = self._raw(low, min(before, late["observed_at"].max() + timedelta(days=1)), touched)
        return hourly(rows, self._zone).filter((pl.col("observed_at") >= start) & (pl.col("observed_at") < end))

    def _raw(self, start: datetime | None, end: datetime | None, ids: list[int] | None = None) -> pl.DataFrame:
        where, params = (OF_QUANTITY, {"ids": ids}) if ids is not None else ("", {})
        rows = self._store.rows("readings", start, end, where, params, columns=["series", "observed_at", "value"])
        return rows.cast({"series": pl.Int32, "observed_at": INSTANT})

    def _refresh_hours(self, low: datetime, high: datetime) -> None:
        """Recompute the hours in which readings landed."""
        assert self._hours is not None
        since = self._store.hot_since
        if since is None or since != self._hours_from or high < since:
            self._hours = None if since != self._hours_from else self._hours
            return
        start = max(floor(low, "hour", self._zone), since)
        end = floor(high, "hour", self._zone) + timedelta(hours=1)
        fresh = hourly(self._raw(start, end), self._zone)
        outside = (pl.col("observed_at") < start) | (pl.col("observed_at") >= end)
        self._hours = pl.concat([self._hours.filter(outside), fresh])
