"""The month or day that a report is of, and the board as it stood when that was over."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from components import glass
from components.tongue import current
from pipelines.engine import known
from pipelines.engine.asking import Misasked
from pipelines.engine.calendar import last_whole

FORMS = {"month": re.compile(r"\d{4}-\d\d\Z"), "day": re.compile(r"\d{4}-\d\d-\d\d\Z")}
EXAMPLES = {"month": "2026-10", "day": "2026-11-22"}


@dataclass(frozen=True)
class Period:
    """A month or a day of the town's calendar; `until` is where its figures end: its own end, or now while it runs."""

    kind: str
    label: str
    start: datetime
    end: datetime
    until: datetime

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens in it."""
        return self.until == self.end

    def spoken(self) -> str:
        """Its name in the language of the report: Oct 2026, 22 Nov 2026."""
        here = self.start.astimezone(ZoneInfo(glass.town().zone))
        return current().day(here, "yMMM" if self.kind == "month" else "yMMMd")


def asked(kind: str, label: str | None, now: datetime, zone: str) -> Period:
    """The period that a label names; without one, the last that is over.

    Raises Misasked: no such label, or one of the future.
    """
    if label is None:
        start, end = last_whole(kind, now, zone)
        here = start.astimezone(ZoneInfo(zone))
        return Period(kind, f"{here:%Y-%m}" if kind == "month" else f"{here:%Y-%m-%d}", start, end, end)
    start, end = _edges(kind, label, ZoneInfo(zone))
    if start >= now:
        raise Misasked(f"`{label}` has not begun yet. Name a {kind} that has, for example {EXAMPLES[kind]}.")
    return Period(kind, label, start, end, min(end, now))


def _edges(kind: str, label: str, zone: ZoneInfo) -> tuple[datetime, datetime]:
    wrong = Misasked(f"`{label[:40]}` is no {kind}. Write it like {EXAMPLES[kind]}.")
    if not FORMS[kind].match(label):
        raise wrong
    try:
        first = date.fromisoformat(label if kind == "day" else f"{label}-01")
        after = first + timedelta(days=1) if kind == "day" else (first + timedelta(days=32)).replace(day=1)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    start, end = (datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC) for day in (first, after))
    return start, end


def board(period: Period) -> Mapping[str, Any] | None:
    """The board when the period was over, or now while it runs; None when it was not on record then."""
    if not period.is_over:
        return glass.state()
    try:
        return {**glass.EMPTY, "seq": 1, "kpis": known.board(glass.town(), period.end)}
    except Misasked:
        return None
