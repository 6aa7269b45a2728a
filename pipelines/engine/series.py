"""The numbering of sensors: a small integer per sensor, given once and kept for ever."""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import polars as pl

from pipelines.engine.plain_readings import SENSOR
from pipelines.engine.store import Store
from pipelines.engine.tables import SERIES

UNNUMBERED = -1


class SeriesBook:
    """Sensor -> series number, as the table `series` has it."""

    def __init__(self, store: Store, places: Mapping[str, int]) -> None:
        """`places`: where each sensor stands in the register."""
        self._places, self._sensors = places, list(places)
        self._at_place = np.full(len(places), UNNUMBERED, np.int32)
        self.numbers: dict[str, int] = {}
        self.keep(store.rows("series", columns=["sensor", "series"]))

    def keep(self, registered: pl.DataFrame) -> None:
        """Use these numbers from now on: they are durable."""
        for sensor, number in registered.select("sensor", "series").iter_rows():
            self.numbers[sensor] = number
            if sensor in self._places:
                self._at_place[self._places[sensor]] = number

    def at(self, places: pl.Series) -> pl.Series:
        """The series of the sensors at these places of the register, null where one has no number yet."""
        found = pl.Series("series", self._at_place[places.to_numpy()])
        return found.set(found == UNNUMBERED, None)

    def placed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with SENSOR in place of `sensor`."""
        places = [self._places[sensor] for sensor in rows["sensor"]]
        return pl.DataFrame([pl.Series(SENSOR, places, dtype=pl.Int32), *_without(rows, "sensor")])

    def number(self, rows: pl.DataFrame, now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows with `series` in place of SENSOR, and the newly numbered sensors, to be kept once durable."""
        places = rows[SENSOR].to_numpy()
        found = self._at_place[places]
        registered = pl.DataFrame(schema=SERIES.schema)
        if (found == UNNUMBERED).any():
            numbers = self._at_place.copy()
            unknown = sorted(self._sensors[place] for place in np.unique(places[found == UNNUMBERED]).tolist())
            for number, sensor in enumerate(unknown, start=len(self.numbers)):
                numbers[self._places[sensor]] = number
            named = [(sensor, int(numbers[self._places[sensor]]), now) for sensor in unknown]
            registered = pl.DataFrame(named, schema=SERIES.schema, orient="row")
            found = numbers[places]
        return pl.DataFrame([pl.Series("series", found), *_without(rows, SENSOR)]), registered


def _without(rows: pl.DataFrame, name: str) -> list[pl.Series]:
    return [column for column in rows.get_columns() if column.name != name]
