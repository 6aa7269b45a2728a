"""A chart as the server draws it: the same lines, axes and names that Plotly puts in its place once somebody looks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from itertools import pairwise
from typing import Any

Trace = Mapping[str, Any]
# The drawing is so many units wide and high, and stretched to its place; strokes are not.
WIDE, HIGH = 1000.0, 200.0


@dataclass(frozen=True)
class _Scale:
    """From a chart's axes to the units of the drawing."""

    first: datetime
    last: datetime
    low: float
    high: float

    def x(self, at: datetime) -> float:
        return WIDE * (at - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        return HIGH * (self.high - value) / (self.high - self.low)


def picture(figure: Mapping[str, Any]) -> str:
    """A line or bar chart with ticks that are named, as markup that fits any place."""
    layout = figure["layout"]
    (first, last), (low, high) = layout["xaxis"]["range"], layout["yaxis"]["range"]
    scale = _Scale(datetime.fromisoformat(first), datetime.fromisoformat(last), low, high)
    body = "".join((*_grid(layout, scale), *_shades(figure["data"], scale), *_marks(figure["data"][0], scale)))
    body += "".join(_limit(shape, scale) for shape in layout.get("shapes", ()))
    names = "".join((*_tick_names(layout, scale), *_limit_names(layout, scale)))
    sides = layout["margin"]
    place = ";".join(f"{side}:{sides[side[0]]}px" for side in ("left", "right", "top", "bottom"))
    svg = f'<svg viewBox="0 0 {WIDE:g} {HIGH:g}" preserveAspectRatio="none">{body}</svg>'
    return f'<div class="ch-plot" style="{place}" aria-hidden="true">{svg}{names}</div>'


def _grid(layout: Mapping[str, Any], scale: _Scale) -> Iterator[str]:
    for value in layout["yaxis"]["tickvals"]:
        yield f'<path class="ch-grid" d="M0 {scale.y(value):.1f}H{WIDE:g}"/>'
    yield f'<path class="ch-axis" d="M0 0V{HIGH:g}H{WIDE:g}"/>'


def _shades(traces: Sequence[Trace], scale: _Scale) -> Iterator[str]:
    """The band between a trace and the one before it."""
    for lower, upper in pairwise(traces):
        if upper.get("fill") == "tonexty":
            there = _points(upper, scale)
            back = _points(lower, scale)[::-1]
            outline = "L".join(f"{x:.1f} {y:.1f}" for x, y in (*there, *back))
            yield f'<path class="ch-band" d="M{outline}Z"/>'


def _points(trace: Trace, scale: _Scale) -> list[tuple[float, float]]:
    return [(scale.x(datetime.fromisoformat(at)), scale.y(v)) for at, v in zip(trace["x"], trace["y"], strict=True)]


def _marks(trace: Trace, scale: _Scale) -> Iterator[str]:
    """The line, broken where a value is missing, with its points where they are few; or the bars."""
    known = [
        (scale.x(datetime.fromisoformat(at)), None if value is None else scale.y(value))
        for at, value in zip(trace["x"], trace["y"], strict=True)
    ]
    if trace["type"] == "bar":
        span = (scale.last - scale.first).total_seconds() * 1000
        yield _bars(known, WIDE * trace["width"] / span, scale.y(0.0))
        return
    yield f'<path class="ch-line" d="{_line(known)}"/>'
    if "markers" in trace["mode"]:
        yield f'<path class="ch-dots" d="{"".join(f"M{x:.1f} {y:.1f}h0" for x, y in known if y is not None)}"/>'


def _line(points: Sequence[tuple[float, float | None]]) -> str:
    path, pen = "", "M"
    for x, y in points:
        if y is None:
            pen = "M"
            continue
        path += f"{pen}{x:.1f} {y:.1f}"
        pen = "L"
    return path


def _bars(points: Sequence[tuple[float, float | None]], width: float, ground: float) -> str:
    drawn = (f"M{x - width / 2:.1f} {ground:.1f}V{y:.1f}h{width:.1f}V{ground:.1f}Z" for x, y in points if y is not None)
    return f'<path class="ch-bars" d="{"".join(drawn)}"/>'


def _limit(shape: Mapping[str, Any], scale: _Scale) -> str:
    return f'<path class="ch-limit" stroke="{shape["line"]["color"]}" d="M0 {scale.y(shape["y0"]):.1f}H{WIDE:g}"/>'


def _tick_names(layout: Mapping[str, Any], scale: _Scale) -> Iterator[str]:
    x, y = layout["xaxis"], layout["yaxis"]
    for at, name in zip(x["tickvals"], x["ticktext"], strict=True):
        place = 100 * scale.x(datetime.fromisoformat(at)) / WIDE
        yield f'<span class="ch-x" style="left:{place:.2f}%">{escape(name)}</span>'
    for value, name in zip(y["tickvals"], y["ticktext"], strict=True):
        yield f'<span class="ch-y" style="top:{100 * scale.y(value) / HIGH:.2f}%">{escape(name)}</span>'


def _limit_names(layout: Mapping[str, Any], scale: _Scale) -> Iterator[str]:
    """The names of the limits in the margin; their line breaks are Plotly's own, all else is text."""
    for one in layout.get("annotations", ()):
        words = "<br>".join(escape(part) for part in one["text"].split("<br>"))
        place = 100 * scale.y(one["y"]) / HIGH
        top = f"calc({place:.2f}% - {one['yshift']}px)"
        yield f'<span class="ch-name" data-at="{one["yanchor"]}" style="top:{top}">{words}</span>'
