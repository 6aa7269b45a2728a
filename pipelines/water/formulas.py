"""The water standards' formulas, as expressions: what the KPI functions compute and the test vectors check."""

import math

import polars as pl

from pipelines.engine.measures import ratio

GRAVITY = 9.81
HOURS_A_DAY = 24
LITRES = 1000

Parts = dict[str, pl.Expr]


def non_revenue(system_input: pl.Expr, billed: pl.Expr) -> Parts:
    """Numerator and denominator of the share of system input that is not billed.

    Source: IWA best-practice balance; SLB 2.1.4.
    """
    return {"numerator": (system_input - billed).cast(pl.Float64), "denominator": system_input.cast(pl.Float64)}


def under_registration(billed_metered: pl.Expr, error: pl.Expr) -> pl.Expr:
    """Water that passed customer meters uncounted, from the share `error` by which they run slow.

    Source: AWWA M36, MI = BMC e / (1 - e).
    """
    return ratio(billed_metered * error, 1 - error)


def balance(
    system_input: pl.Expr,
    billed: tuple[pl.Expr, pl.Expr],
    unbilled: tuple[pl.Expr, pl.Expr],
    paper: tuple[pl.Expr, ...],
) -> Parts:
    """The parts of the water balance, each in the unit of what comes in.

    `billed` and `unbilled`: metered, unmetered. `paper`: unauthorised use, under-registration, data errors.
    Source: IWA best-practice balance; AWWA M36.
    """
    authorised = sum(unbilled, start=sum(billed, start=pl.lit(0.0)))
    apparent = sum(paper, start=pl.lit(0.0))
    return {
        "authorised": authorised,
        "nrw": system_input - sum(billed, start=pl.lit(0.0)),
        "water_losses": system_input - authorised,
        "apparent": apparent,
        "real": system_input - authorised - apparent,
    }


def unavoidable_losses(mains_km: pl.Expr, connections: pl.Expr, private_km: pl.Expr, pressure_m: pl.Expr) -> pl.Expr:
    """Unavoidable annual real losses.

    Unit: L/day. `private_km` is the total length of pipe between property line and meter.
    Source: Lambert et al. 1999, AQUA 48(6).
    """
    return (18 * mains_km + 0.8 * connections + 25 * private_km) * pressure_m


def leakage_index_valid(mains_km: pl.Expr, connections: pl.Expr, pressure_m: pl.Expr) -> pl.Expr:
    """Whether the network is large, dense and pressurised enough for the infrastructure leakage index.

    Source: Lambert's limits: Nc + 20 Lm of 3,000 or more, 20 connections per km, 25 m.
    """
    return (connections + 20 * mains_km >= 3000) & (connections >= 20 * mains_km) & (pressure_m >= 25)


def leakage_index(real_losses_m3: pl.Expr, days: pl.Expr, unavoidable_l_per_day: pl.Expr) -> Parts:
    """Numerator (current real losses) and denominator (unavoidable ones) of the index, both in L/day."""
    return {"numerator": real_losses_m3 * LITRES / days, "denominator": unavoidable_l_per_day.cast(pl.Float64)}


def net_night_flow(
    minimum_m3_h: pl.Expr,
    population: pl.Expr,
    *,
    active_share: float,
    litres_per_active_h: float,
    non_domestic: pl.Expr,
) -> pl.Expr:
    """Minimum night flow less what people and businesses use at night: the leakage rate at night pressure.

    Source: BABE; SANFLOW defaults 6 % active, 10 L per active person and hour.
    """
    return minimum_m3_h - population * active_share * litres_per_active_h / LITRES - non_domestic


def hour_day_factor(pressure_m: pl.Expr, night_pressure_m: pl.Expr, n1: pl.Expr) -> pl.Expr:
    """Sum over 24 h of (pressure / night pressure) ** n1; hours without pressure count as the mean of the others.

    Source: FAVAD. n1 is 0.5 for bursts in rigid pipe, 1.5 for background leakage, 1.0 when unknown.
    """
    return HOURS_A_DAY * ((pressure_m / night_pressure_m) ** n1).mean()


def night_leakage_m3_day(net_night_m3_h: pl.Expr, factor: pl.Expr) -> pl.Expr:
    """Water leaked in a day, from the net night flow and the hour-day factor (24 under constant pressure)."""
    return net_night_m3_h * factor


def per_head(supplied_l: pl.Expr, bulk_non_domestic_l: pl.Expr, population_days: pl.Expr) -> Parts:
    """Numerator (litres for homes) and denominator (people times days) of the supply per head.

    Source: SLB 2.1.2.
    """
    return {
        "numerator": (supplied_l - bulk_non_domestic_l).cast(pl.Float64),
        "denominator": population_days.cast(pl.Float64),
    }


def supply_hours(supplied: pl.Expr, observed: pl.Expr) -> pl.Expr:
    """Hours a day with supply, from the intervals with enough pressure among those observed."""
    return HOURS_A_DAY * ratio(supplied, observed)


def weighted_hours(hours: pl.Expr, connections: pl.Expr) -> Parts:
    """Numerator and denominator of the connection-weighted mean; zones without hours leave both.

    Source: SLB 2.1.5.
    """
    known = hours.is_not_null() & connections.is_not_null()
    return {
        "numerator": (hours * connections).filter(known).sum().cast(pl.Float64),
        "denominator": connections.filter(known).sum().cast(pl.Float64),
    }


def enough_pressure(pressure_m: pl.Expr, minimum_m: pl.Expr) -> pl.Expr:
    """Whether the pressure is at or above the minimum.

    Source: CPHEEO manual: 7, 12, 17 m at the ferrule for one, two, three storeys.
    """
    return pressure_m >= minimum_m


def between(value: pl.Expr, low: pl.Expr, high: pl.Expr) -> pl.Expr:
    """Whether the value lies within the limits, both included; a null limit does not bind."""
    above = pl.when(low.is_null()).then(True).otherwise(value >= low)
    below = pl.when(high.is_null()).then(True).otherwise(value <= high)
    return pl.when(value.is_not_null()).then(above & below)


def usable_m3(diameter_m: pl.Expr, level_m: pl.Expr, dead_level_m: pl.Expr) -> pl.Expr:
    """Water above the dead level of an upright round tank."""
    return math.pi / 4 * diameter_m**2 * (level_m - dead_level_m).clip(lower_bound=0)


def autonomy(usable: pl.Expr, net_outflow_m3_h: pl.Expr) -> Parts:
    """Numerator and denominator of the hours left; null while the tank fills or stands still."""
    return {"numerator": usable.cast(pl.Float64), "denominator": pl.when(net_outflow_m3_h > 0).then(net_outflow_m3_h)}


def hydraulic_kwh(volume_m3: pl.Expr, head_m: pl.Expr) -> pl.Expr:
    """Energy that the water itself gained: 9.81 V H / 3600."""
    return GRAVITY * volume_m3 * head_m / 3600


def energy_per_volume(energy_kwh: pl.Expr, volume_m3: pl.Expr) -> Parts:
    """Numerator and denominator of the energy per m3 pumped."""
    return {"numerator": energy_kwh.cast(pl.Float64), "denominator": volume_m3.cast(pl.Float64)}


def energy_per_volume_and_head(energy_kwh: pl.Expr, volume_m3: pl.Expr, head_m: pl.Expr) -> Parts:
    """Numerator and denominator of the energy per m3 lifted 100 m.

    Source: IWA performance indicator Ph5.
    """
    return {"numerator": energy_kwh.cast(pl.Float64), "denominator": (volume_m3 * head_m / 100).cast(pl.Float64)}


def part_of(part: pl.Expr, whole: pl.Expr) -> Parts:
    """Numerator and denominator of a plain share of two counted or metered amounts."""
    return {"numerator": part.cast(pl.Float64), "denominator": whole.cast(pl.Float64)}


def metered(functional_meters: pl.Expr, connections: pl.Expr, standposts: pl.Expr) -> Parts:
    """Numerator and denominator of the share of connections and public standposts with a working meter.

    Source: SLB 2.1.3.
    """
    return part_of(functional_meters, connections + standposts)


def sewage_generated(supplied: pl.Expr, other_sources: pl.Expr, return_factor: pl.Expr) -> pl.Expr:
    """Waste water that comes back from the water supplied.

    Source: SLB 2.2.3, return factor 0.8.
    """
    return return_factor * (supplied + other_sources)
