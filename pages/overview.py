"""What needs me now: alarms by priority, the map with the places in trouble, a card per domain."""

import asyncio
from collections.abc import Mapping
from typing import Any

import dash
from dash import html

from components import glass, kpi_tile, shell, wording
from components.address import View, filters, ward_names
from components.alarm_list import alarm_list
from components.domain_page import headlines, legend
from components.freshness import feed_strip
from components.kpi_tile import csv_link
from components.props import props
from components.town_map import town_map
from components.words_page import failed
from pipelines.engine.model import Domain, Kpi

ROWS_PER_CARD = 3


async def layout(**query: Any) -> html.Div:
    """The overview for the ward that the address asks for."""
    try:
        return await asyncio.to_thread(overview, query)
    except Exception as error:
        return failed(error)


def overview(query: Mapping[str, Any]) -> html.Div:
    """The whole page."""
    state, view, wards = glass.state(), View.read(query), ward_names()
    cards = [card(state, d, view, wards) for d in glass.town().domains]
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [html.H1("Overview"), html.P(summary(state), className="sub", **props({"data-f": "summary"}))]
                    ),
                    filters(view),
                ],
                className="page-head",
            ),
            html.Div([_alarms(state, view), _map(state, view), html.Div(cards, className="cards")], className="three"),
        ],
        className="page overview",
        key=f"overview-{view}-{state['seq']}",
    )


def summary(state: Mapping[str, Any]) -> str:
    """The town in one sentence."""
    if not state["seq"]:
        return "The line has published no figures yet. They appear here by themselves; nothing needs reloading."
    active = sum(1 for a in state["alarms"] if a["state"] == "active")
    troubled = sum(1 for f in state["feeds"].values() if f["state"] not in ("live", "waiting"))
    alarms = wording.count(active, "alarm").capitalize()
    feeds = wording.count(len(state["feeds"]), "feed")
    return f"{alarms} active. {len(state['feeds']) - troubled} of {feeds} arriving as expected."


def _alarms(state: Mapping[str, Any], view: View) -> html.Section:
    return html.Section(
        [
            html.Div(html.H2("Alarms"), className="panel-head"),
            alarm_list(state, None, view.ward, limit=20),
            html.Div(csv_link(glass.href("api/v1/alarms", format="csv"), "alarms"), className="panel-foot"),
        ],
        className="panel alarm-panel",
    )


def _map(state: Mapping[str, Any], view: View) -> html.Div:
    panel = html.Section(
        [
            html.Div(
                [
                    html.H2("Wards and assets"),
                    html.P("wards by their most urgent alarm; marks are assets", className="sub"),
                ],
                className="panel-head",
            ),
            town_map(state, ward=view.ward),
            legend(),
            html.Div(csv_link(glass.href("api/v1/assets", format="csv"), "assets"), className="panel-foot"),
        ],
        className="panel map-panel",
    )
    feeds = html.Section(
        [html.Div(html.H2("Feeds"), className="panel-head"), feed_strip(state)], className="panel feeds-panel"
    )
    return html.Div([panel, feeds], className="stack")


def card(state: Mapping[str, Any], domain: Domain, view: View, wards: Mapping[str, str]) -> html.Section:
    """One domain: its state in a word and the headline KPIs that are worst."""
    status = shell.standing(state, domain)
    rows = [_line(state, kpi, kpi_tile.area_for(kpi, view.area), wards) for kpi in worst_first(state, domain, view)]
    link = html.A(domain.title, href=glass.href(domain.name, **view.kept), **props({"data-nav": "keep"}))
    chip = kpi_tile.chip(
        status,
        **props({"data-standing": domain.name, "data-headlines": " ".join(k.id for k in domain.kpis if k.headline)}),
    )
    return html.Section(
        [html.Div([html.H2(link), chip], className="tile-head"), html.Ul(rows, className="lines")],
        className="panel card-domain",
    )


def worst_first(state: Mapping[str, Any], domain: Domain, view: View) -> list[Kpi]:
    """The headline KPIs that need people most, at most three."""

    def rank(kpi: Kpi) -> int:
        status = kpi_tile.row_of(state, kpi, kpi_tile.area_for(kpi, view.area))["status"]
        return wording.SEVERITY.index(status) if status in wording.SEVERITY else 9

    return sorted(headlines(domain), key=rank)[:ROWS_PER_CARD]


def _line(state: Mapping[str, Any], kpi: Kpi, area: str, wards: Mapping[str, str]) -> html.Li:
    row = kpi_tile.row_of(state, kpi, area)
    where = "" if area == "town" else f" · {wording.area(area, wards)}"
    return html.Li(
        [
            html.Span([kpi.title, html.Small(where)], className="name"),
            html.Span(
                [
                    html.Span(
                        wording.number(row["value"], int(row["decimals"])),
                        className="value",
                        **props({"data-f": "value"}),
                    ),
                    html.Span(wording.unit(kpi.unit), className="unit"),
                ],
                className="figure-small",
            ),
            kpi_tile.chip(row["status"]),
            html.Span(
                [
                    html.Span(wording.target(row)),
                    html.Span(wording.old(row["as_of"]), className="age", **props({"data-f": "age"})),
                    html.Span(wording.coverage(row.get("coverage")), **props({"data-f": "coverage"})),
                ],
                className="sub",
            ),
        ],
        **props({"data-kpi": f"{kpi.id}|{area}", "data-state": row["status"], "data-every": wording.interval_s(kpi)}),
        **props({"aria-label": wording.sentence(kpi.title, row)}),
    )


dash.register_page("pages.overview", path="/", name="Overview", title=f"Overview · {glass.town().name}", layout=layout)
