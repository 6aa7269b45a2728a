"""A page as it stood at an instant: what the board said then, standing still, and what was corrected since."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl
from dash import html

from components import glass, kpi_tile, wording
from components.address import View, ward_names
from components.kpi_tile import csv_link
from components.map_words import as_table
from components.props import props
from components.tongue import _, said
from components.town_map import town_map
from components.ward_bars import ward_bars
from components.words_page import missing
from pipelines.engine import known
from pipelines.engine.asking import Misasked
from pipelines.engine.model import Domain, Kpi

MOST_CORRECTIONS = 12


def past_page(title: str, domains: Sequence[Domain], view: View) -> html.Div:
    """What the board said of these domains at the instant that the view names; words when nobody noted it."""
    at, wards = view.as_known_at, ward_names()
    assert at is not None
    try:
        state = {**glass.EMPTY, "kpis": known.board(glass.town(), at), "as_known_at": view.kept["as_known_at"]}
    except Misasked as mistake:
        return missing(said(mistake.words))
    parts = [part for domain in domains for part in _domain(domain, state, view, wards, alone=len(domains) == 1)]
    told = {kpi.id: kpi for domain in domains for kpi in domain.kpis}
    return html.Div(
        [
            html.Div(html.H1(title), className="page-head"),
            _banner(at),
            *parts,
            corrections_panel(_("Corrected since"), told, since=at),
        ],
        className="page",
        key=f"past-{title}-{view}",
        **props({"data-past": at.isoformat()}),
    )


def _banner(at: datetime) -> html.P:
    zone = glass.town().zone
    words = _(
        "As known on {clock} {zone_name}: what the board said then. ",
        clock=wording.clock(at, zone),
        zone_name=wording.zone_name(zone, at),
    )
    return html.P([words, html.A(_("Back to now"), href="?")], className="notice", role="note")


def _domain(
    domain: Domain, state: Mapping[str, Any], view: View, wards: Mapping[str, str], *, alone: bool
) -> list[Any]:
    first = [kpi for kpi in domain.kpis if kpi.headline] or list(domain.kpis[:6])
    further = [kpi for kpi in domain.kpis if kpi not in first]
    head = [] if alone else [html.H2(_(domain.title), className="section")]
    found: list[Any] = [*head, kpi_tile.tiles(state, first, view.area, wards)]
    by_ward = [kpi for kpi in domain.kpis if "ward" in kpi.levels]
    known_of = Counter(row["kpi"] for row in state["kpis"].values() if row["ward"] and row["value"] is not None)
    chosen = max(by_ward, key=lambda kpi: (kpi.id == view.kpi, known_of[kpi.id]), default=None)
    if alone and chosen and wards:
        head_of_map = html.Div(html.H2(_("Map: {title}", title=_(chosen.title))), className="panel-head")
        drawn = [head_of_map, town_map(state, chosen.id, domain.name, ward=view.ward),
                 as_table(state, chosen.id, wording.unit(chosen.unit))]  # fmt: skip
        panels = [html.Section(drawn, className="panel map-panel"), ward_bars(state, chosen, wards, view.ward)]
        found.append(html.Div(panels, className="two"))
    if alone and further:
        found.append(html.Section(kpi_tile.table(state, further, view.area), className="panel"))
    return found


def corrections_panel(title: str, kpis: Mapping[str, Kpi], since: datetime | None = None) -> html.Section:
    """The newest corrections of published values of these KPIs, and the list of all of them as a download."""
    rows = glass.town().corrections(since).filter(pl.col("kpi").is_in(list(kpis))).reverse()
    lines = [html.Li(_told(row, kpis[row["kpi"]])) for row in rows.head(MOST_CORRECTIONS).iter_rows(named=True)]
    start = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if since else None
    link = csv_link(glass.href("api/v1/corrections", format="csv", from_=start), _("corrections"))
    number = wording.count(rows.height, "correction")
    none = html.P(_("No published value was corrected."), className="empty")
    return html.Section(
        [
            html.Div([html.H2(title), html.P(number, className="sub")], className="panel-head"),
            html.Ul(lines, className="plain-list") if lines else none,
            html.Div(link, className="panel-foot"),
        ],
        className="panel",
    )  # fmt: skip


def _told(row: Mapping[str, Any], kpi: Kpi) -> list[Any]:
    """One correction in words, with a link to the value as it is now."""
    zone = glass.town().zone
    before, after = (
        _("unknown") if row[name] is None else wording.with_unit(row[name], kpi.decimals, kpi.unit)
        for name in ("before", "after")
    )
    end = row["end"].astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    link = html.A(_(kpi.title), href=glass.href(f"kpi/{kpi.id}", area=row["area"], window_end=end))
    where = wording.area(row["area"], ward_names())
    when = wording.span(row["window"], row["end"], zone)
    told = wording.clock(row["corrected_at"], zone)
    return [
        link,
        _(
            ", {where}, {when}: {after}, was {before}; corrected {told}",
            where=where,
            when=when,
            after=after,
            before=before,
            told=told,
        ),
    ]
