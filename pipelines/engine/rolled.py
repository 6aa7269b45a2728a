"""Questions to the rollups on disk, and to the readings beside them: the statements in SQL and nothing else."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine import sql
from pipelines.engine.calendar import ROLLUP_SCHEMA
from pipelines.engine.manifest import Part
from pipelines.engine.model import INSTANT
from pipelines.engine.rollups import VALUE_DAYS, WARD_HOURS
from pipelines.engine.tables import SUSPECT

if TYPE_CHECKING:
    from pipelines.engine.store import Store

# So few series are named in the statement, where they tell which row groups to leave out; more are joined.
FEW_SERIES = 50
FEW_QUARTERS = 12
QUARTER_US = 900_000_000
INSIDE = "observed_at >= $start AND observed_at < $until"
COUNTED = pl.Schema({"value": pl.Float64(), "n": pl.Int64()})


class Rolled:
    """Reads what compaction rolled up. What has landed since is not in it."""

    def __init__(self, store: "Store") -> None:
        self._store = store

    def by_series(self, grain: str, start: datetime, end: datetime, series: Sequence[int]) -> pl.DataFrame:
        """Hourly, daily or monthly rollups of these series before `hot_since`; hot days are not in it.

        Shape: calendar.ROLLUP_SCHEMA.
        """
        parts = self._parts(grain, start, end)
        if not parts or not series:
            return pl.DataFrame(schema=ROLLUP_SCHEMA)
        since = self._store.hot_since
        which, frames = _among(series)
        columns = ", ".join(ROLLUP_SCHEMA)
        query = f"SELECT {columns} FROM {sql.rollups(self._store.folder, parts)} WHERE {which} AND {INSIDE}"
        found = self._store.ask(query, {"start": start, "until": min(end, since) if since else end}, frames)
        return found.cast(ROLLUP_SCHEMA)

    def by_ward(self, quantity: str, start: datetime, end: datetime) -> pl.DataFrame:
        """Hours of a quantity by ward (shape: rollups.WARD_HOURS)."""
        return self._of_quantity("wards", quantity, start, end).cast(WARD_HOURS)

    def by_value(self, quantity: str, start: datetime, end: datetime) -> pl.DataFrame:
        """How often each value of a quantity was read, by day (shape: rollups.VALUE_DAYS)."""
        return self._of_quantity("values", quantity, start, end).cast(VALUE_DAYS)

    def _of_quantity(self, grain: str, quantity: str, start: datetime, end: datetime) -> pl.DataFrame:
        schema, parts = {"wards": WARD_HOURS, "values": VALUE_DAYS}[grain], self._parts(grain, start, end)
        if not parts:
            return pl.DataFrame(schema=schema)
        source = sql.rollups(self._store.folder, parts)
        query = f"SELECT {', '.join(schema)} FROM {source} WHERE quantity = $quantity AND {INSIDE}"
        return self._store.ask(query, {"quantity": quantity, "start": start, "until": end})

    def days_of_values(self, quantity: str, start: datetime, end: datetime) -> list[datetime]:
        """The days (their starts) on which values of a quantity were counted."""
        parts = self._parts("values", start, end)
        if not parts:
            return []
        source = sql.rollups(self._store.folder, parts)
        query = f"SELECT DISTINCT observed_at FROM {source} WHERE quantity = $quantity AND {INSIDE}"
        found = self._store.ask(query, {"quantity": quantity, "start": start, "until": end})
        return found["observed_at"].cast(INSTANT).to_list()

    def landed(self, series: Sequence[int], start: datetime, end: datetime) -> pl.DataFrame:
        """The quarter hours into which rows have landed since the compaction: observed_at.

        Of many series also those of others while they are few: to sum up an hour in vain costs less than to look.
        """
        if len(series) > FEW_SERIES:
            found = self._quarters_landed("TRUE", {}, start, end)
            if found.height <= FEW_QUARTERS:
                return found
        return self._quarters_landed(*_among(series), start, end)

    def _quarters_landed(self, which: str, frames: dict[str, Any], start: datetime, end: datetime) -> pl.DataFrame:
        # No town's clock is off by less than a quarter of an hour.
        quarter = f"make_timestamptz(epoch_us(observed_at) // {QUARTER_US} * {QUARTER_US}) AS observed_at"
        query = f"SELECT DISTINCT {quarter} FROM hot_readings WHERE {which} AND {INSIDE}"
        return self._store.ask(query, {"start": start, "until": end}, frames).cast({"observed_at": INSTANT})

    def readings(self, series: Sequence[int], start: datetime, end: datetime) -> pl.DataFrame:
        """All readings of these series, in no order: series, observed_at, value, quality."""
        which, frames = _among(series)

        def ask() -> pl.DataFrame:
            source = self._store.source("readings", start, end, which)
            return self._store.ask(f"SELECT series, observed_at, value, quality FROM ({source})", {}, frames)

        return self._store.whole(ask).cast({"series": pl.Int32, "observed_at": INSTANT})

    def counted(self, series: Sequence[int], start: datetime, end: datetime) -> pl.DataFrame:
        """How often each value was read in a span, counted from the readings themselves: value, n."""
        which, frames = _among(series)
        source = self._store.source("readings", start, end, f"{which} AND value IS NOT NULL AND quality < {SUSPECT}")
        return self._store.ask(f"SELECT value, count(*) AS n FROM ({source}) GROUP BY value", {}, frames).cast(COUNTED)

    def _parts(self, grain: str, start: datetime, end: datetime) -> list[Part]:
        partitions = self._store.manifest.parts.get(f"roll_{grain}", {}).values()
        return [part for part in partitions if part.low and part.high and part.high >= start and part.low < end]


def _among(series: Sequence[int]) -> tuple[str, dict[str, Any]]:
    """The condition that a row is of one of these series, and the frames that it names."""
    if len(series) <= FEW_SERIES:
        return f"series IN ({', '.join(str(int(one)) for one in series) or 'NULL'})", {}
    wanted = pl.DataFrame({"series": list(series)}, schema={"series": pl.Int32})
    return "series IN (FROM wanted)", {"wanted": wanted}
