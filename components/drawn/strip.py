"""A band per lane with a tick for each thing that came: what came in a clump, and what left a hole, is seen."""

import polars as pl

from components import glass, wording
from components.drawn import axis
from components.drawn.sheet import Sheet, short, spoken, state_of
from pipelines.engine.gallery import Shown
from pipelines.engine.picture import Strip

LANE, BAND = 44.0, 18.0
# A tick is so wide; one that matters is wider, so that it is seen without its colour.
WIDE = {"breach": 0.9, "watch": 0.6}
USUAL = 0.35


def draw(form: Strip, shown: Shown) -> str:
    """The bands from top to bottom, with one axis of time below them."""
    sheet, y = Sheet(timed=True), 0.0
    rows = shown.rows.drop_nulls(form.at)
    if rows.is_empty():
        return ""
    zone = glass.town().zone
    first, last = axis.extent(rows[form.at].to_list())
    edge = (last - first) * 0.01
    span = (first - edge, last + edge)
    lanes = rows.select(form.lane).unique(maintain_order=True)[form.lane].to_list()
    for lane in lanes:
        sheet.label(y + 14, short(lane, 64))
        sheet.rect(0, y + 20, (100, BAND), "d-track")
        for row in rows.filter(pl.col(form.lane) == lane).iter_rows(named=True):
            state, place = state_of(row), axis.across(row[form.at], span)
            wide = WIDE.get(state, USUAL)
            words = wording.clock(row[form.at], zone)
            hint = f"{words}, {spoken(str(row[form.note]))}" if form.note and row[form.note] else words
            # A tick that matters stands out of its band.
            out = 3 if state in WIDE else 0
            sheet.rect(place - wide / 2, y + 20 - out, (wide, BAND + 2 * out), "d-tickmark", state=state, hint=hint)
        y += LANE
    axis.draw(sheet, span, zone, top=y - 4, bottom=y)
    return sheet.svg(y + 18)
