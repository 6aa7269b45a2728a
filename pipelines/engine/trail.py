"""The values lately published of each KPI: its sparkline, and the value of the same time last week."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.calendar import LENGTHS
from pipelines.engine.model import Kpi
from pipelines.engine.store import Store

SPARK = 30
WEEK = timedelta(days=7)
# A window that began a week before one that is still running, and some room for the change of clocks.
WEEK_BACK = 2 * WEEK + timedelta(days=1)
LONGEST_COMPARED = timedelta(days=7)


class Trail:
    """Newest values by KPI, area and window: of the town as many as a sparkline needs, of wards two weeks."""

    def __init__(self, kpis: Iterable[Kpi], zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._steps = {kpi.id: LENGTHS[kpi.window.step] for kpi in kpis}
        self._values: dict[tuple[str, str], dict[datetime, float | None]] = {}

    def load(self, store: Store, now: datetime) -> None:
        """Read what was published lately."""
        names = ["kpi", "area", "window", "value", "revision"]
        for step in sorted(set(self._steps.values())):
            reach = max(SPARK * step * 2, WEEK_BACK)
            which = {"kpis": [name for name, length in self._steps.items() if length == step]}
            known = "kpi IN (SELECT unnest($kpis)) AND (area = 'town' OR area LIKE 'ward:%')"
            self.add(store.rows("kpi_values", now - reach, None, known, which, columns=names))

    def add(self, values: pl.DataFrame) -> None:
        """Take in published values, later revisions over earlier ones.

        Shape: values has kpi, area, window, value, revision.
        """
        ours = values.filter((pl.col("area") == "town") | pl.col("area").str.starts_with("ward:"))
        touched = set()
        for kpi, area, window, value in ours.sort("revision").select("kpi", "area", "window", "value").iter_rows():
            if kpi in self._steps and (area == "town" or self._steps[kpi] <= LONGEST_COMPARED):
                self._values.setdefault((kpi, area), {})[window] = value
                touched.add((kpi, area))
        for key in touched:
            self._trim(key)

    def _trim(self, key: tuple[str, str]) -> None:
        most = max(SPARK if key[1] == "town" else 0, WEEK_BACK // self._steps[key[0]] + 1)
        known = self._values[key]
        if len(known) > most:
            self._values[key] = {window: known[window] for window in sorted(known)[-most:]}

    def last_week(self, kpi: str, area: str, window: datetime | None) -> float | None:
        """The value of the window that began at the same local time a week earlier."""
        known = self._values.get((kpi, area))
        if window is None or not known:
            return None
        return known.get(_week_before(window, self._zone), known.get(window - WEEK))

    def spark(self, kpi: str) -> list[float | None]:
        """The last values of the town, oldest first."""
        known = self._values.get((kpi, "town"), {})
        return [known[window] for window in sorted(known)[-SPARK:]]


@lru_cache(maxsize=512)
def _week_before(at: datetime, zone: ZoneInfo) -> datetime:
    return (at.astimezone(zone) - WEEK).astimezone(UTC)
