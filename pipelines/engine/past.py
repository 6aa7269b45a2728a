"""What is known of readings without asking the tables: the newest instants, and the frames that are not there yet."""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from pipelines.engine.calendar import extent
from pipelines.engine.journal import Entry
from pipelines.engine.landing import Frames, Landing
from pipelines.engine.model import Table
from pipelines.engine.sorting import Newest


class Past:
    """Called by whoever lands, but for `put`."""

    def __init__(self) -> None:
        # Of all that is known, and of what is in the tables already.
        self._newest: Newest | None = None
        self._in_tables: Newest | None = None

    @property
    def begun(self) -> bool:
        """Whether the newest instants are known."""
        return self._newest is not None

    def begin(self, since: datetime, latest: pl.DataFrame) -> None:
        """`latest`: series and observed_at of the newest readings past `since`, all of them in the tables."""
        self._newest, self._in_tables = (Newest(since, latest) for _ in range(2))

    def learn(self, entries: Sequence[Entry]) -> None:
        """Take note of a durable frame."""
        _tell(self._newest, entries)

    def put(self, frames: Frames) -> None:
        """Take note of frames that are in the tables now."""
        for _, entries in frames:
            _tell(self._in_tables, entries)

    def is_new(self, readings: pl.DataFrame) -> pl.Series:
        """Which readings are newer than anything known of their series."""
        assert self._newest is not None
        return self._newest.past(readings)

    def states(self, table: Table, readings: pl.DataFrame, landing: Landing) -> pl.DataFrame | None:
        """What is known of readings that several senders brought out of order; None when the tables must be asked."""
        # First what is held: what goes into the tables meanwhile is then in both.
        held = landing.held(table.name, *extent(readings["observed_at"]))
        if self._in_tables is None or not self._in_tables.past(readings).all():
            return None
        keys, columns = list(table.key), readings.columns
        rows = pl.concat([readings.clear(), *(part.select(columns) for part in held)])
        rows = rows.unique(keys, keep="last", maintain_order=True)
        return rows.join(readings.select(keys).unique(), on=keys, how="semi")


def _tell(newest: Newest | None, entries: Sequence[Entry]) -> None:
    for entry in entries:
        if newest is not None and entry.table == "readings":
            newest.learn(entry.rows)
