"""Readings of the water network: once each, at their district metered area, and how many were due."""

from collections.abc import Sequence

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, instant, lasting, local

LEVELS = ("town", "ward", "asset")
MIN_SHARE = 0.75
# Readings of different identities are distinct; ten times as fast to count as the pairs themselves.
IDENTITY = pl.col("sensor").hash() ^ pl.col("observed_at").hash(1)
DMA_OR_ITSELF = pl.coalesce("dma", "asset").alias("asset")


def once(readings: pl.DataFrame) -> pl.DataFrame:
    """The readings with a value, each sensor and instant once; the last one that came counts."""
    usable = readings.filter(pl.col("value").is_not_null()) if "value" in readings.columns else readings
    doubled = usable.select(IDENTITY.n_unique()).item() < usable.height
    return usable.unique(["sensor", "observed_at"], keep="last", maintain_order=True) if doubled else usable


def at_dma(rows: pl.DataFrame, assets: pl.DataFrame) -> pl.DataFrame:
    """The rows with `asset` replaced by the district metered area it belongs to; by itself where it has none."""
    return rows.join(_belongs(assets), on="asset", how="left").with_columns(DMA_OR_ITSELF).drop("dma")


@lasting
def _belongs(assets: pl.DataFrame) -> pl.DataFrame:
    areas = assets.filter(pl.col("kind") == "dma").select(pl.col("asset").alias("dma"))
    return assets.select("asset", dma="parent").join(areas, on="dma")


@lasting
def wards_served(assets: pl.DataFrame) -> pl.DataFrame:
    """The wards of each district metered area, from where it and what belongs to it stand: `asset, ward, parts`."""
    areas = assets.filter(pl.col("kind") == "dma")
    below = assets.select("ward", asset="parent").join(areas.select("asset"), on="asset")
    served = pl.concat([areas.select("ward", "asset"), below]).drop_nulls("ward").unique()
    return served.with_columns(parts=pl.len().over("asset"))


def by_served_area(rows: pl.DataFrame, assets: pl.DataFrame, amounts: Sequence[str] = ()) -> pl.DataFrame:
    """Rows of metered areas stacked for town, ward and asset; `amounts` are shared equally by the wards served.

    So each ward has the ratio of its metered area, which nothing measures finer, and the wards add up to the town.
    """
    plain = rows.drop("ward", strict=False)
    shared = plain.join(wards_served(assets), on="asset").with_columns(
        pl.col(name) / pl.col("parts") for name in amounts
    )
    whole = by_area(plain.with_columns(pl.col(name).cast(pl.Float64) for name in amounts), ("town", "asset"))
    return pl.concat([whole, by_area(shared, ("ward",)).select(whole.columns)])


def due(
    sensors: pl.DataFrame, assets: pl.DataFrame, windows: pl.DataFrame, quantity: str, levels: Sequence[str] = LEVELS
) -> pl.DataFrame:
    """How many readings of a quantity should have come by now.

    Shape: `window`, `area`, `n_expected`; from the register of sensors, areas as `at_dma` names them.
    """
    elapsed = (pl.col("as_of") - pl.col("window")).dt.total_seconds()
    number = (pl.col("sensors") * (elapsed // pl.col("every_s"))).sum()
    rows = registered(sensors, assets, quantity, tuple(levels)).join(windows, how="cross")
    return rows.group_by(KEYS).agg(n_expected=number.cast(pl.Int64))


@lasting
def registered(sensors: pl.DataFrame, assets: pl.DataFrame, quantity: str, levels: tuple[str, ...]) -> pl.DataFrame:
    """How many sensors of a quantity and pace each area has: `area, every_s, sensors`."""
    own = at_dma(sensors.filter(pl.col("quantity") == quantity), assets).select("asset", "ward", "every_s")
    return by_area(own, levels).group_by("area", "every_s").agg(sensors=pl.len())


def day_hours(day: pl.Expr, zone: str) -> pl.Expr:
    """Length of the local day that starts at this instant: 24, or 23 and 25 when the clocks change."""
    midnight = local(day, zone)
    return (midnight.dt.offset_by("1d") - midnight).dt.total_seconds() / 3600


def midday(day: pl.Expr, zone: str) -> pl.Expr:
    """Noon of a written day as an instant: inside the day in every zone, also where midnight is skipped."""
    return day.cast(pl.Datetime("us")).dt.offset_by("12h").dt.replace_time_zone(zone).dt.convert_time_zone("UTC")


def trailing(windows: pl.DataFrame, months: int, zone: str) -> pl.DataFrame:
    """The windows of one month stretched back so that each holds `months` months.

    Shape: `window` is the earlier start, `labelled` the start of the month they end in.
    """
    start = local(pl.col("window"), zone).dt.offset_by(f"-{months - 1}mo").dt.convert_time_zone("UTC")
    return windows.with_columns(labelled="window", window=start)


def in_trailing(rows: pl.DataFrame, stretched: pl.DataFrame, at: str) -> pl.DataFrame:
    """The rows in each stretched window, with `window` the month that the window is labelled by."""
    return relabelled(in_windows(rows, stretched, at), stretched)


def relabelled(rows: pl.DataFrame, stretched: pl.DataFrame) -> pl.DataFrame:
    """The rows with their stretched window's start replaced by the month it is labelled by."""
    if stretched.height == 1:
        return rows.with_columns(window=instant(stretched["labelled"][0]))
    labels = stretched.select("window", "labelled")
    return rows.join(labels, on="window").drop("window").rename({"labelled": "window"})


def dated(books: pl.DataFrame, zone: str) -> pl.DataFrame:
    """Monthly books with the instant `at` that places them in a window."""
    return books.with_columns(at=midday(pl.col("month"), zone))


def complete() -> dict[str, pl.Expr]:
    """Counts for books and samples, which are complete when they come: as many rows as found were expected."""
    return {"n": pl.len().cast(pl.Int64), "n_expected": pl.len().cast(pl.Int64)}
