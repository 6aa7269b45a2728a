"""Small charts, one per lane, over the same time: the line, its limit, and what is pointed at."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import polars as pl

from components import glass, wording
from components.drawn import axis
from components.drawn.sheet import Sheet, column, decimals_of, figure, short, span_of
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Lines

LANE, HIGH = 74.0, 44.0
GAPS = 2.5
FAR_ABOVE = 0.5
Span = tuple[datetime, datetime]


def draw(form: Lines, shown: Shown) -> str:
    """The lanes from top to bottom, with one axis of time below them."""
    sheet, y = Sheet(timed=True), 0.0
    rows = shown.rows.drop_nulls(form.at).sort(form.at)
    if rows.is_empty():
        return ""
    span = axis.extent(rows[form.at].to_list())
    lanes = shown.rows.select(form.lane).unique(maintain_order=True)[form.lane].to_list()
    axis.draw(sheet, span, glass.town().zone, top=18, bottom=LANE * len(lanes))
    for lane in lanes:
        _lane(sheet, form, shown, rows.filter(pl.col(form.lane) == lane), y=y, span=span)
        y += LANE
    return sheet.svg(y + 18)


def _lane(sheet: Sheet, form: Lines, shown: Shown, rows: pl.DataFrame, *, y: float, span: Span) -> None:
    values, declared = rows[form.value].to_list(), column(shown, form.value)
    limit = next((one for one in reversed(rows[form.limit].to_list()) if one is not None), None) if form.limit else None
    low, high = _reach([*values, limit])
    last = next((one for one in reversed(values) if one is not None), None)
    top = y + 22

    def height(value: float) -> float:
        return HIGH - (HIGH - 2) * (value - low) / (high - low) - 1

    sheet.label(y + 14, short(rows[form.lane][0]))
    sheet.label(y + 14, figure(last, declared), "d-value", end=True)
    sheet.level(top + HIGH, "d-base")
    path = _path([(10 * axis.across(at, span), v) for at, v in zip(rows[form.at], values, strict=True)], height)
    aim = f'<path class="d-aim" d="M0 {height(limit):.1f}H1000"/>' if limit is not None else ""
    sheet.stretched(top, HIGH, f'{aim}<path class="d-line" d="{path}"/>')
    events = rows.select(form.at, form.mark).drop_nulls().iter_rows() if form.mark else iter(())
    for at, words in events:
        _mark(sheet, axis.across(at, span), (top, top + HIGH), str(words))
    sheet.label(top + 10, wording.number(high, decimals_of(declared, high)), "d-most", end=True)
    sheet.label(top + HIGH - 3, wording.number(low, decimals_of(declared, low)), "d-most", end=True)


def _reach(values: list[float | None]) -> tuple[float, float]:
    """From zero, unless all lies so far above it that nothing would be seen to move."""
    low, high = span_of(values)
    least = min((value for value in values if value is not None), default=0.0)
    if low < 0 or least < high * FAR_ABOVE:
        return low, high
    edge = max((high - least) * 0.3, high * 0.05)
    return max(0.0, least - edge), high + edge


def _mark(sheet: Sheet, place: float, y: tuple[float, float], words: str) -> None:
    sheet.rule(place, y, "d-step")
    anchor = "end" if place > 60 else "start"
    sheet.text(place + (-0.6 if place > 60 else 0.6), y[0] + 10, short(words), "d-event", anchor=anchor)


def _path(points: list[tuple[float, float | None]], height: Callable[[float], float]) -> str:
    """The line through the points; broken where a value is missing, or several steps are."""
    steps = sorted(b[0] - a[0] for a, b in pairwise(points))
    usual = steps[len(steps) // 2] if steps else 0.0
    path, before = "", None
    for x, value in points:
        if value is None:
            before = None
            continue
        apart = before is not None and x - before > max(usual * GAPS, 0.5)
        pen = "M" if before is None or apart else "L"
        path += f"{pen}{x:.1f} {height(value):.1f}"
        before = x
    return path
