"""KPIs of the pile: how many are open, how old, and whether the office keeps up."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, shared
from pipelines.grievances.cases import LEVELS, counted, counts, grid, instants, spans, touching
from pipelines.grievances.formulas import TICK, age_buckets, aged, clipped, load, open_at, open_counts, pause
from pipelines.grievances.settling import promised

SPAN = ("start", "end", "requested_datetime")


def _open(requests: pl.DataFrame, open_spans: pl.DataFrame, windows: pl.DataFrame, wards: pl.DataFrame) -> pl.DataFrame:
    """How many of the spans hold the end of each window, per area of LEVELS."""
    ends = instants(requests, windows)
    areas = by_area(touching(open_spans, ends).select("start", "end", *LEVELS[1:]), LEVELS)
    return _as_value(open_counts(areas, grid(ends, requests, wards, LEVELS)))


def backlog(service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Open requests at the end of the window, also by age: age:le7, age:d8_21, age:d22_30, age:gt30 (days)."""
    requests = counted(service_requests)
    ends = instants(requests, windows)
    open_spans = touching(spans(requests), ends)
    by_age = {f"age:{name}": part for name, part in age_buckets(open_spans.select(*SPAN)).items()}
    parts = [part.select("start", "end", area=pl.lit(area)) for area, part in by_age.items()]
    ages = open_counts(pl.concat(parts), ends.join(pl.DataFrame({"area": list(by_age)}), how="cross"))
    return pl.concat([_open(requests, open_spans, windows, wards), _as_value(ages)])


def _as_value(counts: pl.DataFrame) -> pl.DataFrame:
    return counts.select(*KEYS, value=pl.col("open").cast(pl.Float64), n=pl.col("open").cast(pl.Int64))


def backlog_over_30_days(
    service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame, *, older_than_days: int = 30
) -> pl.DataFrame:
    """Requests open for longer than 30 days at the end of the window."""
    requests = counted(service_requests)
    return _open(requests, aged(spans(requests), older_than_days), windows, wards)


def overdue(
    service_requests: pl.DataFrame, services: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Open requests whose promised date (moved by pauses) has passed at the end of the window."""
    requests = promised(service_requests, services, pause(pl.col("paused_h")))
    late = clipped(spans(requests.filter(pl.col("due_at").is_not_null())), pl.col("due_at") + TICK)
    return _open(requests, late, windows, wards)


def backlog_median_age_days(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Median age in days of the requests open at the end of the window."""
    requests = counted(service_requests)
    held = open_at(
        spans(requests).select("start", "end", "requested_datetime", *LEVELS[1:]), instants(requests, windows)
    )
    # level by level: the rows are windows times open requests, and need not stand in memory four times
    parts = [
        by_area(held.select("window", "age_days", *([] if level == "town" else [level])), [level])
        .group_by(KEYS)
        .agg(value=pl.col("age_days").median(), n=pl.len().cast(pl.Int64))
        for level in ("town", "ward", "department")
    ]
    return pl.concat(parts)


def clearance_rate(service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Requests closed in the window for each received in it; above 1 the backlog shrinks."""
    moved = loads(service_requests, wards, windows)
    return moved.select(*KEYS, numerator="closed", denominator="received", n=pl.col("received").cast(pl.Int64))


def disposal_rate(service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Requests closed in the window, of those open at its start and received in it."""
    moved = loads(service_requests, wards, windows).with_columns(denominator=pl.col("opening") + pl.col("received"))
    return moved.select(*KEYS, "denominator", numerator="closed", n=pl.col("denominator").cast(pl.Int64))


@shared
def loads(service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Opening, received, closed, reopened and closing per window and area; they balance.

    Shape: KEYS, `opening`, `received`, `closed`, `reopened`, `closing`, all numbers.
    """
    levels = ("town", "ward", "department")
    requests = counted(service_requests)
    open_spans = spans(requests)
    # other names than the windows' own `end`
    turns = open_spans.rename({"start": "begun_at", "end": "ended_at"})
    again = turns.filter(pl.col("begun_at") > pl.col("requested_datetime"))
    events = {
        "received": counts(requests, "requested_datetime", windows, wards, levels),
        "closed": counts(turns, "ended_at", windows, wards, levels),
        "reopened": counts(again, "begun_at", windows, wards, levels),
    }
    starts = windows.join(instants(requests, windows), on="window", how="semi").select(
        "window", at=pl.col("window") - TICK
    )
    areas = by_area(touching(open_spans, starts).select("start", "end", *levels[1:]), levels)
    table = open_counts(areas, grid(starts, requests, wards, levels)).select(
        *KEYS, opening=pl.col("open").cast(pl.Float64)
    )
    for name, happened in events.items():
        table = table.join(happened.select(*KEYS, pl.col("count").cast(pl.Float64).alias(name)), on=KEYS, how="left")
    table = table.with_columns(pl.col(*events).fill_null(0))
    return table.with_columns(
        closing=load(pl.col("opening"), pl.col("received"), pl.col("closed"), pl.col("reopened"))["closing"]
    )
