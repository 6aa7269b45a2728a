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
from components.first_paint import FIRST
from components.freshness import ago, feed_table, feeds_in_a_sentence, ledger
from components.kpi_tile import csv_link
from components.props import props
from components.tongue import N_, _, said, titled
from components.words_page import failed
from pipelines.engine.copies import Last, last

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
    link = html.Div(csv_link(glass.href("api/v1/feeds", format="csv"), _("feeds")), className="panel-foot")
    none = html.P(_("No feed is configured. Add one under [feeds] in town.toml."), className="empty")
    return html.Div(
        [
            html.Div(
                html.Div([html.H1(_("Feeds")), html.P(feeds_in_a_sentence(state), className="sub", **props(SENTENCE))]),
                className="page-head",
                **props({FIRST: "yes"}),
            ),
            html.Section(
                [html.Div(html.H2(_("The books of all feeds")), className="panel-head"), ledger(state)],
                className="panel",
            ),
            html.Section([feed_table(state) if state["feeds"] else none, link], className="panel"),
            *devices(),
            *clocks(),
            html.H2(_("Rows that were set aside"), className="section"),
            _quarantine(feed),
            html.H2(_("Backup"), className="section"),
            _backups(),
            html.H2(_("Jobs"), className="section"),
            _jobs(state["jobs"]),
        ],
        className="page",
        key=f"feeds-{state['seq']}-{feed}",
    )


def _quarantine(feed: str | None) -> html.Section:
    actor = visitor.current().actor
    if not actor.may_everywhere("read"):
        return _counts_alone(feed)
    rows = glass.town().quarantine(feed=feed, limit=MOST_LINES, actor=actor)
    link = csv_link(glass.href("api/v1/quarantine", feed=feed, format="csv"), _("rows that were set aside"))
    if rows.is_empty():
        body: list[Any] = [html.P(_("Nothing was set aside: every row that arrived could be used."), className="empty")]
    else:
        body = [_reasons(feed), _lines(rows), _shown(rows)]
    return html.Section([*body, html.Div(link, className="panel-foot")], className="panel")


def _counts_alone(feed: str | None) -> html.Section:
    """How many rows were set aside, for everybody; what they said may be personal."""
    way_in = html.P(
        html.A(_("Sign in to see the rows and what was wrong with each."), href=glass.href("signin")),
        className="empty",
    )
    return html.Section([_reasons(feed), way_in], className="panel")


def _shown(rows: pl.DataFrame) -> html.P:
    return html.P(_("The newest {count}.", count=wording.count(rows.height, "row")), className="sub")


def _reasons(feed: str | None) -> html.Ul:
    counts = glass.town().quarantine_counts().select("feed", "reason", "rows")
    sums = counts.filter(pl.col("feed") == feed) if feed else counts
    items = [
        html.Li(
            [
                html.B(wording.number(n, 0)),
                f" {said(reason.replace('_', ' '))} ",
                html.A(_title(name), href=glass.href("feeds", feed=name), **props({"data-nav": ""})),
            ]
        )
        for name, reason, n in sums.iter_rows()
    ]
    return html.Ul(items, className="reasons")


def _lines(rows: pl.DataFrame) -> html.Div:
    head = [_("Arrived"), _("Feed"), _("Row"), _("Reason"), _("What was wrong"), _("Original line")]
    body = [_line(row) for row in rows.iter_rows(named=True)]
    table = html.Table(
        [html.Thead(html.Tr([html.Th(h, scope="col") for h in head])), html.Tbody(body)], className="table table-quiet"
    )
    return html.Div(table, className="table-wrap")


def _line(row: Mapping[str, Any]) -> html.Tr:
    zone = glass.town().zone
    return html.Tr(
        [
            html.Td(wording.clock(row["received_at"], zone), className="nowrap", **props({"data-label": _("Arrived")})),
            html.Td(_title(row["feed"]), **props({"data-label": _("Feed")})),
            html.Td("" if row["row"] is None else str(row["row"]), **props({"data-label": _("Row")})),
            html.Td(said(str(row["reason"]).replace("_", " ")), **props({"data-label": _("Reason")})),
            html.Td(said(row["detail"]), **props({"data-label": _("What was wrong")})),
            html.Td(
                _said(row),
                className="original",
                **props({"data-label": _("Original line")}),
            ),
        ]
    )


def _said(row: Mapping[str, Any]) -> Any:
    return html.I(_("withheld: it may be personal")) if row["withheld"] else html.Code(str(row["original"] or "")[:300])


def _title(feed: str) -> str:
    """A feed's short name; its id when the board knows it no more."""
    return str(glass.state()["feeds"].get(feed, {}).get("title") or feed)


def _backups() -> html.Section:
    """The last verified copy of the town in each place; where that is, for those who look after it."""
    settings = glass.town().settings
    found = last(settings.backup, settings.store)
    if not found:
        words = _("No backup is planned, and none was made. [backup] in town.toml says where copies go.")
        return html.Section(html.P(words, className="empty"), className="panel")
    names = (_("First place"), _("Second place"))
    items = [html.Li(_backup(name, one)) for name, one in zip(names, found, strict=False)]
    return html.Section(html.Ul(items, className="reasons"), className="panel")


def _backup(name: str, one: Last) -> list[Any]:
    if one.at is None:
        words: Any = html.B(_("No verified copy stands here yet."))
    else:
        when, size = wording.clock(one.at, glass.town().zone), wording.number(one.size / 1e6, 1)
        words = _("The last verified copy is from {when}, {size} MB.", when=when, size=size)
    told = [f"{name}: ", words]
    return [*told, " ", html.Code(one.place)] if visitor.current().actor.may("settings") else told


def _jobs(jobs: Sequence[Mapping[str, Any]]) -> html.Section:
    """One line per job with its last run; every single run is in the log behind it."""
    runs = glass.town().runs(MOST_RUNS)
    last = jobs or runs.unique("job", keep="first", maintain_order=True).to_dicts()
    if not last:
        return html.Section(html.P(_("No job has run yet."), className="empty"), className="panel")
    head = [_("Job"), _("Last run"), _("Took"), _("Rows"), _("Outcome"), _("In words"), _("Next")]
    ranked = sorted(last, key=lambda job: (job.get("outcome") != FAILED, str(job["job"])))
    log = html.Details(
        [
            html.Summary(_("The newest {count}, one by one", count=wording.count(runs.height, "run"))),
            _table(
                [_("Job"), _("Began"), _("Took"), _("Rows"), _("Outcome"), _("In words")],
                [_run(r) for r in runs.to_dicts()],
            ),
        ],
        className="explain",
    )
    return html.Section([_table(head, [_job(job) for job in ranked]), log], className="panel")


def _table(head: Sequence[str], body: Sequence[html.Tr]) -> html.Div:
    top = html.Thead(html.Tr([html.Th(text, scope="col") for text in head]))
    return html.Div(html.Table([top, html.Tbody(body)], className="table table-quiet"), className="table-wrap")


def _job(job: Mapping[str, Any]) -> html.Tr:
    began, due, outcome = wording.moment(job.get("started_at")), job.get("next_at"), job.get("outcome") or ""
    name = html.Td([html.Span(_job_name(job), className="name"), html.Small(said(job.get("why")), className="why")])
    at = began.isoformat() if began else ""
    since = (
        ago(html.Span(wording.age_of(began), **props({"data-age": at, "data-f": "began"}))) if began else _("not yet")
    )
    next_run = wording.clock(due, glass.town().zone) if due else wording.DASH
    return _cells(
        name, (_("Last run"), since), job, outcome, (_("Next"), html.Span(next_run, **props({"data-f": "next"})))
    )


def _run(run: Mapping[str, Any]) -> html.Tr:
    began = wording.clock(run.get("started_at"), glass.town().zone)
    return _cells(html.Td(_job_name(run)), (_("Began"), began), run, run.get("outcome") or "")


def _job_name(job: Mapping[str, Any]) -> str:
    return said(str(job["job"]).replace("_", " ").capitalize())


def _cells(
    name: html.Td, began: tuple[str, Any], run: Mapping[str, Any], outcome: str, *more: tuple[str, Any]
) -> html.Tr:
    rows = "" if run.get("rows") is None else wording.number(run["rows"], 0)
    took = _between(run.get("started_at"), run.get("ended_at"))
    look = {"data-state": "failing"} if outcome == FAILED else {}
    shown = html.Span(said(outcome), className="chip" if look else "", **props({"data-f": "outcome", **look}))
    told = (
        (_("Rows"), html.Span(rows, **props({"data-f": "rows"}))),
        (_("Outcome"), shown),
        (_("In words"), said(run.get("words"))),
    )
    cells = [
        html.Td(content, className="" if label == _("In words") else "nowrap", **props({"data-label": label}))
        for label, content in (began, (_("Took"), took), *told, *more)
    ]
    return html.Tr([name, *cells], **props({"data-job": str(run["job"]) if more else ""}))


def _between(start: datetime | str | None, end: datetime | str | None) -> str:
    first, last = wording.moment(start), wording.moment(end)
    if first is None or last is None:
        return _("running") if first else wording.DASH
    seconds = (last - first).total_seconds()
    return _("{n} ms", n=f"{seconds * 1000:.0f}") if seconds < 1 else wording.age(seconds)


dash.register_page(
    "pages.feeds",
    path="/feeds",
    name="Feeds",
    title=titled(N_("Feeds")),
    layout=layout,
)
