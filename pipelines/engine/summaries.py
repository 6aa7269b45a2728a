"""Readings summed up by step of the town's calendar: from rollups, and anew where rows have landed since."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.engine.calendar import LENGTHS, ROLLUP_SCHEMA, after, coarser, floor, local_step, rolled
from pipelines.engine.rolled import COUNTED
from pipelines.engine.rollups import WARD_HOURS, by_ward, usable
from pipelines.engine.store import Store

STEPS = ("quarter_hour", "hour", "day", "month")
# More points than a chart has pixels only make it slow.
MOST_POINTS = 1600
SUMS = ("sensors", "n", "sum", "min", "max")
AREAS = pl.Schema({name: WARD_HOURS[name] for name in ("observed_at", "ward", *SUMS)})
Span = tuple[datetime, datetime]


class Summaries:
    """Sums, extremes and counts of good readings; steps are whole, also at the ends of a span."""

    def __init__(self, store: Store, zone: str) -> None:
        self._store, self._zone = store, zone

    def by_series(self, series: Sequence[int], start: datetime, end: datetime, step: str) -> pl.DataFrame:
        """One row per series and step that has good readings (shape: calendar.ROLLUP_SCHEMA)."""
        low, high = self._whole(start, end, step)
        if step == "quarter_hour":
            return self._quarters(series, low, high)
        hours = self._touched(series, low, high)
        if step == "hour":
            return self._hours(series, low, high, hours)
        grain = "daily" if step == "day" else "monthly"
        steps = hours.select(local_step("observed_at", step, self._zone)).unique().sort("observed_at")["observed_at"]
        spans = [(at, after(at, step, self._zone)) for at in steps]
        standing = self._store.rolled.by_series(grain, low, high, series)
        standing = standing.filter(~pl.col("observed_at").is_in(steps.implode()))
        finer = [self.by_series(series, *span, "hour" if step == "day" else "day") for span in spans]
        return pl.concat([standing, *(coarser(rows, step, self._zone) for rows in finer)]).sort("series", "observed_at")

    def by_area(self, places: pl.DataFrame, start: datetime, end: datetime, *, step: str, wards: bool) -> pl.DataFrame:
        """One row per step and ward (or for the town whole) that has good readings of one quantity.

        Shape: AREAS; `ward` is null for the town, and for assets that stand in none. places: PLACES of the quantity.
        """
        low, high = self._whole(start, end, step)
        hours = self._ward_hours(places, low, high)
        ward = pl.col("ward") if wards else pl.lit(None, pl.String).alias("ward")
        sums = [pl.col("n", "sum").sum(), pl.col("min").min(), pl.col("max").max()]
        hourly = hours.group_by("observed_at", ward).agg(*sums, pl.col("sensors").sum())
        # A sensor may be silent for an hour: the fullest hour tells how many there are.
        added = hourly.group_by(local_step("observed_at", step, self._zone), "ward").agg(*sums, pl.col("sensors").max())
        return added.select(list(AREAS)).sort("observed_at", "ward")

    def percentiles(
        self, places: pl.DataFrame, start: datetime, end: datetime, shares: Sequence[float]
    ) -> list[float | None]:
        """Percentiles of all good readings of a quantity in whole local days, exact (Hyndman-Fan type 7)."""
        low, high = self._whole(start, end, "day")
        counts = self._counted(places, low, high).group_by("value").agg(pl.col("n").sum()).sort("value")
        return quantiles(counts["value"].to_numpy(), counts["n"].to_numpy(), shares)

    def _whole(self, start: datetime, end: datetime, step: str) -> Span:
        """The span widened to whole steps."""
        low, last = floor(start, step, self._zone), floor(end, step, self._zone)
        return low, last if last == end else after(last, step, self._zone)

    def _touched(self, series: Sequence[int], low: datetime, high: datetime, step: str = "hour") -> pl.DataFrame:
        """The local steps into which rows have landed since the compaction."""
        landed = self._store.rolled.landed(series, low, high)
        return landed.select(local_step("observed_at", step, self._zone)).unique().sort("observed_at")

    def _quarters(self, series: Sequence[int], low: datetime, high: datetime) -> pl.DataFrame:
        """Those that stand; the readings of series that report no more often are summed up, as are days that miss."""
        standing = self._store.rolled.by_series("quarter_hourly", low, high, series)
        often = set(standing["series"].unique())
        seldom = [one for one in series if one not in often]
        few = rolled(usable(self._store.rolled.readings(seldom, low, high)), "quarter_hour", self._zone)
        if not often:
            return few
        bare = self._days_without(standing, len(often), low, high)
        landed = self._touched(list(often), low, high, "quarter_hour")["observed_at"]
        quarters = [at for at in landed if floor(at, "day", self._zone) not in bare]
        spans = [*self._joined(quarters, "quarter_hour"), *self._joined(sorted(bare), "day")]
        spans = [(max(first, low), min(last, high)) for first, last in spans]
        return pl.concat([few, self._anew(standing, list(often), spans, "quarter_hour")]).sort("series", "observed_at")

    def _days_without(self, standing: pl.DataFrame, series: int, low: datetime, high: datetime) -> set[datetime]:
        """The local days in a span on which fewer series stand than these."""
        there = standing.group_by(local_step("observed_at", "day", self._zone)).agg(pl.col("series").n_unique())
        full = set(there.filter(pl.col("series") == series)["observed_at"])
        day, days = floor(low, "day", self._zone), set[datetime]()
        while day < high:
            days.add(day)
            day = after(day, "day", self._zone)
        return days - full

    def _hours(self, series: Sequence[int], low: datetime, high: datetime, touched: pl.DataFrame) -> pl.DataFrame:
        standing = self._store.rolled.by_series("hourly", low, high, series)
        return self._anew(standing, series, self._joined(touched["observed_at"].to_list(), "hour"), "hour")

    def _anew(self, standing: pl.DataFrame, series: Sequence[int], spans: list[Span], step: str) -> pl.DataFrame:
        """The steps that stand, those in some spans rolled up from all their rows unless some of these were let go."""
        keys = ["series", "observed_at"]
        if not spans:
            return standing.sort(keys)
        rows = pl.concat([self._store.rolled.readings(series, *span) for span in spans])
        if standing.is_empty():
            return rolled(usable(rows), step, self._zone)
        came = rows.group_by("series", local_step("observed_at", step, self._zone)).len("came")
        marked = standing.join(came, on=keys, how="left").with_columns(pl.col("came").fill_null(0))
        kept = marked.filter(~_inside(spans) | (pl.col("n") > pl.col("came"))).select(list(ROLLUP_SCHEMA))
        fresh = rolled(usable(rows), step, self._zone)
        return pl.concat([kept, fresh.join(kept, on=keys, how="anti")]).sort(keys)

    def _ward_hours(self, places: pl.DataFrame, low: datetime, high: datetime) -> pl.DataFrame:
        """Hours of one quantity by ward; anew those touched, and the days that were rolled up without wards."""
        quantity, series = _of(places)
        standing = self._store.rolled.by_ward(quantity, low, high)
        touched = self._touched(series, low, high)
        missing = self._bare(standing, low, high)
        spans = [*self._joined(touched["observed_at"].to_list(), "hour"), *self._joined(missing, "day")]
        spans = [(max(first, low), min(last, high)) for first, last in spans]
        if not spans:
            return standing
        at = pl.col("observed_at")
        hours = [self._hours(series, *span, touched.filter(at.is_between(*span, closed="left"))) for span in spans]
        fresh = [by_ward(rows, places) for rows in hours]
        return pl.concat([standing.filter(~_inside(spans)), *fresh]).unique(
            ["observed_at", "ward"], maintain_order=True
        )

    def _bare(self, standing: pl.DataFrame, low: datetime, high: datetime) -> list[datetime]:
        """Days that have rollups by series, but none by ward: an earlier version rolled them up."""
        known = set(standing.select(local_step("observed_at", "day", self._zone)).to_series().unique())
        return [day for day in self._days(low, high) if day not in known]

    def _days(self, low: datetime, high: datetime) -> list[datetime]:
        """The starts of the local days of which there is a file of hours."""
        parts = self._store.manifest.parts.get("roll_hourly", {}).values()
        lows = [part.low for part in parts if part.low and part.high and part.high >= low and part.low < high]
        return sorted({floor(at, "day", self._zone) for at in lows})

    def _counted(self, places: pl.DataFrame, low: datetime, high: datetime) -> pl.DataFrame:
        """How often each value was read: value, n."""
        quantity, series = _of(places)
        found = self._store.rolled.by_value(quantity, low, high)
        touched = self._touched(series, low, high)
        again = set(touched.select(local_step("observed_at", "day", self._zone)).to_series())
        again |= set(self._days(low, high)) - set(found["observed_at"].unique())
        kept = found.filter(~pl.col("observed_at").is_in(list(again))).select(list(COUNTED))
        anew = [self._store.rolled.counted(series, *span) for span in self._joined(sorted(again), "day")]
        return pl.concat([kept, *anew])

    def _joined(self, starts: Sequence[datetime], step: str) -> list[Span]:
        """Steps as spans, those that follow each other as one."""
        spans: list[Span] = []
        for at in starts:
            end = after(at, step, self._zone)
            spans = [*spans[:-1], (spans[-1][0], end)] if spans and spans[-1][1] == at else [*spans, (at, end)]
        return spans


def _inside(spans: list[Span]) -> pl.Expr:
    """Whether a row lies in one of some spans."""
    return pl.any_horizontal((pl.col("observed_at") >= a) & (pl.col("observed_at") < b) for a, b in spans)


def of_sensors(rows: pl.DataFrame, sensors: pl.DataFrame) -> pl.DataFrame:
    """Rollups by series under the names of their sensors: sensor, window, value (mean), lowest, highest, last, n."""
    named = rows.join(sensors.select("series", "sensor"), on="series")
    return named.select(
        "sensor",
        pl.col("observed_at").alias("window"),
        (pl.col("sum") / pl.col("n")).alias("value"),
        pl.col("min").alias("lowest"),
        pl.col("max").alias("highest"),
        "last",
        "n",
    ).sort("window", "sensor")


def of_areas(rows: pl.DataFrame, *, wards: bool) -> pl.DataFrame:
    """AREAS as people read them: window, area, value (mean of all readings), lowest, highest, n, sensors."""
    rows = rows.filter(pl.col("ward").is_not_null()) if wards else rows
    return rows.select(
        pl.col("observed_at").alias("window"),
        (pl.format("ward:{}", "ward") if wards else pl.lit("town")).alias("area"),
        (pl.col("sum") / pl.col("n")).alias("value"),
        pl.col("min").alias("lowest"),
        pl.col("max").alias("highest"),
        "n",
        "sensors",
    )


def fitting_step(span: timedelta, every_s: float) -> str | None:
    """The finest step that draws a span with at most MOST_POINTS points; None for the readings themselves."""
    if span.total_seconds() / every_s <= MOST_POINTS:
        return None
    return next((step for step in STEPS if span / LENGTHS[step] <= MOST_POINTS), STEPS[-1])


def _of(places: pl.DataFrame) -> tuple[str, list[int]]:
    """The one quantity of some places, and their series."""
    quantity = places["quantity"][0] if places.height else ""
    return quantity, places["series"].to_list()


def quantiles(values: NDArray[np.float64], counts: NDArray[np.int64], shares: Sequence[float]) -> list[float | None]:
    """Quantiles of values that occur so often (in rising order), by linear interpolation; None when there is none."""
    if not values.size:
        return [None for _ in shares]
    reach = np.cumsum(counts)
    found: list[float | None] = []
    for share in shares:
        place = share * (reach[-1] - 1)
        ranks = (math.floor(place), math.ceil(place))
        low, high = (float(values[np.searchsorted(reach, rank, side="right")]) for rank in ranks)
        found.append(low + (high - low) * (place - int(place)))
    return found
