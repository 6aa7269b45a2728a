"""How much of what was expected has come: counts of readings per area, and the time that arrivals cover."""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import polars as pl

from pipelines.engine.calendar import earliest
from pipelines.engine.measures import KEYS, in_windows

COVERAGE = pl.Schema(
    {
        "window": pl.Datetime("us", "UTC"),
        "area": pl.String(),
        "n": pl.Int64(),
        "n_expected": pl.Int64(),
        "as_of": pl.Datetime("us", "UTC"),
    }
)


def of_readings(rows: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Readings that came and that were expected per window and area, from the register of sensors.

    Shape: COVERAGE for town, ward and asset (own and parent asset); rows has sensor, observed_at and, when rolled up,
    n and last_at; sensors has sensor, asset, ward, parent, every_s of the one quantity.
    """
    places = _places(sensors)
    elapsed = ((pl.col("as_of") - pl.col("window")).dt.total_seconds() / pl.col("every_s")).floor()
    expected = (
        windows.join(places.group_by("area", "every_s").len("count"), how="cross")
        .group_by(KEYS)
        .agg(n_expected=(pl.col("count") * elapsed).sum().cast(pl.Int64))
    )
    weight = pl.col("n").sum() if "n" in rows.columns else pl.len()
    extra = [name for name in ("n", "last_at") if name in rows.columns]
    newest = "last_at" if "last_at" in extra else "observed_at"
    inside = in_windows(rows.select("sensor", "observed_at", *extra), windows)
    per_sensor = inside.group_by("window", "sensor").agg(n=weight.cast(pl.Int64), as_of=pl.col(newest).max())
    came = per_sensor.join(places, on="sensor").group_by(KEYS).agg(pl.col("n").sum(), pl.col("as_of").max())
    return (
        expected.join(came, on=KEYS, how="left")
        .with_columns(pl.col("n").fill_null(0))
        .select(list(COVERAGE))
        .cast(COVERAGE)
    )


def _places(sensors: pl.DataFrame) -> pl.DataFrame:
    """Each sensor with every area it belongs to: the town, its ward, its asset and its asset's parent."""
    parts = [sensors.select("sensor", "every_s", area=pl.lit("town"))]
    for level, column in (("ward", "ward"), ("asset", "asset"), ("asset", "parent")):
        named = sensors.filter(pl.col(column).is_not_null())
        parts.append(named.select("sensor", "every_s", area=pl.format("{}:{}", pl.lit(level), pl.col(column))))
    return pl.concat(parts).unique()


SPANS = pl.Schema({"feed": pl.String(), "low": pl.Datetime("us", "UTC"), "high": pl.Datetime("us", "UTC")})


class Covered:
    """The spans of time that each feed's landed payloads cover, overlapping ones joined into one."""

    def __init__(self, spans: pl.DataFrame, every: Mapping[str, timedelta]) -> None:
        """Shape: SPANS. `every`: how often each feed should come; until the next is due, nothing is missing."""
        self._spans = spans.select(list(SPANS)).cast(SPANS)
        self._every = pl.DataFrame(
            {"feed": list(every), "every": list(every.values())}, schema={"feed": pl.String, "every": pl.Duration("us")}
        )
        self._fresh: list[pl.DataFrame] = []

    def add(self, arrivals: pl.DataFrame) -> None:
        """Take in arrival rows that have just landed."""
        landed = arrivals.filter(pl.col("outcome") == "landed")
        if landed.height:
            self._fresh.append(landed.select("feed", low="covers_from", high="observed_at"))

    def of(self, feeds: Collection[str]) -> pl.DataFrame:
        """The spans that any of these feeds covers: low, high; in order, apart from each other."""
        if self._fresh:
            fresh, self._fresh = self._fresh, []
            self._spans = merge(pl.concat([self._spans, *fresh]), "feed")
        own = self._spans.filter(pl.col("feed").is_in(list(feeds))).join(self._every, on="feed", how="left")
        newest = pl.col("high") == pl.col("high").max().over("feed")
        due = pl.when(newest).then(pl.col("high") + pl.col("every")).otherwise("high")
        return merge(own.select(feed=pl.lit(""), low="low", high=pl.coalesce(due, "high"), came="high"), "feed").drop(
            "feed"
        )

    def share(self, feeds: Collection[str], windows: pl.DataFrame) -> pl.DataFrame:
        """The share of each window's elapsed time that these feeds cover.

        Shape: window, coverage, as_of (newest covered instant).
        """
        inside = (
            windows.join_where(self.of(feeds), pl.col("low") < pl.col("as_of"), pl.col("high") > pl.col("window"))
            .with_columns(seconds=_seconds(pl.min_horizontal("high", "as_of") - pl.max_horizontal("low", "window")))
            .group_by("window")
            .agg(pl.col("seconds").sum(), newest=pl.col("came").max())
        )
        joined = windows.join(inside, on="window", how="left").with_columns(
            elapsed=_seconds(pl.col("as_of") - pl.col("window"))
        )
        share = pl.when(pl.col("elapsed") > 0).then(
            (pl.col("seconds").fill_null(0.0) / pl.col("elapsed")).clip(0.0, 1.0)
        )
        return joined.select("window", coverage=share, as_of="newest")

    def completeness(self, feed: str, start: datetime, hours: int, now: datetime) -> list[float | None]:
        """Covered share of each hour from `start` on, oldest first; null for hours before anything came."""
        starts = [start + timedelta(hours=n) for n in range(hours)]
        grid = pl.DataFrame({"window": starts}, schema={"window": SPANS["low"]}).with_columns(
            as_of=pl.min_horizontal(pl.col("window") + pl.duration(hours=1), pl.lit(now).dt.cast_time_unit("us"))
        )
        shares = self.share([feed], grid).sort("window")["coverage"].to_list()
        first = earliest(self.of([feed])["low"])
        ends = (at + timedelta(hours=1) for at in starts)
        return [share if first is not None and end > first else None for share, end in zip(shares, ends, strict=True)]


def _seconds(span: pl.Expr) -> pl.Expr:
    return span.dt.total_microseconds() / 1e6


def merge(spans: pl.DataFrame, by: str) -> pl.DataFrame:
    """Overlapping or touching spans (low, high) joined into one for each value of `by`; in order."""
    ordered = spans.sort(by, "low")
    reach = pl.col("high").cum_max().shift().over(by)
    opens = (pl.col("low") > reach).fill_null(value=True)
    runs = ordered.with_columns(_run=opens.cum_sum())
    rest = [pl.col(name).max() for name in spans.columns if name not in (by, "low")]
    return runs.group_by("_run").agg(pl.col(by).first(), pl.col("low").min(), *rest).drop("_run").sort(by, "low")
