"""KPI of treated sewage: samples within the limits that the plant's consent names."""

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows

PARAMETERS = (
    "ph",
    "bod_mg_l",
    "cod_mg_l",
    "tss_mg_l",
    "total_nitrogen_mg_l",
    "total_phosphorus_mg_l",
    "faecal_coliform_mpn",
)
SLOW = "bod_mg_l"


def within_limits(value: pl.Expr, at_least: pl.Expr, at_most: pl.Expr, below_only: pl.Expr) -> pl.Expr:
    """Whether a result keeps its limit; null without a result. `below_only`: at the upper limit is already too much."""
    high_ok = pl.when(below_only).then(value < at_most).otherwise(value <= at_most).fill_null(True)
    low_ok = (value >= at_least).fill_null(True)
    return pl.when(value.is_not_null()).then(low_ok & high_ok)


def judged_samples(samples: pl.DataFrame, effluent: pl.DataFrame) -> pl.DataFrame:
    """The samples with `failed` (list of parameters) and `compliant`: true, false or null.

    Null = pending: the five-day BOD is still in the laboratory and nothing else failed. Other parameters of the
    set that were not tested are not judged. Shape: samples has `consent` and columns of PARAMETERS; effluent as the
    reference.
    """
    named = samples.with_row_index("sample")
    results = named.select("sample", "consent", *[pl.col(name).cast(pl.Float64) for name in PARAMETERS])
    long = results.unpivot(index=["sample", "consent"], variable_name="parameter", value_name="result")
    ok = within_limits(pl.col("result"), pl.col("at_least"), pl.col("at_most"), pl.col("below_only"))
    tested = long.join(
        effluent.with_columns(pl.col("below_only").fill_null(False)), on=["consent", "parameter"], maintain_order="left"
    ).with_columns(ok=ok)
    waits = ((pl.col("parameter") == SLOW) & pl.col("result").is_null()).any()
    verdicts = tested.group_by("sample").agg(
        failed=pl.col("parameter").filter(~pl.col("ok")),
        compliant=pl.when((~pl.col("ok")).any())
        .then(False)
        .when(waits | (pl.col("ok").count() == 0))
        .then(None)
        .otherwise(True),
    )
    return named.join(verdicts, on="sample", how="left", maintain_order="left").drop("sample")


def effluent_compliance(
    effluent_samples: pl.DataFrame,
    effluent_plants: pl.DataFrame,
    effluent: pl.DataFrame,
    assets: pl.DataFrame,
    windows: pl.DataFrame,
) -> pl.DataFrame:
    """Share of the month's judged effluent samples of which every tested parameter keeps the plant's consent.

    Pending samples are in neither number. `detail` of a plant names the parameters that failed.
    Source: the limit set that `effluent_plants` names for the plant (reference effluent).
    """
    plants = effluent_plants.select(plant="asset", consent="consent")
    places = assets.select("ward", plant="asset")
    placed = in_windows(effluent_samples, windows, "sampled_at").join(plants, on="plant")
    samples = judged_samples(placed.drop("ward", strict=False).join(places, on="plant", how="left"), effluent)
    rows_by_area = by_area(samples.with_columns(asset="plant"), ["town", "ward", "asset"])
    found = rows_by_area.group_by(KEYS).agg(
        numerator=pl.col("compliant").sum().cast(pl.Float64),
        denominator=pl.col("compliant").count().cast(pl.Float64),
        n=pl.col("compliant").count().cast(pl.Int64),
        n_expected=pl.len().cast(pl.Int64),
        detail=pl.col("failed").explode().drop_nulls().unique().sort().str.join(", "),
    )
    named = pl.when(pl.col("area").str.starts_with("asset:") & (pl.col("detail") != "")).then(pl.col("detail"))
    pending = pl.when(pl.col("denominator") == 0).then(pl.lit("insufficient_data"))
    return found.with_columns(detail=named, reason=pending)
