"""How many of the expected readings have come, per area, from the register of sensors."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import polars as pl

from pipelines.engine.measures import KEYS, in_windows
from pipelines.engine.model import INSTANT

COVERAGE = pl.Schema(
    {"window": INSTANT, "area": pl.String(), "n": pl.Int64(), "n_expected": pl.Int64(), "as_of": INSTANT}
)
# Which of the counts that are taken together a row belongs to.
PART = "_cover"
OF_PARTS = pl.Schema({PART: pl.Int32(), **COVERAGE})
CAME = pl.Schema({PART: pl.Int32(), "window": INSTANT, "sensor": pl.String(), "n": pl.Int64(), "as_of": INSTANT})
CAME_BY_SENSOR = pl.DataFrame(schema={name: CAME[name] for name in ("sensor", "n", "as_of")})
OF_READINGS = (pl.len().cast(pl.Int64).alias("n"), pl.col("observed_at").max().alias("as_of"))
OF_ROLLUPS = (pl.col("n").sum().cast(pl.Int64), pl.col("last_at").max().alias("as_of"))


def of_readings(rows: pl.DataFrame, placed: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Readings that came and that were expected per window and area, from the register of sensors.

    Shape: COVERAGE for town, ward and asset (own and parent asset); rows has sensor, observed_at and, when rolled up,
    n and last_at; placed is what `places` gives for the sensors of the one quantity.
    """
    one = (pl.lit(0, pl.Int32).alias(PART), pl.lit("", pl.String).alias("quantity"))
    asked = windows.select(*one, "window", "as_of")
    return of_parts(came(rows, windows, 0), placed, due(placed.with_columns(one[1])), asked).drop(PART)


def came(rows: pl.DataFrame, windows: pl.DataFrame, part: int) -> pl.DataFrame:
    """How many readings of each sensor fell into each window, and the newest of them (shape: CAME).

    Shape: rows as in `of_readings`.
    """
    counts, columns = _counting(rows)
    found = in_windows(rows[sorted({"observed_at", *columns})], windows).group_by("window", "sensor").agg(counts)
    return found.with_columns(pl.lit(part, pl.Int32).alias(PART)).select(list(CAME))


def came_at_once(parts: Sequence[tuple[int, datetime, pl.DataFrame]]) -> pl.DataFrame:
    """As `came`, for many parts of one window each: its start, and the rows in it and no others (shape: CAME)."""
    found = []
    for _, _, rows in parts:
        counts, columns = _counting(rows)
        found.append(rows[columns].group_by("sensor").agg(counts))
    heights = [each.height for each in found]
    starts = pl.Series([start for _, start, _ in parts], dtype=INSTANT).to_numpy()
    marks = {
        PART: pl.Series(np.repeat([part for part, _, _ in parts], heights), dtype=pl.Int32),
        "window": pl.Series(np.repeat(starts, heights)).dt.replace_time_zone("UTC"),
    }
    return pl.concat([CAME_BY_SENSOR, *found]).with_columns(**marks)[list(CAME)]


def _counting(rows: pl.DataFrame) -> tuple[tuple[pl.Expr, pl.Expr], list[str]]:
    """How rows of readings, or of rollups, are counted, and the columns that it takes."""
    if "last_at" in rows.columns:
        return OF_ROLLUPS, ["sensor", "n", "last_at"]
    return OF_READINGS, ["sensor", "observed_at"]


def due(placed: pl.DataFrame) -> pl.DataFrame:
    """How many sensors of each pace send from an area.

    Shape: quantity, area, every_s, sensors; placed is what `places` gives, with the sensor's quantity.
    """
    return placed.group_by("quantity", "area", "every_s").agg(sensors=pl.len())


def of_parts(counts: pl.DataFrame, placed: pl.DataFrame, due: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Readings that came and that were expected per part, window and area, for many quantities at once.

    Shape: PART and COVERAGE; counts is CAME; windows has PART, quantity, window, as_of.
    """
    by = [PART, *KEYS]
    elapsed = ((pl.col("as_of") - pl.col("window")).dt.total_seconds() / pl.col("every_s")).floor()
    number = (pl.col("sensors") * elapsed).sum().cast(pl.Int64)
    expected = windows.lazy().join(due.lazy(), on="quantity").group_by(by).agg(n_expected=number)
    areas = placed.lazy().select("sensor", "area")
    have = counts.lazy().join(areas, on="sensor").group_by(by).agg(pl.col("n").sum(), pl.col("as_of").max())
    joined = expected.join(have, on=by, how="left").with_columns(pl.col("n").fill_null(0))
    return joined.select(list(OF_PARTS)).collect(engine="in-memory").cast(OF_PARTS)


def places(sensors: pl.DataFrame) -> pl.DataFrame:
    """Each sensor with every area it belongs to: the town, its ward, its asset and its asset's parent.

    Shape: sensor, every_s, area; sensors has sensor, asset, ward, parent, every_s.
    """
    parts = [sensors.select("sensor", "every_s", area=pl.lit("town"))]
    for level, column in (("ward", "ward"), ("asset", "asset"), ("asset", "parent")):
        named = sensors.filter(pl.col(column).is_not_null())
        parts.append(named.select("sensor", "every_s", area=pl.format("{}:{}", pl.lit(level), pl.col(column))))
    return pl.concat(parts).unique()
