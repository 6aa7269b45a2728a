"""What the feeders carry: losses, evenness of the load, power factor."""

import polars as pl
from polars import DataFrame as Frame

from pipelines.energy import formulas
from pipelines.engine.measures import KEYS, by_area, in_windows, ratio

LEVELS = ("town", "ward", "asset")
HOUR = ["asset", "observed_at"]
QUARTER_HOUR_S = 900


def _metered(transformer_energy_kwh_hourly: Frame, assets: Frame) -> Frame:
    """Energy out of the transformers of each feeder and hour, with how many of them were metered in it.

    Shape: asset (the feeder), observed_at, delivered, metered (a transformer counts by its share of readings).
    """
    parents = assets.filter(pl.col("kind") == "transformer").select("asset", "parent")
    rows = transformer_energy_kwh_hourly.join(parents, on="asset")
    arrived = ratio(pl.col("n"), pl.col("expected")).clip(upper_bound=1)
    return rows.group_by(pl.col("parent").alias("asset"), "observed_at").agg(
        delivered=pl.col("sum").sum(), metered=arrived.sum()
    )


def feeder_loss(
    feeder_energy_kwh_hourly: Frame,
    feeder_export_kwh_hourly: Frame,
    transformer_energy_kwh_hourly: Frame,
    assets: Frame,
    windows: Frame,
    *,
    min_metered_share: float = 0.9,
) -> Frame:
    """Share of the energy sent into a feeder that did not come out at its transformers.

    Only hours with all readings of the feeder's own meter count, so that both sides cover the same time; null where
    fewer than `min_metered_share` of the transformers' readings are there, as missing meters look like loss.
    Source: CEA metering practice.
    """
    complete = feeder_energy_kwh_hourly.filter((pl.col("n") >= pl.col("expected")).fill_null(True))
    sent = complete.select("asset", "ward", "observed_at", "n", sent="sum")
    passed = feeder_export_kwh_hourly.group_by(HOUR).agg(passed=pl.col("sum").sum())
    counted = pl.col("parent").count().alias("transformers")
    owned = assets.filter(pl.col("kind") == "transformer").group_by(pl.col("parent").alias("asset")).agg(counted)
    hours = sent.join(passed, on=HOUR, how="left").join(
        _metered(transformer_energy_kwh_hourly, assets), on=HOUR, how="left"
    )
    hours = hours.join(owned, on="asset").with_columns(pl.col("passed", "delivered", "metered").fill_null(0))
    rows = (
        by_area(in_windows(hours, windows), LEVELS)
        .group_by(KEYS)
        .agg(
            **formulas.feeder_losses(pl.col("sent").sum(), pl.col("passed").sum(), pl.col("delivered").sum()),
            metered=pl.col("metered").sum(),
            transformers=pl.col("transformers").sum(),
        )
    )
    share = ratio(pl.col("metered"), pl.col("transformers"))
    known = (share >= min_metered_share).fill_null(False)
    return rows.select(
        *KEYS,
        numerator=pl.when(known).then("numerator"),
        denominator="denominator",
        detail=pl.format("{} % metered", (share * 100).fill_null(0).round(0).cast(pl.Int64)),
        reason=pl.when(~known).then(pl.lit("insufficient_data")),
    )


def _loads(feeder_energy_kwh: Frame, sensors: Frame) -> Frame:
    """Energy of every feeder in intervals of one length: that of the slowest meter; incomplete ones left out.

    Shape: asset, ward, observed_at, energy, hours (length of the interval).
    """
    meters = sensors.filter(pl.col("quantity") == "feeder_energy_kwh").select("sensor", "every_s")
    length_s = max(meters["every_s"].drop_nulls().cast(pl.Int64).to_list(), default=QUARTER_HOUR_S)
    timed = feeder_energy_kwh.join(meters, on="sensor").with_columns(pl.col("observed_at").dt.truncate(f"{length_s}s"))
    whole = timed.group_by("asset", "ward", "observed_at", "every_s").agg(energy=pl.col("value").sum(), n=pl.len())
    return whole.filter(pl.col("n") * pl.col("every_s") >= length_s).with_columns(hours=pl.lit(length_s / 3600))


def load_factor(feeder_energy_kwh: Frame, sensors: Frame, windows: Frame) -> Frame:
    """Mean load of the peak load, both of intervals of one length; the town's peak is that of all feeders together.

    An interval counts for an area only when all its feeders reported: a missing one would look like a low load.
    Source: standard definition (tariff orders).
    """
    meters = sensors.filter(pl.col("quantity") == "feeder_energy_kwh").select("asset", "ward").unique()
    feeders = by_area(meters, LEVELS).group_by("area").agg(feeders=pl.len())
    rows = by_area(in_windows(_loads(feeder_energy_kwh, sensors), windows), LEVELS)
    summed = rows.group_by(*KEYS, "observed_at").agg(
        energy=pl.col("energy").sum(), hours=pl.col("hours").first(), reported=pl.col("asset").n_unique()
    )
    whole = summed.join(feeders, on="area").filter(pl.col("reported") >= pl.col("feeders"))
    energy, hours = pl.col("energy"), pl.col("hours")
    return whole.group_by(KEYS).agg(**formulas.mean_and_peak(energy.sum(), hours.sum(), (energy / hours).max()))


def power_factor(feeder_power_kw_hourly: Frame, feeder_reactive_kvar_hourly: Frame, windows: Frame) -> Frame:
    """Active of apparent energy, from the mean power of the hours in which both were measured.

    Lagging and leading hours are not netted; hours in which the feeder gave energy back are left out.
    Source: state tariff orders.
    """
    mean = ratio(pl.col("sum"), pl.col("n"))
    active = feeder_power_kw_hourly.select("asset", "ward", "observed_at", kwh=mean)
    reactive = feeder_reactive_kvar_hourly.select("asset", "observed_at", kvarh=mean.abs())
    hours = active.join(reactive, on=HOUR).filter(pl.col("kwh") > 0)
    rows = by_area(in_windows(hours, windows), LEVELS)
    return rows.group_by(KEYS).agg(**formulas.active_share(pl.col("kwh").sum(), pl.col("kvarh").sum()))
