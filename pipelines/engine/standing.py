"""The newest reading of every series, kept up by what lands."""

import polars as pl

from pipelines.engine.model import INSTANT

NEWEST = pl.Schema({"series": pl.Int32(), "observed_at": INSTANT, "value": pl.Float64()})
# So many pieces are kept until somebody asks.
MOST_PIECES = 500


class Standing:
    """A reading of the same instant as the newest replaces it: it is its correction."""

    def __init__(self, newest: pl.DataFrame) -> None:
        self._rows, self._landed = newest.select(list(NEWEST)).cast(NEWEST), list[pl.DataFrame]()

    def learn(self, readings: pl.DataFrame) -> None:
        """Take note of readings that have landed."""
        self._landed.append(readings.select(list(NEWEST)).cast(NEWEST))
        if len(self._landed) > MOST_PIECES:
            self.rows()

    def rows(self) -> pl.DataFrame:
        """One row per series: series, observed_at, value."""
        if self._landed:
            both = pl.concat([self._rows, *self._landed]).sort("observed_at", maintain_order=True)
            self._rows, self._landed = both.unique("series", keep="last"), []
        return self._rows
