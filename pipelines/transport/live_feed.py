"""KPIs of whether the live bus data is really live."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share
from pipelines.transport.formulas import age_s, fresh, skewed

FROM_MESSAGE = pl.col("outcome") == "landed"


def feed_age(arrivals: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Seconds since the newest message's own time, at the window's end or now; the town's is that of its oldest feed.

    A message from the future has age 0 and the detail `clock skew`.
    Shape: arrivals of the live feeds alone.
    Source: GTFS Realtime Best Practices, Feed Publishing.
    """
    came = arrivals.filter(FROM_MESSAGE).select("feed", "observed_at", "received_at").sort("received_at")
    came = came.with_columns(pl.col("observed_at").cum_max().over("feed"))
    asked = windows.select("window", "as_of").join(came.select("feed").unique(), how="cross").sort("as_of")
    newest = asked.join_asof(came, left_on="as_of", right_on="received_at", by="feed", check_sortedness=False)
    newest = newest.filter(pl.col("observed_at").is_not_null())
    ages = newest.with_columns(
        age=age_s(pl.col("as_of"), pl.col("observed_at")), skew=skewed(pl.col("as_of"), pl.col("observed_at"))
    )
    return (
        by_area(ages, ["town", "feed"])
        .group_by(KEYS)
        .agg(
            value=pl.col("age").max(),
            n=pl.len().cast(pl.Int64),
            detail=pl.when(pl.col("skew").any())
            .then(pl.lit("clock skew"))
            .otherwise(pl.col("feed").sort_by("age").last()),
        )
    )


def invalid_responses(arrivals: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share of answers of the live feeds that could not be read or did not come.

    Shape: arrivals of the live feeds alone.
    Source: GTFS Realtime Best Practices, Feed Publishing.
    """
    polls = in_windows(arrivals, windows, "received_at")
    return (
        by_area(polls, ["town", "feed"]).group_by(KEYS).agg(**share(~FROM_MESSAGE)).with_columns(n_expected=pl.col("n"))
    )


def fresh_vehicles(
    vehicle_positions: pl.DataFrame, windows: pl.DataFrame, *, limit_s: float = 90.0, recent_min: float = 60.0
) -> pl.DataFrame:
    """Share of the vehicles on a trip whose newest fix is at most limit_s old, at the window's end or now.

    Of those heard of in the last recent_min minutes. A fix without a time of its own is of unknown age and not
    fresh. Parked vehicles, which stay in many feeds without a trip, do not count.
    Source: GTFS Realtime Best Practices, Feed Publishing.
    """
    recent = windows.select(
        label="window",
        window=pl.col("as_of") - pl.duration(seconds=int(recent_min * 60)),
        end=pl.col("as_of") + pl.duration(microseconds=1),
        as_of="as_of",
    )
    fixes = vehicle_positions.select("vehicle", "observed_at", "stamped", "trip", "route")
    rows = in_windows(fixes, recent).join(recent.select("window", "label", "as_of"), on="window")
    newest = (
        rows.sort("observed_at")
        .group_by("label", "vehicle")
        .agg(pl.col("stamped", "trip", "route", "observed_at", "as_of").last())
    )
    newest = newest.rename({"label": "window"}).filter(pl.col("trip").is_not_null())
    known_age = pl.when("stamped").then(age_s(pl.col("as_of"), pl.col("observed_at")))
    ages = newest.with_columns(age=known_age)
    result = (
        by_area(ages, ["town", "route"])
        .group_by(KEYS)
        .agg(
            **share(fresh(pl.col("age"), limit_s)),
            detail=pl.format("oldest {} s", pl.col("age").max().round(0).cast(pl.Int64)),
        )
    )
    return result.with_columns(n_expected=pl.col("n"))
