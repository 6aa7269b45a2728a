"""Bars with their limits, in groups: the label begins the line, the figure ends it, the bar lies below."""

from components.drawn.sheet import Row, Sheet, column, figure, short, span_of, spoken, state_of
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Bars

ROW, NOTED, HEAD, BAR = 34.0, 47.0, 26.0, 9.0


def draw(form: Bars, shown: Shown) -> str:
    """A bar per row; the group's name where a group begins."""
    sheet, y, group = Sheet(), 0.0, None
    rows = list(shown.rows.iter_rows(named=True))
    limits = [row[form.limit] for row in rows] if form.limit else []
    top = form.full or span_of([*(row[form.value] for row in rows), *limits])[1] * 1.04
    for row in rows:
        if form.group and row[form.group] != group:
            group = row[form.group]
            sheet.label(y + 16, spoken(str(group)), "d-head")
            y += HEAD
        y += _row(sheet, form, shown, row, y=y, top=top)
    return sheet.svg(y)


def _row(sheet: Sheet, form: Bars, shown: Shown, row: Row, *, y: float, top: float) -> float:
    """One bar at this height; how much room it took."""
    value, told = row[form.value], figure(row[form.value], column(shown, form.value))
    if form.more and row[form.more] is not None:
        told = f"{told} · {figure(row[form.more], column(shown, form.more))}"
    sheet.label(y + 12, short(row[form.label]))
    sheet.label(y + 12, told, "d-value", end=True)
    sheet.rect(0, y + 18, (100, BAR), "d-track")
    if value is not None:
        wide = 100 * max(0.0, min(1.0, value / top))
        sheet.rect(0, y + 18, (wide, BAR), "d-bar", state=state_of(row), hint=f"{short(row[form.label])}: {told}")
    if form.limit and row[form.limit] is not None:
        sheet.rule(min(99.6, 100 * row[form.limit] / top), (y + 15, y + 30), "d-limit")
    if form.note and row[form.note]:
        sheet.label(y + 39, short(row[form.note], 64), "d-note")
    return NOTED if form.note and row[form.note] else ROW
