"""The wards side by side for one KPI: worst tier first, alike within chance told, unknown shown as unknown."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from components import glass, wording
from components.kpi_tile import chip, csv_link
from components.props import props
from components.tongue import _
from pipelines.engine.composites import gap_of, told
from pipelines.engine.composites import sides as compared_sides
from pipelines.engine.equity import Side
from pipelines.engine.model import Kpi

State = Mapping[str, Any]


def ordered(sides: Sequence[Side]) -> list[tuple[bool, Side]]:
    """The wards from the worst tier to the best, each with whether it begins a tier; unknown ones last.

    Wards of one tier are alike within chance and stand by name: an order among them would be noise.
    """
    first: set[int | None] = {1}
    found = []
    for side in sides:
        found.append((side.tier not in first, side))
        first.add(side.tier)
    return found


def _said(sides: Sequence[Side], kpi: Kpi, wards: Mapping[str, str]) -> str:
    """What the comparison comes to, in a sentence."""
    gap = gap_of(kpi, sides)
    if gap.gap is None or gap.wards < 2 or gap.worst is None:
        return _("Too few wards have a value to be compared.")
    words = wording.with_unit(gap.gap, kpi.decimals, kpi.unit)
    if kpi.unit == "percent":
        words = _("{n} points", n=wording.number(gap.gap, kpi.decimals))
    last, first = wards.get(gap.worst, gap.worst), wards.get(gap.best or "", gap.best or "")
    behind = _("{last} is {words} behind {first}", last=last, words=words, first=first)
    if kpi.better == "context":
        behind = _("highest and lowest are {words} apart", words=words)
    found = told(sides)
    if found == "alike":
        return _("No ward differs from the others by more than chance ({behind}).", behind=behind)
    if found == "unsure":
        return _("Nothing tells yet how sure these values are: no order is meant ({behind}).", behind=behind)
    if gap.ratio is not None:
        behind = _("{behind}, ratio {ratio}", behind=behind, ratio=wording.number(gap.ratio, 2))
    said = _("{behind}. Wards between two lines are alike within chance.", behind=behind)
    return f"{said[0].upper()}{said[1:]}"


def ward_bars(state: Mapping[str, Any], kpi: Kpi, wards: Mapping[str, str], chosen: str | None = None) -> html.Section:
    """The comparison as a list of bars that a screen reader reads as text."""
    sides = compared_sides(glass.town(), state, kpi)
    values = [abs(side.value) for side in sides if side.value is not None]
    top = max([*values, abs(kpi.target or 0), 1e-9]) * 1.08
    # Wards that are alike within chance stand by name.
    order = _("worst first") if told(sides) == "apart" else None
    head = [
        html.H2(_("Wards: {title}", title=_(kpi.title))),
        html.P(_(", ").join(filter(None, [wording.unit(kpi.unit), order])), className="sub"),
    ]
    items = [
        _bar(state, kpi, side, wards, top=top, looks=_looks(side, chosen, begins=begins))
        for begins, side in ordered(sides)
    ]
    link = csv_link(_address(state, kpi), _("{title} by ward", title=_(kpi.title)))
    return html.Section(
        [
            html.Div(head, className="panel-head"),
            html.P(_said(sides, kpi, wards), className="sub gap"),
            html.Ol(items, className="bars"),
            html.Div(link, className="panel-foot"),
        ],
        className="panel",
        **props({"data-bars": kpi.id, "data-top": top}),
    )


def _address(state: Mapping[str, Any], kpi: Kpi) -> str:
    then = state.get("as_known_at")
    return glass.href("api/v1/kpis", domain=_domain_of(kpi), format="csv", as_known_at=then)


def _domain_of(kpi: Kpi) -> str:
    return next((d.name for d in glass.town().domains if any(k.id == kpi.id for k in d.kpis)), "")


def _looks(side: Side, chosen: str | None, *, begins: bool) -> str:
    return " ".join(filter(None, ["chosen" if side.ward == chosen else "", "tier" if begins else ""]))


def _sure(kpi: Kpi, side: Side) -> str | None:
    """How sure a ward's value is, for whoever points at its bar."""
    if side.value is None:
        return None
    parts = [
        side.hidden and _("{hidden}: not compared", hidden=side.hidden),
        f"n = {side.n}" if side.n is not None else None,
    ]
    if side.low is not None:
        span = _(
            "{low} to {high}",
            low=wording.number(side.low, kpi.decimals),
            high=wording.number(side.high, kpi.decimals),
        )
        parts.append(f"{span} ({side.method})")
    return ", ".join(filter(None, parts)) or None


def _bar(
    state: Mapping[str, Any], kpi: Kpi, side: Side, wards: Mapping[str, str], *, top: float, looks: str
) -> html.Li:
    key = f"{kpi.id}|ward:{side.ward}"
    status = (state["kpis"].get(key) or {"status": "no data"})["status"]
    width = 0 if side.value is None else min(100.0, 100 * abs(side.value) / top)
    aim = (
        [html.Span(className="bar-target", style={"insetInlineStart": f"{100 * abs(kpi.target) / top:.1f}%"})]
        if kpi.target is not None
        else []
    )
    name = wards.get(side.ward, side.ward)
    return html.Li(
        [
            html.A(name, href=f"?ward={side.ward}", className="bar-name", **props({"data-nav": "ward"})),
            html.Span(
                [html.Span(className="bar-fill", style={"width": f"{width:.1f}%"}, **props({"data-f": "bar"})), *aim],
                className="bar-track",
            ),
            html.Span(wording.number(side.value, kpi.decimals), className="bar-value", **props({"data-f": "value"})),
            chip(status),
        ],
        className=looks,
        title=_sure(kpi, side),
        **props({"data-kpi": key, "data-state": status, "data-every": wording.interval_s(kpi)}),
    )
