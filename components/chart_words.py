"""A chart for whoever does not see it: one sentence, and the newest values as a table."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dash import html

from components import wording
from components.drawing import Drawing
from components.props import props
from components.tongue import _, current

MOST_ROWS = 24
Values = Sequence[float | None]
Line = tuple[Sequence[str], Values]


def told(x: Sequence[str], y: Values, decimals: int, unit: str) -> str:
    """Where the line ends, and between which values it ran: one sentence."""
    known = [(at, value) for at, value in zip(x, y, strict=True) if value is not None]
    if not known:
        return _("No value in the time shown.")
    low, high = (wording.number(pick(value for _at, value in known), decimals) for pick in (min, max))
    last = f"{wording.number(known[-1][1], decimals)} {unit}".strip()
    words = _("Last {last}, {when}; lowest {low}, highest {high} since {start}.")
    return words.format(last=last, when=_day(known[-1][0]), low=low, high=high, start=_day(known[0][0]))


def _day(text: str) -> str:
    """An instant of the chart's axis, which is the town's own time, in words."""
    at = datetime.fromisoformat(text)
    return f"{current().day(at, 'yMMMd')} {current().digits(f'{at:%H:%M}')}"


def drawn(
    graph: Drawing,
    line: tuple[Sequence[str], Values],
    unit: str,
    *,
    decimals: int,
    data: Mapping[str, str] | None = None,
) -> list[Any]:
    """The chart under a name that is its sentence, and its newest values behind a disclosure."""
    x, y = line
    sentence = told(x, y, decimals, unit)
    box = html.Div(graph, className="chart-box", role="img", **props({"aria-label": sentence, **(data or {})}))
    return [box, _table(x, y, decimals, unit)]


def _table(x: Sequence[str], y: Values, decimals: int, unit: str) -> html.Details:
    newest = list(zip(x, y, strict=True))[: -MOST_ROWS - 1 : -1]
    head = html.Thead(html.Tr([html.Th(_("Time"), scope="col"), html.Th(unit or _("Value"), scope="col")]))
    body = [
        html.Tr([html.Th(_day(at), scope="row"), html.Td(wording.number(value, decimals), className="num")])
        for at, value in newest
    ]
    table = html.Table([head, html.Tbody(body)], className="table table-quiet raw")
    more = html.P(_("The newest {n} values; all of them are in the CSV.", n=len(newest)), className="sub")
    return html.Details([html.Summary(_("As a table")), table, more], className="explain chart-table")
