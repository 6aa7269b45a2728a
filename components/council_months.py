"""This month against last month and the same month last year: means of published values, or why there is none."""

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from components import glass, wording
from components.lately import Lately
from components.tongue import _, current, n_
from pipelines.engine.calendar import LENGTHS
from pipelines.engine.model import Kpi
from pipelines.engine.stepped import by_step

KEPT_S, MOST_KEPT = 300.0, 400
YEARLY = ("year", "fiscal_year")


@dataclass(frozen=True)
class Month:
    """One calendar month of a KPI: its value, of how many that it should have how many are known."""

    start: datetime
    value: float | None
    known: int = 0
    expected: int = 0


Months = tuple[Month, Month, Month]
_kept: Lately[Months] = Lately(KEPT_S, MOST_KEPT)


def starts(now: datetime, zone: str) -> tuple[datetime, datetime, datetime]:
    """When this month, last month and this month of last year began in the town."""
    here = now.astimezone(ZoneInfo(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return here.astimezone(UTC), _shifted(here, -1).astimezone(UTC), _shifted(here, -12).astimezone(UTC)


def _shifted(first: datetime, months: int) -> datetime:
    at = first.year * 12 + first.month - 1 + months
    return first.replace(year=at // 12, month=at % 12 + 1)


def after(start: datetime) -> datetime:
    """When the month that begins at `start` is over."""
    return _shifted(start.astimezone(ZoneInfo(glass.town().zone)), 1).astimezone(UTC)


def of(kpi: Kpi, area: str, now: datetime) -> Months | None:
    """This month so far, last month, and this month a year ago; None for a KPI of years."""
    if kpi.window.step in YEARLY:
        return None
    return _kept.of((glass.binding(), kpi.id, area), lambda: _read(kpi, area, now))


def _read(kpi: Kpi, area: str, now: datetime) -> Months:
    zone = glass.town().zone
    this, last, ago = starts(now, zone)
    return (
        month(kpi, area, this, now),
        month(kpi, area, last, this),
        month(kpi, area, ago, after(ago)),
    )


def month(kpi: Kpi, area: str, start: datetime, end: datetime) -> Month:
    """The mean of a KPI's published values in a month, up to `end`, or why there is none."""
    return judged(kpi, glass.town().history(kpi.id, [area], start, end), start, end)


def judged(kpi: Kpi, rows: pl.DataFrame, start: datetime, end: datetime) -> Month:
    """The same of the values of one area."""
    stepped = by_step(rows, "month", kpi.min_coverage, glass.town().zone) if rows.height else pl.DataFrame()
    if not stepped.height:
        return Month(start, None)
    row = stepped.row(0, named=True)
    known, expected = int(row["known"]), max(1, int((end - start) / LENGTHS[kpi.window.step]))
    enough = row["value"] is not None and known >= expected * kpi.min_coverage
    return Month(start, row["value"] if enough else None, known, expected)


def difference(kpi: Kpi, now: Month, then: Month) -> str:
    """How this month is against another, in words; nothing where one of them is not known."""
    if now.value is None or then.value is None:
        return ""
    change = round(now.value - then.value, kpi.decimals)
    if change == 0:
        return _("this month is the same")
    if kpi.better == "context":
        return _("this month is more") if change > 0 else _("this month is less")
    return _("this month is better") if (change > 0) == (kpi.better == "higher") else _("this month is worse")


def name(month: Month) -> str:
    """The month in words: Oct 2026."""
    return current().day(month.start.astimezone(ZoneInfo(glass.town().zone)), "yMMM")


def shown(kpi: Kpi, month: Month) -> str:
    """The month's value with its unit, or why there is none."""
    if month.value is not None:
        return wording.with_unit(month.value, kpi.decimals, kpi.unit)
    if not month.expected:
        return _("not known: nothing was published in it")
    return n_(
        "not known: only {n} of {expected} values is known",
        "not known: only {n} of {expected} values are known",
        month.known, expected=wording.number(month.expected, 0),
    )  # fmt: skip
