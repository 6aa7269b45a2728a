"""One KPI value whole: formula, standard, its inputs, what was left out, corrections, the rows behind it."""

import logging
from collections.abc import Container, Iterable, Mapping
from datetime import datetime
from typing import Any

from dash import html

from components import glass, kpi_tile, wording
from components.address import View, ward_names
from components.kpi_tile import csv_link
from components.props import props
from components.tongue import N_, _, said
from components.words_page import missing
from pipelines.engine.asking import Misasked, maybe_instant
from pipelines.engine.explaining import explanation
from pipelines.engine.model import Kpi

log = logging.getLogger(__name__)
API = "api/v1"
UNREAD = N_(
    "What was left out, revisions and corrections cannot be read just now; the figure is the board's. Try again later."
)


def kpi_page(name: str, query: Mapping[str, Any]) -> html.Div:
    """The page of a KPI for the area, window and time of knowledge that the address names; words when there is none."""
    kpi = next((k for d in glass.town().domains for k in d.kpis if k.id == name), None)
    if kpi is None:
        return missing(_("There is no KPI called {name}. The catalogue lists all of them.", name=name))
    area = str(query.get("area") or (f"ward:{query['ward']}" if query.get("ward") else "town"))
    try:
        end = maybe_instant(query.get("window_end"), "window_end")
        at = View.read(query).as_known_at
        body = explanation(glass.town(), kpi, area, end, at)
    except Misasked as mistake:
        return missing(said(mistake.words))
    except Exception:
        log.exception("the explanation of %s could not be read", name)
        return _page(kpi, area, _of_the_board(kpi, area), [html.P(_(UNREAD), className="notice")], is_now=True)
    return _page(kpi, area, body, _parts(kpi, body), is_now=end is None and at is None)


def _of_the_board(kpi: Kpi, area: str) -> dict[str, Any]:
    return {"as_known_at": None, "owner_words": kpi.owner, **kpi_tile.row_of(glass.state(), kpi, area)}


def _page(kpi: Kpi, area: str, body: Mapping[str, Any], parts: Iterable[Any], *, is_now: bool) -> html.Div:
    state = glass.state()
    head = [
        html.Div([html.H1(_(kpi.title)), _chip(body)], className="title"),
        html.P(_place(kpi, area, body), className="sub"),
    ]
    shown = kpi_tile.tile(state, kpi, area, ward_names(), link=False) if is_now else _said(kpi, body)
    return html.Div(
        [
            html.Div(html.Div(head), className="page-head"),
            html.Section([shown, _meaning(kpi, body)], className="kpi-whole"),
            *parts,
        ],
        className="page kpi-page",
        key=f"kpi-{kpi.id}-{area}-{body.get('as_known_at')}-{body.get('window_end')}-{state['seq']}",
    )


def _chip(body: Mapping[str, Any]) -> html.Span:
    return html.Span(wording.state(body["status"]), className="chip", **props({"data-state": body["status"]}))


def _place(kpi: Kpi, area: str, body: Mapping[str, Any]) -> list[Any]:
    domain = next(d for d in glass.town().domains if any(k.id == kpi.id for k in d.kpis))
    back = html.A(_(domain.title), href=glass.href(domain.name), **props({"data-nav": "keep"}))
    then = body.get("as_known_at")
    told = " · " + _("as known at {when}", when=_when(then)) if then else ""
    return [back, f" · {kpi.catalogue} · {wording.area(area, ward_names())}{told}"]


def _when(at: datetime | str | None) -> str:
    return f"{wording.clock(at, glass.town().zone)} {wording.zone_name(glass.town().zone)}" if at else wording.DASH


def _said(kpi: Kpi, body: Mapping[str, Any]) -> html.Article:
    """A value of another window or time: it stands still, the page's script leaves it alone."""
    unit = html.Span(wording.unit(kpi.unit), className="unit")
    value = html.Span(wording.number(body["value"], kpi.decimals), className="value")
    why = wording.reason(body) if body["value"] is None else (body.get("detail") or "")
    lines = [why, wording.coverage(body["coverage"]), _("said since {when}", when=_when(body.get("said_at")))]
    return html.Article(
        [
            html.Div([value, unit], className="figure"),
            html.P(wording.target(body), className="aim"),
            html.Div([html.Span(line) for line in lines if line], className="fresh"),
        ],
        className="tile",
        **props({"data-state": body["status"]}),
    )


def _meaning(kpi: Kpi, body: Mapping[str, Any]) -> html.Dl:
    pairs: list[tuple[str, Any]] = [
        (_("In plain words"), _(kpi.plain)),
        (_("Formula"), kpi_tile.in_english(kpi.formula)),
        (_("Standard"), kpi_tile.in_english(kpi.standard)),
        (_("Window"), wording.window(kpi)),
        (_("Window of this value"), _span(body)),
        (_("Numerator / denominator"), kpi_tile.fraction_words(body)),
        (_("Readings used"), kpi_tile.used_words(body)),
        (_("By chance alone"), _chance(kpi, body)),
        (
            _("Completeness"),
            _(
                "{coverage}; {needed} is needed to give a value",
                coverage=wording.coverage(body.get("coverage")),
                needed=f"{wording.number(kpi.min_coverage * 100, 0)} %",
            ),
        ),
        (_("Settings"), ", ".join(f"{t['name']} = {t['value']}" for t in body.get("tunables", ())) or _("none")),
        (_("Told as corrected"), _tolerance(kpi, body)),
        (_("Answers for it"), body.get("owner_words") or _("nobody is named in town.toml")),
    ]
    return html.Dl([part for name, text in pairs for part in (html.Dt(name), html.Dd(text))])


def _chance(kpi: Kpi, body: Mapping[str, Any]) -> str:
    ends = body.get("interval")
    if not ends:
        return wording.DASH
    low, high = (wording.number(ends[end], kpi.decimals) for end in ("low", "high"))
    return _("{low} to {high} (95 %)", low=low, high=high)


def _span(body: Mapping[str, Any]) -> str:
    start, end = (wording.moment(body.get(name)) for name in ("window_start", "window_end"))
    return wording.span(start, end, glass.town().zone) if start and end else wording.DASH


def _tolerance(kpi: Kpi, body: Mapping[str, Any]) -> str:
    allowed = body.get("tolerance")
    change = wording.with_unit(allowed, max(kpi.decimals, 2), kpi.unit) if allowed else ""
    if change:
        return _(
            "when it changes by more than {change}, or in its state, after its window has closed and its data is due",
            change=change,
        )
    return _("when it changes in its state, after its window has closed and its data is due")


def _parts(kpi: Kpi, body: Mapping[str, Any]) -> list[Any]:
    left_out = html.Ul([html.Li(line) for line in _left_out(body)], className="plain-list")
    return [_panel(_("What was left out"), left_out), _panel(_("Corrections"), _revisions(kpi, body)), _rows(kpi, body)]


def _panel(title: str, content: Any, *foot: Any) -> html.Section:
    parts = [html.Div(html.H2(title), className="panel-head"), content]
    return html.Section([*parts, html.Div(list(foot), className="panel-foot")] if foot else parts, className="panel")


def _left_out(body: Mapping[str, Any]) -> list[str]:
    readings, aside = body["readings_left_out"], body["rows_set_aside"]
    lines = []
    if body["not_arrived"] is not None:
        missing_rows, expected = (wording.number(body[name], 0) for name in ("not_arrived", "n_expected"))
        lines.append(_("{n} of {expected} are missing", n=missing_rows, expected=expected))
    for row in readings["by_reason"]:
        told = wording.count(row["rows"], "reading")
        lines.append(
            _(
                "{readings} of {quantity}: {reason}",
                readings=told,
                quantity=said(row["quantity"].replace("_", " ")),
                reason=said(row["words"]),
            )
        )
    for row in aside["by_reason"]:
        told = wording.count(row["rows"], "row")
        lines.append(
            _(
                "{rows} of {feed} set aside: {reason}",
                rows=told,
                feed=row["feed"],
                reason=said(row["reason"].replace("_", " ")),
            )
        )
    if not readings["counted"]:
        lines.append(_("Too many readings to count those left out; their export names the quality of each."))
    if not aside["counted"]:
        lines.append(_("The window is too long to count what its feeds set aside; the page Feeds lists it."))
    return lines or [_("Nothing: all that came was used.")]


def _revisions(kpi: Kpi, body: Mapping[str, Any]) -> Any:
    if not body["revisions"]:
        words = _("Its window still runs: the value is not published yet, so nothing was corrected.")
        return html.P(words, className="empty")
    told = {row["revision"] for row in body["corrections"]}
    rows = [html.Tr([html.Td(cell) for cell in _revision(kpi, row, told)]) for row in body["revisions"]]
    head = html.Thead(
        html.Tr([html.Th(text, scope="col") for text in (_("Published"), _("As"), _("Value"), _("Completeness"))])
    )
    return html.Div(html.Table([head, html.Tbody(rows)], className="table table-quiet"), className="table-wrap")


def _revision(kpi: Kpi, row: Mapping[str, Any], told: Container[int]) -> tuple[str, ...]:
    later = _("correction") if row["revision"] in told else _("completed by later data")
    word = _("first published") if row["revision"] == 1 else later
    known = row["value"] is not None
    value = (
        wording.with_unit(row["value"], kpi.decimals, kpi.unit)
        if known
        else _("unknown: {reason}", reason=wording.reason(row))
    )
    return _when(row["computed_at"]), word, value, wording.coverage(row["coverage"])


def _rows(kpi: Kpi, body: Mapping[str, Any]) -> html.Section:
    at = body["as_known_at"]
    known = {"as_known_at": at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None}
    past = csv_link(
        glass.href(f"{API}/kpis/{kpi.id}/history", area=body["area"], format="csv", **known), _("its history")
    )
    facts = glass.href(f"{API}/kpis/{kpi.id}/explain", area=body["area"], **known)
    foot = [html.Span([_("All its values:"), " ", past]), html.A(_("This page as data"), href=facts, className="csv")]
    items = html.Ul([html.Li(_source(source)) for source in body["inputs"]], className="plain-list")
    return _panel(_("Download the rows behind it"), items, *foot)


def _source(source: Mapping[str, Any]) -> list[Any]:
    feeds = " " + _("from {feeds}", feeds=", ".join(source["feeds"])) if source["feeds"] else ""
    name = said(source["name"].replace("_", " "))
    return [f"{name}{feeds} ", csv_link(glass.href(f"{API}/{source['export']}"), _("rows of {name}", name=name))]
