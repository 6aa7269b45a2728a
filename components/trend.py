"""Trend charts: a KPI's history in town time, gaps as gaps, its target drawn in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from dash import html

from components import chart_axes, glass, theme, wording
from components.address import View, ward_names
from components.chart_picture import picture
from components.chart_words import drawn
from components.drawing import Drawing
from components.dressing import chart_locale
from components.histories import Points, placed_at, points
from components.kpi_tile import area_for, csv_link
from components.props import props
from components.tongue import N_, _, current, said
from pipelines.engine.model import AlarmRule, Kpi
from pipelines.engine.usual import Usual

MOST_CHARTS = 6
# What is usual is drawn to the end of tomorrow.
AHEAD = timedelta(days=2)
FEWEST_POINTS = 2
# Up to so many values are drawn as bars when they are those of months or years.
# About how high a chart and the two lines of a limit's name are, in pixels.
HIGH, NAME = 160.0, 28.0
BAR_WIDTH = {"month": timedelta(days=18), "year": timedelta(days=220), "fiscal_year": timedelta(days=220)}
BAR_ROOM = {"month": timedelta(days=31), "year": timedelta(days=366), "fiscal_year": timedelta(days=366)}
FEWEST_PLACES = 6


@dataclass(frozen=True)
class Band:
    """A calm shade behind a line, from `low` to `high`; `words` say what it is, `told` why it is there or not."""

    x: Sequence[str] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    words: str = ""
    told: str = ""


NO_BAND = Band()


def usual_band(found: Usual, zone: str) -> Band:
    """What is usual, as a band; none where it tells no more than the days before."""
    rows = found.rows.drop_nulls(["low", "high"])
    x = [wording.local_text(at, zone) for at in rows["observed_at"].to_list()]
    words = _("shaded: usual at this hour") if x else ""
    return Band(x, rows["low"].to_list(), rows["high"].to_list(), words, said(found.words) if found.rows.height else "")


def line_figure(
    x: Sequence[str], y: Sequence[float | None], limits: Mapping[str, float | None], band: Band = NO_BAND
) -> dict[str, Any]:
    """A line with its limits as dashed lines, each named in the margin, where no line runs; a band behind it."""
    lone = len([v for v in y if v is not None]) < 8
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if lone else "lines",
        "x": list(x),
        "y": list(y),
        "connectgaps": False,
        "cliponaxis": False,
        "line": {"color": theme.SERIES, "width": 1.8, "shape": "linear"},
        "marker": {"size": 6, "color": theme.SERIES},
        "hovertemplate": "%{y}<extra></extra>",
    }
    ends = [*x, *band.x]
    reach = {"xaxis": {**chart_axes.of_time(min(ends), max(ends)), "hoverformat": "%-d %b %Y %H:%M"},
             "yaxis": chart_axes.upright([*y, *band.low, *band.high, *limits.values()])}  # fmt: skip
    figure = _figure(trace, limits, reach)
    # The line stays the first trace: new points are added to it.
    figure["data"] += _shade(band)
    return figure


def _shade(band: Band) -> list[dict[str, Any]]:
    if not band.x:
        return []
    edge = {"type": "scatter", "mode": "lines", "x": list(band.x), "line": {"width": 0}, "hoverinfo": "skip"}
    fill = {"fill": "tonexty", "fillcolor": theme.BAND}
    return [{**edge, "y": list(band.low)}, {**edge, "y": list(band.high), **fill}]


def bar_figure(
    x: Sequence[str], y: Sequence[float | None], limits: Mapping[str, float | None], step: str
) -> dict[str, Any]:
    """The few values of months or years as bars from zero, with room for those to come."""
    width = BAR_WIDTH[step].total_seconds() * 1000
    trace = {
        "type": "bar",
        "x": list(x),
        "y": list(y),
        "width": width,
        "marker": {"color": theme.SERIES},
        "hovertemplate": "%{y}<extra></extra>",
    }
    first, last = (datetime.fromisoformat(at) for at in (x[0], x[-1]))
    lead = max(timedelta(0), BAR_ROOM[step] * (FEWEST_PLACES - 1) - (last - first))
    room = BAR_ROOM[step] * 0.7
    reach = {
        "xaxis": {**chart_axes.of_bars(x, (first - lead - room, last + room), step), "hoverformat": "%b %Y"},
        "yaxis": chart_axes.upright([*y, *limits.values()], from_zero=True),
    }
    return _figure(trace, limits, reach)


def _figure(
    trace: dict[str, Any], limits: Mapping[str, float | None], reach: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    layout = theme.chart_layout()
    for axis, own in reach.items():
        layout[axis] |= own
    layout["margin"]["l"] = chart_axes.left(layout["yaxis"]["ticktext"])
    drawn = {name: at for name, at in limits.items() if at is not None}
    layout["shapes"] = [_limit(at) for at in drawn.values()]
    layout["annotations"] = [_name(name, at, drawn.values(), layout["yaxis"]["range"]) for name, at in drawn.items()]
    layout["margin"]["r"] = 58 if drawn else 22
    return {"data": [trace], "layout": layout}


def save_button(what: str) -> html.Button:
    """The button that saves a chart as a picture, with its title, unit and source on it."""
    words = _("Download picture")
    named = {"aria-label": f"{words}: {what}", "data-save": "yes"}
    return html.Button(words, type="button", className="as-link needs-script", **props(named))


def graph(figure: dict[str, Any]) -> Drawing:
    """The figure in a box as high as the style sheet says: drawn here, and by Plotly once it is looked at."""
    told = {**figure, "config": {**theme.CHART_CONFIG, **chart_locale(current())}}
    return Drawing(picture(figure), "chart", **props({"data-figure": orjson.dumps(told).decode()}))


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


def _name(name: str, at: float, all_limits: Iterable[float], reach: Sequence[float]) -> dict[str, Any]:
    """A limit's name beside its end; two keep apart, and none reaches down among the names of the time."""
    pixels = HIGH / (reach[1] - reach[0])
    others = [other for other in all_limits if other != at]
    anchor = "middle" if not others else "bottom" if at > max(others) else "top"
    if (min([at, *others]) - reach[0]) * pixels < NAME:
        anchor = "bottom"
    below = [NAME - (at - other) * pixels for other in others if other < at]
    shift = max([0.0, *below]) if anchor == "bottom" else 0.0
    return {
        "yshift": round(shift),
        "xref": "paper",
        "x": 1,
        "xshift": 4,
        "y": at,
        "text": f"{_(name)}<br>{at:g}",
        "showarrow": False,
        "xanchor": "left",
        "yanchor": anchor,
        "align": "left",
        "font": {"size": 11, "color": theme.TARGET},
    }


def limits_of(kpi: Kpi, rules: Sequence[AlarmRule], target: float | None) -> dict[str, float | None]:
    """The lines a chart carries: the KPI's target and the alarms that watch it."""
    found: dict[str, float | None] = {N_("target"): target if kpi.better != "context" else None}
    for rule in rules:
        if rule.watches == kpi.id:
            limit = rule.above if rule.above is not None else rule.below
            found[N_("alarm")] = limit if limit != found["target"] else None
    return found


def trends(
    state: Mapping[str, Any], first: Sequence[Kpi], further: Sequence[Kpi], view: View, rules: Sequence[AlarmRule]
) -> html.Div:
    """Charts for the chosen ward and period: the headlines, then others while there is room; none without a history."""
    drawn: list[html.Section] = []
    bare: list[str] = []
    for kpi in (*first, *further):
        if len(drawn) == MOST_CHARTS:
            break
        area = area_for(kpi, view.area)
        row = state["kpis"].get(f"{kpi.id}|{area}") or {}
        known = points(kpi, area, view, row) if _promising(row, area) else ([], [])
        if len([v for v in known[1] if v is not None]) >= FEWEST_POINTS:
            drawn.append(_chart(kpi, area, view, known, limits_of(kpi, rules, row.get("target", kpi.target))))
        elif kpi in first:
            bare.append(_(kpi.title))
    return html.Div([html.Div(drawn, className="charts"), _missing(bare)], className="trends")


def _promising(row: Mapping[str, Any], area: str) -> bool:
    """Whether there is a history to ask for; the town's sparkline tells without asking."""
    if area != "town":
        return bool(row)
    values = [v for v in row.get("spark") or [] if v is not None]
    return len(values) + (row.get("value") is not None) >= FEWEST_POINTS


def _missing(titles: Sequence[str]) -> html.P | None:
    if not titles:
        return None
    return html.P(
        _("Not drawn, for there are fewer than two values in this period: {titles}.", titles="; ".join(titles)),
        className="sub",
    )


def _chart(kpi: Kpi, area: str, view: View, known: Points, limits: Mapping[str, float | None]) -> html.Section:
    zone, few = glass.town().zone, wording.month_long(kpi) and len(known[0]) <= 36
    start, end = view.span(kpi.window.step)
    usual = _usual(kpi, area, start, end)
    figure = bar_figure(*known, limits, kpi.window.step) if few else line_figure(*known, limits, usual)
    head = [html.H3(_(kpi.title)), html.P(_subtitle(kpi, area, zone, usual), className="sub", title=usual.told)]
    links: list[Any] = [
        csv_link(_history_link(kpi.id, area, start, end), _("{title}, the period shown", title=_(kpi.title)))
    ]
    if usual.x:
        address = glass.href("api/v1/expected", kpi=kpi.id, area=area)
        links += [" · ", csv_link(address, _(kpi.title), _("What is usual (CSV)"))]
    chart = {"data-chart": f"{kpi.id}|{area}", "data-at": placed_at(kpi)}
    links += [" · ", save_button(_(kpi.title))]
    return html.Section(
        [
            html.Div(head, className="panel-head"),
            *drawn(graph(figure), known, wording.unit(kpi.unit), decimals=kpi.decimals, data=chart),
            html.Div(links, className="panel-foot"),
        ],
        className="panel chart-panel",
        **props({"data-source": kpi.standard, "data-file": f"{kpi.id}-{area.replace(':', '-')}"}),
    )


def _usual(kpi: Kpi, area: str, start: datetime, end: datetime) -> Band:
    if not kpi.habitual:
        return NO_BAND
    town = glass.town()
    return usual_band(town.expectations.of_kpi(kpi, area, start, end + AHEAD), town.zone)


def _subtitle(kpi: Kpi, area: str, zone: str, usual: Band) -> str:
    parts = [wording.unit(kpi.unit), wording.area(area, ward_names()), wording.zone_name(zone), usual.words]
    return " · ".join(filter(None, parts))


def _history_link(kpi: str, area: str, start: datetime, end: datetime) -> str:
    days = {"from_": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    return glass.href(f"api/v1/kpis/{kpi}/history", area=area, format="csv", **days)
