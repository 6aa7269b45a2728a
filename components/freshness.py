"""Feeds as people see them: state in words, last arrival, completeness of the last 24 hours, the ledger's sums."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from components import glass, wording
from components.props import props
from components.tongue import N_, _, said
from pipelines.engine.ledger import unaccounted

CALM = ("live", "waiting")
COUNTS = {
    "decoded": N_("Rows read"),
    "stored": N_("Stored"),
    "duplicate": N_("Duplicates"),
    "quarantined": N_("Set aside"),
}
SLOWEST_STRIP_S = 3600
BANDS = ((0.98, "full"), (0.75, "most"), (0.01, "some"), (-1.0, "none"))


def band(share: float | None) -> str:
    """How complete an hour was, as one of five looks: unknown, none, some, most, full."""
    return "unknown" if share is None else next(name for floor, name in BANDS if share >= floor)


def strip(shares: Sequence[float | None]) -> html.Div:
    """One cell an hour, oldest first; height and pattern say how much arrived."""
    cells = [
        html.Span(className="hour", **props({"data-band": band(s)}), title=_hour(i, len(shares), s))
        for i, s in enumerate(shares)
    ]
    known = [s for s in shares if s is not None]
    words = (
        _("{n} % of what was expected arrived in 24 hours", n=wording.number(int(100 * sum(known) / len(known)), 0))
        if known
        else _("no arrivals known")
    )
    return html.Div(cells, className="strip", role="img", **props({"aria-label": words, "data-f": "strip"}))


def _hour(index: int, count: int, share: float | None) -> str:
    text = _("unknown") if share is None else f"{int(share * 100)} %"
    return _("{n} h ago: {share}", n=wording.number(count - index, 0), share=text)


def feed_strip(state: Mapping[str, Any], domain: str | None = None, *, troubled_only: bool = False) -> html.Ul:
    """The feeds as one short line each; on the overview only those in trouble show, the others wait unseen."""
    feeds = [f for f in state["feeds"].values() if not domain or domain in f["domains"]]
    items = [_short(feed, hidden=troubled_only and feed["state"] in CALM) for feed in sorted(feeds, key=_rank)]
    none = html.Li(_("No feed is configured for this part."), className="empty")
    return html.Ul(
        items or [none], className="feed-strip", **props({"data-troubled-only": "yes" if troubled_only else ""})
    )


def _short(feed: Mapping[str, Any], *, hidden: bool) -> html.Li:
    return html.Li(
        [
            _chip(feed),
            html.A(feed["title"], href=glass.href("feeds") + f"#feed-{feed['feed']}", **props({"data-nav": ""})),
            html.Span(_arrived(feed), className="sub", **props({"data-f": "arrived"})),
        ],
        hidden=hidden,
        **props({"data-feed": feed["feed"]}),
    )


def _chip(feed: Mapping[str, Any]) -> html.Span:
    look = {"data-state": feed["state"], "data-f": "state"}
    return html.Span(wording.state(feed["state"]), className="chip", **props(look))


def feeds_in_a_sentence(state: Mapping[str, Any]) -> str:
    """How many of the feeds arrive as expected."""
    troubled = sum(1 for f in state["feeds"].values() if f["state"] not in CALM)
    every = wording.count(len(state["feeds"]), "feed")
    return _("{n} of {feeds} arriving as expected.", n=wording.number(len(state["feeds"]) - troubled, 0), feeds=every)


def ago(age: html.Span | str) -> list[Any]:
    """An age that the page keeps current, within the words that say it lies back."""
    before, _hole, after = _("{age} ago").partition("{age}")
    return [before, age, after]


def _rank(feed: Mapping[str, Any]) -> tuple[int, str]:
    order = ("failing", "silent", "late", "waiting", "live")
    return order.index(feed["state"]) if feed["state"] in order else 0, feed["feed"]


def _arrived(feed: Mapping[str, Any]) -> Any:
    at = feed.get("last_arrival")
    return ago(html.Span(wording.age_of(at), **props({"data-age": at}))) if at else _("nothing yet")


def feed_table(state: Mapping[str, Any]) -> html.Div:
    """Every feed in one line: state, pace, completeness and counters, those in trouble first and with words."""
    head = [_("State"), _("Feed"), _("Last arrival"), _("Expected"), _("Last 24 hours"), *map(_, COUNTS.values())]
    numbers = [html.Th(text, scope="col", className="num" if text in map(_, COUNTS.values()) else "") for text in head]
    body = [_row(feed) for feed in sorted(state["feeds"].values(), key=_rank)]
    return html.Div(
        html.Table([html.Thead(html.Tr(numbers)), html.Tbody(body)], className="table table-quiet feed-table"),
        className="table-wrap",
    )


def _row(feed: Mapping[str, Any]) -> html.Tr:
    calm = feed["state"] == "live" and not feed.get("sensors_silent")
    words = html.P(said(feed["words"]), className="words", hidden=calm, **props({"data-f": "words"}))
    cells: list[tuple[str, list[Any], str]] = [
        ("", [_chip(feed)], ""),
        ("", [html.Span(feed["title"], className="name"), words], ""),
        (_("Last arrival"), [html.Span(_arrived(feed), **props({"data-f": "arrived"}))], "nowrap"),
        (_("Expected"), [wording.pace(feed.get("every_s"))], "nowrap"),
        (_("24 hours"), [_hours(feed)], "hours"),
        *(
            (_(label), [html.Span(wording.number(feed.get(key) or 0, 0), **props({"data-f": key}))], "num")
            for key, label in COUNTS.items()
        ),
    ]
    return html.Tr(
        [html.Td(content, className=look, **props({"data-label": label})) for label, content, look in cells],
        id=f"feed-{feed['feed']}",
        **props({"data-feed": feed["feed"], "data-state": feed["state"]}),
    )


def _hours(feed: Mapping[str, Any]) -> Any:
    if (feed.get("every_s") or 0) > SLOWEST_STRIP_S:
        return html.Span(_("no hourly strip"), className="sub")
    return strip(feed.get("strip") or [])


def ledger(state: Mapping[str, Any]) -> html.Div:
    """The books of all feeds: rows read = stored + duplicates + set aside, and whether they balance."""
    sums = {key: int(state["ledger"].get(key) or 0) for key in ("decoded", "stored", "duplicate", "quarantined")}
    parts = [
        ("decoded", _("rows read"), "="),
        ("stored", _("stored"), "+"),
        ("duplicate", _("duplicates"), "+"),
        ("quarantined", _("set aside"), ""),
    ]
    terms = [
        html.Span(
            [html.B(wording.number(sums[key], 0), **props({"data-f": key})), html.Small(words), html.I(sign)],
            className="term",
        )
        for key, words, sign in parts
    ]
    return html.Div(
        [*terms, html.Span(books(sums), className="books", **props({"data-f": "books"}))], className="ledger"
    )


def books(sums: Mapping[str, int]) -> str:
    """Whether every row that was read is accounted for."""
    missing = unaccounted(sums)
    return (
        _("The books balance: every row is accounted for.")
        if missing == 0
        else _("{missing} rows are on their way through the line.", missing=wording.number(missing, 0))
    )
