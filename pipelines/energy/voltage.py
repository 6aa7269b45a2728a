"""How much of the time the voltage was good (EN 50160), the worst phase deciding."""

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.engine.measures import KEYS, by_area, in_windows

INTERVAL = "10m"


def interval_means(voltage_v: Frame) -> Frame:
    """Mean and lowest voltage of every phase and 10 minutes. Shape: sensor, asset, ward, observed_at, value, lowest."""
    timed = voltage_v.with_columns(pl.col("observed_at").dt.truncate(INTERVAL))
    value = pl.col("value")
    return timed.group_by("sensor", "asset", "ward", "observed_at").agg(value=value.mean(), lowest=value.min())


def declared(assets: Frame, transformers: Frame, *, declared_v: float, tolerance_pct: float) -> Frame:
    """What every asset declares: its own row in transformers, else its parent's, else the town's figures.

    Shape: asset, declared_v, tolerance_pct.
    """
    own = transformers.select("asset", "declared_v", "tolerance_pct")
    joined = assets.select("asset", "parent").join(own, on="asset", how="left")
    joined = joined.join(own, left_on="parent", right_on="asset", how="left", suffix="_parent")
    return joined.select(
        "asset",
        pl.coalesce("declared_v", "declared_v_parent", pl.lit(declared_v)),
        pl.coalesce("tolerance_pct", "tolerance_pct_parent", pl.lit(tolerance_pct)),
    )


def voltage_compliance(
    voltage_v: Frame,
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
    means = interval_means(voltage_v).join(promised, on="asset", how="left")
    volts, tolerance = pl.col("declared_v"), pl.col("tolerance_pct")
    valid = means.filter(~formulas.interrupted(pl.col("lowest"), volts, outage_below_pct))
    band = formulas.voltage_limits(volts, tolerance, tolerance)
    wide = formulas.voltage_limits(volts, pl.lit(lowest_pct), pl.lit(highest_pct))
    judged = valid.with_columns(
        good=formulas.within(pl.col("value"), band), bearable=formulas.within(pl.col("value"), wide)
    )
    worst = judged.group_by("asset", "ward", "observed_at").agg(pl.col("good", "bearable").all())
    return _shares(in_windows(worst, windows))


def _shares(intervals: Frame) -> Frame:
    shares = (
        by_area(intervals, ("town", "ward", "asset"))
        .group_by(KEYS)
        .agg(
            numerator=pl.col("good").sum().cast(pl.Float64),
            denominator=pl.len().cast(pl.Float64),
            bearable=pl.col("bearable").sum(),
        )
    )
    meets = formulas.week_compliant(pl.col("denominator"), pl.col("numerator"), pl.col("bearable"))
    word = pl.when(meets).then(pl.lit("meets EN 50160")).otherwise(pl.lit("does not meet EN 50160"))
    return shares.select(*KEYS, "numerator", "denominator", detail=word)
