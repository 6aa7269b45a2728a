"""Water samples against the drinking water limits."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share
from pipelines.engine.model import Kpi, every
from pipelines.water.formulas import between

LEVELS = ("town", "ward", "asset")
Limits = Mapping[str, Mapping[str, Any]]


def limits_of(drinking_water: pl.DataFrame) -> Limits:
    """The limits by parameter: `acceptable_low`, `acceptable_high`, `permissible_low`, `permissible_high`."""
    return {row["parameter"]: row for row in drinking_water.iter_rows(named=True)}


def within(parameter: str, grade: str, limits: Limits) -> pl.Expr:
    """Whether a sample's parameter keeps the `acceptable` or `permissible` limit; null where it was not tested.

    A parameter that the table leaves out has no limit.
    """
    limit = limits.get(parameter, {})
    low, high = (pl.lit(limit.get(f"{grade}_{end}"), dtype=pl.Float64) for end in ("low", "high"))
    return between(pl.col(parameter), low, high)


def passes(limits: Limits) -> pl.Expr:
    """Whether every parameter that was tested keeps its acceptable limit; null where none was tested."""
    results = [within(parameter, "acceptable", limits) for parameter in limits]
    if not results:
        return pl.lit(None, dtype=pl.Boolean)
    return pl.when(pl.any_horizontal(r.is_not_null() for r in results)).then(
        pl.all_horizontal(r.fill_null(True) for r in results)
    )


def _shares(water_samples: pl.DataFrame, windows: pl.DataFrame, good: pl.Expr) -> pl.DataFrame:
    """Share of the samples for which `good` holds, per window and area; laboratories sample when they do."""
    rows = in_windows(water_samples, windows, "sampled_at").with_columns(asset="dma")
    parts = share(good)
    return by_area(rows, LEVELS).group_by(KEYS).agg(**parts, n_expected=parts["n"])


def turbidity_acceptable(
    water_samples: pl.DataFrame, drinking_water: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Share of samples with a turbidity up to the acceptable limit, per window and area.

    Source: IS 10500:2012, 1 NTU.
    """
    return _shares(water_samples, windows, within("turbidity_ntu", "acceptable", limits_of(drinking_water)))


def turbidity_permissible(
    water_samples: pl.DataFrame, drinking_water: pl.DataFrame, windows: pl.DataFrame
) -> pl.DataFrame:
    """Share of samples with a turbidity up to the limit where there is no other source, per window and area.

    Source: IS 10500:2012, 5 NTU.
    """
    return _shares(water_samples, windows, within("turbidity_ntu", "permissible", limits_of(drinking_water)))


def water_quality(water_samples: pl.DataFrame, drinking_water: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share of samples in which every tested parameter keeps its acceptable limit, per window and area.

    Source: SLB 2.1.6; IS 10500:2012.
    """
    return _shares(water_samples, windows, passes(limits_of(drinking_water)))


def e_coli_found(water_samples: pl.DataFrame, drinking_water: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """How many samples held E. coli, per window and area; no row where none was tested for it.

    Source: IS 10500:2012 Table 6, must be absent.
    """
    rows = in_windows(water_samples, windows, "sampled_at").with_columns(asset="dma").drop_nulls("e_coli_100ml")
    found = (~within("e_coli_100ml", "acceptable", limits_of(drinking_water))).sum().cast(pl.Float64)
    count = pl.len().cast(pl.Int64)
    return by_area(rows, LEVELS).group_by(KEYS).agg(value=found, n=count, n_expected=count)


def _quality_kpi(**said: Any) -> Kpi:
    common: dict[str, Any] = {"catalogue": "WA-09", "levels": LEVELS, "window": every("month")}
    return Kpi(**(common | said))


KPIS = (
    _quality_kpi(
        function=water_quality,
        title="Samples that pass every test",
        plain="Share of water samples that are fit to drink by every test made.",
        formula="100 x samples with all tested parameters within limits / samples",
        standard="MoUD Service Level Benchmarks 2.1.6; IS 10500:2012 acceptable limits",
        unit="percent",
        better="higher",
        target=100,
        watch=95,
        scale=100,
    ),
    _quality_kpi(
        function=turbidity_acceptable,
        title="Clear samples",
        plain="Share of water samples that are clear (1 NTU or less).",
        formula="100 x samples up to 1 NTU / samples",
        standard="IS 10500:2012 acceptable limit",
        unit="percent",
        better="higher",
        target=100,
        watch=90,
        scale=100,
    ),
    _quality_kpi(
        function=turbidity_permissible,
        title="Samples not too cloudy",
        plain="Share of water samples within what is allowed where there is no other source (5 NTU or less).",
        formula="100 x samples up to 5 NTU / samples",
        standard="IS 10500:2012 permissible limit without alternate source",
        unit="percent",
        better="higher",
        target=100,
        watch=98,
        scale=100,
    ),
    _quality_kpi(
        function=e_coli_found,
        grows=True,
        title="Samples with E. coli",
        plain="Water samples of the day with germs from sewage. One is too many.",
        formula="samples with E. coli above 0 in 100 mL",
        standard="IS 10500:2012 Table 6: must be absent",
        unit="count",
        window=every("day"),
        better="lower",
        target=0,
        decimals=0,
    ),
)
