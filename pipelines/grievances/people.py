"""KPIs of the people who complain: how many, where, how soon they hear back, how content they are."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, percentile
from pipelines.grievances.cases import counted, counts, judged, named, shares
from pipelines.grievances.formulas import MIN_POPULATION, hours_between, rate, satisfied, spread, within_hours
from pipelines.grievances.repeats import repeated
from pipelines.grievances.settling import waited_h

CHANNELS = ("town", "ward", "channel")


def requests_received(service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Requests received in the window, duplicates and all; 0 for wards without any."""
    received = counts(named(service_requests), "requested_datetime", windows, wards, ("town", "ward", "service"))
    return received.select(*KEYS, value=pl.col("count").cast(pl.Float64), n=pl.col("count"))


def _answered(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Requests in their windows with `response_h`; an answer noted before the request is no answer."""
    rows = judged(counted(service_requests), windows, "requested_datetime")
    taken = hours_between(pl.col("requested_datetime"), pl.col("first_response_at"))
    return rows.with_columns(response_h=pl.when(taken >= 0).then(taken))


def _response(service_requests: pl.DataFrame, windows: pl.DataFrame, share_of_one: float) -> pl.DataFrame:
    areas = by_area(_answered(service_requests, windows), CHANNELS).group_by(KEYS)
    return areas.agg(
        value=percentile(pl.col("response_h"), share_of_one), n=pl.col("response_h").count().cast(pl.Int64)
    )


def median_first_response(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Median hours until a person first answered, of those received in the window and answered."""
    return _response(service_requests, windows, 0.5)


def p90_first_response(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """90th percentile (type 7) of the hours until a person first answered."""
    return _response(service_requests, windows, 0.9)


def first_response_within_target(
    service_requests: pl.DataFrame, windows: pl.DataFrame, *, target_h: float = 24
) -> pl.DataFrame:
    """Share of those received in the window that heard back within the target; no answer for longer is a miss."""
    rows = _answered(service_requests, windows)
    return shares(rows, within_hours(pl.col("response_h"), waited_h(), target_h), CHANNELS)


def no_response_share(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share of those received in the window to whom nobody has answered yet."""
    return shares(_answered(service_requests, windows), pl.col("response_h").is_null(), CHANNELS)


def duplicate_share(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share of the requests received in the window that repeat another: marked so, or found so by place and time."""
    requests = named(service_requests)
    marked = (pl.col("state") == "duplicate").fill_null(False) | pl.col("duplicate_of").is_not_null()
    found = requests.with_columns(repeat=marked | pl.col("service_request_id").is_in(repeated(requests).implode()))
    rows = in_windows(found, windows, "requested_datetime")
    return shares(rows, pl.col("repeat"), ("town", "ward", "service"))


def _rated(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    return in_windows(counted(service_requests), windows, "settled_at")


def satisfaction(service_requests: pl.DataFrame, windows: pl.DataFrame, *, satisfied_from: int = 4) -> pl.DataFrame:
    """Share of ratings 4 and 5 among the ratings of requests closed in the window.

    Source: top-2-box customer satisfaction; CPGRAMS feedback call.
    """
    rated = by_area(_rated(service_requests, windows), ("town", "ward", "department"))
    return rated.group_by(KEYS).agg(**satisfied(pl.col("rating"), satisfied_from)).drop("mean")


def mean_rating(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Mean rating of requests closed in the window, as sum and number of ratings."""
    rated = by_area(_rated(service_requests, windows), ("town", "ward", "department")).group_by(KEYS)
    answers = pl.col("rating").count()
    return rated.agg(
        numerator=pl.col("rating").sum().cast(pl.Float64),
        denominator=answers.cast(pl.Float64),
        n=answers.cast(pl.Int64),
    )


def rating_response_rate(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share of the requests closed in the window that were rated."""
    return shares(_rated(service_requests, windows), pl.col("rating").is_not_null(), ("town", "ward", "department"))


def complaints_per_1000(
    service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame, *, min_population: int = MIN_POPULATION
) -> pl.DataFrame:
    """Requests received in the window per resident; the town includes requests without a ward; small wards stay null.

    Source: in the manner of ISO 37120's rates.
    """
    people = wards.select(area=pl.format("ward:{}", "ward"), denominator=pl.col("population").cast(pl.Float64))
    town = people.select(area=pl.lit("town"), denominator=pl.col("denominator").sum()).unique()
    received = counts(named(service_requests), "requested_datetime", windows, wards, ("town", "ward"))
    numerator, denominator = rate(pl.col("count").cast(pl.Float64), pl.col("denominator"), min_population)
    rates = received.join(pl.concat([people, town]), on="area").with_columns(
        numerator=numerator, denominator=denominator
    )
    reason = pl.when(pl.col("denominator").is_null()).then(pl.lit("insufficient_data"))
    return rates.select(*KEYS, "numerator", "denominator", n="count", reason=reason)


def ward_complaint_ratio(
    service_requests: pl.DataFrame, wards: pl.DataFrame, windows: pl.DataFrame, *, min_population: int = MIN_POPULATION
) -> pl.DataFrame:
    """Highest rate of complaints of a ward as a multiple of the lowest; small wards are left out."""
    rates = complaints_per_1000(service_requests, wards, windows, min_population=min_population)
    rates = rates.filter((pl.col("area") != "town") & pl.col("denominator").is_not_null())
    ratio = rates.group_by("window").agg(value=spread(pl.col("numerator") / pl.col("denominator")), n=pl.col("n").sum())
    reason = pl.when(pl.col("value").is_null()).then(pl.lit("not_applicable"))
    return ratio.select("window", "value", "n", area=pl.lit("town"), reason=reason)


def open311_gaps(service_requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Requests received in the window that lack what Open311 wants: code, name, a place, a time of closing.

    What was wrong enough to be set aside on arrival is not here but in quarantine. Source: Open311 GeoReport v2.
    """
    nowhere = pl.col("address").is_null() & (pl.col("lat").is_null() | pl.col("lon").is_null())
    endless = (pl.col("status") == "closed") & pl.col("closed_at").is_null()
    gap = pl.col("service_code").is_null() | pl.col("service_name").is_null() | nowhere | endless
    rows = in_windows(named(service_requests).with_columns(gap=gap), windows, "requested_datetime")
    areas = by_area(rows, ("town", "department")).group_by(KEYS)
    return areas.agg(value=pl.col("gap").sum().cast(pl.Float64), n=pl.len().cast(pl.Int64))
