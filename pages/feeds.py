"""Every feed: what arrives, what was set aside and why, and the jobs that run behind."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dash
import polars as pl
from dash import html

from components import glass, visitor, wording
from components.device_list import clocks, devices
from components.freshness import feed_table, feeds_in_a_sentence, ledger
from components.kpi_tile import csv_link
from components.props import props
from components.words_page import failed

MOST_LINES = 50
MOST_RUNS = 60
FAILED = "failed"
SENTENCE = {"data-f": "feeds-sentence"}


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
    link = html.Div(csv_link(glass.href("api/v1/feeds", format="csv"), "feeds"), className="panel-foot")
    none = html.P("No feed is configured. Add one under [feeds] in town.toml.", className="empty")
    return html.Div(
        [
            html.Div(
                html.Div([html.H1("Feeds"), html.P(feeds_in_a_sentence(state), className="sub", **props(SENTENCE))]),
                className="page-head",
            ),
            html.Section(
                [html.Div(html.H2("The books of all feeds"), className="panel-head"), ledger(state)], className="panel"
            ),
            html.Section([feed_table(state) if state["feeds"] else none, link], className="panel"),
            *devices(),
            *clocks(),
            html.H2("Rows that were set aside", className="section"),
            _quarantine(feed),
            html.H2("Jobs", className="section"),
            _jobs(state["jobs"]),
        ],
        className="page",
        key=f"feeds-{state['seq']}-{feed}",
    )


def _quarantine(feed: str | None) -> html.Section:
    actor = visitor.current().actor
    if not actor.may("read"):
        return _counts_alone(feed)
    rows = glass.town().quarantine(feed=feed, limit=MOST_LINES, actor=actor)
    link = csv_link(glass.href("api/v1/quarantine", feed=feed, format="csv"), "rows that were set aside")
    if rows.is_empty():
        body: list[Any] = [html.P("Nothing was set aside: every row that arrived could be used.", className="empty")]
    else:
        body = [_reasons(feed), _lines(rows), _shown(rows)]
    return html.Section([*body, html.Div(link, className="panel-foot")], className="panel")


def _counts_alone(feed: str | None) -> html.Section:
    """How many rows were set aside, for everybody; what they said may be personal."""
    way_in = html.P(
        [html.A("Sign in", href=glass.href("signin")), " to see the rows and what was wrong with each."],
        className="empty",
    )
    return html.Section([_reasons(feed), way_in], className="panel")


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
                html.A(_title(name), href=glass.href("feeds", feed=name), **props({"data-nav": ""})),
            ]
        )
        for name, reason, n in sums.iter_rows()
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
            html.Td(_title(row["feed"]), **props({"data-label": "Feed"})),
            html.Td("" if row["row"] is None else str(row["row"]), **props({"data-label": "Row"})),
            html.Td(str(row["reason"]).replace("_", " "), **props({"data-label": "Reason"})),
            html.Td(row["detail"] or "", **props({"data-label": "What was wrong"})),
            html.Td(
                _said(row),
                className="original",
                **props({"data-label": "Original line"}),
            ),
        ]
    )


def _said(row: Mapping[str, Any]) -> Any:
    return html.I("withheld: it may be personal") if row["withheld"] else html.Code(str(row["original"] or "")[:300])


def _title(feed: str) -> str:
    """A feed's short name; its id when the board knows it no more."""
    return str(glass.state()["feeds"].get(feed, {}).get("title") or feed)


def _jobs(jobs: Sequence[Mapping[str, Any]]) -> html.Section:
    """One line per job with its last run; every single run is in the log behind it."""
    runs = glass.town().runs(MOST_RUNS)
    last = jobs or runs.unique("job", keep="first", maintain_order=True).to_dicts()
    if not last:
        return html.Section(html.P("No job has run yet.", className="empty"), className="panel")
    head = ["Job", "Last run", "Took", "Rows", "Outcome", "In words", "Next"]
    ranked = sorted(last, key=lambda job: (job.get("outcome") != FAILED, str(job["job"])))
    log = html.Details(
        [
            html.Summary(f"The newest {wording.count(runs.height, 'run')}, one by one"),
            _table(["Job", "Began", "Took", "Rows", "Outcome", "In words"], [_run(r) for r in runs.to_dicts()]),
        ],
        className="explain",
    )
    return html.Section([_table(head, [_job(job) for job in ranked]), log], className="panel")


def _table(head: Sequence[str], body: Sequence[html.Tr]) -> html.Div:
    top = html.Thead(html.Tr([html.Th(text, scope="col") for text in head]))
    return html.Div(html.Table([top, html.Tbody(body)], className="table table-quiet"), className="table-wrap")


def _job(job: Mapping[str, Any]) -> html.Tr:
    began, due, outcome = wording.moment(job.get("started_at")), job.get("next_at"), job.get("outcome") or ""
    name = html.Td([html.Span(_job_name(job), className="name"), html.Small(job.get("why") or "", className="why")])
    at = began.isoformat() if began else ""
    ago = (
        [html.Span(wording.age_of(began), **props({"data-age": at, "data-f": "began"})), " ago"] if began else "not yet"
    )
    next_run = wording.clock(due, glass.town().zone) if due else wording.DASH
    return _cells(name, ("Last run", ago), job, outcome, ("Next", html.Span(next_run, **props({"data-f": "next"}))))


def _run(run: Mapping[str, Any]) -> html.Tr:
    began = wording.clock(run.get("started_at"), glass.town().zone)
    return _cells(html.Td(_job_name(run)), ("Began", began), run, run.get("outcome") or "")


def _job_name(job: Mapping[str, Any]) -> str:
    return str(job["job"]).replace("_", " ").capitalize()


def _cells(
    name: html.Td, began: tuple[str, Any], run: Mapping[str, Any], outcome: str, *more: tuple[str, Any]
) -> html.Tr:
    rows = "" if run.get("rows") is None else f"{run['rows']:,}"
    took = _between(run.get("started_at"), run.get("ended_at"))
    look = {"data-state": "failing"} if outcome == FAILED else {}
    said = html.Span(outcome, className="chip" if look else "", **props({"data-f": "outcome", **look}))
    told = (
        ("Rows", html.Span(rows, **props({"data-f": "rows"}))),
        ("Outcome", said),
        ("In words", run.get("words") or ""),
    )
    cells = [
        html.Td(content, className="" if label == "In words" else "nowrap", **props({"data-label": label}))
        for label, content in (began, ("Took", took), *told, *more)
    ]
    return html.Tr([name, *cells], **props({"data-job": str(run["job"]) if more else ""}))


def _between(start: datetime | str | None, end: datetime | str | None) -> str:
    first, last = wording.moment(start), wording.moment(end)
    if first is None or last is None:
        return "running" if first else wording.DASH
    seconds = (last - first).total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else wording.age(seconds)


dash.register_page("pages.feeds", path="/feeds", name="Feeds", title=f"Feeds · {glass.town().name}", layout=layout)
