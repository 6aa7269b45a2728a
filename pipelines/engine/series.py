"""The numbering of sensors: a small integer per sensor, given once and kept for ever."""

from datetime import datetime

import polars as pl

from pipelines.engine.store import Store
from pipelines.engine.tables import SERIES


class SeriesBook:
    """Sensor -> series number, as the table `series` has it."""

    def __init__(self, store: Store) -> None:
        rows = store.rows("series", columns=["sensor", "series"])
        self.numbers: dict[str, int] = dict(rows.iter_rows())

    def keep(self, registered: pl.DataFrame) -> None:
        """Use these numbers from now on: they are durable."""
        self.numbers.update(registered.select("sensor", "series").iter_rows())

    def number(self, rows: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows with `series` in place of `sensor`, and the newly numbered sensors, to be kept once durable."""
        named = rows["sensor"].to_list()
        found = list(map(self.numbers.get, named))
        registered = pl.DataFrame(schema=SERIES.schema)
        if None in found:
            unknown = sorted({sensor for sensor in named if sensor not in self.numbers})
            fresh = {sensor: len(self.numbers) + place for place, sensor in enumerate(unknown)}
            found = list(map({**self.numbers, **fresh}.get, named))
            registered = pl.DataFrame([(*one, now) for one in fresh.items()], schema=SERIES.schema, orient="row")
        numbered = pl.Series("series", found, dtype=pl.Int32)
        return pl.DataFrame([numbered, *(rows[column] for column in rows.columns if column != "sensor")]), registered
