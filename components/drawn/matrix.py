"""Cells in rows and columns: where and when it is too much, at one look."""

from typing import Any

from components import wording
from components.drawn.sheet import Sheet, column, decimals_of, figure, short, spoken, state_of
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Matrix

ROW, CELL, TOP = 40.0, 19.0, 18.0
# With more columns there is no room for figures in the cells, nor for every name above.
NO_FIGURES, NAMED = 14, 13


def draw(form: Matrix, shown: Shown) -> str:
    """Row below row; the columns are named above the first."""
    rows = shown.rows
    if rows.is_empty():
        return ""
    columns = rows.select(form.column).unique(maintain_order=True)[form.column].to_list()
    lines = rows.select(form.row).unique(maintain_order=True)[form.row].to_list()
    cells = {(row[form.row], row[form.column]): row for row in rows.iter_rows(named=True)}
    sheet, wide = Sheet(), 100 / len(columns)
    every = -(-len(columns) // NAMED)
    for place, name in enumerate(columns):
        if place % every == 0:
            sheet.text(place * wide + wide / 2, 11, short(name, max(5, 56 // len(columns))), "d-tick", anchor="middle")
    for place, line in enumerate(lines):
        y = TOP + place * ROW
        sheet.label(y + 13, short(line, 64))
        for number, name in enumerate(columns):
            _cell(sheet, form, shown, cells.get((line, name)), x=number * wide, y=y + 18, wide=wide)
    return sheet.svg(TOP + len(lines) * ROW)


def _cell(
    sheet: Sheet, form: Matrix, shown: Shown, row: dict[str, Any] | None, *, x: float, y: float, wide: float
) -> None:
    declared = column(shown, form.value)
    value = row[form.value] if row else None
    state = "no data" if row is None or value is None else state_of(row)
    words = f"{spoken(str(row[form.row]))}, {spoken(str(row[form.column]))}: {figure(value, declared)}" if row else ""
    note = f", {spoken(str(row[form.note]))}" if row and form.note and row[form.note] else ""
    sheet.rect(x + 0.15, y, (wide - 0.3, CELL), "d-cell", state=state, hint=words + note)
    if value is not None and wide > 100 / NO_FIGURES:
        figures = wording.number(value, 0 if abs(value) >= 100 else decimals_of(declared, value))
        sheet.text(x + wide / 2, y + 13.5, figures, "d-figure", anchor="middle")
