"""One asset: its latest readings, their chart, its alarms and its neighbours."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import dash
import polars as pl
from dash import html

from components import glass, wording
from components.address import PERIODS, View, ward_names
from components.alarm_list import alarm_list
from components.asset_table import kind_words, quantity
from components.chart_words import drawn
from components.freshness import ago
from components.kpi_tile import csv_link
from components.props import props
from components.tongue import N_, _, said
from components.trend import AHEAD, Band, graph, line_figure, usual_band
from components.words_page import failed, missing
from pipelines.engine.running_down import project
from pipelines.engine.summaries import fitting_step

MOST_CHARTS = 8
MOST_NEIGHBOURS = 12


async def layout(asset: str = "", **query: Any) -> html.Div:
    """The page of the asset that the address names."""
    try:
        return await asyncio.to_thread(asset_page, asset, query)
    except Exception as error:
        return failed(error)


def asset_page(asset: str, query: Mapping[str, Any]) -> html.Div:
    """The whole page; words when nobody knows the asset."""
    town, state = glass.town(), glass.state()
    found = town.assets().filter(pl.col("asset") == asset)
    if found.is_empty():
        return missing(_("There is no asset called {asset} in the register (reference/assets.csv).", asset=asset))
    row, view = found.row(0, named=True), View.read(query)
    sensors = town.sensors().filter(pl.col("asset") == asset)
    alarms = {**state, "alarms": [a for a in state["alarms"] if a.get("asset") == asset]}
    return html.Div(
        [
            _head(row, state, view),
            _latest(asset, row["domain"]) if not sensors.is_empty() else None,
            _lasts(asset, row["domain"]),
            html.H2(_("Readings"), className="section"),
            _charts(sensors, view) if not sensors.is_empty() else _written_down(row["domain"], row["ward"]),
            html.H2(_("Alarms"), className="section"),
            html.Section(alarm_list(alarms), className="panel", **props({"data-only-asset": asset})),
            html.H2(_("Nearby"), className="section"),
            _neighbours(row, town.assets(row["domain"])),
        ],
        className="page",
        key=f"asset-{asset}-{view}-{state['seq']}",
    )


def _head(row: Mapping[str, Any], state: Mapping[str, Any], view: View) -> html.Div:
    known = state["assets"].get(row["asset"]) or {}
    status = "alarm" if known.get("alarm") else known.get("state")
    chip = html.Span(wording.state(status), className="chip", **props({"data-state": status})) if status else None
    ward = ward_names().get(row["ward"] or "", row["ward"] or _("no ward"))
    domain = glass.town().domain(row["domain"])
    back = html.A(_(domain.title), href=glass.href(domain.name), **props({"data-nav": "keep"}))
    parent: list[Any] = (
        [
            " · ",
            _("part of"),
            " ",
            html.A(row["parent"], href=glass.href(f"asset/{row['parent']}"), **props({"data-nav": ""})),
        ]
        if row.get("parent")
        else []
    )
    words = html.P([back, f" · {kind_words(row['kind'])} · {ward} · {row['asset']}", *parent], className="sub")
    return html.Div(
        [html.Div([html.Div([html.H1(row["name"]), chip], className="title"), words]), _period(view)],
        className="page-head",
    )


def _period(view: View) -> html.Form:
    rows = [html.Option(_(text), value=key, selected=key == str(view.days or "")) for key, text in PERIODS.items()]
    select = html.Select(rows, name="days", className="form-select form-select-sm", **props({"data-filter": "days"}))
    button = html.Button(_("Show"), type="submit", className="btn btn-sm btn-quiet only-without-script")
    return html.Form([html.Label([html.Span(_("Period")), select]), button], method="get", className="filters")


def _latest(asset: str, domain: str) -> html.Section:
    rows = glass.town().latest(domain).filter(pl.col("asset") == asset).sort("quantity")
    if rows.is_empty():
        return html.Section(html.P(_("Nothing was read from this asset yet."), className="empty"), className="panel")
    return html.Section([_reading(r) for r in rows.iter_rows(named=True)], className="tiles small")


def _lasts(asset: str, domain: str) -> html.P | None:
    """How long what the asset stores lasts; nothing for assets that store nothing."""
    town, told = glass.town(), []
    for kpi in town.domain(domain).kpis:
        if kpi.runs_down and f"{kpi.id}|asset:{asset}" in glass.state()["kpis"]:
            found = project(town, kpi, f"asset:{asset}", town.now())
            address = glass.href(f"api/v1/kpis/{kpi.id}/projection", area=f"asset:{asset}")
            told += [html.B(f"{_(kpi.title)}: "), said(found.words), " ", csv_link(address, _(kpi.title))]
    return html.P(told, className="notice") if told else None


def _reading(row: Mapping[str, Any]) -> html.Article:
    at, zone = row["observed_at"], glass.town().zone
    value = row["value"]
    digits = 0 if value is not None and abs(value) >= 1000 else 2 if value is not None and abs(value) < 10 else 1
    chip = html.Span(
        wording.state(row["state"] or "no data"),
        className="chip",
        **props({"data-state": row["state"] or "no data"}),
    )
    old = html.Span(wording.age_of(at), **props({"data-age": at.isoformat()})) if at else ""
    return html.Article(
        [
            html.Div([html.H3(quantity(row["quantity"], row["unit"]).capitalize()), chip], className="tile-head"),
            html.Div(
                [
                    html.Span(wording.number(value, digits), className="value"),
                    html.Span(wording.unit(row["unit"]), className="unit"),
                ],
                className="figure",
            ),
            html.P(
                html.Span(
                    [
                        _("at {clock}", clock=wording.clock(at, zone)),
                        " · ",
                        *ago(old),
                        " · ",
                        _("sensor {sensor}", sensor=row["sensor"]),
                    ]
                ),
                className="fresh",
            ),
        ],
        className="tile",
        **props({"data-state": row["state"]}),
    )


def _written_down(domain: str, ward: str | None) -> html.Div:
    """What to do about an asset without a sensor: the tables in which people or systems write about it."""
    words: list[Any] = [html.P(_("No sensor is registered for this asset (reference/sensors.csv)."), className="empty")]
    tables = [table for table in glass.town().domain(domain).tables if not table.guarded]
    items = [
        html.Li(
            html.A(table.name.replace("_", " ").capitalize(), href=glass.href("exports", table=table.name, ward=ward))
        )
        for table in tables
    ]
    if items:
        told = _("What is written down about assets here, such as samples, trips and works, can be taken along:")
        words += [html.P(told), html.Ul(items, className="nearby")]
    return html.Div(words, className="panel")


def _charts(sensors: pl.DataFrame, view: View) -> html.Div:
    end = datetime.now(UTC)
    start = end - timedelta(days=view.days or 2)
    rows = [_chart(s, start, end) for s in sensors.head(MOST_CHARTS).iter_rows(named=True)]
    return html.Div(rows, className="charts")


def _chart(sensor: Mapping[str, Any], start: datetime, end: datetime) -> html.Section:
    town, step = glass.town(), fitting_step(end - start, sensor["every_s"])
    line, band = (
        _readings(sensor["sensor"], start, end) if step is None else _summed(sensor["sensor"], start, end, step)
    )
    x, y = line
    body: Any = html.P(_("No readings in this period. Choose a longer one above."), className="empty chart-empty")
    if x:
        figure = line_figure(x, y, {N_("lowest"): sensor.get("low"), N_("highest"): sensor.get("high")}, band)
        body = drawn(graph(figure), (x, y), wording.unit(sensor["unit"] or ""), decimals=2)
    text = {"from_": start.strftime("%Y-%m-%dT%H:%M:%SZ"), "to": end.strftime("%Y-%m-%dT%H:%M:%SZ")}
    address = glass.href("api/v1/readings", sensor=sensor["sensor"], step=step, format="csv", **text)
    links: list[Any] = [csv_link(address, _("readings of {sensor}", sensor=sensor["sensor"]))]
    if step is None and band.x:
        usual = glass.href("api/v1/expected", sensor=sensor["sensor"])
        links += [" · ", csv_link(usual, sensor["sensor"], _("What is usual (CSV)"))]
    unit, zone = wording.unit(sensor["unit"] or ""), wording.zone_name(town.zone)
    head = [
        html.H3(quantity(sensor["quantity"], sensor["unit"]).capitalize()),
        html.P(
            " · ".join(filter(None, [unit, _("sensor {sensor}", sensor=sensor["sensor"]), zone, band.words])),
            className="sub",
        ),
        html.P(said(band.told), className="sub") if band.told else None,
    ]
    parts = body if isinstance(body, list) else [body]
    return html.Section(
        [html.Div(head, className="panel-head"), *parts, html.Div(links, className="panel-foot")],
        className="panel chart-panel",
    )


Line = tuple[list[str], list[float | None]]


def _readings(sensor: str, start: datetime, end: datetime) -> tuple[Line, Band]:
    """The readings themselves, before what is usual to the end of tomorrow."""
    town = glass.town()
    rows = town.readings([sensor], start, end).sort("observed_at")
    x = [wording.local_text(at, town.zone) for at in rows["observed_at"].to_list()]
    usual = usual_band(town.expectations.of_sensor(sensor, start, end + AHEAD), town.zone)
    return (x, rows["value"].to_list()), usual


def _summed(sensor: str, start: datetime, end: datetime, step: str) -> tuple[Line, Band]:
    """The mean of each step, before the lowest and highest reading in it: no extreme is lost."""
    town = glass.town()
    rows = town.summary([sensor], start, end, step).sort("window")
    x = [wording.local_text(at, town.zone) for at in rows["window"].to_list()]
    words = _("mean by {step}; shaded: lowest to highest", step=_(step.replace("_", " ")))
    band = Band(x, rows["lowest"].to_list(), rows["highest"].to_list(), words)
    return (x, rows["value"].to_list()), band


def _neighbours(row: Mapping[str, Any], assets: pl.DataFrame) -> html.Section:
    placed = assets.filter(
        (pl.col("asset") != row["asset"])
        & (pl.col("ward") == row["ward"])
        & (pl.col("kind") != "water_meter")
        & (pl.col("kind") != "electricity_meter")
    )
    near = (
        placed.sort((pl.col("lat") - row["lat"]) ** 2 + (pl.col("lon") - row["lon"]) ** 2)
        if row["lat"] is not None
        else placed
    )
    items = [
        html.Li(
            [
                html.A(r["name"], href=glass.href(f"asset/{r['asset']}"), **props({"data-nav": ""})),
                f" · {kind_words(r['kind'])}",
            ]
        )
        for r in near.head(MOST_NEIGHBOURS).iter_rows(named=True)
    ]
    body = (
        html.Ul(items, className="nearby")
        if items
        else html.P(_("No other asset of this service stands in this ward."), className="empty")
    )
    return html.Section(body, className="panel")


dash.register_page(
    "pages.asset",
    path_template="/asset/<asset>",
    path="/asset/none",
    name="Asset",
    title=lambda asset="": f"{asset} · {glass.town().name}",
    layout=layout,
)
