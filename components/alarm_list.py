"""The alarms: by priority, oldest first, two lines each, with what to do behind a disclosure (open on the topmost)."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from components import glass, wording
from components.props import props
from components.tongue import _, said
from pipelines.engine.alarms import lifecycle
from pipelines.engine.figures import digits

RETURNED_SHOWN = 3
BACK = ("normal", "returned_unacknowledged")


def shown(alarms: Sequence[Mapping[str, Any]], limit: int) -> list[Mapping[str, Any]]:
    """The active alarms up to the limit, then a few of those that are back to normal."""
    active = [a for a in alarms if a["active"]][:limit]
    return active + [a for a in alarms if not a["active"] and a["state"] in BACK][:RETURNED_SHOWN]


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
    items = [_item(alarm, topmost=place == 0) for place, alarm in enumerate(shown(alarms, limit))]
    more = len(alarms) - len(items)
    return html.Div(
        [
            html.Ol(items, className="alarms", **props({"data-f": "alarms"})),
            html.P(_none(state), className="empty", hidden=bool(items), **props({"data-f": "empty"})),
            html.P(
                _("and {n} more", n=wording.number(max(0, more), 0)),
                className="more",
                hidden=more <= 0,
                **props({"data-f": "more"}),
            ),
        ],
        className="alarm-list",
        **props({"data-alarms": domain or "", "data-ward-filter": ward or "", "data-limit": limit}),
    )


def _none(state: Mapping[str, Any]) -> str:
    if not state["seq"]:
        return _("The line has published nothing yet; alarms appear here with the first figures.")
    return _("No alarms. Everything that is watched is within its limits.")


def _item(alarm: Mapping[str, Any], *, topmost: bool) -> html.Li:
    priority = alarm["priority"]
    return html.Li(
        [
            html.Div(
                [
                    html.Span(_(priority.capitalize()), className="priority", **props({"data-priority": priority})),
                    html.Strong(said(alarm["title"])),
                ],
                className="alarm-title",
            ),
            html.Div(
                [
                    _where(alarm),
                    _since(alarm),
                    html.Span(against(alarm), className="against"),
                    html.Span(standing(alarm), className="standing"),
                    _to_do(alarm, topmost),
                ],
                className="facts",
            ),
        ],
        **props({"data-alarm": alarm["id"], "data-state": alarm["state"], "data-priority": priority}),
    )


def _where(alarm: Mapping[str, Any]) -> html.Span:
    ward = place(alarm)
    if not alarm.get("asset"):
        return html.Span(ward, className="where")
    link = html.A(
        alarm.get("asset_name") or alarm["asset"],
        href=glass.href(f"asset/{alarm['asset']}"),
        **props({"data-nav": ""}),
    )
    return html.Span([link, ", " if ward else "", ward], className="where")


def _since(alarm: Mapping[str, Any]) -> html.Span:
    since = alarm.get("returned_at") or alarm["since"]
    standing_on = alarm["active"] or not alarm.get("returned_at")
    words = _("since {clock}, {age}") if standing_on else _("back to normal since {clock}, {age}")
    before, _hole, after = words.replace("{clock}", wording.clock(since, glass.town().zone)).partition("{age}")
    age = html.Span(wording.age_of(since), **props({"data-age": since}))
    return html.Span([before, age, after], className="since")


def standing(alarm: Mapping[str, Any]) -> str:
    """Where the alarm stands, who has it in hand, and what it explains, in words."""
    words, who = said(lifecycle.words(alarm["state"])), alarm.get("owner") or alarm.get("acknowledged_by")
    if alarm["state"] == "returned_unacknowledged":
        # Since when it is back to normal stands beside it.
        words = said(lifecycle.words("unacknowledged"))
    if alarm["state"] == "acknowledged" and who:
        words = _("{words}, {who} sees to it", words=words, who=who)
    explained = alarm.get("consequences") or 0
    return (
        _("{words}; explains {count}", words=words, count=wording.count(explained, "more alarm"))
        if explained
        else words
    )


def _to_do(alarm: Mapping[str, Any], topmost: bool) -> html.Details | None:
    if not alarm.get("instruction") or not alarm["active"]:
        return None
    return html.Details(
        [html.Summary(_("What to do")), html.P(said(alarm["instruction"]))], open=topmost, className="todo"
    )


def place(alarm: Mapping[str, Any]) -> str:
    """The ward of an alarm by its name, or the area when it is neither of an asset nor of a feed."""
    if not alarm.get("ward"):
        area = alarm.get("area") or "town"
        return "" if alarm.get("asset") or area.startswith("feed:") else wording.area(area)
    return wording.area(f"ward:{alarm['ward']}", _names())


def _names() -> dict[str, str]:
    wards = glass.town().wards()
    return dict(zip(wards["ward"].to_list(), wards["name"].to_list(), strict=True))


def against(alarm: Mapping[str, Any]) -> str:
    """The value against the limit: "3.20 m of head, limit 7"; empty when there is none."""
    if alarm.get("value") is None:
        return ""
    limit, own = alarm.get("limit"), alarm.get("decimals")
    text = wording.with_unit(alarm["value"], digits(alarm["value"]) if own is None else own, alarm.get("unit") or "")
    if limit is None:
        return text
    return _("{value}, limit {limit}", value=text, limit=wording.number(limit, digits(limit) if own is None else own))
