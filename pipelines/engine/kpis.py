"""KPIs: calls the declared functions over the windows that late or new data touched, and completes their values."""

import logging
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from pipelines.engine.calendar import LENGTHS, extent, floor, length, windows
from pipelines.engine.completing import NOTHING, VALUE, complete
from pipelines.engine.coverage import PART
from pipelines.engine.covered import Covered
from pipelines.engine.covering import Covering
from pipelines.engine.inputs import Inputs
from pipelines.engine.measures import KEYS, forget_shared
from pipelines.engine.model import INSTANT, Kpi
from pipelines.engine.settings import Settings
from pipelines.engine.tables import KPI_VALUES
from pipelines.engine.works import Span, Work, affordable, merge

log = logging.getLogger("townboard")
# Windows that are computed in one call: their inputs stand in memory together, so they reach over some days only.
MOST_WINDOWS, MOST_REACH = 320, timedelta(days=10)
TOLERANCE = 1e-9
# Of a beat's time when closed windows are due too; they get the rest, and what this leaves.
SHARE_OF_OPEN = 0.75
# Completing its rows together with the others' comes on top of calling a function.
COMPLETING = 1.15
CAST = {name: pl.col(name).cast(kind) for name, kind in VALUE.items()}
NO_RESULT = pl.DataFrame(schema={**VALUE, "kpi": pl.String()})
FOREVER = datetime.max.replace(tzinfo=UTC)
LATELY = timedelta(days=31)


def _judging(settings: Settings) -> pl.DataFrame:
    """How each KPI's rows are completed; one is of people when it reads a table that holds what is personal."""
    personal = {t.name for domain in settings.domains for t in domain.tables if any(c.personal for c in t.columns)}
    return pl.DataFrame(
        [(k.id, k.scale, k.floor, k.min_coverage, k.counts, not personal.isdisjoint(k.inputs)) for k in settings.kpis],
        schema={"kpi": pl.String, "scale": pl.Float64, "floor": pl.Float64, "min_coverage": pl.Float64}
        | {"counts": pl.Boolean, "of_people": pl.Boolean},
        orient="row",
    )


class Kpis:
    """All KPIs of a town. `evaluate` is called once a beat with what was touched since the last one."""

    def __init__(
        self, settings: Settings, inputs: Inputs, feeds_of: Mapping[str, frozenset[str]], covered: Covered
    ) -> None:
        self.inputs, self._settings = inputs, settings
        # A timetable that came this week says nothing about the live feed beside it: it covers no time.
        self._whole = {table.name for domain in settings.domains for table in domain.tables if table.replaces}
        self.works = {
            kpi.id: Work(
                kpi,
                domain.name,
                frozenset().union(*(feeds_of.get(name, frozenset()) for name in kpi.inputs if name not in self._whole)),
                frozenset(feed.name for feed in settings.feeds.values() if feed.table in kpi.hears),
            )
            for domain in settings.domains
            for kpi in domain.kpis
        }
        self._readers: dict[str, list[Work]] = {}
        for work in self.works.values():
            for name in work.reads:
                self._readers.setdefault(name, []).append(work)
        quantities = {quantity.name for domain in settings.domains for quantity in domain.quantities}
        self._covering = Covering(inputs, covered, quantities)
        self._judging = _judging(settings)
        self._grids: dict[tuple[Any, ...], pl.DataFrame] = {}
        self.faults: dict[str, str] = {}
        self.evaluated = 0
        self._taken: dict[str, list[Span]] = {}

    @property
    def settled(self) -> bool:
        """Whether every closed window that was touched has been computed."""
        return not any(work.due for work in self.works.values())

    @property
    def behind(self) -> bool:
        """Whether much is to be caught up: a KPI was never computed, or a long past waits for its values."""
        return any(
            not work.looks or any(high - low > 3 * length(work.kpi.window) for low, high in work.due)
            for work in self.works.values()
        )

    def touch(self, name: str, low: datetime, high: datetime, told: datetime = FOREVER) -> None:
        """Rows of a table or quantity changed within [low, high]: every window they fall into is due.

        What is read from the beginning (an open complaint) bears on every window since, up to `told`.
        """
        for work in self._readers.get(name, ()):
            work.fresh = work.fresh or work.bears(low, whole=name in self._whole)
            if work.open_from is not None and low >= work.open_from:
                # Only windows that still run are touched: each becomes due when it ends.
                continue
            back = work.kpi.lookback
            reach = timedelta(hours=work.kpi.window.hours, microseconds=1)
            last = high + back if back is not None else max(high, told)
            work.due = merge(work.due, low, last + reach if last < FOREVER - reach else FOREVER)

    def evaluate(self, touched: Mapping[str, Span], now: datetime, budget_s: float = math.inf) -> pl.DataFrame:
        """Compute what is due within about a budget of seconds; gives the values to publish.

        What is left waits for the next beat.
        Shape: tables.KPI_VALUES; only closed windows whose value is new or has changed.
        """
        newest = touched.get("arrivals", (now, now))[1]
        # A back-fill of years ago says nothing about the years since: nobody counted zeros there.
        told = FOREVER if now - newest < LATELY else newest
        for name, (low, high) in touched.items():
            self.touch(name, low, high, told)
        self.inputs.forget(touched)
        self._grids.clear()
        # What is done for all, before the first KPI, is no part of what KPIs may take.
        began = time.perf_counter()
        for_open = budget_s if self.settled else budget_s * SHARE_OF_OPEN
        self._open(now, began + for_open)
        self._taken = {key: list(work.due) for key, work in self.works.items()}
        try:
            published = self._close(now, began + budget_s)
        except BaseException:
            self.undo()
            raise
        finally:
            forget_shared()
        return pl.concat([pl.DataFrame(schema=KPI_VALUES.schema), *published])

    def _open(self, now: datetime, until: float) -> None:
        """Compute running windows until about an instant of the clock; some, however little time there is.

        What took less than the last time leaves room for others.
        """
        left = self._wanting(now)
        while left:
            taken = affordable(left, until - time.perf_counter())
            self._open_windows(taken, now)
            seconds = until - time.perf_counter()
            left = [work for work in left if work.waits_since is not None and work.cost_s <= seconds]

    def _wanting(self, now: datetime) -> list[Work]:
        """The KPIs to be computed, those that have waited longest first; of a beat's, those whose inputs changed."""
        wanting = [work for work in self.works.values() if work.wants(now)]
        for work in wanting:
            work.waits_since = work.waits_since or now
        wanting.sort(key=lambda w: (w.looks > 0, w.waits_since, not w.fresh, w.next_at, length(w.kpi.window)))
        return wanting

    def _close(self, now: datetime, until: float) -> list[pl.DataFrame]:
        """The values of closed windows that are due, until an instant of the clock; at least some of one KPI.

        Who was served longest ago comes first, so that none that is touched at every beat keeps the others waiting.
        """
        published: list[pl.DataFrame] = []
        turns = sorted((w for w in self.works.values() if w.due), key=lambda w: (w.closed_at, length(w.kpi.window)))
        for work in turns:
            while work.due and ((left := until - time.perf_counter()) > 0 or not published):
                work.closed_at = now
                published.append(self._closed_windows(work, now, left))
        return published

    def undo(self) -> None:
        """What the last `evaluate` took up is due again: its values could not be kept."""
        for key, spans in self._taken.items():
            for low, high in spans:
                self.works[key].due = merge(self.works[key].due, low, high)

    def wake(self, since: datetime, now: datetime) -> None:
        """Every window that ran at `since` or ended after it is due: nobody computed KPIs in between."""
        for work in self.works.values():
            work.due = merge(work.due, min(since, now), now)

    def _open_windows(self, works: list[Work], now: datetime) -> None:
        """Refresh the values of the windows that are running; one that has ended becomes due for good."""
        pairs = []
        for work in works:
            if work.open_end is not None and now >= work.open_end:
                work.due = merge(work.due, work.open_end - timedelta(microseconds=1), now)
            grid = self._running(work.kpi, now)
            work.open_from = floor(now, work.kpi.window.step, self._settings.zone)
            work.open_end = grid["end"][0]
            if work.kpi.settles is not None:
                grid = self._settled(work.kpi, now)
                work.shown_until = grid["end"][-1] if grid.height else None
            pairs.append((work, grid))
        values = self._values(pairs).partition_by("kpi", as_dict=True, include_key=False)
        for work in works:
            work.current = values.get((work.kpi.id,), NOTHING)
            work.looked(now)

    def _running(self, kpi: Kpi, now: datetime) -> pl.DataFrame:
        """The window that holds now; of overlapping ones the one that ends first."""
        key = (kpi.window, None)
        if key not in self._grids:
            grid = windows(kpi.window, now, now + timedelta(microseconds=1), now, self._settings.zone)
            self._grids[key] = grid.head(1) if kpi.window.kind == "rolling" else grid.tail(1)
        return self._grids[key]

    def _settled(self, kpi: Kpi, now: datetime) -> pl.DataFrame:
        """The newest window that has ended long enough ago to be judged."""
        assert kpi.settles is not None
        key = (kpi.window, kpi.settles)
        if key not in self._grids:
            reach = kpi.settles + length(kpi.window) + LENGTHS[kpi.window.step] * 2
            past = windows(kpi.window, now - reach, now, now, self._settings.zone)
            self._grids[key] = past.filter(pl.col("end") + kpi.settles <= now).tail(1)
        return self._grids[key]

    def _closed_windows(self, work: Work, now: datetime, seconds: float) -> pl.DataFrame:
        """Values of the newest due windows that have ended, as rows to publish; the rest stays due.

        So many windows as fit into the seconds by what one cost the last time; at least one.
        """
        began = time.perf_counter()
        low, high = work.due.pop()
        until = min(high, now)
        step = LENGTHS[work.kpi.window.step]
        fitting = max(1, int(min(MOST_WINDOWS, max(seconds, 0.0) / work.window_cost_s)))
        first = max(low, until - max(step, min(fitting * step, MOST_REACH)))
        grid = self._ended(work.kpi, first, until, now)
        if first > low:
            calendar = work.kpi.window.kind == "calendar" and grid.height
            edge = grid["window"][0] if calendar else first
            work.due += [(low, edge)] if edge > low else []
        if grid.is_empty():
            return pl.DataFrame(schema=KPI_VALUES.schema)
        revised = self._revised(work.kpi.id, grid, self._values([(work, grid)]), now)
        work.window_cost_s = (time.perf_counter() - began) / grid.height
        return revised

    def _ended(self, kpi: Kpi, low: datetime, high: datetime, now: datetime) -> pl.DataFrame:
        """The windows over and due: calendar ones that touch [low, high), rolling ones that end in (low, high]."""
        span = timedelta(hours=kpi.window.hours)
        return windows(kpi.window, low, high - span, now, self._settings.zone).filter(pl.col("end") <= now)

    def _values(self, pairs: list[tuple[Work, pl.DataFrame]]) -> pl.DataFrame:
        """Call the functions over their windows, and complete all their rows together (shape: kpi and VALUE)."""
        called, results = [], []
        for work, grid in pairs:
            if grid.is_empty():
                continue
            began = time.perf_counter()
            result = self._call(work, grid)
            if result is not None:
                called.append((work, grid))
                results.append(result)
                self.evaluated += grid.height
            if grid.height == 1:
                work.cost_s = (time.perf_counter() - began) * COMPLETING
        if not results:
            return NO_RESULT
        parts, ends, areas = self._covering.of(called)
        heights = [result.height for result in results]
        names = pl.Series("kpi", [work.kpi.id for work, _ in called])
        marks = (
            pl.Series(PART, np.repeat(parts, heights), pl.Int32),
            names.gather(np.repeat(np.arange(len(called)), heights)),
        )
        rows = pl.concat([NOTHING, *results], how="diagonal").with_columns(marks)
        rows = rows.drop("end").join(ends, on=[PART, "window"], how="inner")
        return complete(rows.join(areas, on=[PART, *KEYS], how="left"), self._judging)

    def _call(self, work: Work, grid: pl.DataFrame) -> pl.DataFrame | None:
        """What the function gives, with the columns it has in their kinds; None when it failed (noted in `faults`)."""
        kpi = work.kpi
        (low, _), (_, high) = extent(grid["window"]), extent(grid["end"])
        start = low - kpi.lookback if kpi.lookback is not None else None
        try:
            given = {name: self._input(name, grid, start, high) for name in kpi.inputs}
            if kpi.hears:
                given["arrivals"] = given["arrivals"].filter(pl.col("feed").is_in(work.heard))
            result = kpi.function(**given, **self._settings.tuning.get(kpi.id, {}))
            known = {name: kind for name, kind in result.schema.items() if name in VALUE}
            rows = result[list(known)]
            if other := [CAST[name] for name, kind in known.items() if kind != VALUE[name]]:
                rows = rows.with_columns(other)
        except Exception as error:
            if kpi.id not in self.faults:
                log.exception("KPI %s could not be computed", kpi.id)
            self.faults[kpi.id] = (
                f"this value could not be computed ({type(error).__name__}: {error}). "
                "Tell whoever looks after Townboard."
            )
            return None
        self.faults.pop(kpi.id, None)
        return rows

    def _input(self, name: str, grid: pl.DataFrame, start: datetime | None, end: datetime) -> Any:
        if name == "windows":
            return grid
        if name == "zone":
            return self._settings.zone
        return self.inputs.get(name, start, end)

    def _still_read(self, kpi: Kpi) -> pl.Expr:
        """Whether all rows that a window was published from are still there: what is left tells less than they did."""
        gone = self.inputs.let_go(kpi.inputs)
        return pl.lit(value=True) if gone is None else pl.col("window") > gone + (kpi.lookback or timedelta(0))

    def _revised(self, kpi: str, grid: pl.DataFrame, values: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """Only what differs from what was last published, with the next revision number.

        An area whose rows were corrected away has no row in `values`: what was published of it becomes unknown.
        """
        if kpi in self.faults:
            return pl.DataFrame(schema=KPI_VALUES.schema)
        first, last = extent(grid["window"])
        before = self.inputs.published(kpi, first, last + timedelta(microseconds=1))
        gone = (
            before.filter(pl.col("value").is_not_null())
            .join(values, on=KEYS, how="anti")
            .join(grid, on="window", how="semi")
        )
        emptied = gone.select(*KEYS, "end", kpi=pl.lit(kpi), reason=pl.lit("no_data"))
        values = pl.concat([values, emptied.cast({"window": INSTANT, "end": INSTANT})], how="diagonal")
        rows = values.join(
            before.select(*KEYS, _value="value", _revision="revision", _reason="reason"), on=KEYS, how="left"
        )
        near = (pl.col("value") - pl.col("_value")).abs() <= TOLERANCE
        same = (pl.col("value").eq_missing(pl.col("_value")) | near) & pl.col("reason").eq_missing(pl.col("_reason"))
        unpublished = pl.col("_revision").is_null()
        changed = rows.filter(unpublished | (~same & self._still_read(self.works[kpi].kpi)))
        stamped = changed.with_columns(
            revision=pl.col("_revision").fill_null(0) + 1, computed_at=pl.lit(now).dt.cast_time_unit("us")
        )
        return stamped.select(list(KPI_VALUES.schema)).cast(KPI_VALUES.schema)
