"""The assets of a domain as a table: searched, filtered, sorted and paged on the server, thousands without lag."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dash_bootstrap_components as dbc
import polars as pl
from dash import html
from dash.development.base_component import Component

from components import glass, wording
from components.freshness import ago
from components.props import props
from components.tongue import N_, _

KEPT_S = 4.0
_kept: dict[tuple[int, str], tuple[float, pl.DataFrame]] = {}
SIZES = (10, 25, 100)
USUAL = 25
COLUMNS = {
    "name": N_("Asset"),
    "kind": N_("Kind"),
    "ward": N_("Ward"),
    "state": N_("State"),
    "observed_at": N_("Latest reading"),
}
RANK = {state: rank for rank, state in enumerate(("alarm", "stale", "late", "no data", "good"))}


@dataclass(frozen=True)
class Ask:
    """What a person asked of the table."""

    text: str = ""
    kind: str = "all"
    state: str = "all"
    sort: str = "state"
    falling: bool = False
    page: int = 0
    size: int = USUAL


def rows_of(state: Mapping[str, Any], domain: str) -> pl.DataFrame:
    """Every asset of the domain with its state and newest readings.

    Shape: asset, name, kind, ward, ward_name, state, rank, observed_at, latest (text); one row per asset.
    """
    town = glass.town()
    assets = town.assets(domain).select("asset", "name", "kind", "ward")
    wards = town.wards().select("ward", ward_name=pl.col("name"))
    alarms = [a["asset"] for a in state["alarms"] if a.get("asset") and a["active"]]
    latest = _newest(domain)
    joined = assets.join(wards, on="ward", how="left").join(latest, on="asset", how="left")
    mark = pl.when(pl.col("asset").is_in(alarms)).then(pl.lit("alarm")).otherwise(pl.col("state").fill_null("no data"))
    return joined.with_columns(state=mark).with_columns(rank=pl.col("state").replace_strict(RANK, default=9))


def _newest(domain: str) -> pl.DataFrame:
    """The newest readings per asset, at most a few seconds old: a crowd that looks at once asks the store once."""
    key, now = (glass.binding(), domain), time.monotonic()
    kept = _kept.get(key)
    if kept is None or now - kept[0] > KEPT_S:
        kept = _kept[key] = (now, _latest(glass.town().latest(domain)))
    return kept[1]


def _latest(latest: pl.DataFrame) -> pl.DataFrame:
    if latest.is_empty():
        return pl.DataFrame(
            schema={
                "asset": pl.String,
                "observed_at": pl.Datetime("us", "UTC"),
                "state": pl.String,
                "latest": pl.List(pl.String),
            }
        )
    text = pl.struct("quantity", "value", "unit").map_elements(_reading, return_dtype=pl.String)
    ranked = latest.with_columns(text=text, order=pl.col("state").replace_strict(RANK, default=9))
    worst = pl.col("state").sort_by("order").first()
    return ranked.group_by("asset").agg(pl.col("observed_at").max(), state=worst, latest=pl.col("text").sort())


def _reading(row: Mapping[str, Any]) -> str:
    value = row["value"]
    digits = 0 if value is not None and abs(value) >= 1000 else 2 if value is not None and abs(value) < 10 else 1
    return f"{quantity(row['quantity'], row['unit'])} {wording.with_unit(value, digits, row['unit'])}"


def quantity(name: str, unit: str | None = None) -> str:
    """A quantity's name in words, without the unit that its name ends in: feeder_power_kw is "feeder power"."""
    for tail in (
        "_ug_m3",
        "_mg_m3",
        "_mg_l",
        "_m3_h",
        "_km_h",
        "_kwh",
        "_kw",
        "_kvar",
        "_pct",
        "_dba",
        "_c",
        "_v",
        "_m",
        "_l",
        "_s",
    ):
        if name.endswith(tail) and len(name) > len(tail) + 1:
            return _(name.removesuffix(tail).replace("_", " "))
    return _(name.replace("_", " "))


def asked(rows: pl.DataFrame, ask: Ask) -> pl.DataFrame:
    """The rows that match, in the order asked for."""
    found = rows
    if ask.text:
        needle = ask.text.strip().lower()
        hay = pl.concat_str(["name", "asset", "kind", "ward_name"], separator=" ", ignore_nulls=True).str.to_lowercase()
        found = found.filter(hay.str.contains(needle, literal=True))
    if ask.kind != "all":
        found = found.filter(pl.col("kind") == ask.kind)
    if ask.state != "all":
        found = found.filter(pl.col("state") == ask.state)
    by = {"state": "rank", "ward": "ward_name"}.get(ask.sort, ask.sort if ask.sort in COLUMNS else "rank")
    return found.sort([by, "name"], descending=[ask.falling, False], nulls_last=True)


def table(rows: pl.DataFrame, ask: Ask) -> html.Div:
    """One page of the table with its count and its pager."""
    found = asked(rows, ask)
    pages = max(1, -(-found.height // ask.size))
    page = min(max(ask.page, 0), pages - 1)
    shown = found.slice(page * ask.size, ask.size)
    body = [_row(r) for r in shown.iter_rows(named=True)]
    head = html.Thead(html.Tr([_head(name, ask) for name in COLUMNS] + [html.Th(_("Readings"), scope="col")]))
    empty = html.P(
        _("No asset matches. Clear the search or choose another state."), className="empty", hidden=bool(body)
    )
    return html.Div(
        [
            html.Div(
                html.Table([head, html.Tbody(body)], className="table table-quiet asset-table"), className="table-wrap"
            ),
            empty,
            html.P(
                _(
                    "{count}, page {page} of {pages}",
                    count=wording.count(found.height, "asset"),
                    page=page + 1,
                    pages=pages,
                ),
                className="sub",
                role="status",
            ),
        ],
        **props({"data-pages": pages}),
    )


def _head(name: str, ask: Ask) -> html.Th:
    on = ask.sort == name
    mark = (" ▼" if ask.falling else " ▲") if on else ""
    button = html.Button(_(COLUMNS[name]) + mark, id={"type": "assets-sort", "column": name}, className="sort")
    return html.Th(
        button, scope="col", **props({"aria-sort": ("descending" if ask.falling else "ascending") if on else "none"})
    )


def _row(row: Mapping[str, Any]) -> html.Tr:
    at, state = row["observed_at"], row["state"]
    word = wording.state(state)
    old = html.Span(wording.age_of(at), **props({"data-age": at.isoformat()})) if at else wording.DASH
    cells = [
        html.Td(html.A(row["name"], href=glass.href(f"asset/{row['asset']}"), **props({"data-nav": ""}))),
        html.Td(kind_words(row["kind"]), **props({"data-label": _("Kind"), "data-col": "kind"})),
        html.Td(
            row["ward_name"] or row["ward"] or wording.DASH, **props({"data-label": _("Ward"), "data-col": "ward"})
        ),
        html.Td(
            html.Span(word, className="chip", **props({"data-state": state, "data-f": "asset-state"})),
            **props({"data-label": _("State"), "data-col": "state"}),
        ),
        html.Td(
            ago(old) if at else _("nothing yet"),
            className="nowrap",
            **props({"data-label": _("Latest"), "data-col": "latest"}),
        ),
        html.Td(
            " · ".join(row["latest"] or []) or wording.DASH,
            **props({"data-label": _("Readings"), "data-col": "readings"}),
        ),
    ]
    return html.Tr(cells, **props({"data-asset-row": row["asset"]}))


def kind_words(kind: str | None) -> str:
    """An asset's kind in words."""
    return _((kind or "").replace("_", " ").capitalize())


def controls(domain: str, rows: pl.DataFrame) -> html.Div:
    """Search, kind, state and pager; read by the callback in pages/domains.py."""
    kinds = sorted(rows["kind"].drop_nulls().unique().to_list())
    states = ["alarm", "stale", "late", "no data", "good"]
    every_kind = [{"value": "all", "label": _("Every kind")}] + [{"value": k, "label": kind_words(k)} for k in kinds]
    every_state = [{"value": "all", "label": _("Every state")}] + [
        {"value": s, "label": wording.state(s)} for s in states
    ]
    sizes = [{"value": str(n), "label": _("{n} a page", n=n)} for n in SIZES]
    search = dbc.Input(
        id="assets-search", type="search", placeholder=_("Search name, kind or ward"), debounce=0.2, size="sm", value=""
    )
    return html.Div(
        [
            _named(_("Search assets"), search),
            _named(_("Kind"), dbc.Select(id="assets-kind", size="sm", value="all", options=every_kind)),
            _named(_("State"), dbc.Select(id="assets-state", size="sm", value="all", options=every_state)),
            _named(_("Rows a page"), dbc.Select(id="assets-size", size="sm", value=str(USUAL), options=sizes)),
            html.Div(
                [
                    html.Button(_("Previous"), id="assets-previous", className="btn btn-sm btn-quiet"),
                    html.Button(_("Next"), id="assets-next", className="btn btn-sm btn-quiet"),
                ],
                className="pager",
            ),
        ],
        className="controls",
        **props({"data-domain": domain}),
    )


def _named(words: str, control: Component) -> html.Label:
    return html.Label([html.Span(words, className="visually-hidden"), control])
