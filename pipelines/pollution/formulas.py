"""Air quality formulas on Polars expressions, in whole millionths where a rounding rule decides the result."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from pipelines.pollution.limit_tables import (
    EUROPEAN_AQI,
    INDIA_NAQI,
    INDIA_NAQI_SEVERE,
    MILLION,
    US_AQI,
    Index,
    Segment,
    bands,
    european_bands,
    index,
    india_index,
    who_goals,
)

TOP_INDEX = 500
SEVERE = "band before repeated"
US, INDIA = index(US_AQI), india_index(SEVERE, INDIA_NAQI, INDIA_NAQI_SEVERE)
EUROPE = european_bands(EUROPEAN_AQI)
SO2_ONE_HOUR_ENDS_AT = 305 * MILLION
SO2_INDEX_WITHOUT_24H = 200
INDIA_ONE_HOUR_OZONE_ABOVE = 208 * MILLION
INDIA_EIGHT_HOUR = ("O3", "CO")
INDIA_PARTICLES = ("PM2.5", "PM10")
LITRES_PER_MOLE_AT_0_C = 22.414
ZERO_C_K = 273.15
ATMOSPHERE_KPA = 101.325


def millionths(value: pl.Expr) -> pl.Expr:
    """A measured number as a whole number of millionths: 0.1 + 0.2 and 0.3 become the same."""
    return (value * MILLION).round().cast(pl.Int64)


def rounded_quotient(numerator: pl.Expr, denominator: pl.Expr | int) -> pl.Expr:
    """The quotient of whole numbers rounded half up, in whole numbers; null when the denominator is 0."""
    return (numerator * 2 + denominator) // (denominator * 2)


def linear_index(concentration: pl.Expr, pieces: tuple[Segment, ...]) -> pl.Expr:
    """The index on the piece that holds the concentration (millionths), rounded half up.

    Beyond a table that ends at 500 it stays 500; beyond one that ends earlier, or without a piece, there is none.
    """
    if not pieces:
        return pl.lit(None, dtype=pl.Int64)
    found = concentration.map_batches(
        partial(_on_pieces, columns=_columns(pieces)), return_dtype=pl.Int64, is_elementwise=True
    )
    within = concentration >= pieces[0].low
    if pieces[-1].index_high != TOP_INDEX:
        within &= concentration <= pieces[-1].high
    return pl.when(within).then(found)


def _on_pieces(concentrations: pl.Series, columns: tuple[NDArray[np.int64], ...]) -> pl.Series:
    """The index of every concentration, whatever for those on no piece: one search, where expressions take five."""
    highs, lows, widths, bases, rises = columns
    values = concentrations.cast(pl.Int64).fill_null(0).to_numpy()
    piece = np.searchsorted(highs, values)
    return pl.Series((2 * (values - lows[piece]) * rises[piece] + widths[piece]) // (2 * widths[piece]) + bases[piece])


def _columns(pieces: tuple[Segment, ...]) -> tuple[NDArray[np.int64], ...]:
    """Ends, starts, widths, lowest indexes and rises of the pieces; beyond the last the index stays TOP_INDEX."""
    rows = [(p.high, p.low, p.high - p.low, p.index_low, p.index_high - p.index_low) for p in pieces]
    highs, *others = np.array([*rows, (0, 0, 1, TOP_INDEX, 0)], dtype=np.int64).T
    return highs[:-1], *others


def us_sub_index(pollutant: str, averaging: str, concentration: pl.Expr, us: Index = US) -> pl.Expr:
    """The US index of one pollutant: concentration truncated, index rounded half up.

    Unit: millionths of ug/m3 (PM), ppb (O3, SO2, NO2) or ppm (CO).
    Source: EPA-454/B-24-002, Table 6 and equation 1.
    """
    pieces = us.of(pollutant, averaging)
    step = pieces[0].truncate_to if pieces else 1
    return linear_index(concentration.clip(lower_bound=0) // step * step, pieces)


def us_ozone(eight_hour: pl.Expr, one_hour: pl.Expr, us: Index = US) -> pl.Expr:
    """The higher of the 8-hour (to 300) and the 1-hour index (from 101)."""
    return pl.max_horizontal(us_sub_index("O3", "8h", eight_hour, us), us_sub_index("O3", "1h", one_hour, us))


def us_sulphur_dioxide(one_hour: pl.Expr, day: pl.Expr, us: Index = US) -> pl.Expr:
    """The 1-hour index below 305 ppb; from there the 24-hour mean decides, and gives at least 200.

    Source: 40 CFR 58 Appendix G, notes to Table 2.
    """
    by_day = us_sub_index("SO2", "24h", day, us)
    lowest = pl.when(day.is_not_null()).then(SO2_INDEX_WITHOUT_24H)
    high = one_hour >= SO2_ONE_HOUR_ENDS_AT
    return pl.when(high).then(pl.coalesce(by_day, lowest)).otherwise(us_sub_index("SO2", "1h", one_hour, us))


def beyond_us_aqi(pollutant: str, averaging: str, concentration: pl.Expr, us: Index = US) -> pl.Expr:
    """Whether the truncated concentration lies above the last breakpoint of a table that ends at 500."""
    if not (pieces := us.of(pollutant, averaging)):
        return pl.lit(value=False)
    last = pieces[-1]
    ends = concentration // last.truncate_to * last.truncate_to > last.high
    return (ends & (last.index_high == TOP_INDEX)).fill_null(False)


def india_sub_index(pollutant: str, concentration: pl.Expr, india: Index = INDIA) -> pl.Expr:
    """The Indian index of one pollutant on contiguous pieces, capped at 500.

    CPCB prints no upper end of the severe band: whose is taken stands in limits/india_naqi_severe.csv.

    Unit: millionths of ug/m3 (CO: mg/m3), 24-hour mean (O3 and CO: 8-hour).
    Source: CPCB National Air Quality Index, October 2014.
    """
    averaging = "8h" if pollutant in INDIA_EIGHT_HOUR else "24h"
    return linear_index(concentration.clip(lower_bound=0), india.of(pollutant, averaging))


def india_ozone(eight_hour: pl.Expr, one_hour: pl.Expr) -> pl.Expr:
    """The concentration that decides the Indian ozone index: the 1-hour value once the 8-hour mean is above 208."""
    above = (eight_hour > INDIA_ONE_HOUR_OZONE_ABOVE) & one_hour.is_not_null()
    return pl.when(above).then(one_hour).otherwise(eight_hour)


def india_is_valid(indexes: Mapping[str, pl.Expr], minimum_pollutants: int = 3) -> pl.Expr:
    """Whether enough pollutants have an index: three, one of them PM2.5 or PM10."""
    known = pl.sum_horizontal([index.is_not_null().cast(pl.Int64) for index in indexes.values()])
    particles = [indexes[name].is_not_null() for name in INDIA_PARTICLES if name in indexes]
    return (known >= minimum_pollutants) & (pl.any_horizontal(particles) if particles else pl.lit(False))


def european_level(pollutant: str, concentration: pl.Expr, europe: Mapping[str, tuple[int, ...]] = EUROPE) -> pl.Expr:
    """The European level 1 to 6 of an hourly concentration (millionths of ug/m3), rounded to whole ug/m3 first.

    Source: EEA European Air Quality Index as revised 2024/25.
    """
    whole = rounded_quotient(concentration.clip(lower_bound=0), MILLION)
    ends = europe.get(pollutant)
    if not ends:
        return pl.lit(None, dtype=pl.Int64)
    level = pl.lit(1, dtype=pl.Int64) + pl.sum_horizontal([(whole > end).cast(pl.Int64) for end in ends])
    return pl.when(whole.is_not_null()).then(level)


def category(index: pl.Expr, scheme: str = "india_naqi") -> pl.Expr:
    """The name of the band an index lies in; an index on an edge belongs to the better band.

    `scheme` is india_naqi, us_aqi or european_aqi. Above the last edge it is the last band.
    """
    edges = bands(scheme)
    name: pl.Expr = pl.when(index.is_not_null()).then(pl.lit(edges[-1][1]))
    for top, band in reversed(edges[:-1]):
        name = pl.when(index <= top).then(pl.lit(band)).otherwise(name)
    return name


def worst(indexes: Mapping[str, pl.Expr]) -> dict[str, pl.Expr]:
    """The highest index as `value` and its pollutant as `detail`; on a tie the first named."""
    highest = pl.max_horizontal(list(indexes.values()))
    names = [pl.when(index == highest).then(pl.lit(name)) for name, index in indexes.items()]
    return {"value": highest, "detail": pl.coalesce(names)}


def not_negative(value: pl.Expr, instrument_limit: float) -> pl.Expr:
    """Small negative hours (the zero drift of an instrument) as 0, those below its limit as null."""
    return pl.when(value >= 0).then(value).when(value >= instrument_limit).then(0.0)


def nowcast(hourly: pl.Expr, hours_ago: pl.Expr) -> pl.Expr:
    """EPA NowCast of the last 12 hourly means (an aggregate); null unless 2 of the 3 latest hours are valid.

    `hours_ago` is 0 for the latest hour. Source: EPA NowCast fact sheet for particles.
    """
    recent = (hourly.is_not_null() & (hours_ago < 3)).sum() >= 2
    falls = pl.when(hourly.max() > 0).then(hourly.min() / hourly.max()).otherwise(1.0)
    weight = falls.clip(lower_bound=0.5) ** hours_ago
    mean = (weight * hourly).sum() / pl.when(hourly.is_not_null()).then(weight).sum()
    return pl.when(recent).then(mean)


def exceeds_who(pollutant: str, daily_mean: pl.Expr, guideline: int | None = None) -> pl.Expr:
    """Whether a daily mean (millionths) is above the WHO 24-hour guideline; equal is no exceedance."""
    return daily_mean > (who_goals(pollutant, "24h")[0][1] if guideline is None else guideline)


def who_goal_met(pollutant: str, annual_mean: pl.Expr) -> pl.Expr:
    """The strictest WHO annual goal that the mean (millionths) meets: AQG, IT-4 ... IT-1, or null."""
    met = [pl.when(annual_mean <= at_most).then(pl.lit(goal)) for goal, at_most in who_goals(pollutant, "annual")]
    return pl.coalesce(met)


def molar_volume(temperature_c: float = 25.0, pressure_kpa: float = ATMOSPHERE_KPA) -> float:
    """Litres that a mole of gas takes: 24.465 at 25 C, 24.055 at 20 C and 101.325 kPa."""
    warmer = (temperature_c + ZERO_C_K) / ZERO_C_K
    return LITRES_PER_MOLE_AT_0_C * warmer * ATMOSPHERE_KPA / pressure_kpa


def ug_per_m3(ppb: Any, molar_mass: float, temperature_c: float = 25.0, pressure_kpa: float = ATMOSPHERE_KPA) -> Any:
    """A gas in ug/m3 from ppb (mg/m3 from ppm). The EU refers to 20 C, India and the US to 25 C."""
    return ppb * (molar_mass / molar_volume(temperature_c, pressure_kpa))


def ppb_from_ug_per_m3(
    ug_m3: Any, molar_mass: float, temperature_c: float = 25.0, pressure_kpa: float = ATMOSPHERE_KPA
) -> Any:
    """A gas in ppb from ug/m3 (ppm from mg/m3)."""
    return ug_m3 * (molar_volume(temperature_c, pressure_kpa) / molar_mass)
