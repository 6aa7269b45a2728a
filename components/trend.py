"""Trend charts: a KPI's history in town time, gaps as gaps, its target drawn in."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import polars as pl
from dash import dcc, html

from components import glass, theme, wording
from components.address import View, ward_names
from components.kpi_tile import area_for, csv_link
from components.props import props
from pipelines.engine.model import AlarmRule, Kpi


def series(history: pl.DataFrame, zone: str) -> tuple[list[str], list[float | None]]:
    """Window starts on the town's clock and values, oldest first; the newest revision of each window."""
    if history.is_empty():
        return [], []
    rows = history.sort("window", "revision").unique("window", keep="last").sort("window")
    return [wording.local_text(at, zone) for at in rows["window"].to_list()], rows["value"].to_list()


def line_figure(
    x: Sequence[str], y: Sequence[float | None], limits: Mapping[str, float | None], height: int = 230
) -> dict[str, Any]:
    """A line with its limits as dashed lines, each with its name at the right edge."""
    layout = theme.chart_layout(height)
    drawn = {name: at for name, at in limits.items() if at is not None}
    layout["shapes"] = [_limit(at) for at in drawn.values()]
    layout["annotations"] = [_name(name, at) for name, at in drawn.items()]
    lone = len([v for v in y if v is not None]) < 3
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if lone else "lines",
        "x": list(x),
        "y": list(y),
        "connectgaps": False,
        "line": {"color": theme.SERIES, "width": 1.8, "shape": "linear"},
        "marker": {"size": 6, "color": theme.SERIES},
        "hovertemplate": "%{y}<extra></extra>",
    }
    return {"data": [trace], "layout": layout}


def graph(figure: dict[str, Any]) -> dcc.Graph:
    """The figure in a box of its own height, without Plotly's tools."""
    style = {"height": f"{figure['layout']['height']}px"}
    return dcc.Graph(figure=figure, config=theme.CHART_CONFIG, style=style)  # type: ignore[arg-type]


def _limit(at: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": at,
        "y1": at,
        "line": {"dash": "dash", "width": 1.2, "color": theme.TARGET},
    }


def _name(name: str, at: float) -> dict[str, Any]:
    text = f"{name} {at:g}"
    return {
        "xref": "paper",
        "x": 1,
        "y": at,
        "text": text,
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "font": {"size": 11, "color": theme.TARGET},
    }


def limits_of(kpi: Kpi, rules: Sequence[AlarmRule], target: float | None) -> dict[str, float | None]:
    """The lines a chart carries: the KPI's target and the alarms that watch it."""
    found: dict[str, float | None] = {"target": target if kpi.better != "context" else None}
    for rule in rules:
        if rule.watches == kpi.id:
            found["alarm"] = rule.above if rule.above is not None else rule.below
    return found


def trends(state: Mapping[str, Any], kpis: Sequence[Kpi], view: View, rules: Sequence[AlarmRule]) -> html.Div:
    """The charts of these KPIs for the chosen ward and period."""
    return html.Div([trend(state, kpi, view, rules) for kpi in kpis], className="charts")


def trend(state: Mapping[str, Any], kpi: Kpi, view: View, rules: Sequence[AlarmRule]) -> html.Section:
    """One chart with its heading and its CSV; a sentence where there is no history."""
    town, area = glass.town(), area_for(kpi, view.area)
    start, end = view.span(kpi.window.step)
    x, y = series(town.history(kpi.id, [area], start, end), town.zone)
    row = state["kpis"].get(f"{kpi.id}|{area}") or {}
    body: Any = html.P(f"No values in this period. {_hint(row)}", className="empty chart-empty")
    if any(v is not None for v in y):
        figure = line_figure(x, y, limits_of(kpi, rules, row.get("target", kpi.target)))
        body = html.Div(graph(figure), **props({"data-chart": f"{kpi.id}|{area}"}))
    return html.Section(
        [
            html.Div(
                [html.H3(kpi.title), html.P(_subtitle(kpi, area, town.zone), className="sub")], className="panel-head"
            ),
            body,
            html.Div(
                csv_link(_history_link(kpi.id, area, start, end), f"{kpi.title}, the period shown"),
                className="panel-foot",
            ),
        ],
        className="panel chart-panel",
    )


def _hint(row: Mapping[str, Any]) -> str:
    return f"Now: {wording.reason(row)}." if row and row.get("value") is None else "Choose a longer period above."


def _subtitle(kpi: Kpi, area: str, zone: str) -> str:
    return " · ".join(filter(None, [wording.unit(kpi.unit), wording.area(area, ward_names()), wording.zone_name(zone)]))


def _history_link(kpi: str, area: str, start: datetime, end: datetime) -> str:
    days = {"from_": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return glass.href(f"api/v1/kpis/{kpi}/history", area=area, format="csv", **days)
