"""What is usual of sensors and KPIs: shown only where it came nearer than naive forecasts on the series' own past."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.calendar import LENGTHS, after, floor
from pipelines.engine.expectation import EXPECTED, REACH, SCORE, Season, expected, scored, verdict
from pipelines.engine.level_shifts import SHIFTS, level_shifts
from pipelines.engine.model import INSTANT, Kpi

if TYPE_CHECKING:
    from pipelines.engine.town import Town

MOST_KEPT = 300
# So many sensors are computed together.
TOGETHER = 400
# Bands for alarms are made anew so often, and reach so far ahead: a line that is not served keeps the last ones.
EVERY, AHEAD = timedelta(hours=6), timedelta(hours=36)
BANDS = pl.Schema(
    {
        "sensor": pl.String(),
        "at": INSTANT,
        "expected": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
    }
)
ROWS = [name for name in EXPECTED if name != "series"]


@dataclass(frozen=True)
class Usual:
    """What is usual of one series: rows as expectation.EXPECTED without `series`, and why they are shown or not.

    Where it is not `shown`, expected, low and high are null.
    """

    rows: pl.DataFrame
    words: str
    shown: bool


class Expectations:
    """Tells what is usual; what was told within the hour is kept."""

    def __init__(self, town: "Town") -> None:
        self._town = town
        self._kept: OrderedDict[tuple[Any, ...], Usual] = OrderedDict()

    def of_sensor(self, sensor: str, start: datetime, end: datetime) -> Usual:
        """By hour, from `start` to `end`, which may lie ahead: until tomorrow is over.

        Raises KeyError when there is no such sensor.
        """
        about = self._town.sensors().filter(pl.col("sensor") == sensor)
        if about.is_empty():
            raise KeyError(sensor)
        quantity = self._town.registers.quantities[about["quantity"][0]]
        if not quantity.habitual:
            return _nothing(f"What is usual is not looked for: {quantity.name} follows no hours of the day.")

        def history(low: datetime, high: datetime) -> pl.DataFrame:
            return _renamed(self._town.summary([sensor], low, high, "hour"))

        return self._told(("sensor", sensor), history, "hour", (start, end))

    def of_kpi(self, kpi: Kpi, area: str, start: datetime, end: datetime) -> Usual:
        """By window, in the same manner."""
        if not kpi.habitual:
            return _nothing(f"What is usual is not looked for: {kpi.title} follows no hours of the day.")

        def history(low: datetime, high: datetime) -> pl.DataFrame:
            rows = self._town.history(kpi.id, [area], low, high)
            return rows.select(series=pl.lit(area), observed_at="window", value="value")

        return self._told((kpi.id, area), history, kpi.window.step, (start, end))

    def shifts(self, kpi: Kpi, areas: list[str] | None, end: datetime) -> pl.DataFrame:
        """Steps of the KPI's level that stayed (shape: level_shifts.SHIFTS, series is the area)."""
        rows = self._town.history(kpi.id, areas, None, end)
        day = pl.col("window").dt.convert_time_zone(self._town.zone).dt.date()
        return level_shifts(rows.select(series="area", day=day, value="value")).cast(SHIFTS)

    def _told(
        self,
        what: tuple[str, ...],
        history: Callable[[datetime, datetime], pl.DataFrame],
        step: str,
        span: tuple[datetime, datetime],
    ) -> Usual:
        now = self._town.now()
        key = (*what, *(floor(at, "hour", self._town.zone) for at in (*span, now)))
        known = self._kept.pop(key, None)
        if known is None:
            known = self._fresh(history, step, span, now)
        self._kept[key] = known
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return known

    def _fresh(
        self,
        history: Callable[[datetime, datetime], pl.DataFrame],
        step: str,
        span: tuple[datetime, datetime],
        now: datetime,
    ) -> Usual:
        season = season_of(self._town, step)
        past = history(min(span[0], now) - REACH, now)
        past = past.filter(pl.col("observed_at") + LENGTHS[step] <= now)
        if past.is_empty():
            return _nothing(verdict(pl.DataFrame(schema=SCORE), ""))
        name = past["series"][0]
        found = expected(past, _ahead([name], now, season), season)
        score = scored(found, season)
        shown = bool(score.filter(series=name, beats_naive=True).height)
        rows = found.filter((pl.col("observed_at") >= span[0]) & (pl.col("observed_at") < span[1])).select(ROWS)
        if not shown:
            rows = rows.with_columns(pl.lit(None, pl.Float64).alias(name) for name in ("expected", "low", "high"))
        return Usual(rows, verdict(score, name), shown)


def season_of(town: "Town", step: str) -> Season:
    """How series of a town repeat, its holidays included."""
    holidays = town.registers.references.get("holidays")
    return Season(step, town.zone, frozenset(holidays["day"]) if holidays is not None else frozenset())


def _renamed(summary: pl.DataFrame) -> pl.DataFrame:
    return summary.select(series="sensor", observed_at="window", value="value")


def _nothing(words: str) -> Usual:
    return Usual(pl.DataFrame(schema=EXPECTED).select(ROWS), words, False)


def _ahead(series: list[str], now: datetime, season: Season) -> pl.DataFrame:
    """The steps from the one that runs to the end of tomorrow: series, observed_at."""
    today = floor(now, "day", season.zone)
    end = after(after(today, "day", season.zone), "day", season.zone)
    steps, at = [], floor(now, season.step, season.zone)
    while at < end:
        steps.append(at)
        at = after(at, season.step, season.zone)
    ahead = pl.DataFrame({"observed_at": steps}, schema={"observed_at": INSTANT})
    return pl.DataFrame({"series": series}, schema={"series": pl.String}).join(ahead, how="cross")


def bands(town: "Town", now: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Bands of all habitual sensors for the hours to come where they beat the naive forecasts, and every score.

    Shape: BANDS; expectation.SCORE.
    """
    season, found, scores = season_of(town, "hour"), [pl.DataFrame(schema=BANDS)], [pl.DataFrame(schema=SCORE)]
    for sensors in _together(town):
        past = _renamed(town.summary(sensors, now - REACH, now, "hour"))
        past = past.filter(pl.col("observed_at") + LENGTHS["hour"] <= now)
        whole = expected(past, _ahead(past["series"].unique().to_list(), now, season), season)
        score = scored(whole, season)
        scores.append(score)
        shown = score.filter("beats_naive")["series"]
        start = floor(now, "hour", town.zone)
        inside = pl.col("observed_at").is_between(start, now + AHEAD) & pl.col("high").is_not_null()
        rows = whole.filter(inside & pl.col("series").is_in(shown.implode()))
        found.append(rows.select(sensor="series", at="observed_at", expected="expected", low="low", high="high"))
    return pl.concat(found), pl.concat(scores)


def _together(town: "Town") -> Iterator[list[str]]:
    habitual = [quantity.name for quantity in town.registers.quantities.values() if quantity.habitual]
    sensors = town.sensors().filter(pl.col("quantity").is_in(habitual))["sensor"].to_list()
    for first in range(0, len(sensors), TOGETHER):
        yield sensors[first : first + TOGETHER]


def keep(town: "Town", now: datetime) -> bool:
    """Make bands and scores anew below the store when the last ones are old; whether it did."""
    folder = town.settings.store / "expected"
    last = folder / "scores.parquet"
    if last.exists() and now.timestamp() - last.stat().st_mtime < EVERY.total_seconds():
        return False
    folder.mkdir(parents=True, exist_ok=True)
    found, scores = bands(town, now)
    for name, frame in (("bands", found), ("scores", scores)):
        beside = folder / f"{name}.new"
        frame.write_parquet(beside)
        beside.rename(folder / f"{name}.parquet")
    return True


def band_at(store: Path, at: datetime) -> pl.DataFrame:
    """The band of every sensor in the hour that holds an instant: sensor, at, expected, low, high.

    Sensors whose band tells no more than yesterday's value are not in it.
    """
    rows = _read(store, "bands", BANDS)
    hour = LENGTHS["hour"]
    return rows.filter((pl.col("at") <= at) & (pl.col("at") + hour > at))


def scores(store: Path) -> pl.DataFrame:
    """How well what is usual was told of each habitual sensor (shape: expectation.SCORE)."""
    return _read(store, "scores", SCORE)


def _read(store: Path, name: str, schema: pl.Schema) -> pl.DataFrame:
    """What was last kept; nothing before it ever was. It is derived: a damaged file is made anew within hours."""
    try:
        return pl.read_parquet(store / "expected" / f"{name}.parquet").cast(schema)
    except (OSError, pl.exceptions.PolarsError):
        return pl.DataFrame(schema=schema)
