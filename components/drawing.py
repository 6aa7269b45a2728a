"""SVG that the server draws, inside the Dash layout: sparklines, strips and the map."""

from collections.abc import Sequence
from typing import Any

from dash.development.base_component import Component


class Drawing(Component):
    """A box whose content is markup made by us; the page's script may change it afterwards.

    `markup` is never a person's text: whoever makes it escapes names with `html.escape`. `tag` and `attributes` (as
    React names them) make it an element of another kind: see settled.py.
    """

    _children_props: Any = []  # noqa: RUF012  Dash reads plain attributes
    _base_nodes: Any = ["children"]  # noqa: RUF012  Dash reads plain attributes
    _namespace = "townboard"
    _type = "Drawing"
    _prop_names: Any = [  # noqa: RUF012  Dash reads plain attributes
        "id", "className", "markup", "role", "label", "tag", "attributes", "data-*",
    ]  # fmt: skip
    _valid_wildcard_attributes: Any = ["data-", "aria-"]  # noqa: RUF012  Dash reads plain attributes
    available_properties: Any = [  # noqa: RUF012  Dash reads plain attributes
        "id", "className", "markup", "role", "label", "tag", "attributes",
    ]  # fmt: skip
    available_wildcard_properties: Any = ["data-", "aria-"]  # noqa: RUF012  Dash reads plain attributes

    def __init__(self, markup: str, className: str = "", **rest: object) -> None:
        self._prop_names = list(self._prop_names)
        super().__init__(markup=markup, **({"className": className} if className else {}), **rest)  # type: ignore[no-untyped-call]


def spark(values: Sequence[float | None], target: float | None = None) -> str:
    """A sparkline of the values, oldest first, with gaps where a value is missing and a dashed line at the target."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return '<svg class="spark-svg" viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true"></svg>'
    low, high = min(known), max(known)
    if target is not None and low - (high - low) <= target <= high + (high - low):
        low, high = min(low, target), max(high, target)
    span = (high - low) or 1.0
    step = 116 / max(1, len(values) - 1)

    def height(value: float) -> str:
        return f"{25 - 22 * (value - low) / span:.1f}"

    path, pen = "", "M"
    for index, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        path += f"{pen}{2 + index * step:.1f} {height(value)}"
        pen = "L"
    aim = (
        f'<path class="spark-target" d="M0 {height(target)}H120"/>'
        if target is not None and low <= target <= high
        else ""
    )
    return (
        '<svg class="spark-svg" viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true">'
        f'{aim}<path class="spark-line" d="{path}"/></svg>'
    )


def bars(values: Sequence[float | None], target: float | None = None) -> str:
    """The few values of months or years as bars from zero, oldest first, with a dashed line at the target."""
    shown = list(values)[-12:]
    top = max([abs(v) for v in shown if v is not None] + [abs(target or 0)]) or 1.0
    step = min(20.0, 120 / max(1, len(shown)))
    drawn = "".join(
        f'<path class="spark-bar" d="M{index * step + 1:.1f} 28h{step - 2:.1f}V{28 - 26 * abs(value) / top:.1f}'
        f'h-{step - 2:.1f}Z"/>'
        for index, value in enumerate(shown)
        if value is not None
    )
    aim = f'<path class="spark-target" d="M0 {28 - 26 * abs(target) / top:.1f}H120"/>' if target is not None else ""
    return (
        f'<svg class="spark-svg" viewBox="0 0 120 28" preserveAspectRatio="none" aria-hidden="true">{drawn}{aim}</svg>'
    )
