"""How much of the time the voltage was good (EN 50160), the worst phase deciding."""

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.engine.measures import KEYS, by_area, in_windows, lasting

INTERVAL_S = 600
SECONDS_OF_ALL_TIME = 10**12


def interval_means(voltage_v: Frame, sensors: Frame) -> Frame:
    """Mean and lowest voltage of every phase and 10 minutes; a sensor that sends no faster sends them itself.

    Shape: asset, ward, observed_at, value, lowest.
    """
    slow = sensors.filter(pl.col("every_s") >= INTERVAL_S)["sensor"].unique().to_list()
    timed = voltage_v.with_columns(pl.col("observed_at").dt.truncate(f"{INTERVAL_S}s"), lowest="value")
    means = pl.col("sensor").is_in(slow)
    faster, place = timed.filter(~means), pl.col("asset", "ward").first()
    grouped = faster.group_by("sensor", "observed_at").agg(place, pl.col("value").mean(), pl.col("lowest").min())
    columns = ["asset", "ward", "observed_at", "value", "lowest"]
    return pl.concat([timed.filter(means).select(columns), grouped.select(columns)])


@lasting
def declared(assets: Frame, transformers: Frame, *, declared_v: float, tolerance_pct: float) -> Frame:
    """What every asset declares: its own row in transformers, else its parent's, else the town's figures.

    Shape: asset, place (its row), declared_v, tolerance_pct.
    """
    own = transformers.select("asset", "declared_v", "tolerance_pct")
    joined = assets.select("asset", "parent").join(own, on="asset", how="left")
    joined = joined.join(own, left_on="parent", right_on="asset", how="left", suffix="_parent")
    return joined.with_row_index("place").select(
        "asset",
        pl.col("place").cast(pl.Int64),
        pl.coalesce("declared_v", "declared_v_parent", pl.lit(declared_v)),
        pl.coalesce("tolerance_pct", "tolerance_pct_parent", pl.lit(tolerance_pct)),
    )


def voltage_compliance(
    voltage_v: Frame,
    sensors: Frame,
    transformers: Frame,
    assets: Frame,
    windows: Frame,
    *,
    declared_v: float = 230.0,
    tolerance_pct: float = 10.0,
    lowest_pct: float = 15.0,
    highest_pct: float = 10.0,
    outage_below_pct: float = 10.0,
) -> Frame:
    """Share of the 10-minute intervals in which every phase was within the limits; outages are left out.

    An interval with an interruption in it counts for no one; `detail` says whether the week meets EN 50160.
    Source: EN 50160 4.2.2; IE Rules 1956 rule 54 and state supply codes by `tolerance_pct` of transformers.
    """
    promised = declared(assets, transformers, declared_v=declared_v, tolerance_pct=tolerance_pct)
    means = interval_means(voltage_v, sensors).join(promised, on="asset", how="left")
    volts, tolerance = pl.col("declared_v"), pl.col("tolerance_pct")
    valid = means.filter(~formulas.interrupted(pl.col("lowest"), volts, outage_below_pct))
    band = formulas.voltage_limits(volts, tolerance, tolerance)
    wide = formulas.voltage_limits(volts, pl.lit(lowest_pct), pl.lit(highest_pct))
    judged = valid.with_columns(
        good=formulas.within(pl.col("value"), band), bearable=formulas.within(pl.col("value"), wide)
    )
    return _shares(in_windows(_worst_phase(judged), windows))


def _worst_phase(judged: Frame) -> Frame:
    """The phases of an asset and interval as one row, good only when all are."""
    # One whole number per asset and interval: a year of phases groups three times as fast as by text and instant.
    interval = pl.col("place") * SECONDS_OF_ALL_TIME + pl.col("observed_at").dt.epoch("s")
    same = pl.col("asset", "ward", "observed_at").first()
    return judged.group_by(interval.alias("interval")).agg(same, pl.col("good", "bearable").min())


def _shares(intervals: Frame) -> Frame:
    counts = {"numerator": pl.col("good").sum(), "denominator": pl.len(), "bearable": pl.col("bearable").sum()}
    of_asset = intervals.group_by("window", "asset", "ward").agg(**counts)
    sums = by_area(of_asset, ("town", "ward", "asset")).group_by(KEYS).agg(pl.col(*counts).sum().cast(pl.Float64))
    meets = formulas.week_compliant(pl.col("denominator"), pl.col("numerator"), pl.col("bearable"))
    word = pl.when(meets).then(pl.lit("meets EN 50160")).otherwise(pl.lit("does not meet EN 50160"))
    return sums.select(*KEYS, "numerator", "denominator", detail=word)
