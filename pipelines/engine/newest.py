"""The newest reading of every sensor, and what else landed between two beats."""

import threading
from collections.abc import Sequence

import polars as pl

from pipelines.engine.model import INSTANT

LATEST = pl.Schema({"series": pl.Int32(), "observed_at": INSTANT, "value": pl.Float64()})


class NewestReadings:
    """Each reading that lands is looked at once, however many ask between two beats."""

    def __init__(self, known: pl.DataFrame, writing: threading.RLock) -> None:
        """`known`: the newest so far (shape: LATEST); `writing` is held by whoever lands."""
        self._newest, self._writing = known.cast(LATEST), writing
        self._samples: list[pl.DataFrame] = []
        # Those that are not part of `_newest` yet.
        self._unseen: list[pl.DataFrame] = []
        self._looking = threading.Lock()

    def add(self, readings: pl.DataFrame) -> None:
        """Take note of readings that landed."""
        columns = ((readings[name], kind) for name, kind in LATEST.items())
        rows = pl.DataFrame([column if column.dtype == kind else column.cast(kind) for column, kind in columns])
        self._samples.append(rows)
        self._unseen.append(rows)

    def rows(self) -> pl.DataFrame:
        """The newest of every series (shape: LATEST)."""
        with self._looking:
            parts = [*self._unseen]
            # After a flood this takes long: nobody who lands waits for it.
            newest = _newest(self._newest, parts)
            with self._writing:
                self._newest = newest
                del self._unseen[: len(parts)]
            return newest

    def drain(self) -> pl.DataFrame:
        """Those that landed since the last call and the newest of every series, each once (shape: LATEST).

        An excursion that came and went within one payload is among them.
        """
        newest = self.rows()
        with self._writing:
            parts, self._samples = self._samples, []
        return pl.concat([newest, *parts]).unique(["series", "observed_at"], keep="last")


def _newest(known: pl.DataFrame, landed: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The newest reading of every series among those known and those that landed since."""
    if not landed:
        return known
    rows = pl.concat([known, *landed]).sort("observed_at", maintain_order=True)
    return rows.unique("series", keep="last")
