"""The numbering of sensors: a small integer per sensor, given once and kept for ever."""

from datetime import datetime

import polars as pl

from pipelines.engine.model import INSTANT
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
        found = rows["sensor"].unique().sort().to_list()
        fresh = {sensor: len(self.numbers) + i for i, sensor in enumerate(s for s in found if s not in self.numbers)}
        known = {**self.numbers, **fresh} if fresh else self.numbers
        numbered = rows.with_columns(series=pl.col("sensor").replace_strict(known, return_dtype=pl.Int32))
        registered = pl.DataFrame(
            {"sensor": list(fresh), "series": list(fresh.values())}, schema={"sensor": pl.String, "series": pl.Int32}
        ).with_columns(registered_at=pl.lit(now).cast(INSTANT))
        rest = [column for column in rows.columns if column != "sensor"]
        return numbered.select("series", *rest), registered.select(list(SERIES.schema))
