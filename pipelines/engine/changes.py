"""What has changed since the last beat: of each table, quantity and feed the span of time that may look other now."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.calendar import extent
from pipelines.engine.journal import Entry
from pipelines.engine.model import INSTANT, Table
from pipelines.engine.works import Span, arrivals_of


class Changes:
    """Collects spans until they are taken. Called by whoever keeps others from landing, but for `spans`."""

    def __init__(self, zone: str) -> None:
        self._zone = zone
        self._spans: dict[str, Span] = {}
        self._readings: list[pl.DataFrame] = []

    def readings(self, spans: pl.DataFrame) -> None:
        """Readings landed.

        Shape: series, low, high.
        """
        self._readings.append(spans)

    def rows(self, table: Table, entry: Entry) -> None:
        """Rows of another table landed."""
        received = datetime.fromtimestamp(entry.facts["received_s"], UTC)
        if table.replaces:
            # A new timetable or list changes what was expected from now on, not what was published.
            self._widen(entry.table, received, received)
            return
        before = [datetime.fromtimestamp(edge, UTC) for edge in entry.facts.get("replaced_s", ())]
        found = [min(edge, received) for edge in (*edges(table, entry.rows, self._zone), *before)] or [received]
        names = [entry.table]
        if entry.table == "arrivals":
            names += map(arrivals_of, set(entry.rows["feed"].to_list()))
        for name in names:
            self._widen(name, min(found), max(found))

    def taken(self) -> "Changes":
        """What was collected, taken out; nobody who lands waits while it is summed up."""
        found = Changes(self._zone)
        found._spans, found._readings = self._spans, self._readings
        self._spans, self._readings = {}, []
        return found

    def spans(self, quantities: pl.DataFrame) -> dict[str, Span]:
        """Table, quantity or arrivals of a feed -> span of time that changed.

        Shape: quantities has series and quantity.
        """
        if self._readings:
            spans, self._readings = pl.concat(self._readings), []
            whole = pl.col("low").min(), pl.col("high").max()
            self._widen("readings", *spans.select(whole).row(0))
            for quantity, low, high in spans.join(quantities, on="series").group_by("quantity").agg(whole).iter_rows():
                self._widen(quantity, low, high)
        return self._spans

    def _widen(self, name: str, low: datetime, high: datetime) -> None:
        known = self._spans.get(name)
        self._spans[name] = (min(low, known[0]), max(high, known[1])) if known else (low, high)


def edges(table: Table, rows: pl.DataFrame, zone: str) -> list[datetime]:
    """The first and last instant of each time column of some rows; a day reaches from local midnight to the next."""
    found: list[datetime] = []
    for name in table.instants:
        if rows[name].null_count() == rows.height:
            continue
        low, high = extent(rows[name].cast(INSTANT))
        if isinstance(rows.schema[name], pl.Datetime):
            found += [low, high]
        else:
            start, end = (datetime.combine(at.date(), time(), ZoneInfo(zone)).astimezone(UTC) for at in (low, high))
            found += [start, end + timedelta(days=1)]
    return found
