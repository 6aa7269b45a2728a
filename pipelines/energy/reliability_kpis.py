"""The KPIs of reliability, declared: every index of the month and of the year."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pipelines.energy.major_events import saidi_without_major_events, t_med
from pipelines.energy.reliability import asai, caidi, maifi, of_the_year, saidi, saifi
from pipelines.energy.services import customers_without_power
from pipelines.engine.model import Kpi, every, rolling

ALL = ("town", "ward", "asset")
IEEE = "IEEE Std 1366, clause 3; an interruption counts in the period in which it began"
ISO = f"{IEEE}; ISO 37120 7.7 and U4SSC ES 2C are this index"
SIX_YEARS = timedelta(days=6 * 366)
# The convention of 100 minutes and 1 interruption is one of a year; a month is promised a twelfth of it.
YEAR_MINUTES, YEAR_INTERRUPTIONS = 100.0, 1.0
YEAR_POWER_PCT = 100 * (1 - YEAR_MINUTES / (60 * 8760))


def _month_and_year(
    index: Callable[..., Any], title: str, *, month_target: float | None, year_target: float | None, **told: Any
) -> tuple[Kpi, Kpi]:
    """The index declared twice: over the month, and under `<index>_year` over the year."""
    same = {"catalogue": "EN-01", "levels": ALL, "better": "lower", "standard": IEEE} | told
    headline = index is saidi
    month = Kpi(
        function=index,
        title=f"{title}, this month",
        window=every("month"),
        target=month_target,
        headline=headline,
        **same,
    )
    year = Kpi(
        function=of_the_year(index), title=f"{title}, this year", window=every("year"), target=year_target, **same
    )
    return month, year


INDICES = (
    *_month_and_year(
        saifi,
        "Interruptions per customer (SAIFI)",
        month_target=YEAR_INTERRUPTIONS / 12,
        year_target=YEAR_INTERRUPTIONS,
        plain="How often the average customer lost power for more than five minutes.",
        formula="customers interrupted for more than 5 min / customers served",
        unit="interruption",
        decimals=2,
    ),
    *_month_and_year(
        saidi,
        "Minutes without power per customer (SAIDI)",
        month_target=YEAR_MINUTES / 12,
        year_target=YEAR_MINUTES,
        plain="How many minutes the average customer was without power.",
        formula="sum of customers x minutes (interruptions of more than 5 min) / customers served",
        unit="minute",
    ),
    *_month_and_year(
        caidi,
        "Minutes until power is back (CAIDI)",
        month_target=YEAR_MINUTES / YEAR_INTERRUPTIONS,
        year_target=YEAR_MINUTES / YEAR_INTERRUPTIONS,
        plain="When the power fails, after how many minutes it is back on average.",
        formula="sum of customers x minutes / customers interrupted (interruptions of more than 5 min)",
        standard=ISO,
        unit="minute",
    ),
    *_month_and_year(
        asai,
        "Time with power (ASAI)",
        month_target=YEAR_POWER_PCT,
        year_target=YEAR_POWER_PCT,
        plain="Of 100 hours so far, how many the average customer had power.",
        formula="100 x (customer-hours so far - customer-hours without power) / customer-hours so far",
        unit="percent",
        better="higher",
        scale=100,
        decimals=3,
    ),
    *_month_and_year(
        maifi,
        "Short interruptions per customer (MAIFI)",
        month_target=None,
        year_target=None,
        plain="How often the power blinked: away for five minutes or less.",
        formula="customers interrupted for at most 5 min / customers served",
        unit="interruption",
        better="context",
        decimals=2,
    ),
)

RELIABILITY = (
    *INDICES,
    Kpi(
        function=saidi_without_major_events,
        catalogue="EN-02",
        title="Minutes without power, storm days left out",
        plain="How many minutes the average customer was without power this month on ordinary days.",
        formula="SAIDI without the days (of the town) whose SAIDI is above T_MED",
        standard="IEEE Std 1366, clause 5; T_MED of the five years before, provisional under 100 days",
        unit="minute",
        window=every("month"),
        levels=("town", "ward"),
        better="context",
        lookback=SIX_YEARS,
    ),
    Kpi(
        function=t_med,
        catalogue="EN-02",
        title="Threshold of a major event day (T_MED)",
        plain="From how many minutes without power per customer a day of this year counts as a storm day.",
        formula="exp(mean + 2.5 x standard deviation) of ln(daily SAIDI) over five years, days with 0 left out",
        standard="IEEE Std 1366, clause 5 (2.5 beta), sample standard deviation",
        unit="minute",
        window=every("year"),
        levels=("town",),
        better="context",
        lookback=SIX_YEARS,
    ),
    Kpi(
        function=customers_without_power,
        catalogue="EN-01",
        title="Customers without power now",
        plain="How many customers have no power at this moment.",
        formula="sum of the customers of outages that have begun and are not restored at the end of the window",
        standard="IEEE Std 1366, clause 3 (customers interrupted), as a state",
        unit="customer",
        window=rolling(24),
        levels=ALL,
        better="lower",
        target=0,
        decimals=0,
        lookback=None,
        headline=True,
    ),
)
