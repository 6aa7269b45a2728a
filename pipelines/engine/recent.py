"""Hot readings and their rollups by quantity, kept in memory and brought up to date by what was touched."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.calendar import ROLLUP_SCHEMA, daily, floor, ordered_rolled
from pipelines.engine.model import INSTANT
from pipelines.engine.store import Store
from pipelines.engine.tables import SUSPECT
from pipelines.engine.timed import between, replaced

COLUMNS = ["series", "observed_at", "value"]
READING = ["sensor", "asset", "kind", "ward", "observed_at", "value"]
PLACE = ["series", "sensor", "asset", "kind", "ward", "every_s"]
ROLLED = [
    "sensor",
    "asset",
    "kind",
    "ward",
    "observed_at",
    "n",
    "expected",
    "sum",
    "min",
    "max",
    "last",
    "last_at",
]
SECONDS = {"hourly": 3600.0, "daily": 86400.0}
STEPS = {"hourly": "hour", "daily": "day"}
NOWHERE = pl.DataFrame(schema=dict.fromkeys(PLACE, pl.String) | {"series": pl.Int32, "every_s": pl.Float64})


class Recent:
    """Everything from the store's `hot_since` on; a quantity is read when it is first asked for."""

    def __init__(self, store: Store, zone: str) -> None:
        self._store, self._zone = store, zone
        self._dimension = NOWHERE.with_columns(quantity=pl.lit(None, pl.String))
        self._places: dict[str, pl.DataFrame] = {}
        self._since: datetime | None = None
        self._readings: dict[str, pl.DataFrame] = {}
        self._rolled: dict[tuple[str, str], pl.DataFrame] = {}
        self._stale: dict[str, tuple[datetime, datetime]] = {}

    def use(self, dimension: pl.DataFrame) -> None:
        """Take the current numbering of sensors: what was read before may miss new ones."""
        self._dimension = dimension.select(*PLACE, "quantity")
        parts = self._dimension.partition_by("quantity", as_dict=True, include_key=False)
        self._places = {str(quantity): part for (quantity,), part in parts.items()}
        self.clear()

    def clear(self) -> None:
        """Forget everything; it is read again when asked for."""
        self._readings, self._rolled, self._stale = {}, {}, {}

    def place(self, quantity: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of series with the sensor's place, in the same order."""
        places = self._places.get(quantity, NOWHERE)
        return rows.join(places, on="series", how="inner", maintain_order="left")

    def series(self, quantity: str) -> list[int]:
        """Series numbers of all sensors of a quantity."""
        return self._places[quantity]["series"].to_list() if quantity in self._places else []

    def readings(self, quantity: str) -> pl.DataFrame:
        """Good readings with the sensor's place and series, in order of time."""
        self._current()
        # `use` may clear what is kept from another thread at any moment, so nothing is looked up twice.
        known = self._readings.get(quantity)
        if known is None:
            known = self._readings[quantity] = self.place(quantity, self.stored(quantity, self._since, None))
        return known

    def rolled(self, quantity: str, grain: str) -> pl.DataFrame:
        """Rollups of a grain (shape: ROLLED), in order of time."""
        self._current()
        return self._kept_rollups(quantity, grain)[ROLLED]

    def shown(self, quantity: str, grain: str, rows: pl.DataFrame) -> pl.DataFrame:
        """Rollups by series as KPI functions read them, in order of time (shape: ROLLED)."""
        return _shown(rows, self._places.get(quantity, NOWHERE), grain)[ROLLED]

    def _kept_rollups(self, quantity: str, grain: str) -> pl.DataFrame:
        """Rollups with their series (shape: ROLLED and series); a quantity whose days are kept has its hours kept."""
        known = self._rolled.get((quantity, grain))
        if known is None:
            if grain == "hourly":
                rows = ordered_rolled(self.readings(quantity)[COLUMNS], "hour", self._zone)
            else:
                rows = daily(self._kept_rollups(quantity, "hourly")[list(ROLLUP_SCHEMA)], self._zone)
            known = self._rolled[quantity, grain] = _shown(rows, self._places.get(quantity, NOWHERE), grain)
        return known

    def _roll_again(self) -> None:
        """Make the rollups anew of the hours and days into which readings fell since they were made, all at once."""
        stale, self._stale = self._stale, {}
        for grain, step in STEPS.items():
            kept = {q: self._rolled[q, grain] for q in stale if (q, grain) in self._rolled}
            if not kept:
                continue
            low = floor(min(stale[q][0] for q in kept), step, self._zone)
            high = floor(max(stale[q][1] for q in kept), step, self._zone) + timedelta(days=2)
            fresh = self._made_anew(kept, grain, low, high)
            for quantity, known in kept.items():
                self._rolled[quantity, grain] = replaced(known, fresh.get((quantity,), known.clear()), low, high)

    def _made_anew(
        self, quantities: Iterable[str], grain: str, low: datetime, high: datetime
    ) -> dict[tuple[Any, ...], pl.DataFrame]:
        """Rollups of [low, high), edges of the grain, by quantity: hours of readings, days of hours."""
        if grain == "hourly":
            readings = [between(self.readings(quantity), low, high)[COLUMNS] for quantity in quantities]
            rows = ordered_rolled(pl.concat(readings), "hour", self._zone)
        else:
            hours = [between(self._kept_rollups(quantity, "hourly"), low, high) for quantity in quantities]
            rows = daily(pl.concat(hours)[list(ROLLUP_SCHEMA)], self._zone)
        shown = _shown(rows, self._dimension, grain, "quantity")
        return shown.partition_by("quantity", as_dict=True, include_key=False)

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
        rows = self._usable(start, after).join(self._dimension, on="series", how="inner", maintain_order="left")
        parts = rows.partition_by("quantity", as_dict=True, include_key=False)
        for quantity, known in list(self._readings.items()):
            # A quantity without good rows in the span may have had some: they were corrected to unusable.
            fresh = parts.get((quantity,))
            joined = replaced(known, known.clear() if fresh is None else fresh, start, after)
            if joined is not known:
                self._readings[quantity] = joined
                first, last = self._stale.get(quantity, (start, high))
                self._stale[quantity] = (min(first, start), max(last, high))
        # At once, so that no KPI is thought to cost what is done for all.
        self._roll_again()

    def _current(self) -> None:
        if self._since != self._store.hot_since:
            self.clear()
            self._since = self._store.hot_since


def _shown(rows: pl.DataFrame, places: pl.DataFrame, grain: str, *more: str) -> pl.DataFrame:
    expected = SECONDS[grain] / pl.col("every_s")
    placed = rows.join(places, on="series", how="inner").with_columns(expected=expected)
    return placed.select(*ROLLED, "series", *more).sort("observed_at", "sensor")
