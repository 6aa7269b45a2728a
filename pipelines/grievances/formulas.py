"""The formulas of the grievance KPIs, as expressions; instants are UTC, times taken are days or hours."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl

from pipelines.engine.decode.service_requests import LEAVING_STATES, STATUSES
from pipelines.engine.measures import percentile, ratio

EARTH_RADIUS_M = 6_371_008.8
MIN_RESPONSES = 30
MIN_EVENTS = 20
MIN_POPULATION = 1000
AGE_EDGES_DAYS = (7, 21, 30)
LIMITS = pl.read_csv(Path(__file__).parent / "limits" / "cpgrams.csv", try_parse_dates=True).sort("received_from")
TICK = timedelta(microseconds=1)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


def days_between(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Calendar days from start to end, with fractions."""
    return (end - start).dt.total_microseconds() / 86_400e6


def hours_between(start: pl.Expr, end: pl.Expr) -> pl.Expr:
    """Hours from start to end."""
    return (end - start).dt.total_microseconds() / 3_600e6


def pause(paused_h: pl.Expr) -> pl.Expr:
    """The time spent waiting for the resident, as a duration; nothing noted is no pause."""
    return pl.duration(microseconds=(paused_h.fill_null(0) * 3_600e6).round().cast(pl.Int64))


def leaves(state: pl.Expr, duplicate_of: pl.Expr) -> pl.Expr:
    """True for duplicates and withdrawn requests, which count neither for nor against the office."""
    return state.is_in(LEAVING_STATES).fill_null(False) | duplicate_of.is_not_null()


def within_due(due: pl.Expr, settled: pl.Expr, as_of: pl.Expr) -> pl.Expr:
    """True when settled by its date (that very instant is in time), false when late or overdue, null while not due."""
    return pl.when(settled <= as_of).then(settled <= due).when(due < as_of).then(False)


def within_hours(taken_h: pl.Expr, waited_h: pl.Expr, target_h: float) -> pl.Expr:
    """True within the target, false later or when nothing came for longer than that, null while it may still come."""
    return pl.when(taken_h.is_not_null()).then(taken_h <= target_h).when(waited_h > target_h).then(False)


def days_taken(days: pl.Expr) -> dict[str, pl.Expr]:
    """Median and 90th percentile (type 7)."""
    return {"median": percentile(days, 0.5), "p90": percentile(days, 0.9)}


def km_median(cases: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """The first time by which half is settled, open cases counted as "not before now" (Kaplan-Meier).

    Shape: `cases` has the keys, `days` and `settled` (flag); one row per keys with `value` (null when less than
    half is settled) and `n`. Source: Kaplan and Meier 1958; the median is the first time at which S <= 0.5.
    """
    keys = list(keys)
    steps = cases.group_by([*keys, "days"]).agg(settled=pl.col("settled").sum(), gone=pl.len()).sort([*keys, "days"])
    at_risk = pl.col("gone").sum().over(keys) - pl.col("gone").cum_sum().over(keys) + pl.col("gone")
    left = steps.with_columns(share=1 - pl.col("settled") / at_risk).with_columns(
        survival=pl.col("share").cum_prod().over(keys)
    )
    # a thousandth of a millionth: products such as 0.75 * (2/3) must count as one half
    half = pl.col("survival") <= 0.5 + 1e-9
    return left.group_by(keys).agg(value=pl.col("days").filter(half).min(), n=pl.col("gone").sum().cast(pl.Int64))


def open_counts(spans: pl.DataFrame, grid: pl.DataFrame) -> pl.DataFrame:
    """How many spans of an area hold each instant of the grid, from running totals of begun less ended.

    Shape: `spans` has `area`, `start`, `end` (null = still open; not part of the span); `grid` has `area`, `at`
    and more; gives the grid with `open`, zero where there is none.
    """
    spans = spans.filter(pl.col("end").is_null() | (pl.col("end") > pl.col("start")))
    begun = spans.select("area", at="start", change=pl.lit(1))
    ended = spans.filter(pl.col("end").is_not_null()).select("area", at="end", change=pl.lit(-1))
    changes = pl.concat([begun, ended]).group_by("area", "at").agg(pl.col("change").sum()).sort("at")
    totals = changes.with_columns(open=pl.col("change").cum_sum().over("area")).drop("change")
    joined = grid.sort("at").join_asof(totals, on="at", by="area", check_sortedness=False)
    return joined.with_columns(pl.col("open").fill_null(0))


def clipped(spans: pl.DataFrame, start: pl.Expr, end: pl.Expr | None = None) -> pl.DataFrame:
    """The part of each span from `start` on and before `end`."""
    later = pl.max_horizontal("start", start)
    return spans.with_columns(start=later, end=pl.col("end") if end is None else pl.min_horizontal("end", end))


def aged(spans: pl.DataFrame, over_days: float, up_to_days: float | None = None) -> pl.DataFrame:
    """The part of each span in which the request is older than `over_days` and at most `up_to_days`."""
    begin = pl.col("requested_datetime") + timedelta(days=over_days) + (TICK if over_days else timedelta(0))
    end = None if up_to_days is None else pl.col("requested_datetime") + timedelta(days=up_to_days) + TICK
    return clipped(spans, begin, end)


def age_buckets(spans: pl.DataFrame, edges: Sequence[int] = AGE_EDGES_DAYS) -> dict[str, pl.DataFrame]:
    """The spans cut by age: le7, d8_21, d22_30 and gt30 for the edges 7, 21 and 30 days (each edge in the younger)."""
    names = [f"le{edges[0]}", *(f"d{low + 1}_{high}" for low, high in pairwise(edges))]
    bounds = zip((0, *edges), edges, strict=False)
    young = {name: aged(spans, low, high) for name, (low, high) in zip(names, bounds, strict=True)}
    return {**young, f"gt{edges[-1]}": aged(spans, edges[-1])}


def open_at(spans: pl.DataFrame, instants: pl.DataFrame) -> pl.DataFrame:
    """Every span with every instant (`at`) that it holds, and its `age_days` then."""
    endless = spans.with_columns(pl.col("end").fill_null(FOREVER))
    held = endless.join_where(instants, pl.col("start") <= pl.col("at"), pl.col("end") > pl.col("at"))
    return held.with_columns(age_days=days_between(pl.col("requested_datetime"), pl.col("at")))


def reopened_within(closed: pl.Expr, reopened: pl.Expr, limit_days: float) -> pl.Expr:
    """True when it came back within the days after closing; one closed again since came back before that closing."""
    return (days_between(closed, reopened) <= limit_days).fill_null(False)


def haversine_m(lat_a: pl.Expr, lon_a: pl.Expr, lat_b: pl.Expr, lon_b: pl.Expr) -> pl.Expr:
    """Metres between two positions on a sphere of the earth's mean radius."""
    a, b = lat_a.radians(), lat_b.radians()
    chord = ((b - a) / 2).sin() ** 2 + a.cos() * b.cos() * ((lon_b - lon_a).radians() / 2).sin() ** 2
    return 2 * EARTH_RADIUS_M * chord.clip(0, 1).sqrt().arcsin()


def repeats(distance_m: pl.Expr, hours_apart: pl.Expr, same_code: pl.Expr, earlier_open: pl.Expr) -> pl.Expr:
    """True when a request repeats an earlier one: same code, within 100 m and 72 h, the earlier one still open."""
    return (distance_m <= 100) & (hours_apart <= 72) & same_code & earlier_open


def satisfied(ratings: pl.Expr, satisfied_from: float = 4) -> dict[str, pl.Expr]:
    """Ratings from `satisfied_from` up (top two boxes), all ratings, and their mean."""
    return {
        "numerator": (ratings >= satisfied_from).sum().cast(pl.Float64),
        "denominator": ratings.count().cast(pl.Float64),
        "n": ratings.count().cast(pl.Int64),
        "mean": ratings.mean(),
    }


def publishable(responses: int, floor: int = MIN_RESPONSES) -> bool:
    """Whether there are answers enough to show a score."""
    return responses >= floor


def rate(requests: pl.Expr, population: pl.Expr, min_population: int = MIN_POPULATION) -> tuple[pl.Expr, pl.Expr]:
    """Numerator and denominator of requests per resident, both null where too few people live."""
    enough = population >= min_population
    return pl.when(enough).then(requests), pl.when(enough).then(population)


def spread(rates: pl.Expr) -> pl.Expr:
    """The highest rate as a multiple of the lowest; null when the lowest is 0."""
    return ratio(rates.max(), rates.min())


def within_days(days: pl.Expr, limit_days: pl.Expr | int) -> pl.Expr:
    """True when it took no longer than the limit; the last day counts."""
    return days <= limit_days


def cpgrams_limit_days(received_on: pl.Expr) -> pl.Expr:
    """Days that the national system allows for a request received on this day.

    Source: limits/cpgrams.csv; the limit of the day of receipt counts, not of disposal.
    """
    limit = pl.lit(LIMITS["limit_days"][0])
    for day, days in LIMITS.select("received_from", "limit_days").iter_rows():
        limit = pl.when(received_on >= day).then(pl.lit(days)).otherwise(limit)
    return limit


def load(opening: pl.Expr, received: pl.Expr, closed: pl.Expr, reopened: pl.Expr) -> dict[str, pl.Expr]:
    """Clearance and disposal of the load as fractions, and how many remain: opening + received - closed + reopened."""
    return {
        "clearance": ratio(closed, received),
        "disposal": ratio(closed, opening + received),
        "closing": opening + received - closed + reopened,
    }


def conforms(status: pl.Expr) -> pl.Expr:
    """True for a status that Open311 knows; letters count."""
    return status.is_in(STATUSES).fill_null(False)
