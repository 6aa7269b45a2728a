"""The few words that the plain-Python oracles are made of; nothing of them comes from the product."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]
Rows = list[dict[str, Any]]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Span:
    """One window: [start, end), known so far up to `as_of`."""

    start: datetime
    end: datetime
    as_of: datetime

    def holds(self, at: datetime | None) -> bool:
        return at is not None and self.start <= at < self.end

    @property
    def seconds(self) -> float:
        """So far."""
        return (self.as_of - self.start).total_seconds()


def latest(rows: Iterable[Row], *key: str) -> Rows:
    """Rows in the order in which they came, the last one of each key."""
    return list({tuple(row[name] for name in key): dict(row) for row in rows}.values())


def areas(rows: Iterable[Row], levels: Sequence[str]) -> dict[str, Rows]:
    """The rows by area: all are the town's, those with a ward also the ward's, and so on."""
    found: dict[str, Rows] = {}
    for row in rows:
        for level in levels:
            if level == "town":
                found.setdefault("town", []).append(dict(row))
            elif row.get(level) is not None:
                found.setdefault(f"{level}:{row[level]}", []).append(dict(row))
    return found


def grouped(rows: Iterable[Row], *key: str) -> dict[Any, Rows]:
    """The rows by some of their columns; by the column itself when it is one."""
    found: dict[Any, Rows] = {}
    for row in rows:
        own = tuple(row[name] for name in key)
        found.setdefault(own if len(own) > 1 else own[0], []).append(dict(row))
    return found


def total(rows: Iterable[Row], name: str) -> float:
    """The sum of a column, nulls left out."""
    return math.fsum(row[name] for row in rows if row[name] is not None)


def mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def divided(part: float | None, whole: float | None) -> float | None:
    return None if part is None or not whole else part / whole


def shared(flags: Iterable[bool | None]) -> float | None:
    """The share of true among those that are not null."""
    known = [flag for flag in flags if flag is not None]
    return sum(known) / len(known) if known else None


def percentile(values: Iterable[float], share: float) -> float | None:
    """Hyndman-Fan type 7."""
    ordered = sorted(values)
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low = ordered[math.floor(place)]
    return low + (ordered[math.ceil(place)] - low) * (place - math.floor(place))


def deviation(values: Sequence[float]) -> float | None:
    """The sample standard deviation."""
    if len(values) < 2:
        return None
    middle = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (len(values) - 1))


def local(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone))


def per_area(rows: Iterable[Row], levels: Sequence[str], value: Callable[[Rows], Any]) -> dict[str, Any]:
    """A value of each area's rows."""
    return {area: value(own) for area, own in areas(rows, levels).items()}
