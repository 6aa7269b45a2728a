"""KPIs: calls the declared functions over the windows that late or new data touched, and completes their values."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine import coverage
from pipelines.engine.calendar import LENGTHS, length, windows
from pipelines.engine.inputs import Inputs
from pipelines.engine.measures import KEYS
from pipelines.engine.model import GRAINS, Kpi
from pipelines.engine.settings import Settings
from pipelines.engine.tables import KPI_VALUES

log = logging.getLogger("townboard")
Span = tuple[datetime, datetime]
MOST_WINDOWS = 320
TOLERANCE = 1e-9
# A KPI whose inputs did not change is still looked at this often: ages and coverage move with the clock.
QUIET_S = 20.0
VALUE = {
    "window": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "area": pl.String(),
    "value": pl.Float64(),
    "numerator": pl.Float64(),
    "denominator": pl.Float64(),
    "n": pl.Int64(),
    "n_expected": pl.Int64(),
    "coverage": pl.Float64(),
    "reason": pl.String(),
    "detail": pl.String(),
    "as_of": pl.Datetime("us", "UTC"),
}


@dataclass
class Work:
    """What is known and due of one KPI: the open window's values, and the spans of closed windows to compute."""

    kpi: Kpi
    domain: str
    feeds: frozenset[str]
    current: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=VALUE))
    open_end: datetime | None = None
    due: list[Span] = field(default_factory=list)
    fresh: bool = True
    next_at: float = 0.0

    @property
    def pace(self) -> float:
        """Seconds between two looks at the open window: an hour's value each beat, a month's once a minute."""
        return min(60.0, length(self.kpi.window).total_seconds() / 4000)

    def reads(self, names: set[str]) -> bool:
        """Whether any of these tables or quantities is an input."""
        return any(_base(name) in names for name in self.kpi.inputs)


def _base(name: str) -> str:
    stem, _, grain = name.rpartition("_")
    return stem if grain in GRAINS else name


def merge(spans: list[Span], low: datetime, high: datetime) -> list[Span]:
    """The spans with [low, high) added; touching ones become one."""
    joined = [(low, high)]
    for start, end in spans:
        first, last = joined[-1]
        if start <= last and end >= first:
            joined[-1] = (min(first, start), max(last, end))
        else:
            joined.append((start, end))
    return sorted(joined)


class Kpis:
    """All KPIs of a town. `evaluate` is called once a beat with what was touched since the last one."""

    def __init__(self, settings: Settings, inputs: Inputs, feeds_of: Mapping[str, frozenset[str]]) -> None:
        self.inputs, self._settings = inputs, settings
        self.works = {
            kpi.id: Work(kpi, domain.name, frozenset().union(*(feeds_of.get(name, frozenset()) for name in kpi.inputs)))
            for domain in settings.domains
            for kpi in domain.kpis
        }
        self.faults: dict[str, str] = {}
        self.evaluated = 0

    @property
    def settled(self) -> bool:
        """Whether every closed window that was touched has been computed."""
        return not any(work.due for work in self.works.values())

    def touch(self, name: str, low: datetime, high: datetime) -> None:
        """Rows of a table or quantity changed within [low, high]: every window they fall into is due."""
        for work in self.works.values():
            if name in {_base(i) for i in work.kpi.inputs}:
                work.fresh = True
                reach = work.kpi.lookback if work.kpi.lookback is not None else timedelta(0)
                work.due = merge(work.due, low, high + reach + timedelta(microseconds=1))

    def evaluate(self, touched: Mapping[str, Span], now: datetime, budget_s: float = 1.0) -> pl.DataFrame:
        """Compute what is due, newest windows first, within a budget of seconds; gives the values to publish.

        Shape: tables.KPI_VALUES; only closed windows whose value is new or has changed.
        """
        for name, (low, high) in touched.items():
            self.touch(name, low, high)
        self.inputs.forget(touched.get("readings"))
        began, published = time.perf_counter(), []
        for work in self.works.values():
            patience = 0.0 if work.fresh else QUIET_S
            if began >= work.next_at + patience or work.open_end is None or now >= work.open_end:
                self._open_window(work, now)
        for work in sorted(self.works.values(), key=lambda w: length(w.kpi.window)):
            while work.due and time.perf_counter() - began < budget_s:
                published.append(self._closed_windows(work, now))
        return pl.concat([pl.DataFrame(schema=KPI_VALUES.schema), *published])

    def _open_window(self, work: Work, now: datetime) -> None:
        """Refresh the value of the window that is running; when one has ended, it becomes due for good."""
        kpi = work.kpi
        if work.open_end is not None and now >= work.open_end:
            work.due = merge(work.due, work.open_end - timedelta(microseconds=1), work.open_end)
        grid = windows(kpi.window, now, now + timedelta(microseconds=1), now, self._settings.zone)
        grid = grid.sort("end").head(1) if kpi.window.kind == "rolling" else grid.tail(1)
        if kpi.settles is not None:
            reach = kpi.settles + length(kpi.window) + LENGTHS[kpi.window.step] * 2
            past = windows(kpi.window, now - reach, now, now, self._settings.zone)
            work.open_end = grid["end"][0]
            grid = past.filter(pl.col("end") + kpi.settles <= now).tail(1)
        else:
            work.open_end = grid["end"][0]
        work.current = self._values(work, grid, now)
        work.fresh, work.next_at = False, time.perf_counter() + work.pace

    def _closed_windows(self, work: Work, now: datetime) -> pl.DataFrame:
        """Values of the newest due windows that have ended, as rows to publish; the rest stays due."""
        low, high = work.due.pop()
        grid = windows(work.kpi.window, low, min(high, now), now, self._settings.zone)
        grid = grid.filter(pl.col("end") <= now)
        if grid.height > MOST_WINDOWS:
            rest = grid.head(grid.height - MOST_WINDOWS)
            grid = grid.tail(MOST_WINDOWS)
            edge = grid["window"][0] if work.kpi.window.kind == "calendar" else rest["end"][-1] - timedelta(hours=work.kpi.window.hours)
            if edge > low:
                work.due.append((low, edge))
        if grid.is_empty():
            return pl.DataFrame(schema=KPI_VALUES.schema)
        return self._revised(work.kpi.id, self._values(work, grid, now), now)

    def _values(self, work: Work, grid: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """Call the function over these windows and complete what it gives (shape VALUE)."""
        kpi = work.kpi
        if grid.is_empty():
            return pl.DataFrame(schema=VALUE)
        low, high = grid["window"].min(), grid["end"].max()
        start = low - kpi.lookback if kpi.lookback is not None else None
        try:
            given = {name: self._input(name, grid, start, high) for name in kpi.inputs}
            result = kpi.function(**given, **self._settings.tuning.get(kpi.id, {}))
            values = self._completed(work, result, given, grid, low)
            self.faults.pop(kpi.id, None)
            self.evaluated += grid.height
            return values
        except Exception as error:
            log.exception("KPI %s could not be computed", kpi.id)
            self.faults[kpi.id] = f"{type(error).__name__}: {error}"
            return pl.DataFrame(schema=VALUE)

    def _input(self, name: str, grid: pl.DataFrame, start: datetime | None, end: datetime) -> Any:
        if name == "windows":
            return grid
        if name == "zone":
            return self._settings.zone
        return self.inputs.get(name, start, end)

    def _completed(
        self, work: Work, result: pl.DataFrame, given: Mapping[str, Any], grid: pl.DataFrame, low: datetime
    ) -> pl.DataFrame:
        kpi = work.kpi
        absent = [pl.lit(None, kind).alias(name) for name, kind in VALUE.items() if name not in result.columns]
        rows = result.with_columns(absent)
        if "numerator" in result.columns:
            part = pl.when(pl.col("denominator") != 0).then(pl.col("numerator") / pl.col("denominator") * kpi.scale)
            rows = rows.with_columns(value=part if "value" not in result.columns else pl.coalesce("value", part))
        rows = self._covered(work, rows, result, given, grid)
        rows = rows.drop("end").join(grid.select("window", "end"), on="window", how="inner")
        return _judged(rows, kpi).select(list(VALUE)).cast(VALUE).sort(KEYS)

    def _covered(
        self, work: Work, rows: pl.DataFrame, result: pl.DataFrame, given: Mapping[str, Any], grid: pl.DataFrame
    ) -> pl.DataFrame:
        """The rows with n, n_expected, coverage and as_of, from whatever tells most."""
        first = next((name for name in work.kpi.inputs if _base(name) in self.inputs_quantities), None)
        if first is not None and work.kpi.inputs[0] == first:
            sensors = self.inputs.dimension.filter(pl.col("quantity") == _base(first))
            counted = coverage.of_readings(given[first], sensors, grid)
            rows = rows.join(counted, on=KEYS, how="left", suffix="_c").with_columns(
                pl.coalesce("n", "n_c").alias("n"),
                pl.coalesce("n_expected", "n_expected_c").alias("n_expected"),
                pl.coalesce("as_of", "as_of_c").alias("as_of"),
            )
            return rows.with_columns(coverage=_share("n", "n_expected"))
        came = self._arrived(work, grid)
        rows = rows.join(came, on="window", how="left", suffix="_c").with_columns(
            as_of=pl.coalesce("as_of", "as_of_c"),
            coverage=pl.coalesce("coverage", _share("n", "n_expected"), "coverage_c"),
        )
        return rows

    @property
    def inputs_quantities(self) -> set[str]:
        """Names of all quantities."""
        return {q.name for d in self._settings.domains for q in d.quantities}

    def _arrived(self, work: Work, grid: pl.DataFrame) -> pl.DataFrame:
        """Coverage by the arrivals of the feeds behind a KPI."""
        if not work.feeds:
            return grid.select("window", coverage=pl.lit(None, pl.Float64), as_of=pl.lit(None, VALUE["as_of"]))
        arrivals = self.inputs.get("arrivals", grid["window"].min(), grid["end"].max() + timedelta(days=400))
        return coverage.of_arrivals(arrivals.filter(pl.col("feed").is_in(list(work.feeds))), grid)

    def _revised(self, kpi: str, values: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """Only what differs from what was last published, with the next revision number."""
        if values.is_empty():
            return pl.DataFrame(schema=KPI_VALUES.schema)
        before = self.inputs.published(kpi, values["window"].min(), values["window"].max() + timedelta(microseconds=1))
        rows = values.join(before.select(*KEYS, _value="value", _revision="revision", _reason="reason"), on=KEYS, how="left")
        same = (pl.col("value").eq_missing(pl.col("_value")) | ((pl.col("value") - pl.col("_value")).abs() <= TOLERANCE)) & (
            pl.col("reason").eq_missing(pl.col("_reason"))
        )
        changed = rows.filter(pl.col("_revision").is_null() | ~same)
        return changed.with_columns(
            kpi=pl.lit(kpi),
            revision=pl.col("_revision").fill_null(0) + 1,
            computed_at=pl.lit(now).dt.cast_time_unit("us"),
        ).select(list(KPI_VALUES.schema)).cast(KPI_VALUES.schema)


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then((pl.col(part) / pl.col(whole)).clip(0.0, 1.0))


def _judged(rows: pl.DataFrame, kpi: Kpi) -> pl.DataFrame:
    """Values that too little data carries become unknown, with the reason."""
    thin = (pl.col("coverage") < kpi.min_coverage).fill_null(value=False)
    few = (pl.col("denominator") < kpi.floor).fill_null(value=False) if kpi.floor else pl.lit(value=False)
    veto = thin | few
    reason = (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(veto)
        .then(pl.lit("insufficient_data"))
        .when(pl.col("value").is_null() | pl.col("value").is_nan())
        .then(pl.lit("no_data"))
    )
    return rows.with_columns(value=pl.when(~veto & pl.col("value").is_not_nan()).then("value"), reason=reason)
