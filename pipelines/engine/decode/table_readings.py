"""A sheet -> readings: long tables, a column per sensor, or a column per hour of the day."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import polars as pl

from pipelines.engine.decode.base import ROW, Refusal
from pipelines.engine.decode.clock import INSTANT, Clock, clock_of, clock_readings, instants, seconds
from pipelines.engine.decode.figures import Figures, words_only
from pipelines.engine.decode.table_sheet import Sheet, as_text, columns_in, filled, require, tidy, without_words
from pipelines.engine.decode.table_words import displaced_time, no_number, unreadable_time

COLUMN = "{column}"
DAY = 86400
NO_READINGS = {"sensor": pl.String(), "observed_at": INSTANT, "value": pl.Float64(), ROW: pl.UInt32()}


@dataclass(frozen=True)
class Measured:
    """One column of values: the sensor they belong to, their unit, and how long after the row's time they lie."""

    column: str
    sensor: str
    unit: str | None
    factor: float = 1.0
    after: timedelta = timedelta(0)


@dataclass(frozen=True)
class ReadingsPlan:
    """What a mapping says about a table of readings."""

    mapping: Mapping[str, Any]

    @cached_property
    def clock(self) -> Clock:
        """How the file writes its times."""
        return clock_of(self.mapping.get("time", "observed_at"), self.mapping.get("zone"))

    @property
    def expected(self) -> list[str]:
        """The headings that the mapping names, for telling the delimiter."""
        return [*self._fixed, *(name for name in self._listed if "*" not in name)]

    @property
    def named(self) -> set[str]:
        """The columns that the mapping names, or takes without being told; patterns left out."""
        values = self.mapping.get("values")
        details = values.values() if isinstance(values, Mapping) else ()
        texts = [(one,) if isinstance(one, str) else (one.get("sensor"), one.get("unit")) for one in details]
        inside = {name for pair in texts for text in pair for name in columns_in(text)}
        return {*self.expected, *inside} | (set() if values else {"unit"})

    @property
    def _fixed(self) -> list[str]:
        templates = (self._sensor, self.mapping.get("unit"))
        names = [name for template in templates for name in columns_in(template) if name != "column"]
        return [*self.clock.columns, *names]

    @property
    def _sensor(self) -> str:
        wide = self.mapping.get("values")
        return self.mapping.get("sensor", COLUMN if wide else "{sensor}")

    @property
    def _listed(self) -> list[str]:
        if self.mapping.get("hours"):
            return []
        values = self.mapping.get("values") or [self.mapping.get("value", "value")]
        return [tidy(name) for name in values]

    def pick(self, headings: Sequence[str]) -> list[str]:
        """The columns to read.

        Raises Refused when one that the mapping needs is missing.
        """
        measured = self.measured(headings)
        extra = [name for one in measured for name in columns_in(one.unit) + columns_in(one.sensor) if name != "column"]
        needed = [*self._fixed, *(one.column for one in measured), *extra]
        if self.mapping.get("hours") and not measured:
            needed.append(f"columns headed like {_example(self.mapping['hours'])}")
        require(needed, headings)
        return list(dict.fromkeys(needed))

    def measured(self, headings: Sequence[str]) -> list[Measured]:
        """The columns of values among the headings, in the file's order for patterns and the mapping's for the rest."""
        unit = self.mapping.get("unit")
        if self.mapping.get("hours"):
            hours = ((name, _hour(name, self.mapping["hours"])) for name in headings if name not in self._fixed)
            factor = self.mapping.get("factor", 1.0)
            return [Measured(name, self._sensor, unit, factor, after) for name, after in hours if after is not None]
        values = self.mapping.get("values")
        if not values:
            unit = unit or ("{unit}" if "unit" in headings and "value" not in self.mapping else None)
            return [Measured(self._listed[0], self._sensor, unit, self.mapping.get("factor", 1.0))]
        details = values if isinstance(values, Mapping) else {name: {} for name in values}
        found: dict[str, Measured] = {}
        for listed, detail in details.items():
            for name in self._matching(tidy(listed), headings):
                found.setdefault(name, self._one(name, {"sensor": detail} if isinstance(detail, str) else detail))
        return list(found.values())

    def _one(self, name: str, detail: Mapping[str, Any]) -> Measured:
        sensor = detail.get("sensor", self._sensor).replace(COLUMN, _literal(name))
        factor = detail.get("factor", self.mapping.get("factor", 1.0))
        return Measured(name, sensor, detail.get("unit", self.mapping.get("unit")), factor)

    def _matching(self, listed: str, headings: Sequence[str]) -> list[str]:
        if "*" not in listed or listed in headings:
            return [listed]
        pattern = re.compile(".*".join(re.escape(part) for part in listed.split("*")))
        return [name for name in headings if pattern.fullmatch(name) and name not in self._fixed] or [listed]


def _literal(name: str) -> str:
    """A heading inside a template: its own braces must not be taken for columns."""
    return name.replace("{", "(").replace("}", ")")


def _example(form: str) -> str:
    return datetime(2024, 1, 1, 13, tzinfo=UTC).strftime(form)


def _hour(heading: str, form: str) -> timedelta | None:
    """How long after midnight the hour lies that heads a column; 24:00 is the end of the day."""
    for text, days in ((heading, 0), (re.sub("24", "00", heading, count=1), 1)):
        try:
            time = datetime.strptime(text, form)  # noqa: DTZ007 a time of day, in no zone
        except ValueError:
            continue
        return timedelta(days=days, hours=time.hour, minutes=time.minute)
    return None


def read_readings(sheet: Sheet, plan: ReadingsPlan) -> tuple[pl.DataFrame, tuple[Refusal, ...]]:
    """The readings (sensor, observed_at, value, unit, `_row`) and the rows that are none.

    A line whose time cannot be told is refused once, however many columns of values it has.
    """
    if not sheet.frame.height:
        return pl.DataFrame(schema=NO_READINGS), ()
    source = without_words(sheet.frame, words_only(plan.mapping.get("missing", ())))
    measured = plan.measured(source.columns)
    rows = clock_readings(source, plan.clock, sheet.dated).with_columns(source[ROW], line=pl.row_index())
    unread = rows.filter(pl.col("naive").is_null())
    words = unreadable_time(plan.clock, "text")
    refused = sheet.set_aside(unread.with_columns(detail=words, reason=pl.lit("unreadable_time")))
    rows = rows.filter(pl.col("naive").is_not_null())
    if plan.mapping.get("hours"):
        cells = _stack(rows.with_columns(day_only=pl.lit(False)), source, measured, plan)
        cells = _place(cells, plan, cells["sensor"])
        cells = cells.filter((pl.col("reason") != "nonexistent_time").fill_null(True) | pl.col("raw").is_not_null())
    else:
        # What keeps the lines of different stations apart where the clocks change.
        station = filled(source[rows["line"]], measured[0].sensor)
        if sheet.apart is not None:
            station = station.fill_null("") + "/" + sheet.apart[rows["line"]].cast(pl.String)
        rows = _place(rows, plan, station)
        lost = rows.filter(pl.col("reason").is_not_null())
        refused += sheet.set_aside(lost.with_columns(detail=displaced_time(plan.clock, "text", "reason")))
        cells = _stack(rows.filter(pl.col("reason").is_null()), source, measured, plan)
    cells = cells.with_columns(reason=pl.coalesce("reason", _reason()))
    bad = cells.filter(pl.col("reason").is_not_null())
    refused += sheet.set_aside(bad.with_columns(_words(plan)))
    names = ["sensor", "observed_at", "value", *(["unit"] if any(one.unit for one in measured) else []), ROW]
    return _shifted(cells.filter(pl.col("reason").is_null()), plan).select(names), refused


def _stack(rows: pl.DataFrame, source: pl.DataFrame, measured: Sequence[Measured], plan: ReadingsPlan) -> pl.DataFrame:
    """One row per cell, in the order of the file."""
    figures = Figures.of(plan.mapping)
    here = source[rows["line"]]
    parts = []
    for place, one in enumerate(measured):
        values, faulty = figures.numbers(here[one.column])
        parts.append(
            rows.with_columns(
                filled(here, one.sensor).alias("sensor"),
                (values * one.factor if one.factor != 1 else values).alias("value"),
                faulty.alias("faulty"),
                as_text(here[one.column]).alias("raw"),
                (filled(here, one.unit) if one.unit else pl.lit(None, dtype=pl.String)).alias("unit"),
                pl.lit(one.column).alias("column"),
                (pl.col("naive") + one.after if one.after else pl.col("naive")).alias("naive"),
                pl.lit(place, dtype=pl.UInt32).alias("place"),
            )
        )
    return pl.concat(parts).sort("line", "place", maintain_order=True) if len(parts) > 1 else parts[0]


def _place(rows: pl.DataFrame, plan: ReadingsPlan, series: pl.Series) -> pl.DataFrame:
    at, reason = instants(rows, plan.clock.zone, series)
    return rows.with_columns(at.alias("observed_at"), reason.alias("reason"))


def _reason() -> pl.Expr:
    nameless = pl.when(pl.col("sensor").is_null()).then(pl.lit("missing_sensor"))
    return nameless.when(pl.col("faulty")).then(pl.lit("unreadable_number"))


def _words(plan: ReadingsPlan) -> pl.Expr:
    nameless = pl.lit("it names no sensor: a column that makes up the name is empty. Complete it at the sender.")
    reason = pl.col("reason")
    words = (
        pl.when(reason == "unreadable_number")
        .then(no_number("raw", pl.col("column"), plan.mapping))
        .when(reason == "missing_sensor")
        .then(nameless)
        .otherwise(displaced_time(plan.clock, "text", "reason"))
    )
    return words.alias("detail")


def _shifted(cells: pl.DataFrame, plan: ReadingsPlan) -> pl.DataFrame:
    """Readings labelled by the end of their interval get its start; a whole day is a day of the local calendar."""
    if plan.mapping.get("labels", "start") != "end":
        return cells
    length = seconds(plan.mapping["interval"]) or 0
    at = pl.col("observed_at")
    zone = plan.clock.zone
    if length % DAY == 0 and zone and "/" in zone:
        at = at.dt.convert_time_zone(zone).dt.offset_by(f"-{length // DAY}d").dt.convert_time_zone("UTC")
        return cells.with_columns(at)
    return cells.with_columns(at - timedelta(seconds=length))
