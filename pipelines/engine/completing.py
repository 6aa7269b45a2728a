"""What KPI functions give, completed: value, coverage and reason settled for the rows of many KPIs at once."""

import polars as pl

from pipelines.engine.measures import KEYS
from pipelines.engine.model import INSTANT

VALUE = pl.Schema(
    {
        "window": INSTANT,
        "end": INSTANT,
        "area": pl.String(),
        "value": pl.Float64(),
        "numerator": pl.Float64(),
        "denominator": pl.Float64(),
        "n": pl.Int64(),
        "n_expected": pl.Int64(),
        "coverage": pl.Float64(),
        "reason": pl.String(),
        "detail": pl.String(),
        "as_of": INSTANT,
    }
)
NOTHING = pl.DataFrame(schema=VALUE)
BY_AREA = pl.Schema(
    {
        "_cover": pl.Int32(),
        "window": INSTANT,
        "area": pl.String(),
        "_n": pl.Int64(),
        "_n_expected": pl.Int64(),
        "_as_of_area": INSTANT,
    }
)


def _share(part: str, whole: str) -> pl.Expr:
    return pl.when(pl.col(whole) > 0).then((pl.col(part) / pl.col(whole)).clip(0.0, 1.0))


def complete(rows: pl.DataFrame, judging: pl.DataFrame) -> pl.DataFrame:
    """Rows of many KPIs with value, coverage and reason settled; a value that too little data carries becomes unknown.

    Shape: rows has kpi, VALUE and _coverage, _as_of, _n, _n_expected, _as_of_area; judging has kpi, scale, floor,
    min_coverage, counts, of_people. Of a count only zero needs the coverage: what came did happen, that nothing did
    must be shown.
    """
    ratio = pl.when(pl.col("denominator") != 0).then(pl.col("numerator") / pl.col("denominator") * pl.col("scale"))
    # A function that says what it expected is judged by that; else by what the sensors were to send, used or not.
    own_share = _share("n", "n_expected_given")
    share = _share("_n", "_n_expected")
    counted = rows.join(judging, on="kpi").with_columns(
        n_expected_given="n_expected",
        value=pl.coalesce("value", ratio),
        n=pl.coalesce("n", "_n"),
        n_expected=pl.coalesce("n_expected", "_n_expected"),
        as_of=pl.coalesce("as_of", "_as_of_area", "_as_of"),
    )
    counted = counted.with_columns(coverage=pl.coalesce("coverage", own_share, share, "_coverage"))
    counts = pl.col("counts")
    thin = (pl.col("coverage") < pl.col("min_coverage")).fill_null(counts) & (~counts | (pl.col("value") == 0))
    few = (pl.col("denominator") < pl.col("floor")).fill_null(value=False)
    usable = pl.col("value").is_finite().fill_null(value=False)
    reason = (
        pl.when(pl.col("reason").is_not_null())
        .then("reason")
        .when(thin | few)
        .then(pl.lit("insufficient_data"))
        .when(~usable)
        .then(pl.lit("no_data"))
    )
    judged = counted.with_columns(
        value=pl.when(usable & ~thin & ~few).then("value"),
        # Of few cases of people the number is told, never how many of them: that would tell the share on every exit.
        numerator=pl.when(~(few & pl.col("of_people"))).then("numerator"),
        reason=reason,
    )
    return judged.select("kpi", *VALUE).sort("kpi", *KEYS)
