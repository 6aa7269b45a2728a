"""What is usual: each step of a series from the same hours of past weeks, with a band, and a score against naive ones.

Two naive forecasts are held against it: the same step a day ago, and a week ago. All is computed as it would have been
at the beginning of each local day from what was known then.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from pipelines.engine.calendar import LENGTHS
from pipelines.engine.model import INSTANT

# So many earlier days of the same kind tell what is usual; fewer than the least tell nothing.
# Until there are, the last days of any kind do.
SAME_KIND, ANY_KIND, LEAST_KNOWN = 6, 7, 3
# How much of the last known day's departure from the usual is expected to last: weather and season come slowly.
LASTING = 0.7
# A band holds this share of the departures at the same time of day in so many past days.
BAND_SHARE, BAND_DAYS, LEAST_BAND_DAYS = 0.95, 28, 7
# A series is scored on the last four weeks, and only when so many days' steps could be judged.
SCORED, LEAST_SCORED_DAYS = timedelta(days=28), 10
SUNDAY = 7
# History that a full band needs before the first instant that is asked for.
REACH = timedelta(days=7 * (SAME_KIND + 1) + BAND_DAYS)
EXPECTED = pl.Schema(
    {
        "series": pl.String(),
        "observed_at": INSTANT,
        "value": pl.Float64(),
        "expected": pl.Float64(),
        "low": pl.Float64(),
        "high": pl.Float64(),
        "day_before": pl.Float64(),
        "week_before": pl.Float64(),
    }
)
SCORE = pl.Schema(
    {
        "series": pl.String(),
        "n": pl.Int64(),
        "error": pl.Float64(),
        "naive_error": pl.Float64(),
        "inside": pl.Float64(),
        "beats_naive": pl.Boolean(),
    }
)


@dataclass(frozen=True)
class Season:
    """How a series repeats: its step, the zone of its days, and the holidays, which go like Sundays."""

    step: str
    zone: str
    holidays: Collection[date] = frozenset()

    @property
    def steps_a_day(self) -> int:
        """How many steps a day has."""
        return max(1, timedelta(days=1) // LENGTHS[self.step])

    def marked(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with their local `_day`, its `_kind` (1 Monday to 7 Sunday or holiday) and the `_time` of day."""
        local = pl.col("observed_at").dt.convert_time_zone(self.zone)
        day = local.dt.date()
        kind = pl.when(day.is_in(list(self.holidays))).then(pl.lit(SUNDAY, pl.Int8)).otherwise(local.dt.weekday())
        time = pl.lit(0, pl.Int32) if self.steps_a_day == 1 else local.dt.hour().cast(pl.Int32) * 60 + local.dt.minute()
        return rows.with_columns(_day=day, _kind=kind, _time=time)


def expected(history: pl.DataFrame, ahead: pl.DataFrame, season: Season) -> pl.DataFrame:
    """What was to be expected at each step of a history and of the steps ahead, with a band; null where unknown.

    Shape: EXPECTED, in order; history has series, observed_at (start of a step), value, one row a step; ahead has
    series and observed_at.
    """
    columns = ["series", "observed_at", "value"]
    future = ahead.join(history, on=["series", "observed_at"], how="anti").with_columns(value=pl.lit(None, pl.Float64))
    rows = pl.concat([history.select(columns), future.select(columns)]).sort("series", "observed_at")
    marked = _with_level(_with_usual(season.marked(rows)))
    found = marked.with_columns(expected=pl.col("_usual") + LASTING * pl.col("_level").fill_null(0.0))
    return _with_naive(_with_band(found)).select(list(EXPECTED)).cast(EXPECTED)


def _with_usual(marked: pl.DataFrame) -> pl.DataFrame:
    """The median of the last days of the same kind at the same time of day; of the last days of any kind until then."""
    same = _median_before(marked, ["series", "_kind", "_time"], SAME_KIND)
    both = _median_before(same, ["series", "_time"], ANY_KIND)
    return both.with_columns(_usual=pl.coalesce(f"_of_{SAME_KIND}", f"_of_{ANY_KIND}"))


def _median_before(rows: pl.DataFrame, groups: list[str], days: int) -> pl.DataFrame:
    known = rows.filter(pl.col("value").is_not_null()).select(*groups, "_day", "value").sort(*groups, "_day")
    median = pl.col("value").rolling_median(days, min_samples=LEAST_KNOWN).over(groups)
    ends = known.select(*groups, pl.col("_day").alias("_known"), median.alias(f"_of_{days}"))
    return _as_of_yesterday(rows, ends, groups)


def _as_of_yesterday(rows: pl.DataFrame, ends: pl.DataFrame, groups: list[str]) -> pl.DataFrame:
    """The rows with the newest of `ends` whose day `_known` lies before theirs."""
    joined = rows.sort("_day").join_asof(
        ends.sort("_known"),
        left_on="_day",
        right_on="_known",
        by=groups,
        allow_exact_matches=False,
        check_sortedness=False,
    )
    return joined.drop("_known", strict=False).sort("series", "observed_at")


def _with_level(rows: pl.DataFrame) -> pl.DataFrame:
    """How far the last known day before lay from the usual, in the median of its steps."""
    level = (pl.col("value") - pl.col("_usual")).median()
    days = rows.group_by("series", pl.col("_day").alias("_known")).agg(_level=level)
    return _as_of_yesterday(rows, days.filter(pl.col("_level").is_not_null()), ["series"])


def _with_band(rows: pl.DataFrame) -> pl.DataFrame:
    """The departures that so many past days at the same time of day did not exceed, on either side."""
    groups = ["series", "_time"]
    missed = (pl.col("value") - pl.col("expected")).abs()
    past = rows.with_columns(_missed=missed).filter(pl.col("_missed").is_not_null()).sort(*groups, "_day")
    reach = pl.col("_missed").rolling_quantile(
        BAND_SHARE, "linear", window_size=BAND_DAYS, min_samples=LEAST_BAND_DAYS
    )  # fmt: skip
    ends = past.select(*groups, pl.col("_day").alias("_known"), _reach=reach.over(groups))
    return _as_of_yesterday(rows, ends, groups).with_columns(
        low=pl.col("expected") - pl.col("_reach"), high=pl.col("expected") + pl.col("_reach")
    )


def _with_naive(rows: pl.DataFrame) -> pl.DataFrame:
    """The values at the same time of day a day and a week before."""
    known = rows.select("series", "_time", "_day", "value").unique(["series", "_time", "_day"], keep="first")
    for name, days in (("day_before", 1), ("week_before", 7)):
        earlier = known.with_columns(pl.col("_day").dt.offset_by(f"{days}d")).rename({"value": name})
        rows = rows.join(earlier, on=["series", "_time", "_day"], how="left", maintain_order="left")
    return rows


def departures(found: pl.DataFrame, times: float = 1.0) -> pl.DataFrame:
    """Steps whose value lies outside their band, drawn so many times as wide.

    Shape: EXPECTED and `beyond`: how many half widths of the band the value lies from what was expected.
    """
    half = (pl.col("high") - pl.col("low")) / 2
    beyond = (pl.col("value") - pl.col("expected")) / pl.when(half > 0).then(half)
    return found.with_columns(beyond=beyond).filter(pl.col("beyond").abs() > times)


def scored(found: pl.DataFrame, season: Season) -> pl.DataFrame:
    """Whether what was expected came nearer than both naive forecasts in the last four weeks of each series.

    Shape: SCORE. error: mean absolute error; naive_error: the smaller one of the naive forecasts; inside: share of
    steps within their band. Only steps that all three could forecast are judged; of too few, errors are null.
    """
    three = ("expected", "day_before", "week_before")
    judged = found.filter(pl.all_horizontal(pl.col("value", *three).is_not_null()))
    last = pl.col("observed_at").max().over("series")
    judged = judged.filter(pl.col("observed_at") > last - SCORED)
    errors = {name: (pl.col("value") - pl.col(name)).abs().mean() for name in three}
    scores = judged.group_by("series").agg(
        n=pl.len().cast(pl.Int64), inside=pl.col("value").is_between("low", "high").mean(), **errors
    )
    enough = pl.when(pl.col("n") >= LEAST_SCORED_DAYS * season.steps_a_day)
    naive = enough.then(pl.min_horizontal("day_before", "week_before"))
    return (
        scores.with_columns(error=enough.then("expected"), naive_error=naive)
        .with_columns(beats_naive=(pl.col("error") < pl.col("naive_error")).fill_null(value=False))
        .select(list(SCORE))
        .cast(SCORE)
        .sort("series")
    )


def verdict(score: pl.DataFrame, series: str) -> str:
    """One sentence for people on whether the usual course of a series is shown, and why."""
    rows = score.filter(pl.col("series") == series)
    if rows.is_empty() or rows["error"][0] is None:
        return "What is usual is not shown: there are not yet three weeks of history to tell it from."
    row = rows.row(0, named=True)
    error, naive = f"{row['error']:.3g}", f"{row['naive_error']:.3g}"
    against = f"off by {error} on average in the last four weeks, the value of a day or a week before by {naive}"
    if row["beats_naive"]:
        inside = f"; {row['inside']:.0%} of the values lay in the band" if row["inside"] is not None else ""
        return f"The band is what past weeks make usual at this hour: {against}{inside}."
    return f"What is usual is not shown, for it tells no more than the days before do: {against}."
