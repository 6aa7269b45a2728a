"""When a stock is used up: at the present draw, and as the hours to come usually go."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.calendar import LENGTHS, floor
from pipelines.engine.model import INSTANT, Kpi

if TYPE_CHECKING:
    from pipelines.engine.town import Town

HOUR = LENGTHS["hour"]
# What is usual is told to the end of tomorrow.
AHEAD = timedelta(days=2)
COURSE = pl.Schema({"at": INSTANT, "draw": pl.Float64(), "stock": pl.Float64()})


@dataclass(frozen=True)
class Projection:
    """A stock in the hours to come.

    `present_h`: hours it lasts at the present draw (null while it fills). `usual_h`: hours until it is used up as the
    coming hours usually go, null where it outlasts them or the usual draw is not known. course: COURSE, the stock at
    the end of each hour. `words` say it all.
    """

    present_h: float | None
    usual_h: float | None
    course: pl.DataFrame
    words: str


def hours_left(stock: float, draws: Sequence[float], first_h: float = 1.0) -> float | None:
    """Hours until a stock is used up by the draw of each hour; None when it outlasts them.

    The first hour has `first_h` left of it. What flows in beyond the draw fills it, never above what it holds now: how
    much more would fit is not known here.
    """
    left, passed = stock, 0.0
    for number, draw in enumerate(draws):
        length = first_h if number == 0 else 1.0
        if draw * length >= left and draw > 0:
            return passed + left / draw
        left, passed = min(stock, left - draw * length), passed + length
    return None


def project(town: "Town", kpi: Kpi, area: str, now: datetime) -> Projection:
    """When the stock of an asset (area `asset:<id>`) is used up.

    Raises ValueError for a KPI that is no stock over a draw.
    """
    if kpi.runs_down is None:
        raise ValueError(f"{kpi.id} is no stock over a draw")
    board = town.board()
    row: dict[str, Any] = board.state["kpis"].get(f"{kpi.id}|{area}", {}) if board else {}
    stock, draw = row.get("numerator"), row.get("denominator")
    if stock is None:
        why = row.get("reason") or "no data"
        return Projection(None, None, pl.DataFrame(schema=COURSE), f"How much there is now is not known ({why}).")
    present = stock / draw if draw is not None and draw > 0 else None
    usual = _usual_draw(town, kpi, area.removeprefix("asset:"), now)
    if usual is None:
        return Projection(present, None, pl.DataFrame(schema=COURSE), _words(present, None, usual_known=False))
    first_h = (usual["at"][0] + HOUR - now) / HOUR
    found = hours_left(stock, usual["draw"].to_list(), first_h)
    course = usual.with_columns(stock=pl.Series(_course(stock, usual["draw"].to_list(), first_h), dtype=pl.Float64))
    return Projection(present, found, course.cast(COURSE), _words(present, found, usual_known=True))


def _course(stock: float, draws: Sequence[float], first_h: float) -> list[float]:
    """The stock at the end of each hour."""
    left, found = stock, []
    for number, draw in enumerate(draws):
        left = max(0.0, min(stock, left - draw * (first_h if number == 0 else 1.0)))
        found.append(left)
    return found


def _usual_draw(town: "Town", kpi: Kpi, asset: str, now: datetime) -> pl.DataFrame | None:
    """The net draw of each hour from now on: at, draw; None when a sensor's usual course is not told."""
    assert kpi.runs_down is not None
    start = floor(now, "hour", town.zone)
    sensors = town.sensors().filter(pl.col("asset") == asset)
    parts = []
    for sign, quantities in ((1.0, kpi.runs_down.empties), (-1.0, kpi.runs_down.fills)):
        for sensor in sensors.filter(pl.col("quantity").is_in(quantities))["sensor"]:
            found = town.expectations.of_sensor(sensor, start, now + AHEAD)
            if not found.shown:
                return None
            parts.append(found.rows.select(at="observed_at", draw=pl.col("expected") * sign, sensor=pl.lit(sensor)))
    if not parts or not sensors.filter(pl.col("quantity").is_in(kpi.runs_down.empties)).height:
        return None
    hours = pl.concat(parts).drop_nulls().group_by("at").agg(pl.col("draw").sum(), sensors=pl.len()).sort("at")
    whole = hours.filter(pl.col("sensors") == len(parts)).drop("sensors")
    return whole if whole.height and whole["at"][0] == start else None


def _words(present: float | None, usual: float | None, *, usual_known: bool) -> str:
    at_present = f"{present:.1f} hours at the present draw" if present is not None else "not running down at present"
    if not usual_known:
        return f"{at_present}; how the coming hours usually go is not known well enough to tell more."
    if usual is None:
        return f"{at_present}; as these hours usually go, it lasts beyond tomorrow."
    return f"{at_present}; as these hours usually go, {usual:.1f} hours."
