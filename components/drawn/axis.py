"""The axis of time below a drawing: a few marks at round hours and days of the town, named in the reader's words."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from components.drawn.sheet import Sheet
from components.tongue import current

MOST_TICKS = 6
STEPS = (
    timedelta(minutes=15), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3), timedelta(hours=6),
    timedelta(hours=12), timedelta(days=1), timedelta(days=2), timedelta(days=5), timedelta(days=7),
    timedelta(days=14), timedelta(days=30), timedelta(days=60), timedelta(days=90),
)  # fmt: skip
DAY = timedelta(days=1)


def extent(instants: Sequence[datetime]) -> tuple[datetime, datetime]:
    """From the first to the last, a minute at least."""
    first, last = min(instants), max(instants)
    return (first, last) if last > first else (first, first + timedelta(minutes=1))


def across(at: datetime, span: tuple[datetime, datetime]) -> float:
    """Where an instant lies, in per cent."""
    return 100 * (at - span[0]) / (span[1] - span[0])


def ticks(span: tuple[datetime, datetime], zone: str) -> list[tuple[float, str]]:
    """Places in per cent and their names."""
    step = _step(span[1] - span[0])
    here = ZoneInfo(zone)
    first = span[0].astimezone(here).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    found, at = [], first
    while (instant := at.replace(tzinfo=here)) <= span[1]:
        if instant >= span[0]:
            found.append((across(instant, span), _name(at, step)))
        at += step
    return found


def local_ticks(first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """Instants on the town's clock from one to the other, which are on it already, and their names."""
    step = _step(last - first)
    found, at = [], first.replace(hour=0, minute=0, second=0, microsecond=0)
    while at <= last:
        if at >= first:
            found.append((at, _name(at, step)))
        at += step
    return found


def _step(length: timedelta) -> timedelta:
    return next((one for one in STEPS if length / one <= MOST_TICKS), STEPS[-1])


def _name(at: datetime, step: timedelta) -> str:
    tongue = current()
    if step >= DAY or at.hour == at.minute == 0:
        return tongue.day(at, "MMMd")
    return tongue.digits(f"{at:%H:%M}")


def draw(sheet: Sheet, span: tuple[datetime, datetime], zone: str, *, top: float, bottom: float) -> None:
    """The marks from `top` to `bottom` with their names below."""
    for place, name in ticks(span, zone):
        sheet.rule(place, (top, bottom), "d-grid")
        anchor = "start" if place < 4 else "end" if place > 96 else "middle"
        sheet.text(place, bottom + 13, name, "d-tick", anchor=anchor)
