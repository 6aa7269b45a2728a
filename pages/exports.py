"""Take the data along: pick a table, wards, a time and a format; see the first rows and the size first."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dash
import dash_bootstrap_components as dbc
import polars as pl
from dash import Input, Output, callback, html

from components import glass, wording
from components.address import View, ward_names
from components.props import props
from components.words_page import failed

FORMATS = {"csv": "CSV, for any spreadsheet", "xlsx": "Excel", "parquet": "Parquet, for analysis", "json": "JSON"}
FIRST_ROWS = 8
MOST_COUNTED = 200_000


async def layout(**query: Any) -> html.Div:
    """The exports page with the ward that the address carries."""
    try:
        return await asyncio.to_thread(exports, query)
    except Exception as error:
        return failed(error)


def tables() -> list[str]:
    """Names of the tables that can be taken along."""
    return [table.name for table in glass.town().tables]


def exports(query: Mapping[str, Any]) -> html.Div:
    """The whole page: form, preview, dictionary, and the ready-made lists."""
    view, names = View.read(query), tables()
    today = datetime.now(ZoneInfo(glass.town().zone)).date()
    first = str(query.get("table") if query.get("table") in names else names[0] if names else "")
    start = today - timedelta(days=view.days or 7)
    choice = (first, view.ward or "all", start.isoformat(), today.isoformat(), "csv")
    return html.Div(
        [
            html.Div(
                html.Div(
                    [
                        html.H1("Exports"),
                        html.P(
                            "The rows behind every figure, as files. Personal columns are never part of them.",
                            className="sub",
                        ),
                    ]
                ),
                className="page-head",
            ),
            html.Section(_form(names, choice), className="panel form-panel"),
            html.Div(preview(*choice), id="exports-preview"),
            html.H2("Ready-made lists", className="section"),
            _lists(),
        ],
        className="page",
        key=f"exports-{view}",
    )


def _form(names: list[str], choice: tuple[str, str, str, str, str]) -> html.Div:
    def field(label: str, control: Any) -> html.Label:
        return html.Label([html.Span(label), control])

    def select(name: str, options: Mapping[str, str], value: str) -> dbc.Select:
        return dbc.Select(
            id=f"exports-{name}", value=value, size="sm", options=[{"value": k, "label": v} for k, v in options.items()]
        )

    def day(name: str, value: str) -> dbc.Input:
        return dbc.Input(id=f"exports-{name}", type="date", value=value, size="sm")

    return html.Div(
        [
            field("Table", select("table", {n: n.replace("_", " ").capitalize() for n in names}, choice[0])),
            field("Ward", select("ward", {"all": "Whole town", **ward_names()}, choice[1])),
            field("From (first day)", day("from", choice[2])),
            field("To (last day)", day("to", choice[3])),
            field("Format", select("format", FORMATS, choice[4])),
        ],
        className="filters",
    )


@callback(
    Output("exports-preview", "children"),
    Input("exports-table", "value"),
    Input("exports-ward", "value"),
    Input("exports-from", "value"),
    Input("exports-to", "value"),
    Input("exports-format", "value"),
    prevent_initial_call=True,
)
async def show_preview(table: str, ward: str, start: str, end: str, form: str) -> Any:
    """First rows, size, dictionary and link of what was picked."""
    return await asyncio.to_thread(preview, table, ward, start, end, form)


def preview(table: str, ward: str, start: str, end: str, form: str) -> Any:
    """What the file will hold, before it is downloaded; words when the choice makes no sense."""
    span, ward = _span(start, end), "" if ward == "all" else ward
    if table not in tables() or form not in FORMATS:
        return html.P("There is no such table here. Choose one above.", className="empty")
    if isinstance(span, str):
        return html.P(span, className="notice")
    rows = glass.town().rows(table, start=span[0], end=span[1], ward=ward or None, limit=MOST_COUNTED)
    address = glass.href(f"api/v1/tables/{table}", from_=_utc(span[0]), to=_utc(span[1]), ward=ward, format=form)
    size = f"more than {MOST_COUNTED:,} rows" if rows.height >= MOST_COUNTED else wording.count(rows.height, "row")
    button = html.A(f"Download {FORMATS[form].split(',')[0]}", href=address, download="", className="btn btn-strong")
    head = html.Div(
        [html.P([html.B(size), f" from {start} to {end}, days of the town's calendar"], role="status"), button],
        className="preview-head",
    )
    return [
        html.Section([head, _first(rows), _address(address)], className="panel"),
        html.H2(f"Columns of {table}", className="section"),
        _dictionary(table),
    ]


def _span(start: str, end: str) -> tuple[datetime, datetime] | str:
    zone = ZoneInfo(glass.town().zone)
    try:
        first, last = date.fromisoformat(start or ""), date.fromisoformat(end or "")
    except ValueError:
        return "Give both days, for example 2026-11-01."
    if last < first:
        return "The last day is before the first. Exchange them."
    return datetime.combine(first, time(), zone), datetime.combine(last + timedelta(days=1), time(), zone)


def _utc(at: datetime) -> str:
    return at.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%SZ")


def _first(rows: pl.DataFrame) -> Any:
    if rows.is_empty():
        return html.P("No rows in this time and place. Choose more days or the whole town.", className="empty")
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in rows.columns]))
    body = [html.Tr([html.Td(_cell(v), className="nowrap") for v in row]) for row in rows.head(FIRST_ROWS).iter_rows()]
    return html.Div(
        html.Table([head, html.Tbody(body)], className="table table-quiet raw"), className="table-wrap scrolls"
    )


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return "" if value is None else str(value)[:60]


def _address(address: str) -> html.P:
    return html.P(["The same by script: ", html.Code(f"GET {address}")], className="sub")


def _dictionary(table: str) -> html.Section:
    rows = glass.town().dictionary().filter(pl.col("table") == table)
    head = html.Thead(html.Tr([html.Th(h, scope="col") for h in ("Column", "Kind", "Unit", "Meaning")]))
    body = [
        html.Tr(
            [
                html.Td(html.Code(r["column"])),
                html.Td(r["kind"], **props({"data-label": "Kind"})),
                html.Td(wording.unit(r["unit"] or ""), **props({"data-label": "Unit"})),
                html.Td(r["meaning"], **props({"data-label": "Meaning"})),
            ]
        )
        for r in rows.iter_rows(named=True)
    ]
    link = html.A("The whole dictionary as JSON", href=glass.href("api/v1/tables"), className="csv")
    table_ = html.Table([head, html.Tbody(body)], className="table table-quiet")
    return html.Section(
        [html.Div(table_, className="table-wrap"), html.Div(link, className="panel-foot")], className="panel"
    )


def _lists() -> html.Section:
    lists = {
        "kpis": "Every KPI, every area, now",
        "alarms": "Alarms",
        "feeds": "Feeds",
        "assets": "Assets",
        "quarantine": "Rows set aside",
    }
    items = [
        html.Li(html.A(text, href=glass.href(f"api/v1/{name}", format="csv"), download=""))
        for name, text in lists.items()
    ]
    return html.Section(html.Ul(items, className="nearby"), className="panel")


dash.register_page(
    "pages.exports", path="/exports", name="Exports", title=f"Exports · {glass.town().name}", layout=layout
)
