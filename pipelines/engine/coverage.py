"""How many of the expected readings have come, per area, from the register of sensors."""

import polars as pl

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


def of_readings(rows: pl.DataFrame, placed: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Readings that came and that were expected per window and area, from the register of sensors.

    Shape: COVERAGE for town, ward and asset (own and parent asset); rows has sensor, observed_at and, when rolled up,
    n and last_at; placed is what `places` gives for the sensors of the one quantity.
    """
    elapsed = ((pl.col("as_of") - pl.col("window")).dt.total_seconds() / pl.col("every_s")).floor()
    expected = (
        windows.lazy()
        .join(placed.lazy().group_by("area", "every_s").len("count"), how="cross")
        .group_by(KEYS)
        .agg(n_expected=(pl.col("count") * elapsed).sum().cast(pl.Int64))
    )
    weight = pl.col("n").sum() if "n" in rows.columns else pl.len()
    extra = [name for name in ("n", "last_at") if name in rows.columns]
    newest = "last_at" if "last_at" in extra else "observed_at"
    inside = in_windows(rows.select("sensor", "observed_at", *extra), windows).lazy()
    per_sensor = inside.group_by("window", "sensor").agg(n=weight.cast(pl.Int64), as_of=pl.col(newest).max())
    came = per_sensor.join(placed.lazy(), on="sensor").group_by(KEYS).agg(pl.col("n").sum(), pl.col("as_of").max())
    joined = expected.join(came, on=KEYS, how="left").with_columns(pl.col("n").fill_null(0))
    return joined.select(list(COVERAGE)).collect(engine="in-memory").cast(COVERAGE)


def places(sensors: pl.DataFrame) -> pl.DataFrame:
    """Each sensor with every area it belongs to: the town, its ward, its asset and its asset's parent.

    Shape: sensor, every_s, area; sensors has sensor, asset, ward, parent, every_s.
    """
    parts = [sensors.select("sensor", "every_s", area=pl.lit("town"))]
    for level, column in (("ward", "ward"), ("asset", "asset"), ("asset", "parent")):
        named = sensors.filter(pl.col(column).is_not_null())
        parts.append(named.select("sensor", "every_s", area=pl.format("{}:{}", pl.lit(level), pl.col(column))))
    return pl.concat(parts).unique()
