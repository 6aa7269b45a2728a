"""Every feed: what arrives, what was set aside and why, and the jobs that run behind."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dash
import polars as pl
from dash import html

from components import glass, wording
from components.freshness import feed_cards, ledger
from components.kpi_tile import csv_link
from components.props import props
from components.words_page import failed

MOST_LINES = 50


async def layout(**query: Any) -> html.Div:
    """The feeds page; `feed` in the address narrows the rejected rows."""
    try:
        return await asyncio.to_thread(feeds, query)
    except Exception as error:
        return failed(error)


def feeds(query: Mapping[str, Any]) -> html.Div:
    """The whole page."""
    state = glass.state()
    feed = query.get("feed") if query.get("feed") in state["feeds"] else None
    cards = feed_cards(state) or [
        html.P("No feed is configured. Add one under [feeds] in town.toml.", className="empty")
    ]
    return html.Div(
        [
            html.Div(
                html.Div(
                    [
                        html.H1("Feeds"),
                        html.P("What arrives, how complete it is, and what was set aside.", className="sub"),
                    ]
                ),
                className="page-head",
            ),
            html.Section(
                [html.Div(html.H2("The books of all feeds"), className="panel-head"), ledger(state)], className="panel"
            ),
            html.Div(cards, className="tiles"),
            html.Div(csv_link(glass.href("api/v1/feeds", format="csv"), "feeds"), className="panel-foot"),
            html.H2("Rows that were set aside", className="section"),
            _quarantine(feed),
            html.H2("Jobs", className="section"),
            _jobs(),
        ],
        className="page",
        key=f"feeds-{state['seq']}-{feed}",
    )


def _quarantine(feed: str | None) -> html.Section:
    rows = glass.town().quarantine(feed=feed, limit=MOST_LINES)
    link = csv_link(glass.href("api/v1/quarantine", feed=feed, format="csv"), "rows that were set aside")
    if rows.is_empty():
        body: list[Any] = [html.P("Nothing was set aside: every row that arrived could be used.", className="empty")]
    else:
        body = [_reasons(feed), _lines(rows), _shown(rows)]
    return html.Section([*body, html.Div(link, className="panel-foot")], className="panel")


def _shown(rows: pl.DataFrame) -> html.P:
    return html.P(f"The newest {wording.count(rows.height, 'row')}.", className="sub")


def _reasons(feed: str | None) -> html.Ul:
    counts = glass.town().quarantine_counts().select("feed", "reason", "rows")
    sums = counts.filter(pl.col("feed") == feed) if feed else counts
    items = [
        html.Li(
            [
                html.B(f"{n:,}"),
                f" {reason.replace('_', ' ')} ",
                html.A(feed, href=glass.href("feeds", feed=feed), **props({"data-nav": ""})),
            ]
        )
        for feed, reason, n in sums.iter_rows()
    ]
    return html.Ul(items, className="reasons")


def _lines(rows: pl.DataFrame) -> html.Div:
    head = ["Arrived", "Feed", "Row", "Reason", "What was wrong", "Original line"]
    body = [_line(row) for row in rows.iter_rows(named=True)]
    table = html.Table(
        [html.Thead(html.Tr([html.Th(h, scope="col") for h in head])), html.Tbody(body)], className="table table-quiet"
    )
    return html.Div(table, className="table-wrap")


def _line(row: Mapping[str, Any]) -> html.Tr:
    zone = glass.town().zone
    return html.Tr(
        [
            html.Td(wording.clock(row["received_at"], zone), className="nowrap", **props({"data-label": "Arrived"})),
            html.Td(row["feed"], **props({"data-label": "Feed"})),
            html.Td("" if row["row"] is None else str(row["row"]), **props({"data-label": "Row"})),
            html.Td(str(row["reason"]).replace("_", " "), **props({"data-label": "Reason"})),
            html.Td(row["detail"] or "", **props({"data-label": "What was wrong"})),
            html.Td(html.Code(str(row["original"] or "")[:300]), **props({"data-label": "Original line"})),
        ]
    )


def _jobs() -> html.Section:
    runs, due = glass.town().runs(30), {j["job"]: j.get("next_at") for j in glass.state()["jobs"]}
    if runs.is_empty():
        return html.Section(html.P("No job has run yet.", className="empty"), className="panel")
    head = ["Job", "Began", "Took", "Rows", "Outcome", "In words", "Next"]
    body = [_run(row, due.get(row["job"])) for row in runs.iter_rows(named=True)]
    table = html.Table(
        [html.Thead(html.Tr([html.Th(h, scope="col") for h in head])), html.Tbody(body)], className="table table-quiet"
    )
    return html.Section(html.Div(table, className="table-wrap"), className="panel")


def _run(row: Mapping[str, Any], due: str | None) -> html.Tr:
    zone = glass.town().zone
    took = _between(row.get("started_at"), row.get("ended_at"))
    return html.Tr(
        [
            html.Td(str(row["job"]).replace("_", " "), **props({"data-label": "Job"})),
            html.Td(wording.clock(row.get("started_at"), zone), className="nowrap", **props({"data-label": "Began"})),
            html.Td(took, **props({"data-label": "Took"})),
            html.Td(
                "" if row.get("rows") is None else f"{row['rows']:,}", className="num", **props({"data-label": "Rows"})
            ),
            html.Td(row.get("outcome") or "", **props({"data-label": "Outcome"})),
            html.Td(row.get("words") or "", **props({"data-label": "In words"})),
            html.Td(wording.clock(due, zone), className="nowrap", **props({"data-label": "Next"})),
        ]
    )


def _between(start: datetime | str | None, end: datetime | str | None) -> str:
    first, last = wording.moment(start), wording.moment(end)
    if first is None or last is None:
        return "running" if first else wording.DASH
    seconds = (last - first).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else wording.age(seconds)


dash.register_page("pages.feeds", path="/feeds", name="Feeds", title=f"Feeds · {glass.town().name}", layout=layout)
