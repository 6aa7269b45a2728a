"""The page of any domain, built from its declaration and the snapshot alone."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from components import glass, kpi_tile, shell, wording
from components.address import View, filters, ward_names
from components.alarm_list import alarm_list
from components.asset_table import Ask, controls, rows_of
from components.asset_table import table as asset_table
from components.fold import fold
from components.freshness import feed_strip
from components.kpi_tile import csv_link
from components.map_words import as_table
from components.past_page import corrections_panel, past_page
from components.picture import pictures
from components.props import props
from components.tongue import _
from components.town_map import town_map
from components.trend import trends
from components.ward_bars import ward_bars
from pipelines.engine.model import Domain, Kpi


def by_ward(domain: Domain) -> list[Kpi]:
    """The KPIs that are known per ward, headlines first."""
    known = [k for k in domain.kpis if "ward" in k.levels]
    return sorted(known, key=lambda k: not k.headline)


def headlines(domain: Domain) -> list[Kpi]:
    """The KPIs that stand in the first row; the first six when none was named."""
    return [k for k in domain.kpis if k.headline] or list(domain.kpis[:6])


def mapped(domain: Domain, view: View, state: Mapping[str, Any]) -> Kpi | None:
    """The KPI that colours the map: the chosen one, else the one with values in most wards, headlines first."""
    choices = by_ward(domain)
    known = Counter(row["kpi"] for row in state["kpis"].values() if row.get("ward") and row["value"] is not None)
    fullest = sorted(choices, key=lambda k: (not (k.headline and known[k.id]), -known[k.id]))
    named = [k for k in choices if k.id == view.kpi] + fullest
    return named[0] if named else None


def domain_page(domain: Domain, query: Mapping[str, Any]) -> html.Div:
    """The whole page for the view that the address asks for."""
    state, view, wards = glass.state(), View.read(query), ward_names()
    if view.as_known_at:
        return past_page(_(domain.title), [domain], view)
    first = headlines(domain)
    further = [k for k in domain.kpis if k not in first]
    chosen = mapped(domain, view, state)
    return html.Div(
        [
            _head(domain, state, view, chosen),
            _nothing_yet(state),
            kpi_tile.tiles(state, first, view.area, wards),
            html.Div(
                [_map_panel(domain, state, view, chosen), _beside(domain, state, view, chosen, wards)], className="two"
            ),
            pictures(domain, view),
            html.H2(_("Trends"), className="section"),
            trends(state, first, further, view, domain.alarms),
            _further(state, domain, further, view),
            _assets(state, domain),
            fold(
                _("Corrections"), corrections_panel(_("Published values that changed"), {k.id: k for k in domain.kpis})
            ),
            fold(_("Feeds of this page"), html.Div(feed_strip(state, domain.name), className="panel")),
        ],
        className="page",
        key=f"{domain.name}-{view}-{state['seq']}",
    )


def _head(domain: Domain, state: Mapping[str, Any], view: View, chosen: Kpi | None) -> html.Div:
    chip = shell.standing_chip(state, domain)
    kpis = {k.id: _(k.title) for k in by_ward(domain)}
    shown = View(view.ward, chosen.id if chosen else None, view.days)
    return html.Div(
        [
            html.Div(
                [
                    html.Div([html.H1(_(domain.title)), chip], className="title"),
                    html.P(_(domain.meaning), className="sub"),
                ]
            ),
            filters(shown, kpis),
        ],
        className="page-head",
    )


def _nothing_yet(state: Mapping[str, Any]) -> html.P:
    words = _("The line has published no figures yet. They appear here by themselves; nothing needs reloading.")
    return html.P(words, className="notice", hidden=bool(state["seq"]), **props({"data-f": "first"}))


def _map_panel(domain: Domain, state: Mapping[str, Any], view: View, chosen: Kpi | None) -> html.Section:
    title = _("Map: {title}", title=_(chosen.title)) if chosen else _("Map")
    sub = (
        _("{unit} per ward; marks are assets", unit=wording.unit(chosen.unit)).strip()
        if chosen
        else _("marks are assets")
    )
    link = csv_link(
        glass.href("api/v1/assets", domain=domain.name, format="csv"), _("assets of {title}", title=_(domain.title))
    )
    return html.Section(
        [
            html.Div([html.H2(title), html.P(sub, className="sub")], className="panel-head"),
            town_map(state, chosen.id if chosen else None, domain.name, ward=view.ward),
            legend(),
            as_table(state, chosen.id, wording.unit(chosen.unit)) if chosen else as_table(state, None),
            html.Div(link, className="panel-foot"),
        ],
        className="panel map-panel",
    )


def legend() -> html.Ul:
    """What the map's fills and marks mean."""
    looks = {
        "good": _("good"),
        "watch": _("watch (dotted)"),
        "breach": _("breach (hatched)"),
        "stale": _("stale"),
        "no data": _("no data"),
        "alarm": _("asset in alarm"),
    }
    return html.Ul(
        [html.Li([html.Span(className="swatch", **props({"data-state": key})), text]) for key, text in looks.items()],
        className="legend",
    )


def _beside(
    domain: Domain, state: Mapping[str, Any], view: View, chosen: Kpi | None, wards: Mapping[str, str]
) -> html.Div:
    console = glass.href("alarms", domain=domain.name, ward=view.ward)
    alarms = html.Section(
        [
            html.Div(html.H2(html.A(_("Alarms"), href=console, **props({"data-nav": "away"}))), className="panel-head"),
            alarm_list(state, domain.name, view.ward, limit=4),
            html.Div(
                csv_link(glass.href("api/v1/alarms", domain=domain.name, format="csv"), _("alarms")),
                className="panel-foot",
            ),
        ],
        className="panel",
    )
    bars = ward_bars(state, chosen, wards, view.ward) if chosen and wards else None
    return html.Div([bars, alarms], className="stack")


def _further(state: Mapping[str, Any], domain: Domain, kpis: Sequence[Kpi], view: View) -> Any:
    if not kpis:
        return None
    link = csv_link(
        glass.href("api/v1/kpis", domain=domain.name, format="csv"), _("KPIs of {title}", title=_(domain.title))
    )
    panel = html.Section(
        [kpi_tile.table(state, kpis, view.area), html.Div(link, className="panel-foot")], className="panel"
    )
    return fold(_("Further KPIs"), panel)


def _assets(state: Mapping[str, Any], domain: Domain) -> Any:
    rows = rows_of(state, domain.name)
    if rows.is_empty():
        return None
    link = csv_link(
        glass.href("api/v1/assets", domain=domain.name, format="csv"), _("assets of {title}", title=_(domain.title))
    )
    ask = Ask()
    parts = [
        controls(domain.name, rows),
        html.Div(asset_table(rows, ask), id="assets-table"),
        html.Div(link, className="panel-foot"),
    ]
    stores = [
        dcc.Store(id="assets-domain", data=domain.name),
        dcc.Store(id="assets-ask", data={"sort": ask.sort, "falling": False, "page": 0}),
    ]
    return fold(_("Assets"), html.Section([*parts, *stores], className="panel"))
