"""Summaries of readings to be taken away: by sensor, ward or town and step of the town's calendar, and percentiles."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from pipelines.engine.asking import Misasked, Span, one_of
from pipelines.engine.calendar import floor
from pipelines.engine.extracts import earliest_of
from pipelines.engine.model import Column
from pipelines.engine.spans import Extract, of_frame

if TYPE_CHECKING:
    from pipelines.engine.town import Town

WINDOW = Column(name="window", kind="instant", meaning="Start of the step, on the town's calendar.")
VALUES = (
    Column(name="value", kind="number", meaning="Mean of the good readings in the step."),
    Column(name="lowest", kind="number", meaning="Lowest of them."),
    Column(name="highest", kind="number", meaning="Highest of them."),
)
COUNT = Column(name="n", kind="integer", meaning="How many good readings there are.")
LAST = Column(name="last", kind="number", meaning="The last of them.")
BY_SENSOR = (WINDOW, Column(name="sensor", meaning="Sensor id."), *VALUES, LAST, COUNT)
BY_AREA = (
    WINDOW,
    Column(name="area", meaning="town, or ward:<id>."),
    *VALUES,
    COUNT,
    Column(name="sensors", kind="integer", meaning="How many sensors gave them, in the fullest hour."),
)
PERCENTILES = (
    Column(name="percentile", kind="number", meaning="Which percentile."),
    Column(name="value", kind="number", meaning="The value that so many per cent of the good readings do not exceed."),
)


def by_sensor(town: "Town", sensors: Sequence[str], span: Span, step: str) -> Extract:
    """Readings of these sensors summed up by step."""

    def read(low: datetime | None, high: datetime | None) -> pl.DataFrame:
        return _within(town.summary(sensors, *_ends(town, low, high), step), low, high)

    return _stepped(town, BY_SENSOR, Extract(name=f"readings_by_{step}", columns=BY_SENSOR, read=read, span=span), step)


def by_area(town: "Town", quantity: str | None, span: Span, step: str, *, by: str) -> Extract:
    """All readings of a quantity summed up by step, for each ward or the town whole.

    Raises Misasked when no quantity is named: those of several cannot be added up.
    """
    if quantity is None:
        raise Misasked(
            f"`by={by}` adds up readings of one quantity: name it, for example quantity={_first(town)}. "
            "Leave `by` out for one row per sensor."
        )
    if step == "quarter_hour":
        raise Misasked(f"`by={by}` is known by hour, day and month: write step=hour, or leave `by` out.")

    def read(low: datetime | None, high: datetime | None) -> pl.DataFrame:
        ends = _ends(town, low, high)
        return _within(town.by_area(quantity, *ends, step=step, wards=by == "ward"), low, high)

    return _stepped(town, BY_AREA, Extract(name=f"{quantity}_by_{step}", columns=BY_AREA, read=read, span=span), step)


def percentiles(town: "Town", quantity: str, span: Span, wanted: str) -> Extract:
    """Exact percentiles of all good readings of a quantity over whole local days.

    Raises Misasked: a percentile that is none.
    """
    one_of("quantity", quantity, sorted(town.registers.quantities), 404)
    shares = [_share(text) for text in wanted.split(",")]
    found = town.percentiles(quantity, *_ends(town, span.start, span.end), shares)
    rows = {"percentile": [share * 100 for share in shares], "value": found}
    frame = pl.DataFrame(rows, schema={"percentile": pl.Float64, "value": pl.Float64})
    return of_frame(f"percentiles_of_{quantity}", frame, PERCENTILES)


def _stepped(town: "Town", columns: tuple[Column, ...], found: Extract, step: str) -> Extract:
    """The extract from the beginning of the step that holds its first instant."""
    start = floor(found.span.start, step, town.zone) if found.span.start else None
    return replace(
        found,
        time="window",
        order=(columns[1].name,),
        span=Span(start, found.span.end),
        earliest=lambda: _first_step(town, step),
        now=town.now,
    )


def _first_step(town: "Town", step: str) -> datetime | None:
    first = _beginning(town)
    return floor(first, step, town.zone) if first else None


def _beginning(town: "Town") -> datetime | None:
    """Rollups stay when the readings they are made of are let go."""
    known = [earliest_of(town, "readings", "observed_at"), town.rolled_since()]
    return min((at for at in known if at is not None), default=None)


def _ends(town: "Town", low: datetime | None, high: datetime | None) -> tuple[datetime, datetime]:
    return low or _beginning(town) or town.now(), high or town.now()


def _within(rows: pl.DataFrame, low: datetime | None, high: datetime | None) -> pl.DataFrame:
    """The steps that begin in the span: each is given once, whatever spans are read one after the other."""
    rows = rows.filter(pl.col("window") >= low) if low else rows
    return rows.filter(pl.col("window") < high) if high else rows


def _share(text: str) -> float:
    try:
        share = float(text) / 100
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Misasked(f"`{text[:20]}` is no percentile. Write numbers from 0 to 100, for example percentiles=5,50,95.")
    return share


def _first(town: "Town") -> str:
    return min(town.registers.quantities, default="pressure_m")
