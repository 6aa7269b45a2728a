"""The values lately published of each KPI: its sparkline, and the value of the same time last week."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.calendar import LENGTHS
from pipelines.engine.model import Kpi
from pipelines.engine.said_before import WEEK, SaidBefore, week_before
from pipelines.engine.store import Store

# So many values of the town are a sparkline; of KPIs with windows under a day as many as fill a day.
SPARK = 30
DAY = timedelta(days=1)
# A window that began a week before one that is still running, and some room for the change of clocks.
WEEK_BACK = 2 * WEEK + timedelta(days=1)
LONGEST_COMPARED = timedelta(days=7)


class LastWeek(NamedTuple):
    """A value of last week to compare with; `whole`: it is of a whole window, while this week's is still running."""

    value: float | None
    whole: bool = False


class Trail:
    """Newest values by KPI, area and window: of the town as many as a sparkline needs, of wards two weeks."""

    def __init__(self, kpis: Iterable[Kpi], zone: str) -> None:
        self._zone, kpis = ZoneInfo(zone), list(kpis)
        self._grows = {kpi.id for kpi in kpis if kpi.grows or kpi.counts}
        self._said = SaidBefore(self._zone)
        self._steps = {kpi.id: LENGTHS[kpi.window.step] for kpi in kpis}
        self._values: dict[tuple[str, str], dict[datetime, float | None]] = {}

    def load(self, store: Store, now: datetime) -> None:
        """Read what was published lately."""
        names = ["kpi", "area", "window", "value", "revision"]
        for step in sorted(set(self._steps.values())):
            reach = max(_sparks(step) * step * 2, WEEK_BACK)
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
        most = max(_sparks(self._steps[key[0]]) if key[1] == "town" else 0, WEEK_BACK // self._steps[key[0]] + 1)
        known = self._values[key]
        if len(known) > most:
            self._values[key] = {window: known[window] for window in sorted(known)[-most:]}

    def follow(self, store: Store, now: datetime) -> None:
        """Go on to what the board said a week ago."""
        self._said.follow(store, now)

    def last_week(self, kpi: str, area: str, window: datetime | None, *, running: bool) -> LastWeek:
        """The value of the window that began at the same local time a week earlier.

        Of a running one it is what was said when that one had lasted as long; where nothing was, the whole window's,
        unless the KPI grows with the time.
        """
        if window is None:
            return LastWeek(None)
        said = self._said.of(kpi, area, window) if running else None
        if said is not None or (running and kpi in self._grows):
            return LastWeek(said.value if said else None)
        known = self._values.get((kpi, area), {})
        value = known.get(week_before(window, self._zone), known.get(window - WEEK))
        return LastWeek(value, whole=running and value is not None)

    def spark(self, kpi: str) -> list[float | None]:
        """The last values of the town, oldest first."""
        known = self._values.get((kpi, "town"), {})
        return [known[window] for window in sorted(known)[-_sparks(self._steps[kpi]) :]]


def _sparks(step: timedelta) -> int:
    return DAY // step if step < DAY else SPARK
