"""Published values of a KPI summed up by longer steps of the town's calendar."""

import polars as pl

from pipelines.engine.model import Column

STEPS = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "year": "1y"}
COLUMNS = (
    Column(name="window", kind="instant", meaning="Start of the step."),
    Column(name="area", meaning="Area."),
    Column(name="value", kind="number", meaning="Mean of the published values in the step."),
    Column(name="lowest", kind="number", meaning="Lowest published value in it."),
    Column(name="highest", kind="number", meaning="Highest published value in it."),
    Column(name="last", kind="number", meaning="Last published value in it."),
    Column(name="windows", kind="integer", meaning="Windows in it."),
    Column(name="known", kind="integer", meaning="Windows in it that have a value."),
    Column(name="reason", meaning="Why there is no mean: too few windows have a value."),
)


def by_step(rows: pl.DataFrame, step: str, needed: float, zone: str) -> pl.DataFrame:
    """Mean, lowest, highest and last per step and area.

    A step of which a share of fewer windows than `needed` is known has no mean: the rest would speak for all of it.
    Shape: COLUMNS.
    """
    value = pl.col("value")
    start = pl.col("window").dt.convert_time_zone(zone).dt.truncate(STEPS[step]).dt.convert_time_zone("UTC")
    return (
        rows.group_by(start.alias("window"), "area")
        .agg(
            value=value.mean(),
            lowest=value.min(),
            highest=value.max(),
            last=value.drop_nulls().last(),
            windows=pl.len().cast(pl.Int64),
            known=value.count().cast(pl.Int64),
        )
        .with_columns(
            value=pl.when(pl.col("known") >= pl.col("windows") * needed).then("value"),
            reason=pl.when(pl.col("known") < pl.col("windows") * needed).then(pl.lit("insufficient_data")),
        )
        .sort("window", "area")
    )
