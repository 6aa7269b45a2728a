"""From a vector's inputs to the form of its expectation, by the formulas of energy."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.energy import formulas
from pipelines.engine.measures import ratio

HOURS_OF_A_YEAR = 8760


def evaluate(**parts: pl.Expr) -> dict[str, Any]:
    """The value of each expression of one row."""
    return pl.select(**parts).row(0, named=True)


def quotient(parts: Mapping[str, pl.Expr], scale: float = 1.0) -> float | None:
    """What the engine makes of a numerator and a denominator."""
    return evaluate(value=scale * ratio(parts["numerator"], parts["denominator"]))["value"]


def number(value: float | None) -> pl.Expr:
    return pl.lit(value, dtype=pl.Float64)


def restored_together(inputs: dict[str, Any]) -> list[tuple[float | None, float | None]]:
    """(customers, minutes) of those restored together, from events and from the steps of one event."""
    groups = [(event.get("customers"), event.get("minutes")) for event in inputs.get("events") or []]
    steps = inputs.get("steps") or []
    out = [step.get("customers_out", step.get("customers_still_out")) for step in steps] + [0]
    passed = 0.0
    for step, before, after in zip(steps, out[:-1], out[1:], strict=True):
        passed += step["minutes"]
        groups.append((before - after, passed))
    return groups


def outages(inputs: dict[str, Any]) -> dict[str, float | None]:
    """SAIFI, SAIDI, CAIDI, ASAI and MAIFI (EN-01)."""
    groups = restored_together(inputs)
    frame = pl.DataFrame(groups, schema={"customers": pl.Float64, "minutes": pl.Float64}, orient="row")
    limit = inputs.get("sustained_min", 5)
    sums = formulas.interruptions(pl.col("customers"), pl.col("minutes"), pl.lit(True), limit)
    served, hours = number(inputs["customers_served"]), number(inputs.get("hours", HOURS_OF_A_YEAR))
    indices = {
        "SAIFI": formulas.saifi(served),
        "SAIDI": formulas.saidi(served),
        "CAIDI": formulas.caidi(),
        "ASAI": formulas.asai(served, hours),
        "MAIFI": formulas.maifi(served),
    }
    quotients = {name: ratio(parts["numerator"], parts["denominator"]) for name, parts in indices.items()}
    return frame.select(**sums).select(**quotients).row(0, named=True)


def major_events(inputs: dict[str, Any]) -> Any:
    """T_MED alone, or with the days above it and SAIDI with and without them (EN-02)."""
    frame = pl.DataFrame({"saidi": pl.Series(inputs["daily_SAIDI_min"], dtype=pl.Float64)})
    own = formulas.major_event_threshold(pl.col("saidi"), inputs.get("ddof", 1))
    given = inputs.get("T_MED")
    threshold = own if given is None else number(given)
    major = formulas.is_major(pl.col("saidi"), threshold).fill_null(False)
    found = frame.select(
        T_MED=threshold,
        med_days=major.sum(),
        SAIDI_with=pl.col("saidi").sum(),
        SAIDI_without=pl.col("saidi").filter(~major).sum(),
    ).row(0, named=True)
    return found if "rule" in inputs or given is not None else found["T_MED"]


def voltage(inputs: dict[str, Any]) -> Any:
    """The week's verdict, the limits, or the share of readings within them (EN-03)."""
    if "intervals_10min" in inputs:
        parts = {name: number(inputs.get(name)) for name in ("intervals_10min", "inside_pm10pct", "inside_p10_m15pct")}
        return evaluate(
            share95=100 * ratio(parts["inside_pm10pct"], parts["intervals_10min"]),
            compliant=formulas.week_compliant(*parts.values()),
        )
    tolerance, declared = number(inputs.get("tolerance_pct", 10)), number(inputs.get("declared_V", 230))
    limits = formulas.voltage_limits(declared, tolerance, tolerance)
    if "readings_V" not in inputs:
        return evaluate(**limits)
    frame = pl.DataFrame({"volts": pl.Series(inputs["readings_V"], dtype=pl.Float64)})
    valid = frame.filter(~formulas.interrupted(pl.col("volts"), declared, 10))
    inside = formulas.within(pl.col("volts"), limits)
    return valid.select(100 * ratio(inside.sum(), inside.count())).item()


def atc(inputs: dict[str, Any]) -> dict[str, Any]:
    """Billing and collection efficiency and AT&C loss, capped and as it came (EN-04)."""
    if "BE" in inputs:
        sent, billed, raw = number(100), number(inputs["BE"]), number(inputs.get("CE_raw", inputs.get("CE"))) / 100
    else:
        sent = number(inputs.get("net_input_MU", inputs.get("input_MU")))
        billed = number(inputs.get("sold_MU", inputs.get("billed_MU")))
        raw = formulas.collection_efficiency(
            number(inputs.get("revenue_subsidy_received", inputs.get("collected"))),
            number(inputs.get("revenue_incl_subsidy_booked", inputs.get("billed_amount"))),
            number(inputs.get("opening_debtors", 0)),
            number(inputs.get("closing_debtors_adj", 0)),
        )
    counted = formulas.capped(raw) if inputs.get("cap_CE_at_100", True) else raw
    loss, uncapped = formulas.unrealised(sent, billed, counted), formulas.unrealised(sent, billed, raw)
    return evaluate(
        BE=100 * formulas.billing_efficiency(billed, sent),
        CE=100 * counted,
        CE_raw=100 * raw,
        units_realised=billed * counted,
        ATC=100 * ratio(loss["numerator"], loss["denominator"]),
        ATC_uncapped=100 * ratio(uncapped["numerator"], uncapped["denominator"]),
    )


def loss_of_feeder(inputs: dict[str, Any]) -> float | None:
    """Feeder loss in per cent (EN-05)."""
    passed = number(inputs.get("export_to_other_feeder_kWh", 0))
    sent, delivered = number(inputs["feeder_input_kWh"]), number(inputs["sum_DT_output_kWh"])
    return quotient(formulas.feeder_losses(sent, passed, delivered), 100)


def evenness(inputs: dict[str, Any]) -> float | None:
    """Load factor from a register and a peak, or from intervals of one length (EN-06)."""
    if "load_kW" not in inputs:
        energy, hours, peak = (number(inputs[name]) for name in ("energy_kWh", "hours", "peak_kW"))
        return quotient(formulas.mean_and_peak(energy, hours, peak))
    frame = pl.DataFrame({"load": pl.Series(inputs["load_kW"], dtype=pl.Float64)})
    load = pl.col("load")
    parts = formulas.mean_and_peak(load.sum(), load.count(), load.max())
    return frame.select(ratio(parts["numerator"], parts["denominator"])).item()


def useful(inputs: dict[str, Any]) -> float | None:
    """Power factor (EN-07)."""
    return quotient(formulas.active_share(number(inputs["kWh"]), number(inputs["kvarh"])))


def loading(inputs: dict[str, Any]) -> Any:
    """Loading in per cent from powers or currents, or the hours above a limit (EN-08)."""
    if "loading_pct_hourly" in inputs:
        frame = pl.DataFrame({"pct": pl.Series(inputs["loading_pct_hourly"], dtype=pl.Float64)})
        found = frame.select(**formulas.overloads(pl.col("pct"), inputs.get("limit_pct", 100))).row(0, named=True)
        return {"overload_hours": found["hours"], "max": found["max"]}
    if "currents_A" in inputs:
        mean = pl.lit(pl.Series(inputs["currents_A"], dtype=pl.Float64)).mean()
        kva = formulas.kva_of_currents(mean, number(inputs["voltage_LL_V"]))
    else:
        kva = formulas.apparent(number(inputs["P_kW"]), number(inputs["Q_kvar"]))
    return quotient({"numerator": kva, "denominator": number(inputs["rated_kVA"])}, 100)


def own_power(inputs: dict[str, Any]) -> Any:
    """Self-sufficiency and self-consumption, or the renewable fraction, in per cent (EN-09)."""
    if "total_kWh_served" in inputs:
        served = {"numerator": inputs.get("renewable_kWh_served"), "denominator": inputs["total_kWh_served"]}
        return quotient({name: number(value) for name, value in served.items()}, 100)
    load, solar, imported, exported = (
        number(inputs.get(name)) for name in ("load_kWh", "pv_kWh", "import_kWh", "export_kWh")
    )
    return {
        "self_sufficiency": quotient(formulas.own_supply(load, imported), 100),
        "self_consumption": quotient(formulas.own_use(solar, exported), 100),
    }


def autonomy(inputs: dict[str, Any]) -> float | None:
    """Hours the battery carries the load (EN-10)."""
    battery = {
        "soc": number(inputs.get("soc")),
        "soc_min": number(inputs.get("soc_min", 0)),
        "capacity_kwh": number(inputs.get("capacity_kWh")),
        "efficiency": number(inputs.get("discharge_eff", 1)),
    }
    return quotient(formulas.battery_hours(battery, number(inputs.get("load_kW"))))


def performance(inputs: dict[str, Any]) -> Any:
    """Yields and performance ratio, or the ratio of a series of hours, or null without sun (EN-11)."""
    rated = number(inputs["P0_kWp"])
    if "poa_W_m2" in inputs:
        hours = {"poa": inputs["poa_W_m2"], "wh": inputs["energy_Wh"]}
        frame = pl.DataFrame(hours, schema={"poa": pl.Float64, "wh": pl.Float64})
        frame = frame.drop_nulls().filter(formulas.is_bright(pl.col("poa")))
        parts = formulas.solar_yields(pl.col("wh") / 1000, rated, pl.col("poa") / 1000)
        return frame.select(ratio(parts["numerator"].sum(), parts["denominator"].sum())).item()
    energy, sun = number(inputs.get("energy_kWh")), number(inputs.get("H_poa_kWh_m2"))
    performed = quotient(formulas.solar_yields(energy, rated, sun))
    yields = evaluate(Yf=ratio(energy, rated), Yr=sun)
    return None if performed is None else yields | {"PR": performed}


def lamps(inputs: dict[str, Any]) -> float | None:
    """Street-light uptime in per cent, by lamp-hours or by survey (EN-12)."""
    if "lamps_lit_at_survey" in inputs:
        survey = {"numerator": number(inputs["lamps_lit_at_survey"]), "denominator": number(inputs["lamps"])}
        return quotient(survey, 100)
    due = [number(inputs[name]) for name in ("lamps", "burn_hours", "outage_lamp_hours")]
    return quotient(formulas.lit_lamp_hours(*due), 100)


ADAPTERS = {
    "EN-01": outages,
    "EN-02": major_events,
    "EN-03": voltage,
    "EN-04": atc,
    "EN-05": loss_of_feeder,
    "EN-06": evenness,
    "EN-07": useful,
    "EN-08": loading,
    "EN-09": own_power,
    "EN-10": autonomy,
    "EN-11": performance,
    "EN-12": lamps,
}
