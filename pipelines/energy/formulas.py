"""The standards' formulas of energy, from Polars expressions to Polars expressions."""

from collections.abc import Mapping

import polars as pl

from pipelines.engine.measures import ratio

Parts = dict[str, pl.Expr]


def interruptions(customers: pl.Expr, minutes: pl.Expr, ended: pl.Expr, sustained_min: float) -> Parts:
    """Customers interrupted (`ci`), their minutes (`cmi`), momentary interruptions (`mci`).

    Shape: one row per customers restored together, so that stepwise restoration is one interruption per customer.
    An interruption that still lasts is momentary for nobody: it may yet become sustained.
    Source: IEEE Std 1366, clause 3: sustained is strictly more than five minutes.
    """
    sustained = minutes > sustained_min
    return {
        "ci": customers.filter(sustained).sum().cast(pl.Float64),
        "cmi": (customers * minutes).filter(sustained).sum().cast(pl.Float64),
        "mci": customers.filter(~sustained & ended).sum().cast(pl.Float64),
    }


def saifi(served: pl.Expr) -> Parts:
    """Sustained interruptions per customer served. Source: IEEE Std 1366, clause 3."""
    return {"numerator": pl.col("ci"), "denominator": served}


def saidi(served: pl.Expr) -> Parts:
    """Minutes without power per customer served. Source: IEEE Std 1366, clause 3."""
    return {"numerator": pl.col("cmi"), "denominator": served}


def caidi() -> Parts:
    """Minutes until power is back per sustained interruption. Source: IEEE Std 1366, clause 3."""
    return {"numerator": pl.col("cmi"), "denominator": pl.col("ci")}


def asai(served: pl.Expr, hours: pl.Expr) -> Parts:
    """Customer-hours with power of the customer-hours demanded. Source: IEEE Std 1366, clause 3."""
    demanded = served * hours
    return {"numerator": demanded - pl.col("cmi") / 60, "denominator": demanded}


def maifi(served: pl.Expr) -> Parts:
    """Momentary interruptions per customer served. Source: IEEE Std 1366, clause 3."""
    return {"numerator": pl.col("mci"), "denominator": served}


def major_event_threshold(daily_saidi: pl.Expr, ddof: int = 1) -> pl.Expr:
    """T_MED = exp(alpha + 2.5 beta) of the natural logarithms of daily SAIDI; days with SAIDI 0 are left out.

    Null with fewer than two such days. The standard does not say n or n - 1: the sample deviation is taken.
    Source: IEEE Std 1366, clause 5.
    """
    logarithms = daily_saidi.filter(daily_saidi > 0).log()
    return (logarithms.mean() + 2.5 * logarithms.std(ddof=ddof)).exp()


def is_major(daily_saidi: pl.Expr, threshold: pl.Expr) -> pl.Expr:
    """Whether a day is a major event day: strictly above T_MED. Source: IEEE Std 1366, clause 5."""
    return daily_saidi > threshold


def voltage_limits(declared_v: pl.Expr, below_pct: pl.Expr, above_pct: pl.Expr) -> Parts:
    """Lowest and highest permitted voltage, in whole microvolts so that 230 V - 6 % is 216.2 V and nothing else."""
    return {
        "low": (declared_v * (100 - below_pct) / 100).round(6),
        "high": (declared_v * (100 + above_pct) / 100).round(6),
    }


def within(value_v: pl.Expr, limits: Mapping[str, pl.Expr]) -> pl.Expr:
    """Whether a voltage is within the limits, both ends included."""
    volts = value_v.round(6)
    return (volts >= limits["low"]) & (volts <= limits["high"])


def interrupted(value_v: pl.Expr, declared_v: pl.Expr, outage_below_pct: float) -> pl.Expr:
    """Whether so low a voltage is an outage rather than bad voltage. Source: EN 50160 (below 5 to 10 % of declared)."""
    return value_v < declared_v * outage_below_pct / 100


def week_compliant(intervals: pl.Expr, in_band: pl.Expr, in_wide_band: pl.Expr) -> pl.Expr:
    """Whether 95 % of a week's 10-minute means are in the band and all in the wide one; null for an empty week.

    Source: EN 50160, 4.2.2.
    """
    return pl.when(intervals > 0).then((in_band * 100 >= intervals * 95) & (in_wide_band >= intervals))


def feeder_losses(sent: pl.Expr, passed_on: pl.Expr, delivered: pl.Expr) -> Parts:
    """Energy that entered a feeder and did not come out at its transformers, of what was meant for them.

    Source: CEA metering practice.
    """
    return {"numerator": sent - passed_on - delivered, "denominator": sent - passed_on}


def mean_and_peak(energy_kwh: pl.Expr, hours: pl.Expr, peak_kw: pl.Expr) -> Parts:
    """Mean load and peak load of intervals of the same length; their ratio is the load factor."""
    return {"numerator": ratio(energy_kwh, hours), "denominator": peak_kw}


def apparent(active: pl.Expr, reactive: pl.Expr) -> pl.Expr:
    """Apparent power (or energy) from its active and reactive parts."""
    return (active.pow(2) + reactive.pow(2)).sqrt()


def active_share(kwh: pl.Expr, kvarh: pl.Expr) -> Parts:
    """Active and apparent energy; their ratio is the power factor."""
    return {"numerator": kwh, "denominator": apparent(kwh, kvarh)}


def kva_of_currents(mean_a: pl.Expr, line_to_line_v: pl.Expr) -> pl.Expr:
    """Apparent power in kVA of three phases from their mean current."""
    return 3**0.5 * line_to_line_v * mean_a / 1000


def overloads(loading_pct: pl.Expr, limit_pct: float) -> Parts:
    """How many hours were strictly above the limit, and the highest hour. Source: loading guide IEC 60076-7."""
    return {"hours": (loading_pct > limit_pct).sum().cast(pl.Float64), "max": loading_pct.max()}


def own_supply(load: pl.Expr, imported: pl.Expr) -> Parts:
    """Load that was not imported, of the load (self-sufficiency). Source: IEA-PVPS usage."""
    return {"numerator": load - imported, "denominator": load}


def own_use(solar: pl.Expr, exported: pl.Expr) -> Parts:
    """Solar energy that was not exported, of the solar energy (self-consumption). Source: IEA-PVPS usage."""
    return {"numerator": solar - exported, "denominator": solar}


def renewable_served(load: pl.Expr, imported: pl.Expr, diesel: pl.Expr) -> pl.Expr:
    """Energy served that came neither from the grid nor from diesel."""
    return load - imported - diesel


def battery_hours(parts: Mapping[str, pl.Expr], load_kw: pl.Expr) -> Parts:
    """Usable energy (not below 0) and the load that draws on it; null for a load of 0 or less.

    Shape: parts holds `capacity_kwh`, and `soc`, `soc_min`, `efficiency` as shares of one.
    """
    usable = (parts["soc"] - parts["soc_min"]) * parts["capacity_kwh"] * parts["efficiency"]
    return {"numerator": usable.clip(lower_bound=0), "denominator": pl.when(load_kw > 0).then(load_kw)}


def is_bright(irradiance_w_m2: pl.Expr, least_w_m2: float = 50.0) -> pl.Expr:
    """Whether there is sun enough to judge a plant by. Source: practice around IEC 61724-1 (50 to 75 W/m2)."""
    return irradiance_w_m2 >= least_w_m2


def solar_yields(energy_kwh: pl.Expr, rated_kwp: pl.Expr, irradiation_kwh_m2: pl.Expr) -> Parts:
    """Energy got and energy the sun would have given the rated plant; their ratio is the performance ratio.

    Source: IEC 61724-1 (final yield over reference yield, both times the rated power).
    """
    return {"numerator": energy_kwh, "denominator": rated_kwp * irradiation_kwh_m2}


def billing_efficiency(billed_kwh: pl.Expr, input_kwh: pl.Expr) -> pl.Expr:
    """Energy billed of energy put in. Source: AT&C methodology of CEA, PFC and REC."""
    return ratio(billed_kwh, input_kwh)


def collection_efficiency(collected: pl.Expr, billed: pl.Expr, opening: pl.Expr, closing: pl.Expr) -> pl.Expr:
    """Money received, corrected by the movement of debtors, of money billed; may exceed 1 when arrears come in.

    Source: revised AT&C methodology of the Ministry of Power and CEA.
    """
    return ratio(collected + opening - closing, billed)


def capped(efficiency: pl.Expr) -> pl.Expr:
    """A collection efficiency as the month counts it: arrears do not make it exceed 1."""
    return efficiency.clip(upper_bound=1.0)


def unrealised(input_kwh: pl.Expr, billed_kwh: pl.Expr, collection: pl.Expr) -> Parts:
    """Energy put in that never became money, of the energy put in (AT&C loss)."""
    return {"numerator": input_kwh - billed_kwh * collection, "denominator": input_kwh}


def lit_lamp_hours(lamps: pl.Expr, burn_hours: pl.Expr, outage_lamp_hours: pl.Expr) -> Parts:
    """Lamp-hours that were lit, of those due. Source: EESL street-light contracts."""
    due = lamps * burn_hours
    return {"numerator": due - outage_lamp_hours, "denominator": due}
