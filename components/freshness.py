"""Feeds as people see them: state in words, last arrival, completeness of the last 24 hours, the ledger's sums."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from components import glass, wording
from components.props import props

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
        f"{int(100 * sum(known) / len(known))} % of what was expected arrived in 24 hours"
        if known
        else "no arrivals known"
    )
    return html.Div(cells, className="strip", role="img", **props({"aria-label": words, "data-f": "strip"}))


def _hour(index: int, count: int, share: float | None) -> str:
    text = "unknown" if share is None else f"{int(share * 100)} %"
    return f"{count - index} h ago: {text}"


def feed_strip(state: Mapping[str, Any], domain: str | None = None) -> html.Ul:
    """The feeds as one short line each, for the overview and the domain pages."""
    feeds = [f for f in state["feeds"].values() if not domain or domain in f["domains"]]
    items = [
        html.Li(
            [
                html.Span(
                    wording.state(f["state"]), className="chip", **props({"data-state": f["state"], "data-f": "state"})
                ),
                html.A(
                    wording.feed(f),
                    title=f["title"],
                    href=glass.href("feeds") + f"#feed-{f['feed']}",
                    **props({"data-nav": ""}),
                ),
                html.Span(_arrived(f), className="sub", **props({"data-f": "arrived"})),
            ],
            **props({"data-feed": f["feed"]}),
        )
        for f in sorted(feeds, key=_rank)
    ]
    return html.Ul(
        items or [html.Li("No feed is configured for this part.", className="empty")], className="feed-strip"
    )


def _rank(feed: Mapping[str, Any]) -> tuple[int, str]:
    order = ("failing", "silent", "late", "waiting", "live")
    return order.index(feed["state"]) if feed["state"] in order else 0, feed["feed"]


def _arrived(feed: Mapping[str, Any]) -> Any:
    at = feed.get("last_arrival")
    return [html.Span(wording.age_of(at), **props({"data-age": at})), " ago"] if at else "nothing yet"


def feed_cards(state: Mapping[str, Any]) -> list[html.Article]:
    """Every feed with its words, pace, completeness and counters, those in trouble first."""
    return [_card(feed) for feed in sorted(state["feeds"].values(), key=_rank)]


def _card(feed: Mapping[str, Any]) -> html.Article:
    zone = glass.town().zone
    chip = html.Span(
        wording.state(feed["state"]), className="chip", **props({"data-state": feed["state"], "data-f": "state"})
    )
    counts = [
        ("decoded", "rows read"),
        ("stored", "stored"),
        ("corrected", "corrections among them"),
        ("duplicate", "duplicates"),
        ("quarantined", "set aside"),
    ]
    return html.Article(
        [
            html.Div([html.H3(wording.feed(feed)), chip], className="tile-head"),
            html.P(feed["title"], className="sub brings") if feed["title"] != feed["feed"] else None,
            html.P(feed["words"], className="words", **props({"data-f": "words"})),
            html.P(
                [
                    "Last arrival ",
                    html.Span(
                        wording.clock(feed["last_arrival"], zone) if feed.get("last_arrival") else "",
                        **props({"data-f": "clock"}),
                    ),
                    html.Span([" ", html.Span(_arrived(feed), **props({"data-f": "arrived"}))]),
                    f" · expected {wording.pace(feed.get('every_s'))}",
                ],
                className="sub",
            ),
            strip(feed.get("strip") or []),
            html.Div([html.Span("24 hours ago"), html.Span("now")], className="strip-axis"),
            html.Dl([part for key, words in counts for part in _count(key, words, feed)], className="counts"),
        ],
        className="tile feed",
        id=f"feed-{feed['feed']}",
        **props({"data-feed": feed["feed"], "data-state": feed["state"]}),
    )


def _count(key: str, words: str, feed: Mapping[str, Any]) -> list[Any]:
    return [html.Dt(words), html.Dd(f"{feed.get(key) or 0:,}", **props({"data-f": key}))]


def ledger(state: Mapping[str, Any]) -> html.Div:
    """The books of all feeds: rows read = stored + duplicates + set aside, and whether they balance."""
    sums = {key: int(state["ledger"].get(key) or 0) for key in ("decoded", "stored", "duplicate", "quarantined")}
    parts = [
        ("decoded", "rows read", "="),
        ("stored", "stored", "+"),
        ("duplicate", "duplicates", "+"),
        ("quarantined", "set aside", ""),
    ]
    terms = [
        html.Span(
            [html.B(f"{sums[key]:,}", **props({"data-f": key})), html.Small(words), html.I(sign)], className="term"
        )
        for key, words, sign in parts
    ]
    return html.Div(
        [*terms, html.Span(books(sums), className="books", **props({"data-f": "books"}))], className="ledger"
    )


def books(sums: Mapping[str, int]) -> str:
    """Whether every row that was read is accounted for."""
    missing = sums["decoded"] - sums["stored"] - sums["duplicate"] - sums["quarantined"]
    return (
        "The books balance: every row is accounted for."
        if missing == 0
        else f"{missing:,} rows are on their way through the line."
    )
