"""What a map shows, for whoever does not see it: each ward's state, all of them in one sentence and as a table."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from dash import html

from components import wording
from components.address import ward_names
from components.props import props
from components.tongue import _, n_

State = Mapping[str, Any]
BY_ALARM = {"critical": "breach", "high": "breach", "medium": "watch", "low": "watch", "": "good"}


def ward_key(kpi: str | None, ward: str) -> str:
    """Which KPI row colours a ward; empty when its alarms do."""
    return f"{kpi}|ward:{ward}" if kpi else ""


def worst_priority(alarms: Iterable[Mapping[str, Any]], ward: str) -> str:
    """The most urgent priority of the active alarms in a ward, or "" when there is none."""
    found = {a["priority"] for a in alarms if a.get("ward") == ward and a["active"]}
    return next((p for p in wording.PRIORITY_ORDER if p in found), "")


def ward_status(state: State, kpi: str | None, ward: str) -> str:
    """The state that a ward is drawn in."""
    if kpi:
        row = state["kpis"].get(ward_key(kpi, ward))
        return row["status"] if row else "no data"
    return BY_ALARM[worst_priority(state["alarms"], ward)]


def alarms_in(state: State, ward: str) -> int:
    """How many alarms are active in a ward."""
    return sum(1 for a in state["alarms"] if a.get("ward") == ward and a["active"])


def sentence(state: State, kpi: str | None, wards: Iterable[str]) -> str:
    """The whole map in one sentence; assets/paint.js says the same."""
    found = Counter(ward_status(state, kpi, ward) for ward in wards)
    counts = {name: wording.number(found[key], 0) for name, key in
              (("breach", "breach"), ("watch", "watch"), ("unknown", "no data"))}  # fmt: skip
    return n_(
        "Map of {n} ward: {breach} in breach, {watch} on watch, {unknown} without figures.",
        "Map of {n} wards: {breach} in breach, {watch} on watch, {unknown} without figures.",
        found.total(), **counts,
    )  # fmt: skip


def as_table(state: State, kpi: str | None, unit: str = "") -> html.Details:
    """The wards of the map with what colours them; kept current by the page's script."""
    heads = [_("Ward"), unit or _("Value") if kpi else _("Active alarms"), _("State")]
    top = html.Thead(html.Tr([html.Th(text, scope="col") for text in heads]))
    body = html.Tbody([_row(state, kpi, ward, name) for ward, name in ward_names().items()])
    table = html.Table([top, body], className="table table-quiet raw")
    mark = props({"data-map-table": kpi or ""})
    return html.Details([html.Summary(_("As a table")), table], className="explain chart-table map-table", **mark)


def _row(state: State, kpi: str | None, ward: str, name: str) -> html.Tr:
    row = state["kpis"].get(ward_key(kpi, ward)) if kpi else None
    value = wording.number(row["value"], row["decimals"]) if row else wording.DASH
    status = ward_status(state, kpi, ward)
    chip = html.Span(wording.state(status), className="chip", **props({"data-state": status}))
    shown = html.Td(
        value if kpi else wording.number(alarms_in(state, ward), 0), className="num", **props({"data-f": "map-value"})
    )
    return html.Tr([html.Th(name, scope="row"), shown, html.Td(chip)], **props({"data-ward-row": ward}))
