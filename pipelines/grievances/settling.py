"""KPIs of settling: within the promised date, how long it took, whether it lasted."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, local
from pipelines.grievances.cases import counted, judged, shares
from pipelines.grievances.formulas import (
    cpgrams_limit_days,
    days_between,
    days_taken,
    hours_between,
    km_median,
    pause,
    reopened_within,
    within_days,
    within_due,
    within_hours,
)


def sla_compliance(service_requests: pl.DataFrame, services: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share settled by the promised date, of those due in the window; overdue open ones count as misses.

    Time spent waiting for the resident moves the date. Source: Open311 expected_datetime, SLB redressal.
    """
    return _in_time(promised(service_requests, services, pause(pl.col("paused_h"))), windows)


def sla_compliance_gross(service_requests: pl.DataFrame, services: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """The same without pauses: what the resident lived through."""
    return _in_time(promised(service_requests, services, pl.duration()), windows)


def promised(service_requests: pl.DataFrame, services: pl.DataFrame, pause: pl.Expr) -> pl.DataFrame:
    """The requests that count, with `due_at`: the promised date, else the service's limit, plus the pause."""
    limits = services.filter(pl.col("limit_h").is_not_null()).select("service_code", "limit_h")
    requests = counted(service_requests).join(limits, on="service_code", how="left")
    limit = pl.duration(microseconds=(pl.col("limit_h") * 3_600e6).round().cast(pl.Int64))
    due = pl.coalesce(pl.col("expected_datetime"), pl.col("requested_datetime") + limit)
    return requests.with_columns(due_at=due + pause)


def _in_time(requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    rows = judged(requests, windows, "due_at")
    return shares(rows, within_due(pl.col("due_at"), pl.col("settled_at"), pl.col("as_of")))


def _resolved(service_requests: pl.DataFrame, windows: pl.DataFrame, measure: str) -> pl.DataFrame:
    rows = in_windows(counted(service_requests), windows, "settled_at")
    taken = rows.with_columns(days=days_between(pl.col("requested_datetime"), pl.col("settled_at")))
    areas = by_area(taken, ("town", "ward", "service"))
    return areas.group_by(KEYS).agg(value=days_taken(pl.col("days"))[measure], n=pl.len().cast(pl.Int64))


def median_days_to_resolve(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Median of the days from request to closing, of those closed in the window."""
    return _resolved(service_requests, windows, "median")


def p90_days_to_resolve(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """90th percentile (type 7) of the days from request to closing, of those closed in the window."""
    return _resolved(service_requests, windows, "p90")


def km_median_days(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Days by which half of those received in the window were settled, open ones counted as lasting at least till now.

    Source: Kaplan and Meier 1958; null with `insufficient_data` while less than half is settled.
    """
    rows = judged(counted(service_requests), windows, "requested_datetime")
    settled = (pl.col("settled_at") <= pl.col("as_of")).fill_null(False)
    until = pl.when(settled).then(pl.col("settled_at")).otherwise(pl.col("as_of"))
    watched = rows.with_columns(settled=settled, days=days_between(pl.col("requested_datetime"), until))
    half = km_median(by_area(watched, ("town", "ward", "service")), KEYS)
    return half.with_columns(reason=pl.when(pl.col("value").is_null()).then(pl.lit("insufficient_data")))


def reopen_rate(service_requests: pl.DataFrame, windows: pl.DataFrame, *, within_days: int = 30) -> pl.DataFrame:
    """Share of the requests closed in the window that came back within the days; requests, not events.

    One that was closed again keeps only its last closing and counts as come back: it did, before that closing.
    """
    came_back = (pl.col("reopened_at") >= pl.col("closed_at")).fill_null(False)
    closed = counted(service_requests).filter((pl.col("status") == "closed") | came_back)
    rows = in_windows(closed, windows, "closed_at")
    condition = reopened_within(pl.col("closed_at"), pl.col("reopened_at"), within_days)
    return shares(rows, condition, ("town", "ward", "department"))


def cpgrams_compliance(service_requests: pl.DataFrame, windows: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Share disposed of within the national limit of the day of receipt, of those disposed of in the window.

    A case under appeal is not disposed of. Source: DARPG memorandum of 27-07-2022 and order of 23-08-2024.
    """
    under_appeal = pl.col("appealed_at").is_not_null() & pl.col("appeal_closed_at").is_null()
    rows = in_windows(counted(service_requests).filter(~under_appeal), windows, "settled_at")
    limit = cpgrams_limit_days(local(pl.col("requested_datetime"), zone).dt.date())
    condition = within_days(days_between(pl.col("requested_datetime"), pl.col("settled_at")), limit)
    return shares(rows, condition, ("town", "department"))


def appeals_in_time(service_requests: pl.DataFrame, windows: pl.DataFrame, *, limit_days: int = 30) -> pl.DataFrame:
    """Share of the appeals decided in the window that were decided within the limit.

    Source: DARPG order of 23-08-2024.
    """
    rows = in_windows(counted(service_requests), windows, "appeal_closed_at")
    condition = within_days(days_between(pl.col("appealed_at"), pl.col("appeal_closed_at")), limit_days)
    return shares(rows, condition, ("town", "department"))


def redressal_within_24h(
    service_requests: pl.DataFrame, services: pl.DataFrame, windows: pl.DataFrame, *, limit_h: float = 24
) -> pl.DataFrame:
    """Share settled within 24 hours (by the clock, no "next working day") of those received in the window.

    Counts the services marked `within_24h`, all where the town marks none. While the window runs, a request younger
    than the limit is not yet judged. Source: SLB 2.1.7, 2.2.7, 2.3.6.
    """
    marked = services.filter(pl.col("within_24h").fill_null(False))["service_code"]
    requests = counted(service_requests)
    urgent = requests.filter(pl.col("service_code").is_in(marked.implode())) if marked.len() else requests
    rows = judged(urgent, windows, "requested_datetime")
    taken = hours_between(pl.col("requested_datetime"), pl.col("settled_at"))
    return shares(rows, within_hours(taken, waited_h(), limit_h), ("town", "ward", "service"))


def waited_h() -> pl.Expr:
    """Hours since the request, for rows of `judged`; a complete window leaves nothing undecided."""
    waited = hours_between(pl.col("requested_datetime"), pl.col("as_of"))
    return pl.when(pl.col("undecided")).then(waited).otherwise(float("inf"))
