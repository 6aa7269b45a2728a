"""Days as cells, a column per week and a block per lane: a season at one look."""

from datetime import date, timedelta
from typing import Any

from components import wording
from components.drawn.sheet import Sheet, column, figure, short, spoken, state_of
from components.tongue import current
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Calendar

CELL, GAP, HEAD, MONTHS = 17.0, 2.0, 24.0, 16.0
WEEK = 7
# So wide a column is at most, in per cent: few weeks are not drawn as bands.
WIDEST = 5.6
# From so many weeks on there is no room for figures in the cells.
NO_FIGURES = 20


def draw(form: Calendar, shown: Shown) -> str:
    """Block below block; weeks begin on Mondays."""
    rows = shown.rows.drop_nulls(form.day)
    if rows.is_empty():
        return ""
    days = rows[form.day].to_list()
    first = min(days) - timedelta(days=min(days).weekday())
    weeks = (max(days) - first).days // WEEK + 1
    wide = min(WIDEST, 100 / weeks)
    sheet, y = Sheet(timed=True), 0.0
    lanes = rows.partition_by(form.lane, maintain_order=True) if form.lane else [rows]
    for lane in lanes:
        if form.lane:
            sheet.label(y + 15, short(lane[form.lane][0], 64))
            y += HEAD
        _months(sheet, first, weeks, wide=wide, y=y + 11)
        for row in lane.iter_rows(named=True):
            _cell(sheet, form, shown, row, first=first, wide=wide, y=y + MONTHS, figures=weeks < NO_FIGURES)
        y += MONTHS + WEEK * (CELL + GAP) + 8
    return sheet.svg(y)


def _months(sheet: Sheet, first: date, weeks: int, *, wide: float, y: float) -> None:
    """The name of each month above the week in which it begins."""
    last = -9
    for week in range(weeks):
        ends = first + timedelta(days=WEEK * week + WEEK - 1)
        if (week == 0 or ends.day <= WEEK) and week - last > 2:
            sheet.text(week * wide, y, current().months()[ends.month - 1], "d-tick")
            last = week


def _cell(
    sheet: Sheet,
    form: Calendar,
    shown: Shown,
    row: dict[str, Any],
    *,
    first: date,
    wide: float,
    y: float,
    figures: bool,
) -> None:
    day: date = row[form.day]
    week, weekday = divmod((day - first).days, WEEK)
    value, state = row[form.value], state_of(row)
    told = figure(value, column(shown, form.value))
    words = f"{current().day(day, 'yMMMd')}: {told}"
    note = f", {spoken(str(row[form.note]))}" if form.note and row[form.note] else ""
    top = y + weekday * (CELL + GAP)
    known = state if value is not None else "no data"
    sheet.rect(week * wide + 0.1, top, (wide - 0.2, CELL), "d-cell", state=known, hint=words + note)
    if figures and value is not None:
        sheet.text(week * wide + wide / 2, top + 12.5, wording.number(value, 0), "d-figure", anchor="middle")
