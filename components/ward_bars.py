"""The wards side by side for one KPI: sorted worst first, target marked, unknown shown as unknown."""

from collections.abc import Mapping
from typing import Any

from dash import html

from components import glass, wording
from components.kpi_tile import chip, csv_link
from components.props import props
from pipelines.engine.model import Kpi


def ordered(
    state: Mapping[str, Any], kpi: Kpi, wards: Mapping[str, str]
) -> list[tuple[str, str, Mapping[str, Any] | None]]:
    """Ward id, name and row: those furthest on the wrong side first, those without a value last."""
    rows = [(key, name, state["kpis"].get(f"{kpi.id}|ward:{key}")) for key, name in wards.items()]
    known = [r for r in rows if r[2] and r[2]["value"] is not None]
    unknown = [r for r in rows if not (r[2] and r[2]["value"] is not None)]
    known.sort(key=lambda r: r[2]["value"] if r[2] else 0, reverse=kpi.better != "higher")
    return known + unknown


def ward_bars(state: Mapping[str, Any], kpi: Kpi, wards: Mapping[str, str], chosen: str | None = None) -> html.Section:
    """The comparison as a list of bars that a screen reader reads as text."""
    rows = ordered(state, kpi, wards)
    values = [abs(r[2]["value"]) for r in rows if r[2] and r[2]["value"] is not None]
    top = max([*values, abs(kpi.target or 0), 1e-9]) * 1.08
    head = [
        html.H2(["Wards: ", kpi.title]),
        html.P(", ".join(filter(None, [wording.unit(kpi.unit), "worst first"])), className="sub"),
    ]
    items = [_bar(kpi, key, name, row, top, chosen=key == chosen) for key, name, row in rows]
    link = csv_link(glass.href("api/v1/kpis", domain=_domain_of(state, kpi), format="csv"), f"{kpi.title} by ward")
    return html.Section(
        [
            html.Div(head, className="panel-head"),
            html.Ol(items, className="bars"),
            html.Div(link, className="panel-foot"),
        ],
        className="panel",
        **props({"data-bars": kpi.id, "data-top": top}),
    )


def _domain_of(state: Mapping[str, Any], kpi: Kpi) -> str:
    return next((d.name for d in glass.town().domains if any(k.id == kpi.id for k in d.kpis)), "")


def _bar(kpi: Kpi, ward: str, name: str, row: Mapping[str, Any] | None, top: float, *, chosen: bool) -> html.Li:
    value = row["value"] if row else None
    status = row["status"] if row else "no data"
    width = 0 if value is None else min(100.0, 100 * abs(value) / top)
    aim = (
        [html.Span(className="bar-target", style={"left": f"{100 * abs(kpi.target) / top:.1f}%"})]
        if kpi.target is not None
        else []
    )
    return html.Li(
        [
            html.A(name, href=f"?ward={ward}", className="bar-name", **props({"data-nav": "ward"})),
            html.Span(
                [html.Span(className="bar-fill", style={"width": f"{width:.1f}%"}, **props({"data-f": "bar"})), *aim],
                className="bar-track",
            ),
            html.Span(wording.number(value, kpi.decimals), className="bar-value", **props({"data-f": "value"})),
            chip(status),
        ],
        className="chosen" if chosen else "",
        **props({"data-kpi": f"{kpi.id}|ward:{ward}", "data-state": status, "data-every": wording.interval_s(kpi)}),
    )
