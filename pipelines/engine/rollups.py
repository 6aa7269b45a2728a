"""Rollups of readings by series, by ward and by value: those of a touched local day are made anew as a unit."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from pipelines.engine import cold
from pipelines.engine import manifest as manifests
from pipelines.engine.calendar import ROLLUP_SCHEMA, coarser, daily, hourly, local_day, local_step, rolled
from pipelines.engine.cold import Pass
from pipelines.engine.manifest import Part
from pipelines.engine.model import INSTANT
from pipelines.engine.tables import SUSPECT

# By series: a file per local day of quarter hours and of hours, per local month of days and of the month. By ward and
# by value: per month.
GRAINS = ("quarter_hourly", "hourly", "daily", "monthly", "wards", "values")
NAMES = tuple(f"roll_{grain}" for grain in GRAINS)
PLACES = pl.Schema({"series": pl.Int32(), "quantity": pl.String(), "ward": pl.String()})
WARD_HOURS = pl.Schema(
    {
        "quantity": pl.String(),
        "ward": pl.String(),
        "observed_at": INSTANT,
        "sensors": pl.Int64(),
        **{name: ROLLUP_SCHEMA[name] for name in ("n", "sum", "min", "max")},
    }
)
VALUE_DAYS = pl.Schema({"quantity": pl.String(), "observed_at": INSTANT, "value": pl.Float64(), "n": pl.Int64()})
# Of a quantity with more different values on a day, counting them would take the room of the readings once more.
MOST_VALUES = 20_000
# The quarter hours of the longest day: of a series with no more readings, they are as few as the rollup would be.
MOST_QUARTERS = 100
Parts = dict[str, dict[str, Part]]


def usable(readings: pl.DataFrame) -> pl.DataFrame:
    """The readings that count: with a value, and not suspect."""
    return readings.filter(pl.col("value").is_not_null() & (pl.col("quality") < SUSPECT))


def by_ward(hours: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Hourly rollups by series added up by quantity and ward (null where the asset stands in none).

    Shape: WARD_HOURS; places has PLACES. A sensor counts where it stood when its day was rolled up.
    """
    return (
        hours.join(places, on="series")
        .group_by("quantity", "ward", "observed_at")
        .agg(
            pl.col("n", "sum").sum(),
            pl.col("min").min(),
            pl.col("max").max(),
            sensors=pl.len().cast(pl.Int64),
        )
        .select(list(WARD_HOURS))
        .sort("quantity", "observed_at", "ward")
    )


def by_value(good: pl.DataFrame, places: pl.DataFrame, zone: str) -> pl.DataFrame:
    """How often each value was read, by quantity and local day: all that exact percentiles need.

    Shape: VALUE_DAYS. A quantity with more than MOST_VALUES different values on a day is left out on that day.
    """
    counted = (
        good.join(places, on="series")
        .group_by("quantity", local_step("observed_at", "day", zone), "value")
        .agg(n=pl.len().cast(pl.Int64))
    )
    few = counted.filter(pl.len().over("quantity", "observed_at") <= MOST_VALUES)
    return few.select(list(VALUE_DAYS)).sort("quantity", "observed_at", "value")


class Rollups:
    """Writes the rollups of touched days; of a month, the files that hold several days are written anew."""

    def __init__(self, folder: Path, zone: str, places: pl.DataFrame | None = None) -> None:
        """`places`: which series measures what and where; without it nothing is rolled up by ward and by value."""
        self._folder, self._zone, self._places = folder, zone, places

    def roll(self, parts: Parts, days: Mapping[str, pl.DataFrame], done: Pass) -> None:
        """Roll up local days of which all readings are given, and name the files in `parts`."""
        months: dict[str, dict[str, pl.DataFrame]] = {}
        for day, readings in days.items():
            months.setdefault(day[:7], {})[day] = readings
        for month, of_month in months.items():
            self._month(parts, month, of_month, done)

    def _month(self, parts: Parts, month: str, days: Mapping[str, pl.DataFrame], done: Pass) -> None:
        standing = {grain: self._standing(parts, grain, month) for grain in ("daily", "wards", "values")}
        counted = dict(standing["daily"].group_by("_day").agg(pl.col("n").sum()).iter_rows())
        # Of a day whose readings were let go, or lie in a damaged file, the rollup is all there is.
        whole = {day: rows for day, rows in days.items() if counted.get(day, 0) <= rows.height}
        if not whole:
            return
        fresh: dict[str, list[pl.DataFrame]] = {grain: [] for grain in standing}
        for day, readings in whole.items():
            good = usable(readings)
            hours = hourly(good, self._zone)
            self._write(parts, "hourly", day, hours, done)
            self._quarters(parts, day, good, done)
            fresh["daily"].append(daily(hours, self._zone))
            if self._places is not None:
                fresh["wards"].append(by_ward(hours, self._places))
                fresh["values"].append(by_value(good, self._places, self._zone))
        for grain, frames in fresh.items():
            frame = _renewed(standing[grain], whole, frames)
            if frames:
                self._write(parts, grain, month, frame, done)
            if grain == "daily":
                self._write(parts, "monthly", month, coarser(frame, "month", self._zone), done)

    def _quarters(self, parts: Parts, day: str, good: pl.DataFrame, done: Pass) -> None:
        often = good.filter(pl.len().over("series") > MOST_QUARTERS)
        if often.height or day in parts.get("roll_quarter_hourly", {}):
            self._write(parts, "quarter_hourly", day, rolled(often, "quarter_hour", self._zone), done)

    def _standing(self, parts: Parts, grain: str, month: str) -> pl.DataFrame:
        """The rows of a month that stand, with their local day; those of damaged files are made anew or missing."""
        schema = {"daily": ROLLUP_SCHEMA, "wards": WARD_HOURS, "values": VALUE_DAYS}[grain]
        known = [part for name, part in parts.get(f"roll_{grain}", {}).items() if name.startswith(month)]
        sound = [part for part in known if not manifests.fault(self._folder, part, whole=True)]
        frames = [pl.read_parquet(self._folder / part.file).cast(schema).select(list(schema)) for part in sound]
        return pl.concat([pl.DataFrame(schema=schema), *frames]).with_columns(_day=local_day("observed_at", self._zone))

    def _write(self, parts: Parts, grain: str, partition: str, frame: pl.DataFrame, done: Pass) -> None:
        part = cold.write(self._folder, f"roll/{grain}/{partition}.{done.rev}.parquet", frame, None, done)
        # A month's file takes the place of the files by day of an earlier version.
        named = parts.setdefault(f"roll_{grain}", {})
        for name in [name for name in named if name.startswith(partition)]:
            del named[name]
        named[partition] = part


def _renewed(standing: pl.DataFrame, days: Iterable[str], fresh: list[pl.DataFrame]) -> pl.DataFrame:
    """The rows that stand with those of these days replaced, in the order in which they are looked for."""
    kept = standing.filter(~pl.col("_day").is_in(list(days))).drop("_day")
    first = "series" if "series" in kept.columns else "quantity"
    rest = [name for name in ("observed_at", "value", "ward") if name in kept.columns]
    return pl.concat([kept, *fresh]).sort(first, *rest)
