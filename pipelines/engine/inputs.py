"""What KPI functions are handed: tables, readings and rollups of a span of time, read once and kept until touched."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine import coverage
from pipelines.engine.calendar import ROLLUP_SCHEMA, after, daily, extent, floor, hourly, local_step, rolled
from pipelines.engine.model import GRAINS, INSTANT
from pipelines.engine.recent import COLUMNS, PLACE, READING, STEPS, Recent
from pipelines.engine.registers import Registers
from pipelines.engine.store import Store
from pipelines.engine.timed import FAR, MICROSECOND, between, replaced

BEGINNING = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
SENSOR = ["sensor", "asset", "kind", "ward", "quantity", "unit", "every_s", "low", "high", "parent"]
# Frames that nobody has asked for during this many beats are let go; the least used first when they grow too large
# together.
IDLE_BEATS = 120
MOST_KEPT_BYTES = 48 << 20
MOST_OF_BEAT_BYTES = 64 << 20
Key = tuple[Any, ...]


class Inputs:
    """Hands out frames by name. What lies before the hot span, and tables, are kept until a touch makes them untrue."""

    def __init__(self, store: Store, registers: Registers, zone: str) -> None:
        self._store, self._registers, self._zone = store, registers, zone
        self._recent = Recent(store, zone)
        self._beat = 0
        self._of_beat: dict[Key, pl.DataFrame] = {}
        self._of_beat_bytes = 0
        self._kept: dict[Key, tuple[pl.DataFrame, int]] = {}
        # Since when the rows of what is kept may be others by now.
        self._since: dict[Key, datetime] = {}
        self._places: tuple[pl.DataFrame, pl.DataFrame] | None = None
        self._sensors = registers.sensors.select(SENSOR)
        self.dimension = pl.DataFrame(
            schema=dict.fromkeys([*PLACE, "quantity", "parent"], pl.String)
            | {"series": pl.Int32, "every_s": pl.Float64}
        )

    def use(self, series: dict[str, int]) -> None:
        """Take the current numbering of sensors."""
        numbers = pl.DataFrame(
            {"sensor": list(series), "series": list(series.values())}, schema={"sensor": pl.String, "series": pl.Int32}
        )
        sensors = self._registers.sensors.join(numbers, on="sensor", how="inner")
        self.dimension = sensors.select(*PLACE, "quantity", "parent")
        self._recent.use(self.dimension)
        self._places = None
        self._kept.clear()

    @property
    def places(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The areas of every sensor, and how many sensors send from each: coverage.places and coverage.due."""
        known = self._places
        if known is None:
            sensors = self.dimension
            placed = coverage.places(sensors)
            known = placed, coverage.due(placed.join(sensors.select("sensor", "quantity"), on="sensor"))
            self._places = known
        return known

    def forget(self, touched: Mapping[str, tuple[datetime, datetime]]) -> None:
        """Start a new beat: `touched` names what changed since the last one, `readings` with its whole span."""
        self._beat += 1
        self._of_beat, self._of_beat_bytes = {}, 0
        since = self._store.hot_since
        late = "readings" in touched and (since is None or touched["readings"][0] < since)
        for key, (_, used) in list(self._kept.items()):
            if key[0] in touched and self._ordered(key[0]):
                self._since[key] = min(touched[key[0]][0], self._since.get(key, touched[key[0]][0]))
            elif key[0] in touched or (late and key[0] == OLD) or self._beat - used > IDLE_BEATS:
                self._kept.pop(key, None)
        if "readings" in touched:
            try:
                self._recent.refresh(*touched["readings"])
            except BaseException:
                self._recent.clear()
                raise

    def _ordered(self, name: str) -> bool:
        """Whether the rows of a table lie in order of an instant, so that those since a touch can be read alone."""
        table = self._store.tables[name]
        times = [column for column in table.columns if column.name == table.time and column.required]
        return not table.replaces and any(column.kind == "instant" for column in times)

    def get(self, name: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        """The table of this name for [start, end); start None means from the beginning."""
        return self.cached((name, start, end), lambda: self._read(name, start, end))

    def cached(self, key: Key, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """What `make` gives, once a beat."""
        if key not in self._of_beat:
            frame = self._of_beat[key] = make()
            self._of_beat_bytes += int(frame.estimated_size())
            if self._of_beat_bytes > MOST_OF_BEAT_BYTES:
                self._of_beat, self._of_beat_bytes = {key: frame}, 0
        return self._of_beat[key]

    def _keep(self, key: Key, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """What `make` gives, once until a touch of key[0]."""
        known = self._kept.pop(key, None)
        frame = known[0] if known else make()
        # Taken out and put back: the dictionary's order is the order of use.
        self._kept[key] = (frame, self._beat)
        if known is None:
            self._shrink()
        return frame

    def _shrink(self) -> None:
        """Let go of the frames that were used longest ago until the rest is small enough."""
        sizes = {key: int(frame.estimated_size()) for key, (frame, _) in list(self._kept.items())}
        total = sum(sizes.values())
        for key, size in list(sizes.items())[:-1]:
            if total <= MOST_KEPT_BYTES:
                break
            self._kept.pop(key, None)
            total -= size

    def _read(self, name: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        registers = self._registers
        whole = {
            "wards": registers.wards, "assets": registers.assets, "sensors": self._sensors, **registers.references
        }  # fmt: skip
        if name in whole:
            return whole[name]
        if name in registers.quantities:
            return self.readings(name, start, end)
        base, _, grain = name.rpartition("_")
        if grain in GRAINS and base in registers.quantities:
            return self._rollup(base, grain, start or BEGINNING, end)
        if self._store.tables[name].replaces or start is None:
            return self._table(name, (name,), None, None)
        return self._table(name, (name, start, end), start, end)

    def _table(self, name: str, key: Key, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        """Rows of a table in [start, end); of kept ones, only those since what was touched are read again."""
        since, known = self._since.pop(key, None), self._kept.get(key)
        if since is not None and known is not None:
            until, time = end or FAR, str(self._store.tables[name].time)
            newer = self.cached((name, "since", since), lambda: self._store.rows(name, since))
            fresh = between(newer, start, until, time)
            self._kept[key] = replaced(known[0], fresh, since, until, time), known[1]
        return self._keep(key, lambda: self._store.rows(name, start, end))

    def let_go(self, names: Iterable[str]) -> datetime | None:
        """Up to which instant retention has taken rows of any of these inputs; None where all are there."""
        taken = self._store.manifest.let_go
        bases = (name.removesuffix("_hourly").removesuffix("_daily") for name in names)
        tables = ("readings" if base in self._registers.quantities else base for base in bases)
        return max((taken[table] for table in tables if table in taken), default=None)

    def published(self, kpi: str, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        """The newest published revision of a KPI per window and area."""
        rows = self._store.rows("kpi_values", start, end, "kpi = $kpi", {"kpi": kpi})
        return rows.sort("revision").unique(["window", "area"], keep="last", maintain_order=True)

    def readings(self, quantity: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        """Good readings of a quantity with the sensor's place, in order of time."""
        since = self._store.hot_since
        if since is None or end <= since:
            return self._old_readings(quantity, start, end)
        recent = self._recent.readings(quantity)
        if start is not None and start >= since:
            return between(recent, start, end)[READING]
        return pl.concat([self._old_readings(quantity, start, since), between(recent, None, end)[READING]])

    def _old_readings(self, quantity: str, start: datetime | None, end: datetime) -> pl.DataFrame:
        def read() -> pl.DataFrame:
            return self._recent.place(quantity, self._recent.stored(quantity, start, end))[READING]

        return self._keep((OLD, quantity, start, end), read)

    def _rollup(self, quantity: str, grain: str, start: datetime, end: datetime) -> pl.DataFrame:
        start = floor(start, STEPS[grain], self._zone) if start > BEGINNING else start
        since = self._store.hot_since
        until = end if since is None else min(end, since)

        def old() -> pl.DataFrame:
            return self._recent.shown(quantity, grain, self._old_rollup(quantity, grain, start, until))

        if since is None or end <= since:
            return self._keep((OLD, quantity, grain, start, until), old)
        recent = self._hot_rollup(quantity, grain, start, end)
        return recent if start >= until else pl.concat([self._keep((OLD, quantity, grain, start, until), old), recent])

    def _hot_rollup(self, quantity: str, grain: str, start: datetime, end: datetime) -> pl.DataFrame:
        """The rollups of hot hours or days; of a day that `end` cuts, the hours that begin before."""
        if grain == "hourly" or floor(end, "day", self._zone) == end:
            return between(self._recent.rolled(quantity, grain), start, end)
        last = floor(end - MICROSECOND, "hour", self._zone)
        rows = between(self._recent.readings(quantity), start, after(last, "hour", self._zone))
        return self._recent.shown(quantity, grain, daily(hourly(rows[COLUMNS], self._zone), self._zone))

    def _old_rollup(self, quantity: str, grain: str, start: datetime, until: datetime) -> pl.DataFrame:
        """Compacted rollups; the hours or days into which late rows fell are rolled up again from all their rows."""
        ids, keys = self._recent.series(quantity), ["series", "observed_at"]
        old = self._store.rolled.by_series(grain, start, until, ids).select(list(ROLLUP_SCHEMA))
        late = self._late(quantity, grain, ids, until).filter(pl.col("observed_at") >= start)
        if late.is_empty():
            return old
        first, last = extent(late["observed_at"])
        low, high = floor(first, "day", self._zone), floor(last, "day", self._zone) + timedelta(days=2)
        rows = self._recent.stored(quantity, low, min(until, high)).join(late.select("series"), on="series", how="semi")
        fresh = rolled(rows, STEPS[grain], self._zone).join(late, on=keys, how="semi")
        # One whose readings have all turned suspect is not among the fresh ones, and must go all the same.
        return pl.concat([old.join(late, on=keys, how="anti"), fresh])

    def _late(self, quantity: str, grain: str, ids: list[int], until: datetime) -> pl.DataFrame:
        """The series and starts of hours or days into which late rows fell; not where retention took the others."""
        rows = self._store.hot_keys_before("readings", until).cast({"series": pl.Int32, "observed_at": INSTANT})
        gone = self.let_go([quantity])
        steps = local_step("observed_at", STEPS[grain], self._zone)
        late = rows.filter(pl.col("series").is_in(ids)).select("series", steps).unique()
        return late if gone is None else late.filter(pl.col("observed_at") > gone)


OLD = "old readings"
