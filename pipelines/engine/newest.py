"""The newest reading of every sensor, and what else landed between two beats."""

import threading

import polars as pl

from pipelines.engine.standing import NEWEST, Standing


class NewestReadings:
    """Each reading that lands is looked at once, however many ask between two beats."""

    def __init__(self, known: pl.DataFrame, writing: threading.RLock) -> None:
        """`known`: the newest so far (shape: NEWEST); `writing` is held by whoever lands."""
        self._standing, self._writing = Standing(known), writing
        self._samples: list[pl.DataFrame] = []
        self._repeats = False
        # Those that `_standing` has not heard of yet.
        self._unseen: list[pl.DataFrame] = []
        self._looking = threading.Lock()

    def add(self, readings: pl.DataFrame, *, corrects: bool) -> None:
        """Take note of readings that landed; `corrects`: some may be there already with another value."""
        columns = ((readings[name], kind) for name, kind in NEWEST.items())
        rows = pl.DataFrame([column if column.dtype == kind else column.cast(kind) for column, kind in columns])
        self._samples.append(rows)
        self._unseen.append(rows)
        self._repeats |= corrects

    def rows(self) -> pl.DataFrame:
        """The newest of every series (shape: NEWEST)."""
        with self._looking:
            self._hear()
            return self._standing.rows()

    def drain(self) -> pl.DataFrame:
        """Those that landed since the last call and the newest of every series, each once (shape: NEWEST).

        An excursion that came and went within one payload is among them.
        """
        with self._looking:
            # Nearly all of the work, before anybody who lands would have to wait.
            self._hear()
            self._standing.rows()
            with self._writing:
                self._hear()
                before = self._standing.rows(stale_only=True)
                self._standing.forget_fresh()
                parts, self._samples = self._samples, []
                repeats, self._repeats = self._repeats, False
        rows = pl.concat([before, *parts])
        return rows.unique(["series", "observed_at"], keep="last") if repeats else rows

    def _hear(self) -> None:
        """Have `_standing` know what landed."""
        with self._writing:
            parts, self._unseen = self._unseen, []
        for part in parts:
            self._standing.learn(part)
