"""What needs me now: alarms by priority, the map with the places in trouble, a card per domain."""

import asyncio
from collections.abc import Mapping
from typing import Any

import dash
from dash import html

from components import glass, kpi_tile, shell, wording
from components.address import View, filters
from components.alarm_list import alarm_list
from components.domain_page import headlines, legend
from components.first_paint import FIRST
from components.freshness import feed_strip, feeds_in_a_sentence
from components.kpi_tile import csv_link
from components.map_words import as_table
from components.past_page import past_page
from components.props import props
from components.tongue import N_, _, said, titled
from components.town_map import town_map
from components.words_page import failed
from pipelines.engine.model import Domain, Kpi

RANKED = {"data-ranked": "yes"}


async def layout(**query: Any) -> html.Div:
    """The overview for the ward that the address asks for."""
    try:
        return await asyncio.to_thread(overview, query)
    except Exception as error:
        return failed(error)


def overview(query: Mapping[str, Any]) -> html.Div:
    """The whole page."""
    state, view = glass.state(), View.read(query)
    if view.as_known_at:
        return past_page(_("Overview"), glass.town().domains, view)
    cards = [card(state, d, view) for d in glass.town().domains]
    return html.Div(
        [
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(_("Overview")),
                            html.P(summary(state), className="sub", **props({"data-f": "summary"})),
                        ]
                    ),
                    filters(view),
                ],
                className="page-head",
                **props({FIRST: "yes"}),
            ),
            _flood(state),
            html.Div([_alarms(state, view), _map(state, view), html.Div(cards, className="cards")], className="three"),
        ],
        className="page overview",
        key=f"overview-{view}-{state['seq']}",
    )


def summary(state: Mapping[str, Any]) -> str:
    """The town in one sentence."""
    if not state["seq"]:
        return _("The line has published no figures yet. They appear here by themselves; nothing needs reloading.")
    active = sum(1 for a in state["alarms"] if a["active"])
    return _(
        "{alarms} active. {feeds}",
        alarms=wording.count(active, "alarm").capitalize(),
        feeds=feeds_in_a_sentence(state),
    )


def _flood(state: Mapping[str, Any]) -> html.P:
    """A flood of alarms in one sentence, with the way to the console; hidden without one."""
    words = state.get("alarm_summary", {}).get("words", "")
    told = html.Span(said(words), **props({"data-f": "flood-words"}))
    link = html.A(_("All alarms"), href=glass.href("alarms"), **props({"data-nav": "away"}))
    return html.P([told, " ", link], className="told", role="status", hidden=not words, **props({"data-f": "flood"}))


def _alarms(state: Mapping[str, Any], view: View) -> html.Section:
    link = csv_link(glass.href("api/v1/alarms", format="csv"), _("alarms"))
    console = html.A(_("Alarms"), href=glass.href("alarms", ward=view.ward), **props({"data-nav": "away"}))
    return html.Section(
        [
            html.Div(
                [html.H2(console), link],
                className="panel-head",
            ),
            html.Div(
                alarm_list(state, None, view.ward, limit=20),
                className="rolls",
                tabIndex=0,
                role="region",
                **props({"aria-label": _("Alarms by priority")}),
            ),
        ],
        className="panel alarm-panel",
    )


def _map(state: Mapping[str, Any], view: View) -> html.Div:
    link = csv_link(glass.href("api/v1/assets", format="csv"), _("assets"))
    sub = html.P(_("wards by their most urgent alarm"), className="sub")
    panel = html.Section(
        [
            html.Div([html.H2(_("Wards and assets")), sub, link], className="panel-head"),
            town_map(state, ward=view.ward),
            legend(),
            as_table(state, None),
        ],
        className="panel map-panel",
    )
    sentence = html.P(feeds_in_a_sentence(state), className="sub", **props({"data-f": "feeds-sentence"}))
    every = html.A(_("All feeds"), href=glass.href("feeds"), className="csv", **props({"data-nav": "keep"}))
    feeds = html.Section(
        [
            html.Div([html.H2(_("Feeds")), sentence, every], className="panel-head"),
            feed_strip(state, troubled_only=True),
        ],
        className="panel feeds-panel",
    )
    return html.Div([panel, feeds], className="stack")


def card(state: Mapping[str, Any], domain: Domain, view: View) -> html.Section:
    """One domain: its state in a word and its headline KPIs, worst first; the style sheet shows as many as fit."""
    kpis = worst_first(state, domain, view)
    link = html.A(_(domain.title), href=glass.href(domain.name, **view.kept), **props({"data-nav": "keep"}))
    chip = shell.standing_chip(state, domain)
    rows = [_line(state, kpi, kpi_tile.area_for(kpi, view.area)) for kpi in kpis]
    return html.Section(
        [html.Div([html.H2(link), chip], className="tile-head"), html.Ul(rows, className="lines", **props(RANKED))],
        className="panel card-domain",
    )


def worst_first(state: Mapping[str, Any], domain: Domain, view: View) -> list[Kpi]:
    """The headline KPIs, those that need people most first; the page's script keeps them in this order."""

    def rank(kpi: Kpi) -> int:
        status = kpi_tile.row_of(state, kpi, kpi_tile.area_for(kpi, view.area))["status"]
        return wording.SEVERITY.index(status) if status in wording.SEVERITY else 9

    return sorted(headlines(domain), key=rank)


def _line(state: Mapping[str, Any], kpi: Kpi, area: str) -> html.Li:
    row, zone = kpi_tile.row_of(state, kpi, area), glass.town().zone
    value = html.Span(
        wording.number(row["value"], int(row["decimals"])), className="value", **props({"data-f": "value"})
    )
    return html.Li(
        [
            html.Span(_(kpi.title), className="name"),
            html.Span([value, html.Span(wording.unit(kpi.unit), className="unit")], className="figure-small"),
            html.Span(
                [
                    html.Span(_short_why(row), className="why", **props({"data-f": "why-short"})),
                    html.Span(wording.aim(row)),
                    html.Span(wording.when_short(row, zone), **props({"data-f": "when-short"})),
                    html.Span(_arrived(row.get("coverage")), **props({"data-f": "coverage-short"})),
                    kpi_tile.chip(row["status"]),
                ],
                className="sub",
            ),
        ],
        **kpi_tile.live(kpi, row, area),
        **props({"aria-label": wording.sentence(_(kpi.title), row, zone)}),
    )


def _short_why(row: Mapping[str, Any]) -> str:
    return "" if row["value"] is not None else wording.reason(row).split(";")[0]


def _arrived(share: float | None) -> str:
    return "" if share is None else _("{n} % arrived", n=wording.number(int(share * 100), 0))


dash.register_page(
    "pages.overview",
    path="/",
    name="Overview",
    title=titled(N_("Overview")),
    layout=layout,
)
