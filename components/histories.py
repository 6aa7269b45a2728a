"""Histories of KPIs for charts: asked of the store once per window, and brought up to the board in between."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl

from components import glass, wording
from components.address import View
from components.lately import Lately
from pipelines.engine.model import Kpi

# Late data may correct windows of the past: after this long the store is asked again.
KEPT_S = 300.0
MOST_KEPT = 600
# More points than a chart has pixels only make it slow.
MOST_POINTS = 1600
Points = tuple[list[str], list[float | None]]

_kept: Lately[Points] = Lately(KEPT_S, MOST_KEPT)


def placed_at(kpi: Kpi) -> str:
    """Which end of a window places its value on the axis: a rolling window looks back, so it stands at its end."""
    return "end" if kpi.window.kind == "rolling" else "window"


def series(history: pl.DataFrame, zone: str, kpi: Kpi) -> Points:
    """Instants on the town's clock and values, oldest first; where windows are missing, a gap."""
    at = placed_at(kpi)
    rows = history.sort("window", "revision").unique("window", keep="last").sort("window")
    step = timedelta(seconds=wording.STEPS[kpi.window.step][1])
    lost = rows.filter(pl.col(at).shift(-1) - pl.col(at) > step * 1.6).select(pl.col(at) + step, value=None)
    placed = thinned(pl.concat([rows.select(at, "value"), lost.cast({"value": pl.Float64})]).sort(at), MOST_POINTS)
    return [wording.local_text(moment, zone) for moment in placed[at].to_list()], placed["value"].to_list()


def thinned(rows: pl.DataFrame, most: int) -> pl.DataFrame:
    """At most about so many rows in order: of each run of rows the first, the last, the lowest, the highest, and a gap.

    A line drawn through them covers the same pixels: no peak is lost (M4).
    """
    if rows.height <= most:
        return rows
    run = pl.int_range(pl.len()) // -(-rows.height * 4 // most)
    value, place = pl.col("value"), pl.int_range(pl.len())
    chosen = (
        rows.with_columns(_run=run, _place=place)
        .group_by("_run")
        .agg(
            first=pl.col("_place").first(),
            last=pl.col("_place").last(),
            low=pl.col("_place").sort_by(value, nulls_last=True).first(),
            high=pl.col("_place").sort_by(value, descending=True, nulls_last=True).first(),
            gap=pl.col("_place").filter(value.is_null()).first(),
        )
        .drop("_run")
    )
    places = pl.concat([chosen.to_series(number) for number in range(chosen.width)]).drop_nulls().unique().sort()
    return rows[places]


def points(kpi: Kpi, area: str, view: View, row: Mapping[str, Any]) -> Points:
    """The KPI's values in the period of the view, the newest as the board has it."""
    town = glass.town()
    key = (glass.binding(), kpi.id, area, view.days, row.get("window_start"))

    def asked() -> Points:
        start, end = view.span(kpi.window.step)
        return series(town.history(kpi.id, [area], start, end), town.zone, kpi)

    return _newest(_kept.of(key, asked), row, town.zone, kpi)


def _newest(known: Points, row: Mapping[str, Any], zone: str, kpi: Kpi) -> Points:
    place = wording.moment(row.get("window_end" if placed_at(kpi) == "end" else "window_start"))
    if place is None or row.get("value") is None:
        return known
    x, y, at = list(known[0]), list(known[1]), wording.local_text(place, zone)
    if x and at < x[-1]:
        return known
    if x and at == x[-1]:
        y[-1] = row["value"]
        return x, y
    return [*x, at], [*y, row["value"]]
