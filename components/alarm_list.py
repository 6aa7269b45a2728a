"""The alarms: by priority, oldest first, each with where, since when, value against limit and what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from components import glass, wording
from components.props import props

RETURNED_SHOWN = 3


def shown(alarms: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """The active alarms up to the limit, then a few of those that are back to normal."""
    active = [a for a in alarms if a["state"] == "active"][:limit]
    return active + [a for a in alarms if a["state"] != "active"][:RETURNED_SHOWN]


def chosen(
    alarms: Sequence[Mapping[str, Any]], domain: str | None = None, ward: str | None = None
) -> list[Mapping[str, Any]]:
    """The alarms of this domain and ward, in the order of the snapshot."""
    return [a for a in alarms if (not domain or a["domain"] == domain) and (not ward or a.get("ward") == ward)]


def alarm_list(
    state: Mapping[str, Any], domain: str | None = None, ward: str | None = None, limit: int = 12
) -> html.Div:
    """The list, kept current by the page's script; says in words when there is nothing."""
    alarms = chosen(state["alarms"], domain, ward)
    items = [_item(alarm) for alarm in shown(alarms, limit)]
    more = len(alarms) - len(items)
    return html.Div(
        [
            html.Ol(items, className="alarms", **props({"data-f": "alarms"})),
            html.P(_none(state), className="empty", hidden=bool(items), **props({"data-f": "empty"})),
            html.P(f"and {max(0, more)} more", className="more", hidden=more <= 0, **props({"data-f": "more"})),
        ],
        className="alarm-list",
        **props({"data-alarms": domain or "", "data-ward-filter": ward or "", "data-limit": limit}),
    )


def _none(state: Mapping[str, Any]) -> str:
    if not state["seq"]:
        return "The line has published nothing yet; alarms appear here with the first figures."
    return "No alarms. Everything that is watched is within its limits."


def _item(alarm: Mapping[str, Any]) -> html.Li:
    zone = glass.town().zone
    place = (
        [
            html.A(
                alarm.get("asset_name") or alarm["asset"],
                href=glass.href(f"asset/{alarm['asset']}"),
                **props({"data-nav": ""}),
            )
        ]
        if alarm.get("asset")
        else []
    )
    ward = _ward(alarm)
    since = alarm.get("returned_at") or alarm["since"]
    word = "back to normal since" if alarm["state"] == "returned" else "since"
    return html.Li(
        [
            html.Span(
                alarm["priority"].capitalize(), className="priority", **props({"data-priority": alarm["priority"]})
            ),
            html.Strong(alarm["title"]),
            html.Span([*place, ", " if place and ward else "", ward], className="where"),
            html.Span(
                [
                    f"{word} {wording.clock(since, zone)} · ",
                    html.Span(wording.age_of(since), **props({"data-age": since})),
                ],
                className="since",
            ),
            html.Span(_against(alarm), className="against"),
            html.Span(alarm.get("instruction") or "", className="todo"),
        ],
        **props({"data-alarm": alarm["id"], "data-state": alarm["state"], "data-priority": alarm["priority"]}),
    )


def _ward(alarm: Mapping[str, Any]) -> str:
    if not alarm.get("ward"):
        return "" if alarm.get("asset") else wording.area(alarm.get("area") or "town")
    return wording.area(f"ward:{alarm['ward']}", _names())


def _names() -> dict[str, str]:
    wards = glass.town().wards()
    return dict(zip(wards["ward"].to_list(), wards["name"].to_list(), strict=True))


def _against(alarm: Mapping[str, Any]) -> str:
    if alarm.get("value") is None:
        return ""
    limit = alarm.get("limit")
    text = wording.with_unit(alarm["value"], _digits(alarm["value"]), alarm.get("unit") or "")
    return text if limit is None else f"{text} against a limit of {wording.number(limit, _digits(limit))}"


def _digits(value: float) -> int:
    return 0 if abs(value) >= 100 or float(value).is_integer() else 2 if abs(value) < 10 else 1
