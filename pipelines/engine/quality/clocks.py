"""How wrong each sensor's clock is, told from how long its readings took to come; nothing is put right by it."""

from datetime import datetime, timedelta

import polars as pl

from pipelines.engine.model import INSTANT
from pipelines.engine.tables import RECEIVED

# Of each quarter of a day the shortest delay counts: what a radio or a mobile network adds can only make it longer.
BUCKET = timedelta(hours=6)
KEPT = timedelta(days=7)
LATELY = timedelta(days=2)
FEWEST_BUCKETS, FEWEST_PEERS = 4, 5
# A reading cannot come before it was measured; so much is the synchronising of clocks.
AHEAD_S = 30.0
# Below this nothing is said: networks and gateways take that long.
SMALLEST_S = 60.0
SPREADS, TO_SIGMA = 4.0, 1.4826
# A drift must show for so long, and in both halves of that time at least this part of it.
DRIFT_SHOWS, EACH_HALF = timedelta(days=3), 0.25
RIGHT, AHEAD, BEHIND, DRIFTING = "right", "ahead", "behind", "drifting"
STATES = (RIGHT, AHEAD, BEHIND, DRIFTING)
LAGS = pl.Schema({"series": pl.Int32(), "bucket": INSTANT, "lag_s": pl.Float64()})
FOUND = pl.Schema(
    {"series": pl.Int32(), "state": pl.String(), "error_s": pl.Float64(), "drift_s_per_day": pl.Float64()}
)
Third = tuple[pl.Expr, pl.Expr]


def lags(rows: pl.DataFrame) -> pl.DataFrame:
    """The shortest delay of each series in each bucket, in seconds; negative where a reading came before its time.

    Shape: LAGS; rows has series, observed_at and when it was received.
    """
    delay = (pl.col(RECEIVED) - pl.col("observed_at")).dt.total_microseconds() / 1e6
    bucket = pl.col("observed_at").dt.truncate(BUCKET)
    return rows.group_by("series", bucket=bucket).agg(lag_s=delay.min()).select(list(LAGS)).cast(LAGS)


def judged(found: pl.DataFrame, about: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """What each series' clock is thought to be; series that too little is known of are left out.

    `error_s` is positive where the clock is ahead, `drift_s_per_day` where it gains; each is null where it cannot be
    told. A clock is held against those of the same feed, whose readings take the same way, or else against its own
    past. Source: the resistant line through the medians of three thirds (Tukey, Exploratory Data Analysis, 1977).
    Shape: FOUND; found has LAGS, about has series, feed and pace_s (the slower of sensor and feed).
    """
    lately = pl.col("bucket") > pl.lit(now - LATELY, INSTANT)
    lag = pl.col("lag_s")
    each = found.join(about, on="series").filter(pl.col("bucket") > pl.lit(now - KEPT, INSTANT)).sort("bucket")
    clocks = each.group_by("series").agg(
        pl.col("feed", "pace_s").first(),
        recent=lag.filter(lately).median(),
        past=pl.when((~lately).sum() >= FEWEST_BUCKETS).then(lag.filter(~lately).median()),
        spread=(lag.filter(lately) - lag.filter(lately).median()).abs().median() * TO_SIGMA,
        known=lately.sum(),
        **_thirds(),
    )
    clocks = clocks.filter(pl.col("known") >= FEWEST_BUCKETS).with_columns(
        limit=pl.max_horizontal(pl.lit(SMALLEST_S), "pace_s", SPREADS * pl.col("spread"))
    )
    return _states(_drifting(_against_peers(clocks))).select(list(FOUND)).cast(FOUND)


def _against_peers(clocks: pl.DataFrame) -> pl.DataFrame:
    """The same with `error_s`: by the delay that the feed's other readings, or its own earlier ones, have."""
    many = pl.len().over("feed") >= FEWEST_PEERS
    usual = pl.coalesce(
        pl.when(pl.col("feed").is_not_null() & many).then(pl.col("recent").median().over("feed")), "past"
    )
    error = usual - pl.col("recent")
    # Whatever the others do: a reading that comes before its time has a clock that is ahead by at least so much.
    early = pl.when(pl.col("recent") < -AHEAD_S).then(-pl.col("recent"))
    return clocks.with_columns(error_s=pl.max_horizontal(error, early), early=early.is_not_null())


def _thirds() -> dict[str, pl.Expr]:
    """Medians of delay and time in the first, second and last third of the time that is known."""
    at = pl.col("bucket").dt.epoch("s") / 86_400.0
    low, span = at.min(), at.max() - at.min()
    place = ((at - low) * 3 / span).floor().clip(0, 2)
    found = {"days": span}
    for number in range(3):
        inside = place == number
        found[f"lag_{number}"] = pl.when(inside.sum() >= 2).then(pl.col("lag_s").filter(inside).median())
        found[f"day_{number}"] = at.filter(inside).median()
    return found


def _drifting(clocks: pl.DataFrame) -> pl.DataFrame:
    """The same with `drift_s_per_day`: where the delay went one way in both halves, and further than it may."""
    first, second = pl.col("lag_1") - pl.col("lag_0"), pl.col("lag_2") - pl.col("lag_1")
    whole = pl.col("lag_2") - pl.col("lag_0")
    # The spread of a drifting clock is mostly its drift, so it is no measure here.
    far = whole.abs() > pl.max_horizontal(pl.lit(SMALLEST_S), "pace_s")
    steady = pl.min_horizontal(first * whole.sign(), second * whole.sign()) >= EACH_HALF * whole.abs()
    long = pl.col("days") >= DRIFT_SHOWS / timedelta(days=1)
    gains = -whole / (pl.col("day_2") - pl.col("day_0"))
    return clocks.with_columns(drift_s_per_day=pl.when(far & steady & long).then(gains))


def _states(clocks: pl.DataFrame) -> pl.DataFrame:
    error, limit = pl.col("error_s"), pl.col("limit")
    state = (
        pl.when(pl.col("drift_s_per_day").is_not_null())
        .then(pl.lit(DRIFTING))
        .when(pl.col("early") | (error > limit))
        .then(pl.lit(AHEAD))
        .when(error < -limit)
        .then(pl.lit(BEHIND))
        .otherwise(pl.lit(RIGHT))
    )
    return clocks.with_columns(state=state)
