"""One page per domain of the town, in a loop: a further domain gets its page without an edit."""

import asyncio
from dataclasses import replace
from typing import Any

import dash
from dash import ALL, Input, Output, State, callback, ctx, html

from components import asset_table, glass
from components.asset_table import Ask
from components.domain_page import domain_page
from components.tongue import titled
from components.words_page import failed
from pipelines.engine.model import Domain


def _register(domain: Domain) -> None:
    async def layout(**query: Any) -> html.Div:
        try:
            return await asyncio.to_thread(domain_page, domain, query)
        except Exception as error:
            return failed(error)

    dash.register_page(
        f"pages.{domain.name}", path=f"/{domain.name}", name=domain.title, title=titled(domain.title), layout=layout
    )


for _domain in glass.town().domains:
    _register(_domain)


@callback(
    Output("assets-table", "children"),
    Output("assets-ask", "data"),
    Input("assets-search", "value"),
    Input("assets-kind", "value"),
    Input("assets-state", "value"),
    Input("assets-size", "value"),
    Input("assets-previous", "n_clicks"),
    Input("assets-next", "n_clicks"),
    Input({"type": "assets-sort", "column": ALL}, "n_clicks"),
    State("assets-ask", "data"),
    State("assets-domain", "data"),
    prevent_initial_call=True,
)
async def show_assets(
    text: str | None,
    kind: str | None,
    state: str | None,
    size: str | None,
    _back: int,
    _on: int,
    _sorts: list[int],
    before: dict[str, Any],
    domain: str,
) -> tuple[html.Div, dict[str, Any]]:
    """The page of the assets table that was asked for."""
    trigger = ctx.triggered_id
    clicked = any(t["value"] for t in ctx.triggered)
    return await asyncio.to_thread(
        _answer, _wanted(text, kind, state, size, before), trigger if clicked else None, domain
    )


def _wanted(text: str | None, kind: str | None, state: str | None, size: str | None, before: dict[str, Any]) -> Ask:
    rows = next((n for n in asset_table.SIZES if str(n) == size), asset_table.USUAL)
    sort, falling, page = before["sort"], bool(before["falling"]), int(before["page"])
    return Ask(text or "", kind or "all", state or "all", sort, falling, page, rows)


def _answer(wanted: Ask, trigger: Any, domain: str) -> tuple[html.Div, dict[str, Any]]:
    ask = after(wanted, trigger)
    rows = asset_table.rows_of(glass.state(), domain)
    last = max(0, -(-asset_table.asked(rows, ask).height // ask.size) - 1)
    ask = replace(ask, page=min(ask.page, last))
    return asset_table.table(rows, ask), {"sort": ask.sort, "falling": ask.falling, "page": ask.page}


def after(ask: Ask, trigger: Any) -> Ask:
    """What is asked after a click: the next page, another order, or the first page of a new search."""
    if trigger == "assets-next":
        return replace(ask, page=ask.page + 1)
    if trigger == "assets-previous":
        return replace(ask, page=max(0, ask.page - 1))
    if isinstance(trigger, dict):
        column = trigger["column"]
        return replace(ask, sort=column, falling=column == ask.sort and not ask.falling, page=0)
    return replace(ask, page=0)
