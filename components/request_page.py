"""The page of one request: where it stands, and what happened to it from its receipt on; nothing of who sent it."""

from datetime import datetime
from typing import Any

from dash import html

from components import glass, wording
from components.address import ward_names
from components.props import props
from components.public_page import told
from components.tongue import _, said
from components.words_page import missing
from pipelines.engine.complaints import Event, Standing


def request_page(number: str) -> html.Div:
    """The whole page; words when there is no request of this number."""
    town = glass.town()
    found = town.complaint(number)
    if found is None:
        return missing(_("There is no request with the number {number}.", number=number[:64]))
    now = town.now()
    return html.Div(
        [
            html.Div([html.H1(_("Request {number}", number=found.number)), html.P(_about(found), className="sub")]),
            html.P(told(found, now), className="notice"),
            _course(town.complaint_course(number), now),
            html.P(_("What was written, by whom and where exactly is not shown here."), className="sub"),
            html.P(
                html.A(
                    _("All open requests of the ward"),
                    href=glass.href(_domain(), ward=found.ward),
                    **props({"data-nav": "keep"}),
                )
            ),
        ],
        className="page request",
    )


def _about(found: Standing) -> str:
    place = ward_names().get(found.ward, found.ward) if found.ward else ""
    return " · ".join(filter(None, (found.about, place)))


def _domain() -> str:
    """The domain whose table holds what residents report."""
    return next((d.name for d in glass.town().domains if any(table.complaints for table in d.tables)), "")


def _course(events: list[Event], now: datetime) -> html.Section:
    """What happened and what is promised, in order, each with its time."""
    items: list[Any] = [_event(event, now) for event in events]
    return html.Section(
        [html.Div(html.H2(_("What happened")), className="panel-head"), html.Ol(items, className="course")],
        className="panel",
    )


def _event(event: Event, now: datetime) -> html.Li:
    zone = glass.town().zone
    ahead = event.at > now
    length = wording.age(abs((now - event.at).total_seconds()))
    when = _("in {age}", age=length) if ahead else _("{age} ago", age=length)
    return html.Li(
        [
            html.Time(wording.clock(event.at, zone, now), dateTime=event.at.isoformat()),
            html.Span(said(event.what.rstrip(".")), className="what"),
            html.Span(when, className="sub"),
        ],
        className="ahead" if ahead else "",
    )
