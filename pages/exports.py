"""Take the data along: pick a table, wards, a time and a format; see the first rows and the size first."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dash
import dash_bootstrap_components as dbc
import polars as pl
from dash import Input, Output, callback, html

from components import export_views, glass, visitor, wording
from components.address import View, ward_names
from components.export_views import Choice
from components.kpi_tile import in_english
from components.props import props
from components.tongue import N_, _, titled
from components.words_page import failed
from pipelines.engine import extracts
from pipelines.engine.asking import Span
from pipelines.engine.spans import Extract

FORMATS = {
    "csv": N_("CSV, for any spreadsheet"),
    "xlsx": "Excel",
    "parquet": N_("Parquet, for analysis"),
    "json": "JSON",
    "ndjson": "NDJSON",
}
FIRST_ROWS = 8
MOST_COUNTED = 200_000
READINGS = "readings"
SAMPLE = timedelta(hours=1)
# A file of more rows takes so long to be made that its progress is told.
LARGE = 100_000


async def layout(**query: Any) -> html.Div:
    """The exports page with the ward that the address carries."""
    try:
        return await asyncio.to_thread(exports, query)
    except Exception as error:
        return failed(error)


def tables() -> list[str]:
    """Names of the tables, registers and readings that can be taken along; events first, they are asked for most."""
    known = extracts.names_for(glass.town(), visitor.current().actor)
    return [*known[1:], known[0]]


def names_wards(table: str) -> bool:
    """Whether rows of this table can be chosen by ward."""
    return table == READINGS or "ward" in {c.name for c in _extract(table, Span()).columns}


def placed_in_time(table: str) -> bool:
    """Whether rows of this table can be chosen by day."""
    return _extract(table, Span()).time is not None


def _extract(table: str, span: Span, ward: str | None = None) -> Extract:
    return extracts.extract(glass.town(), table, span, ward, actor=visitor.current().actor)


def exports(query: Mapping[str, Any]) -> html.Div:
    """The whole page: form, preview, dictionary, and the ready-made lists."""
    view, names = View.read(query), tables()
    today = datetime.now(ZoneInfo(glass.town().zone)).date()
    first = str(query.get("table") if query.get("table") in names else names[0] if names else "")
    start = today - timedelta(days=view.days or 7)
    usual = Choice(first, view.ward or "all", start.isoformat(), today.isoformat(), "csv")
    chosen = Choice.read({**query, "table": first}, usual, today)
    choice = (chosen.table, chosen.ward, chosen.start, chosen.end, chosen.form)
    return html.Div(
        [
            html.Div(
                html.Div(
                    [
                        html.H1(_("Exports")),
                        html.P(
                            _("The rows behind every figure, as files. Personal columns are never part of them."),
                            className="sub",
                        ),
                    ]
                ),
                className="page-head",
            ),
            export_views.kept(),
            html.Section(_form(names, choice), className="panel form-panel"),
            html.Div(preview(*choice), id="exports-preview"),
            html.H2(_("Ready-made lists"), className="section"),
            _lists(),
        ],
        className="page",
        key=f"exports-{view}",
    )


def _form(names: list[str], choice: tuple[str, str, str, str, str]) -> html.Div:
    def field(label: str, control: Any) -> html.Label:
        return html.Label([html.Span(label), control])

    def select(name: str, options: Mapping[str, str], value: str, *, fixed: bool = False) -> dbc.Select:
        rows = [{"value": k, "label": _(v)} for k, v in options.items()]
        return dbc.Select(id=f"exports-{name}", value=value, size="sm", options=rows, disabled=fixed)

    def day(name: str, value: str, *, fixed: bool = False) -> dbc.Input:
        return dbc.Input(id=f"exports-{name}", type="date", value=value, size="sm", disabled=fixed)

    without_ward, without_time = not names_wards(choice[0]), not placed_in_time(choice[0])
    return html.Div(
        [
            field(_("Table"), select("table", {n: n.replace("_", " ").capitalize() for n in names}, choice[0])),
            field(_("Ward"), select("ward", {"all": _("Whole town"), **ward_names()}, choice[1], fixed=without_ward)),
            field(_("From (first day)"), day("from", choice[2], fixed=without_time)),
            field(_("To (last day)"), day("to", choice[3], fixed=without_time)),
            field(_("Format"), select("format", FORMATS, choice[4])),
        ],
        className="filters",
    )


@callback(
    Output("exports-preview", "children"),
    Output("exports-ward", "disabled"),
    Output("exports-from", "disabled"),
    Output("exports-to", "disabled"),
    Input("exports-table", "value"),
    Input("exports-ward", "value"),
    Input("exports-from", "value"),
    Input("exports-to", "value"),
    Input("exports-format", "value"),
    prevent_initial_call=True,
)
async def show_preview(table: str, ward: str, start: str, end: str, form: str) -> tuple[Any, bool, bool, bool]:
    """First rows, size, dictionary and link of what was picked; and what cannot be picked for this table."""
    shown = await asyncio.to_thread(preview, table, ward, start, end, form)
    known = table in tables()
    timeless = known and not placed_in_time(table)
    return shown, known and not names_wards(table), timeless, timeless


def preview(table: str, ward: str, start: str, end: str, form: str) -> Any:
    """What the file will hold, before it is downloaded; words when the choice makes no sense."""
    span, chosen = _span(start, end), None if ward == "all" else ward
    if table not in tables() or form not in FORMATS:
        return html.P(_("There is no such table here. Choose one above."), className="empty")
    if isinstance(span, str):
        return html.P(span, className="notice")
    chosen = chosen if names_wards(table) else None
    extract = _extract(table, span, chosen)
    query = {"ward": chosen, "format": form}
    days = {"from_": _utc(span.start), "to": _utc(span.end)} if extract.time else {}
    address = glass.href(f"api/v1/tables/{table}", **days, **query)
    rows, size = _sample(extract)
    button = _download(form, address, large=not rows.is_empty() and extract.guessed() > LARGE)
    today = datetime.now(ZoneInfo(glass.town().zone)).date()
    keeping = export_views.keeping(Choice(table, chosen or "all", start, end, form), today)
    when = (
        _("from {start} to {end}, days of the town's calendar", start=start, end=end)
        if extract.time
        else _("as it is now")
    )
    head = html.Div([html.P([html.B(size or _("Rows")), " ", when], role="status"), button], className="preview-head")
    return [
        html.Section(
            [head, _progress(), _advice(table, chosen), _first(rows), _address(address), keeping], className="panel"
        ),
        html.H2(_("Columns of {table}", table=table), className="section"),
        _dictionary(extract),
    ]


def _download(form: str, address: str, *, large: bool) -> html.A:
    """The link to the file; of a large one the script tells how far it is made before it is fetched."""
    words, told = _("Download {form}", form=form.upper()), {}
    if large or form == "xlsx":
        told = props({
            "data-making": _("The file is being made: {n} rows so far", n="{n}"),
            "data-ready": _("The file is ready: {n} rows", n="{n}"),
            "data-failed": _("The file could not be made. Try again, or choose fewer days."),
            "aria-describedby": "exports-progress",
        })  # fmt: skip
    return html.A(words, href=address, download="", className="btn btn-strong", **told)


def _progress() -> html.P:
    return html.P("", id="exports-progress", className="sub", role="status")


def _sample(extract: Extract) -> tuple[pl.DataFrame, str]:
    """The first rows, and how many there are; readings are too many to be counted while somebody waits."""
    if extract.name == READINGS:
        end = min(extract.span.end or extract.now(), extract.now())
        newest = extract.read(max(end - SAMPLE, extract.span.start or end), end).select(list(extract.schema))
        guess = wording.count(_rounded(extract.guessed()), "row")
        # The newest hour of the span may be empty and the rest not.
        shown = newest if newest.height else next(extract.frames(), extract.empty())
        return shown, _("about {rows}", rows=guess) if extract.guessed() else ""
    first, count = extract.empty(), 0
    for frame in extract.frames():
        first = frame.head(FIRST_ROWS) if not count else first
        count += frame.height
        if count > MOST_COUNTED:
            return first, _("more than {n} rows", n=wording.number(MOST_COUNTED, 0))
    return first, wording.count(count, "row")


def _rounded(n: int) -> int:
    """The number as well as files tell it: two digits."""
    return round(n, 2 - len(str(n))) if n > 99 else n


def _advice(table: str, ward: str | None) -> html.P | None:
    if table != READINGS:
        return None
    all_of = _("All sensors of the ward over these days: this can be a large file.")
    words = all_of if ward else _("All sensors of the town over these days: this can be a large file.")
    more = _("One asset's readings stand under each chart on the asset's page; choose it in a domain's asset table.")
    return html.P(" ".join((words, more, _("Below are some of the rows."))), className="sub")


def _span(start: str, end: str) -> Span | str:
    zone = ZoneInfo(glass.town().zone)
    try:
        first, last = date.fromisoformat(start or ""), date.fromisoformat(end or "")
    except ValueError:
        return _("Give both days, for example 2026-11-01.")
    if last < first:
        return _("The last day is before the first. Exchange them.")
    after = last + timedelta(days=1)
    return Span(
        datetime.combine(first, time(), zone).astimezone(UTC), datetime.combine(after, time(), zone).astimezone(UTC)
    )


def _utc(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


def _first(rows: pl.DataFrame) -> Any:
    if rows.is_empty():
        return html.P(_("No rows in this time and place. Choose more days or the whole town."), className="empty")
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in rows.columns]))
    body = [html.Tr([html.Td(_cell(v), className="nowrap") for v in row]) for row in rows.head(FIRST_ROWS).iter_rows()]
    return html.Div(
        html.Table([head, html.Tbody(body)], className="table table-quiet raw"),
        className="table-wrap scrolls",
        tabIndex=0,
        role="region",
        **props({"aria-label": _("First rows")}),
    )


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    return "" if value is None else str(value)[:60]


def _address(address: str) -> html.P:
    return html.P([_("The same by script:"), " ", html.Code(f"GET {address}")], className="sub")


def _dictionary(extract: Extract) -> html.Section:
    head = html.Thead(html.Tr([html.Th(h, scope="col") for h in (_("Column"), _("Kind"), _("Unit"), _("Meaning"))]))
    body = [
        html.Tr(
            [
                html.Td(html.Code(column.name)),
                html.Td(column.kind, **props({"data-label": _("Kind")})),
                html.Td(wording.unit(column.unit or ""), **props({"data-label": _("Unit")})),
                html.Td(in_english(column.meaning), **props({"data-label": _("Meaning")})),
            ]
        )
        for column in extract.columns
    ]
    link = html.A(_("The whole dictionary as JSON"), href=glass.href("api/v1/tables"), className="csv")
    table_ = html.Table([head, html.Tbody(body)], className="table table-quiet")
    return html.Section(
        [html.Div(table_, className="table-wrap"), html.Div(link, className="panel-foot")], className="panel"
    )


def _lists() -> html.Section:
    lists = {
        "kpis": _("Every KPI, every area, now"),
        "alarms": _("Alarms"),
        "feeds": _("Feeds"),
        "assets": _("Assets"),
        "quarantine/counts": _("Rows set aside, by feed and reason"),
    }
    items = [
        html.Li(html.A(text, href=glass.href(f"api/v1/{name}", format="csv"), download=""))
        for name, text in lists.items()
    ]
    return html.Section(html.Ul(items, className="nearby"), className="panel")


dash.register_page(
    "pages.exports",
    path="/exports",
    name="Exports",
    title=titled(N_("Exports")),
    layout=layout,
)
