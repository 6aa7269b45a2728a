"""Hot readings and their hourly rollups by quantity, kept in memory and brought up to date by what was touched."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.calendar import ROLLUP_SCHEMA, floor, hourly
from pipelines.engine.model import INSTANT
from pipelines.engine.store import Store
from pipelines.engine.tables import SUSPECT

COLUMNS = ["series", "observed_at", "value"]
# A frame that is added to at every beat is made one piece again when it has so many.
MOST_PIECES = 32
READING = ["sensor", "asset", "kind", "ward", "observed_at", "value"]
PLACE = ["series", "sensor", "asset", "kind", "ward", "every_s"]

NOWHERE = pl.DataFrame(schema=dict.fromkeys(PLACE, pl.String) | {"series": pl.Int32, "every_s": pl.Float64})


class Recent:
    """Everything from the store's `hot_since` on; a quantity is read when it is first asked for."""

    def __init__(self, store: Store, zone: str) -> None:
        self._store, self._zone = store, zone
        self._places: dict[str, pl.DataFrame] = {}
        self._since: datetime | None = None
        self._readings: dict[str, pl.DataFrame] = {}
        self._hours: dict[str, pl.DataFrame] = {}
        self._stale: dict[str, tuple[datetime, datetime]] = {}

    def use(self, dimension: pl.DataFrame) -> None:
        """Take the current numbering of sensors: what was read before may miss new ones."""
        parts = dimension.partition_by("quantity", as_dict=True)
        self._places = {str(quantity): part.select(PLACE) for (quantity,), part in parts.items()}
        self._quantity = {series: str(q) for (q,), part in parts.items() for series in part["series"]}
        self.clear()

    def clear(self) -> None:
        """Forget everything; it is read again when asked for."""
        self._readings, self._hours, self._stale = {}, {}, {}

    def place(self, quantity: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of series with the sensor's place, in the same order."""
        places = self._places.get(quantity, NOWHERE)
        return rows.join(places, on="series", how="inner", maintain_order="left")

    def series(self, quantity: str) -> list[int]:
        """Series numbers of all sensors of a quantity."""
        return self._places[quantity]["series"].to_list() if quantity in self._places else []

    def readings(self, quantity: str) -> pl.DataFrame:
        """Good readings with the sensor's place, in order of time."""
        self._current()
        # `use` may clear what is kept from another thread at any moment, so nothing is looked up twice.
        known = self._readings.get(quantity)
        if known is None:
            known = self._readings[quantity] = self.place(quantity, self.stored(quantity, self._since, None))
        return known

    def hours(self, quantity: str) -> pl.DataFrame:
        """Hourly rollups with the sensor's place."""
        self._current()
        known, stale = self._hours.get(quantity), self._stale.get(quantity)
        if known is None:
            known = self._hours[quantity] = hourly(self.readings(quantity).select(COLUMNS), self._zone)
        elif stale is not None:
            known = self._hours[quantity] = self._rolled_again(known, self.readings(quantity), *stale)
        self._stale.pop(quantity, None)
        return known

    def _rolled_again(self, hours: pl.DataFrame, readings: pl.DataFrame, low: datetime, high: datetime) -> pl.DataFrame:
        """The rollups with those of the hours from `low` to `high` made anew."""
        at = pl.col("observed_at")
        start, end = floor(low, "hour", self._zone), floor(high, "hour", self._zone) + timedelta(hours=1)
        again = hourly(readings.filter((at >= start) & (at < end)).select(COLUMNS), self._zone)
        return pl.concat([hours.filter((at < start) | (at >= end)), again])

    def stored(self, quantity: str, start: datetime | None, end: datetime | None) -> pl.DataFrame:
        """Good readings from the store: series, observed_at, value, in order of time."""
        return self._usable(start, end, " AND series IN (SELECT unnest($ids))", {"ids": self.series(quantity)})

    def _usable(
        self, start: datetime | None, end: datetime | None, where: str = "", params: Any = None
    ) -> pl.DataFrame:
        rows = self._store.rows(
            "readings", start, end, f"value IS NOT NULL AND quality < {SUSPECT}{where}", params, columns=COLUMNS
        )
        return rows.cast({"series": pl.Int32, "observed_at": INSTANT})

    def refresh(self, low: datetime, high: datetime) -> None:
        """Read the touched span once and put it into what is kept."""
        self._current()
        after = high + timedelta(microseconds=1)
        if not self._readings or self._since is None or after <= self._since:
            return
        start = max(low, self._since)
        rows = self._usable(start, after)
        labelled = rows.with_columns(
            _q=pl.col("series").replace_strict(self._quantity, default=None, return_dtype=pl.String)
        )
        parts = labelled.partition_by("_q", as_dict=True, include_key=False)
        for quantity, known in list(self._readings.items()):
            # A quantity without good rows in the span may have had some: they were corrected to unusable.
            self._patch(quantity, known, parts.get((quantity,), rows.clear()), start, high)

    def _patch(self, quantity: str, known: pl.DataFrame, fresh: pl.DataFrame, low: datetime, high: datetime) -> None:
        """Replace what lies in [low, high] by the rows of the store."""
        times = known["observed_at"]
        before, after = times.search_sorted(low, side="left"), times.search_sorted(high, side="right")
        joined = pl.concat([known.head(before), self.place(quantity, fresh), known.slice(after)])
        if joined.n_chunks() > MOST_PIECES:
            joined = joined.rechunk()
        self._readings[quantity] = joined
        # Rollups are made anew when somebody asks for them.
        first, last = self._stale.get(quantity, (low, high))
        self._stale[quantity] = (min(first, low), max(last, high))

    def _current(self) -> None:
        if self._since != self._store.hot_since:
            self.clear()
            self._since = self._store.hot_since


EMPTY_HOURS = pl.DataFrame(schema=ROLLUP_SCHEMA)
