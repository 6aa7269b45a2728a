"""How full the transformers are."""

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.energy.recent import recent
from pipelines.engine.measures import KEYS, by_area, in_windows, ratio, shared

LEVELS = ("town", "ward", "asset")
AT = ["window", "asset", "ward"]
QUARTER_HOUR_MIN = 15


def _mean(frame: Frame, windows: Frame, name: str) -> Frame:
    """Mean of the 15 minutes before `as_of`: the whole window once it has ended, and no gap at its beginning."""
    rows = recent(frame, windows, QUARTER_HOUR_MIN)
    return rows.group_by(AT).agg(pl.col("value").mean().alias(name), n=pl.len().cast(pl.Int64))


def transformer_loading(
    transformer_power_kw: Frame,
    transformer_reactive_kvar: Frame,
    transformer_current_a: Frame,
    transformers: Frame,
    windows: Frame,
) -> Frame:
    """Apparent power of rated power; of an area: of the transformers that report, with the fullest as `detail`.

    Apparent power comes from active and reactive power, else from the mean current of the phases.
    Source: loading guides IEC 60076-7 and IS 6600.
    """
    power = _mean(transformer_power_kw, windows, "kw")
    power = power.join(_mean(transformer_reactive_kvar, windows, "kvar").drop("n"), on=AT, nulls_equal=True)
    current = _mean(transformer_current_a, windows, "a").drop("n")
    both = power.join(current, on=AT, how="full", coalesce=True, nulls_equal=True)
    line_to_line = 3**0.5 * pl.col("declared_v")
    kva = pl.coalesce(
        formulas.apparent(pl.col("kw"), pl.col("kvar")), formulas.kva_of_currents(pl.col("a"), line_to_line)
    )
    loaded = both.join(transformers, on="asset").with_columns(kva=kva).filter(pl.col("kva").is_not_null())
    loading = ratio(pl.col("kva"), pl.col("rated_kva"))
    return (
        by_area(loaded, LEVELS)
        .group_by(KEYS)
        .agg(
            numerator=pl.col("kva").sum(),
            denominator=pl.col("rated_kva").sum(),
            n=pl.col("n").sum(),
            detail=pl.col("asset").get(loading.arg_max()),
        )
    )


@shared
def hourly_loading(power: Frame, reactive: Frame, transformers: Frame, windows: Frame) -> Frame:
    """Loading of every transformer and hour in per cent. Shape: window, asset, ward, observed_at, loading_pct."""
    mean = ratio(pl.col("sum"), pl.col("n"))
    active = power.select("asset", "ward", "observed_at", kw=mean)
    hours = active.join(reactive.select("asset", "observed_at", kvar=mean), on=["asset", "observed_at"])
    rated = hours.join(transformers.select("asset", "rated_kva"), on="asset")
    loading = 100 * ratio(formulas.apparent(pl.col("kw"), pl.col("kvar")), pl.col("rated_kva"))
    return in_windows(rated.with_columns(loading_pct=loading), windows)


def overload_hours(
    transformer_power_kw_hourly: Frame,
    transformer_reactive_kvar_hourly: Frame,
    transformers: Frame,
    windows: Frame,
    *,
    limit_pct: float = 100.0,
) -> Frame:
    """Hours whose mean loading was strictly above the limit, summed over the transformers of an area.

    Source: loading guides IEC 60076-7 and IS 6600.
    """
    hours = hourly_loading(transformer_power_kw_hourly, transformer_reactive_kvar_hourly, transformers, windows)
    over = formulas.overloads(pl.col("loading_pct"), limit_pct)
    return by_area(hours, LEVELS).group_by(KEYS).agg(value=over["hours"])


def peak_loading(
    transformer_power_kw_hourly: Frame,
    transformer_reactive_kvar_hourly: Frame,
    transformers: Frame,
    windows: Frame,
) -> Frame:
    """Loading of the fullest hour, of an area: of its fullest transformer, named in `detail`.

    Source: loading guides IEC 60076-7 and IS 6600.
    """
    hours = hourly_loading(transformer_power_kw_hourly, transformer_reactive_kvar_hourly, transformers, windows)
    loading = pl.col("loading_pct")
    fullest = pl.col("asset").get(loading.arg_max())
    return by_area(hours, LEVELS).group_by(KEYS).agg(value=formulas.overloads(loading, 0)["max"], detail=fullest)
