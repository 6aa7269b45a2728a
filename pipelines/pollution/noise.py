"""KPIs of noise: energy means, the day-evening-night level, and the legal limits by day and by night."""

from collections.abc import Mapping, Sequence

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, local
from pipelines.pollution.limit_tables import NOISE_PERIODS, Period, periods
from pipelines.pollution.stations import HIGHEST, MINIMUM_SHARE, over_stations

NOISE = "noise_dba"
SITE = ["asset", "ward"]


def sound_energy(level_dba: pl.Expr) -> pl.Expr:
    """The energy of a level, relative to that of 0 dB."""
    return pl.lit(10.0) ** (level_dba / 10)


def sound_level(energy: pl.Expr) -> pl.Expr:
    """The level in dB of an energy; null for none."""
    return pl.when(energy > 0).then(10 * energy.log10())


def day_evening_night(levels: Mapping[str, pl.Expr], periods: Sequence[Period]) -> pl.Expr:
    """The level of a whole day from those of its parts, evening and night made louder by their penalty.

    Source: Directive 2002/49/EC Annex I (Lden); the same formula without an evening is Ldn.
    """
    weighted = [sound_energy(levels[part.name] + part.penalty_db) * part.hours for part in periods]
    total = weighted[0]
    for energy in weighted[1:]:
        total = total + energy
    return sound_level(total / sum(part.hours for part in periods))


def is_quiet_enough(level_dba: pl.Expr, limit_dba: pl.Expr) -> pl.Expr:
    """Whether a level is at or below its limit; float noise of the logarithm does not break a limit."""
    return level_dba.round(6) <= limit_dba


def in_period(hour: pl.Expr, period: Period) -> pl.Expr:
    """Whether an hour of the town's clock lies in this part of the day."""
    if period.from_hour < period.to_hour:
        return (hour >= period.from_hour) & (hour < period.to_hour)
    return (hour >= period.from_hour) | (hour < period.to_hour)


def _sound(noise_dba: pl.DataFrame, sensors: pl.DataFrame) -> pl.DataFrame:
    """Each reading as `energy` (weighted by the seconds it stands for) and `seconds`."""
    pace = sensors.filter(pl.col("quantity") == NOISE).select("sensor", seconds=pl.col("every_s").cast(pl.Float64))
    rows = noise_dba.filter(pl.col("value").is_not_null()).join(pace, on="sensor")
    return rows.select(*SITE, "observed_at", "seconds", energy=sound_energy(pl.col("value")) * pl.col("seconds"))


def _microphones(sensors: pl.DataFrame) -> pl.DataFrame:
    mine = sensors.filter(pl.col("quantity") == NOISE)
    return mine.group_by("asset").agg(pl.col("ward").first(), microphones=pl.len().cast(pl.Int64))


def _hourly_sound(noise_dba: pl.DataFrame, sensors: pl.DataFrame, zone: str) -> pl.DataFrame:
    hour = local(pl.col("observed_at"), zone).dt.truncate("1h").dt.convert_time_zone("UTC")
    sound = _sound(noise_dba, sensors).with_columns(observed_at=hour)
    sums = sound.group_by("asset", "observed_at").agg(pl.col("ward").first(), pl.col("energy", "seconds").sum())
    return sums.with_columns(pl.col("observed_at").cast(noise_dba.schema["observed_at"]))


LEVEL = sound_level(pl.col("energy").sum() / pl.col("seconds").sum())


def noise_leq(noise_dba: pl.DataFrame, sensors: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Energy-mean sound level of the hour; the town is its loudest site.

    Unit: dB(A). Source: ISO 1996-1. Needs 75 % of the hour.
    """
    rows = in_windows(_sound(noise_dba, sensors), windows)
    levels = rows.group_by("window", "asset").agg(
        pl.col("ward").first(), value=LEVEL, covered=pl.col("seconds").sum(), n=pl.len().cast(pl.Int64)
    )
    span = windows.select("window", span=(pl.col("as_of") - pl.col("window")).dt.total_seconds())
    sites = _microphones(sensors).select("asset", "microphones")
    judged = levels.join(span, on="window").join(sites, on="asset").with_columns(_captured("span"))
    expected = pl.col("n") * pl.col("span") * pl.col("microphones") / pl.col("covered")
    return over_stations(judged.with_columns(n_expected=expected.round().cast(pl.Int64), detail=_no_detail()), HIGHEST)


def _captured(seconds: str | float) -> pl.Expr:
    span = pl.col(seconds) if isinstance(seconds, str) else pl.lit(seconds)
    enough = pl.col("covered") >= MINIMUM_SHARE * span * pl.col("microphones")
    return pl.when(enough).then(pl.col("value")).alias("value")


def _no_detail() -> pl.Expr:
    return pl.lit(None, dtype=pl.String)


def noise_lden(
    noise_dba: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    noise_periods: pl.DataFrame = NOISE_PERIODS,
    *,
    scheme: str = "EU Lden",
) -> pl.DataFrame:
    """Day-evening-night level of the last 24 hours; the town is its loudest site.

    Unit: dB(A). Parts of the day and penalties by `scheme` of noise_periods, each with 75 % of its readings.
    Source: Directive 2002/49/EC Annex I.
    """
    day_parts = periods(scheme, noise_periods)
    rows = in_windows(_hourly_sound(noise_dba, sensors, zone), windows)
    rows = rows.join(_microphones(sensors).select("asset", "microphones"), on="asset")
    hour = local(pl.col("observed_at"), zone).dt.hour()
    parts = [_period_level(part, in_period(hour, part)) for part in day_parts]
    counted = {"n": pl.len().cast(pl.Int64), "n_expected": pl.lit(24, dtype=pl.Int64)}
    grouped = rows.group_by("window", "asset").agg(pl.col("ward").first(), *parts, **counted)
    level = day_evening_night({part.name: pl.col(part.name) for part in day_parts}, day_parts)
    return over_stations(grouped.with_columns(value=level, detail=_no_detail()), HIGHEST)


def _period_level(part: Period, inside: pl.Expr) -> pl.Expr:
    seconds = pl.col("seconds").filter(inside).sum()
    enough = seconds >= MINIMUM_SHARE * part.hours * 3600 * pl.col("microphones").first()
    return pl.when(enough).then(sound_level(pl.col("energy").filter(inside).sum() / seconds)).alias(part.name)


def _compliance(
    sound: pl.DataFrame,
    zones: tuple[pl.DataFrame, pl.DataFrame],
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    part: Period,
) -> pl.DataFrame:
    """Share of sites at or below their limit, over the sites with a zone class and 75 % of the period.

    `zones`: the sites and the limits of their classes.
    """
    noise_sites, noise_limits = zones
    zone_class = pl.col("zone_class").str.to_lowercase().str.strip_chars()
    named = noise_limits.with_columns(zone_class)
    zoned = noise_sites.with_columns(zone_class).join(named, on="zone_class").select("asset", limit=f"{part.name}_dba")
    sites = _microphones(sensors).join(zoned, on="asset")
    levels = sound.group_by("window", "asset").agg(value=LEVEL, covered=pl.col("seconds").sum())
    expected = sites.join(windows.select("window"), how="cross").join(levels, on=["window", "asset"], how="left")
    judged = expected.with_columns(_captured(part.hours * 3600.0))
    judged = judged.with_columns(
        ok=is_quiet_enough(pl.col("value"), pl.col("limit")),
        words=pl.format("{} of {} dB(A)", pl.col("value").round(1), pl.col("limit")),
    )
    grouped = (
        by_area(judged, ["town", "ward", "asset"])
        .group_by(KEYS)
        .agg(
            numerator=pl.col("ok").sum().cast(pl.Float64),
            denominator=pl.col("ok").count().cast(pl.Float64),
            n=pl.col("ok").count().cast(pl.Int64),
            n_expected=pl.len().cast(pl.Int64),
            detail=pl.col("words").drop_nulls().first(),
        )
    )
    empty = pl.col("denominator") == 0
    alone = pl.col("area").str.starts_with("asset:")
    return grouped.with_columns(
        detail=pl.when(alone).then(pl.col("detail")), reason=pl.when(empty).then(pl.lit("insufficient_data"))
    )


def noise_compliance_day(
    noise_dba: pl.DataFrame,
    noise_sites: pl.DataFrame,
    noise_limits: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    noise_periods: pl.DataFrame = NOISE_PERIODS,
) -> pl.DataFrame:
    """Share of sites whose level from 06 to 22 h is at or below the day limit of their zone class.

    Source: Noise Pollution (Regulation and Control) Rules 2000, Schedule.
    """
    day = next(part for part in periods("India", noise_periods) if part.name == "day")
    rows = in_windows(_sound(noise_dba, sensors), windows)
    inside = in_period(local(pl.col("observed_at"), zone).dt.hour(), day)
    return _compliance(rows.filter(inside), (noise_sites, noise_limits), sensors, windows, day)


def noise_compliance_night(
    noise_dba: pl.DataFrame,
    noise_sites: pl.DataFrame,
    noise_limits: pl.DataFrame,
    sensors: pl.DataFrame,
    windows: pl.DataFrame,
    zone: str,
    noise_periods: pl.DataFrame = NOISE_PERIODS,
) -> pl.DataFrame:
    """Share of sites whose level from 22 to 06 h is at or below the night limit of their zone class.

    A night belongs to the date of its 22 h, which is the date on which its 30-hour window starts.
    Source: Noise Pollution (Regulation and Control) Rules 2000, Schedule.
    """
    night = next(part for part in periods("India", noise_periods) if part.name == "night")
    rows = in_windows(_sound(noise_dba, sensors), windows)
    clock, began = local(pl.col("observed_at"), zone), local(pl.col("window"), zone).dt.date()
    evening = (clock.dt.hour() >= night.from_hour) & (clock.dt.date() == began)
    morning = (clock.dt.hour() < night.to_hour) & (clock.dt.date() == began.dt.offset_by("1d"))
    return _compliance(rows.filter(evening | morning), (noise_sites, noise_limits), sensors, windows, night)
