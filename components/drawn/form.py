"""Which drawing a form has, and how much room it wants."""

from collections.abc import Callable, Mapping
from typing import Any

from components.drawn import bars, calendar, flow, funnel, lines, marks, matrix, strip
from components.drawn.sheet import legend
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Bars, Calendar, Flow, Form, Funnel, Lines, Marks, Matrix, Strip

Draw = Callable[[Any, Shown], str]
DRAWINGS: Mapping[type[Form], Draw] = {
    Bars: bars.draw,
    Calendar: calendar.draw,
    Flow: flow.draw,
    Funnel: funnel.draw,
    Lines: lines.draw,
    Marks: marks.draw,
    Matrix: matrix.draw,
    Strip: strip.draw,
}
WIDE = (Flow, Strip)


def drawing(shown: Shown) -> str:
    """The SVG of a picture; nothing when there is nothing to draw."""
    form = shown.picture.form
    return "" if shown.rows.is_empty() else DRAWINGS[type(form)](form, shown)


def key(shown: Shown) -> str:
    """What the looks of a drawing mean."""
    form = shown.picture.form
    return legend(shown, getattr(form, "limit", None), type(form).__name__.lower())


def room(shown: Shown) -> str:
    """How much room it wants beside others: wide, or narrow."""
    return "wide" if isinstance(shown.picture.form, WIDE) else "narrow"
