"""Stages that follow one another: how many came so far, and how many were lost on the way."""

from components.drawn.sheet import Sheet, column, figure, short, spoken, state_of
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Funnel

STAGE, HIGH = 54.0, 26.0


def draw(form: Funnel, shown: Shown) -> str:
    """A centred bar per stage, as wide as its share of the first; between them what narrows."""
    rows = list(shown.rows.iter_rows(named=True))
    most = max([float(row[form.value] or 0) for row in rows], default=0.0)
    if most <= 0:
        return ""
    sheet, y = Sheet(), 0.0
    for place, row in enumerate(rows):
        value, told = float(row[form.value] or 0), figure(row[form.value], column(shown, form.value))
        wide = max(100 * value / most, 0.4)
        sheet.label(y + 14, short(row[form.stage]))
        note = f"{told} ({spoken(str(row[form.note]))})" if form.note and row[form.note] else told
        sheet.label(y + 14, note, "d-value", end=True)
        sheet.rect(50 - wide / 2, y + 20, (wide, HIGH - 6), "d-bar", state=state_of(row))
        if place + 1 < len(rows):
            then = max(100 * float(rows[place + 1][form.value] or 0) / most, 0.4)
            sheet.stretched(y + 40, STAGE - 20, _narrows(wide * 10, then * 10))
        y += STAGE
    return sheet.svg(y)


def _narrows(wide: float, then: float) -> str:
    a, b, c, d = 500 - wide / 2, 500 + wide / 2, 500 + then / 2, 500 - then / 2
    return f'<path class="d-narrows" d="M{a:.1f} 0H{b:.1f}L{c:.1f} {STAGE - 20:.1f}H{d:.1f}Z"/>'
