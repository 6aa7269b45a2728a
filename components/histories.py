"""Histories of KPIs for charts: asked of the store once per window, and brought up to the board in between."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from components import glass, wording
from components.address import View
from pipelines.engine.model import Kpi

# Late data may correct windows of the past: after this long the store is asked again.
KEPT_S = 300.0
MOST_KEPT = 600
Points = tuple[list[str], list[float | None]]

_kept: OrderedDict[tuple[Any, ...], tuple[float, Points]] = OrderedDict()


def series(history: pl.DataFrame, zone: str) -> Points:
    """Window starts on the town's clock and values, oldest first; the newest revision of each window."""
    if history.is_empty():
        return [], []
    rows = history.sort("window", "revision").unique("window", keep="last").sort("window")
    return [wording.local_text(at, zone) for at in rows["window"].to_list()], rows["value"].to_list()


def points(kpi: Kpi, area: str, view: View, row: Mapping[str, Any]) -> Points:
    """The KPI's values in the period of the view, the newest as the board has it."""
    town = glass.town()
    key = (id(town), kpi.id, area, view.days, row.get("window_start"))
    kept = _kept.get(key)
    if kept is None or time.monotonic() - kept[0] > KEPT_S:
        start, end = view.span(kpi.window.step)
        kept = (time.monotonic(), series(town.history(kpi.id, [area], start, end), town.zone))
        _kept[key] = kept
        while len(_kept) > MOST_KEPT:
            _kept.popitem(last=False)
    return _newest(kept[1], row, town.zone)


def _newest(known: Points, row: Mapping[str, Any], zone: str) -> Points:
    start: datetime | None = wording.moment(row.get("window_start"))
    if start is None or row.get("value") is None:
        return known
    x, y, at = list(known[0]), list(known[1]), wording.local_text(start, zone)
    if x and at < x[-1]:
        return known
    if x and at == x[-1]:
        y[-1] = row["value"]
        return x, y
    return [*x, at], [*y, row["value"]]
