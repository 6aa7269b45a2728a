"""What the board said of each KPI and area at the same local time a week ago, so that like is compared with like."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.minutes import GONE, WHOLE_EVERY
from pipelines.engine.store import Store
from pipelines.engine.timed import MICROSECOND, place

WEEK = timedelta(days=7)
# So much of the minutes is read at a time.
AHEAD = timedelta(hours=1)
# The minutes are whole within a day.
REACH = WHOLE_EVERY + timedelta(hours=1)
COLUMNS = ("kpi", "area", "said_at", "window", "value", "status", "whole")


class Said(NamedTuple):
    """A value that was shown, and the start of the window that it was of."""

    window: datetime | None
    value: float | None


@lru_cache(maxsize=512)
def week_before(at: datetime, zone: ZoneInfo) -> datetime:
    """The same local time a week earlier."""
    return (at.astimezone(zone) - WEEK).astimezone(UTC)


class SaidBefore:
    """Follows the minutes of the board a week behind; a running window had lasted as long as it has now."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._told: dict[tuple[str, str], Said] = {}
        # Read, but not said by then; in order of time.
        self._coming = pl.DataFrame()
        self._at: datetime | None = None
        self._read_to = datetime.min.replace(tzinfo=UTC)

    def follow(self, store: Store, now: datetime) -> None:
        """Go on to what had been said a week before `now`."""
        at = week_before(now, self._zone)
        if self._at is None or at < self._at or at >= self._read_to + AHEAD:
            self._told, self._coming, self._read_to = {}, pl.DataFrame(), at - REACH
        if at >= self._read_to:
            rows = store.rows("kpi_board", self._read_to, at + AHEAD, columns=COLUMNS)
            self._coming = pl.concat([self._coming, rows.sort("said_at")], how="diagonal")
            self._read_to = at + AHEAD
        self._at = at
        said = place(self._coming, at + MICROSECOND, "said_at")
        if said:
            self._take(self._coming.head(said))
            self._coming = self._coming.slice(said)

    def _take(self, rows: pl.DataFrame) -> None:
        """Take note of all that was said at some instants: what the newest whole board does not name is gone."""
        whole = rows.filter("whole")["said_at"].max()
        if whole is not None:
            self._told, rows = {}, rows.filter(pl.col("said_at") >= whole)
        for row in rows.unique(["kpi", "area"], keep="last", maintain_order=True).iter_rows(named=True):
            key = (row["kpi"], row["area"])
            if row["status"] == GONE:
                self._told.pop(key, None)
            else:
                self._told[key] = Said(row["window"], row["value"])

    def of(self, kpi: str, area: str, window: datetime) -> Said | None:
        """What was said by then of the window that began a week before this one; None when nothing was."""
        said = self._told.get((kpi, area))
        return said if said is not None and said.window == week_before(window, self._zone) else None
