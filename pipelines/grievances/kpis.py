"""The KPIs of grievances as declared: GR-01 to GR-12 of the catalogue."""

from datetime import timedelta
from typing import Any

from pipelines.engine.model import Kpi, every, rolling
from pipelines.grievances import backlog, people, settling
from pipelines.grievances.formulas import MIN_EVENTS, MIN_RESPONSES

# what was open at any time may lie years back, so every KPI reads the table whole
WHOLE: dict[str, Any] = {"lookback": None}
PERCENT: dict[str, Any] = {"unit": "percent", "scale": 100, "lookback": None}
# Shares of few cases are chance, and may name a person.
CASES: dict[str, Any] = {**PERCENT, "floor": MIN_EVENTS}

SETTLING = (
    Kpi(
        function=settling.sla_compliance, catalogue="GR-01", title="Settled by the promised date",
        plain="Share of complaints settled by their promised date.",
        formula="100 x closed on or before due / (closed + open and overdue); waiting for the resident moves the date",
        standard="Open311 expected_datetime; SLB redressal", window=every("month"),
        levels=("town", "ward", "service", "department"), better="higher", target=80, watch=60, headline=True,
        **CASES,
    ),
    Kpi(
        function=settling.sla_compliance_gross, catalogue="GR-01", title="Settled by the promised date, pauses counted",
        plain="The same without stopping the clock while the office waited for the resident.",
        formula="100 x closed on or before due / (closed + open and overdue)",
        standard="Open311 expected_datetime; SLB redressal", window=every("month"),
        levels=("town", "ward", "service", "department"), better="higher", target=80, watch=60, **CASES,
    ),
    Kpi(
        function=settling.median_days_to_resolve, catalogue="GR-02", title="Time to settle: median",
        plain="How long half of the complaints take.",
        formula="median of closed - requested (calendar days), of those closed in the month",
        standard="common 311 practice", unit="day", window=every("month"), levels=("town", "ward", "service"),
        better="lower", target=7, watch=14, **WHOLE,
    ),
    Kpi(
        function=settling.p90_days_to_resolve, catalogue="GR-02", title="Time to settle: nine of ten",
        plain="How long nine out of ten complaints take.",
        formula="90th percentile (type 7) of closed - requested (calendar days), of those closed in the month",
        standard="common 311 practice", unit="day", window=every("month"), levels=("town", "ward", "service"),
        better="lower", target=21, watch=30, **WHOLE,
    ),
    Kpi(
        function=settling.km_median_days, catalogue="GR-02", title="Time to settle, open ones counted",
        plain="How long half of the complaints of the last 90 days take when those still open are not forgotten.",
        formula="Kaplan-Meier median of days to closing of those received in the last 90 days, open ones censored",
        standard="Kaplan and Meier 1958", unit="day", window=rolling(90 * 24, "day"),
        levels=("town", "ward", "service"), better="lower", target=7, watch=14, **WHOLE,
    ),
    Kpi(
        function=settling.reopen_rate, catalogue="GR-04", title="Came back after closing",
        plain="Share of closed complaints that came back within 30 days.",
        formula="100 x closed requests reopened within 30 days / closed; requests, not events",
        standard="311 practice (convention)", window=every("month"), levels=("town", "ward", "department"),
        better="lower", target=5, watch=10, settles=timedelta(days=30), **CASES,
    ),
    Kpi(
        function=settling.cpgrams_compliance, catalogue="GR-09", title="Within the national limit",
        plain="Share settled within the national limit: 21 days, 30 for those received before 23 August 2024.",
        formula="100 x disposed within the limit of the day of receipt / disposed",
        standard="DARPG memorandum of 27-07-2022 and order of 23-08-2024", window=every("month"),
        levels=("town", "department"), better="higher", target=100, watch=90, **CASES,
    ),
    Kpi(
        function=settling.appeals_in_time, catalogue="GR-09", title="Appeals decided within 30 days",
        plain="Share of appeals that were decided within 30 days.",
        formula="100 x appeals decided within 30 days / appeals decided",
        standard="DARPG order of 23-08-2024", window=every("month"), levels=("town", "department"),
        better="higher", target=100, watch=90, **CASES,
    ),
    Kpi(
        function=settling.redressal_within_24h, catalogue="GR-11", title="Settled within 24 hours",
        plain="Share of water, sewer and waste complaints settled within a day of receipt.",
        formula="100 x settled within 24 hours of receipt / received in the month",
        standard="SLB 2.1.7, 2.2.7, 2.3.6", window=every("month"), levels=("town", "ward", "service"),
        better="higher", target=80, watch=60, **CASES,
    ),
)  # fmt: skip

BACKLOG = (
    Kpi(
        function=backlog.backlog, catalogue="GR-03", title="Open complaints",
        plain="How many complaints are open at the end of the day.",
        formula="requests received and not closed, at the end of the day; by age 0-7, 8-21, 22-30, >30 days",
        standard="CPGRAMS monthly report", unit="request", window=every("day"),
        levels=("town", "ward", "service", "department", "age"), better="context", decimals=0, headline=True, **WHOLE,
    ),
    Kpi(
        function=backlog.backlog_over_30_days, catalogue="GR-03", title="Open for more than 30 days",
        plain="How many complaints have been open for more than 30 days.",
        formula="open requests older than 30 days, at the end of the day",
        standard="CPGRAMS monthly report", unit="request", window=every("day"),
        levels=("town", "ward", "service", "department"), better="lower", target=0, watch=10, decimals=0, **WHOLE,
    ),
    Kpi(
        function=backlog.overdue, catalogue="GR-03", title="Open past the promised date",
        plain="How many open complaints are past their promised date.",
        formula="open requests whose due date has passed, at the end of the day",
        standard="Open311 expected_datetime", unit="request", window=every("day"),
        levels=("town", "ward", "service", "department"), better="lower", target=0, watch=10, decimals=0, headline=True,
        **WHOLE,
    ),
    Kpi(
        function=backlog.backlog_median_age_days, catalogue="GR-03", title="Median age of open complaints",
        plain="Half of the open complaints are older than this.",
        formula="median of the end of the day - requested, of open requests",
        standard="CPGRAMS monthly report", unit="day", window=every("day"), levels=("town", "ward", "department"),
        better="lower", target=7, watch=30, **WHOLE,
    ),
    Kpi(
        function=backlog.clearance_rate, catalogue="GR-10", title="Closed for each hundred received",
        plain="Whether the office closes as many complaints as it receives; above 100 the pile shrinks.",
        formula="100 x closed / received", standard="court and CPGRAMS practice", window=every("month"),
        levels=("town", "ward", "department"), better="higher", target=100, watch=90, **CASES,
    ),
    Kpi(
        function=backlog.disposal_rate, catalogue="GR-10", title="Share of the load settled",
        plain="How much of all that was on the desk in the month got settled.",
        formula="100 x closed / (open at the start + received)", standard="CPGRAMS practice", window=every("month"),
        levels=("town", "ward", "department"), better="context", **CASES,
    ),
)  # fmt: skip

PEOPLE = (
    Kpi(
        function=people.requests_received, habitual=True, catalogue="GR-08", title="Complaints received",
        plain="How many complaints came in within the hour.", formula="count of requests received, by hour",
        standard="Open311 requested_datetime", unit="request", window=every("hour"), levels=("town", "ward", "service"),
        better="context", decimals=0, counts=True, min_coverage=0.9, headline=True, **WHOLE,
    ),
    Kpi(
        function=people.median_first_response, catalogue="GR-05", title="First answer: median",
        plain="How soon half of the people hear back from a person.",
        formula="median of first human response - requested (hours), of those answered",
        standard="311 practice", unit="hour", window=every("week"), levels=people.CHANNELS, better="lower", target=24,
        watch=48, **WHOLE,
    ),
    Kpi(
        function=people.p90_first_response, catalogue="GR-05", title="First answer: nine of ten",
        plain="How soon nine out of ten people hear back from a person.",
        formula="90th percentile (type 7) of first human response - requested (hours), of those answered",
        standard="311 practice", unit="hour", window=every("week"), levels=people.CHANNELS, better="lower", target=48,
        watch=96, **WHOLE,
    ),
    Kpi(
        function=people.first_response_within_target, catalogue="GR-05", title="Answered within a day",
        plain="Share of people who heard back from a person within 24 hours.",
        formula="100 x answered within 24 h / (answered + unanswered for longer than 24 h)",
        standard="311 practice", window=every("week"), levels=people.CHANNELS, better="higher", target=80, watch=60,
        **CASES,
    ),
    Kpi(
        function=people.no_response_share, catalogue="GR-05", title="Not yet answered",
        plain="Share of people to whom nobody has answered yet.",
        formula="100 x requests without a human response / received", standard="311 practice", window=every("week"),
        levels=people.CHANNELS, better="lower", target=5, watch=20, **CASES,
    ),
    Kpi(
        function=people.duplicate_share, catalogue="GR-06", title="Complaints that repeat another",
        plain="Share of complaints that repeat another one: marked so, or same matter within 100 m and 72 hours.",
        formula="100 x duplicates / received; same service, <= 100 m, <= 72 h, the earlier one still open",
        standard="practice (convention)", window=every("month"), levels=("town", "ward", "service"), better="context",
        **CASES,
    ),
    Kpi(
        function=people.satisfaction, catalogue="GR-07", title="People content with the result",
        plain="Share of people who gave the result 4 or 5 of 5; not shown below 30 answers.",
        formula="100 x ratings 4-5 / ratings, of requests closed in the month",
        standard="CSAT top-2-box; CPGRAMS feedback",
        window=every("month"), levels=("town", "ward", "department"), better="higher", target=80, watch=60,
        floor=MIN_RESPONSES, **PERCENT,
    ),
    Kpi(
        function=people.mean_rating, catalogue="GR-07", title="Mean rating",
        plain="The mean of the marks from 1 to 5 that people gave the result; not shown below 30 answers.",
        formula="sum of ratings / ratings, of requests closed in the month", standard="CPGRAMS feedback", unit="rating",
        window=every("month"), levels=("town", "ward", "department"), better="higher", target=4, watch=3,
        floor=MIN_RESPONSES, **WHOLE,
    ),
    Kpi(
        function=people.rating_response_rate, catalogue="GR-07", title="People who gave a mark",
        plain="Share of closed complaints that were rated: a low share makes the marks less telling.",
        formula="100 x rated / closed in the month", standard="CPGRAMS feedback", window=every("month"),
        levels=("town", "ward", "department"), better="context", **CASES,
    ),
    Kpi(
        function=people.complaints_per_1000, catalogue="GR-08", title="Complaints per 1000 residents",
        plain="Which ward complains more for its size; wards under 1000 residents are not shown.",
        formula="1000 x requests received / residents", standard="ISO 37120 style rate", unit="request", scale=1000,
        window=every("month"), levels=("town", "ward"), better="context", **WHOLE,
    ),
    Kpi(
        function=people.ward_complaint_ratio, catalogue="GR-08", title="Gap between wards",
        plain="How many times more the ward with most complaints complains than the one with fewest, for their size.",
        formula="highest / lowest rate of complaints among wards of 1000 residents or more", standard="convention",
        unit="dimensionless", window=every("month"), levels=("town",), better="lower", target=3, watch=5, **WHOLE,
    ),
    Kpi(
        function=people.open311_gaps, catalogue="GR-12", title="Requests with gaps by the open standard",
        plain="Stored requests that lack a service, a place or a time of closing; refused ones are on the feeds page.",
        formula="count of requests without service_code, service_name, place, or (closed) time of closing",
        standard="Open311 GeoReport v2", unit="request", window=every("day"), levels=("town", "department"),
        better="lower", target=0, watch=5, decimals=0, **WHOLE,
    ),
)  # fmt: skip

KPIS = SETTLING + BACKLOG + PEOPLE
