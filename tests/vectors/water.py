"""The water formulas as the test vectors ask for them."""

from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from pipelines.engine.measures import ratio, share
from pipelines.water import formulas as f
from pipelines.water.quality import limits_of, passes, within
from pipelines.water.tables import DRINKING_WATER
from tests.shipped import shipped

Inputs = Mapping[str, Any]
LIMITS = limits_of(shipped(DRINKING_WATER))
SAMPLE = {
    "pH": "ph",
    "turbidity": "turbidity_ntu",
    "cl": "free_chlorine_mg_l",
    "ecoli": "e_coli_100ml",
    "TDS": "tds_mg_l",
}


def _number(inputs: Inputs, key: str, default: float | None = None) -> pl.Expr:
    return pl.lit(inputs.get(key, default), dtype=pl.Float64)


def _worked(**columns: pl.Expr) -> dict[str, Any]:
    return pl.select(**columns).row(0, named=True)


def _quotient(parts: f.Parts, scale: float = 1) -> pl.Expr:
    return scale * ratio(parts["numerator"], parts["denominator"])


def _share(good: pl.Expr, **columns: list[Any]) -> float | None:
    return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64)).select(_quotient(share(good), 100)).item()


def water_balance(inputs: Inputs) -> Any:
    n = lambda key: _number(inputs, key, 0.0)  # noqa: E731
    slow = f.under_registration(n("bmc"), n("under_registration"))
    if "siv" not in inputs:
        return pl.select(slow).item()
    mi = n("mi") if inputs.get("mi") is not None else slow
    parts = f.balance(n("siv"), (n("bmc"), n("buc")), (n("umc"), n("uuc")), (n("uc"), mi))
    nrw = f.non_revenue(n("siv"), n("bmc") + n("buc"))
    return _worked(**parts, nrw_pct=_quotient(nrw, 100), mi=mi)


def non_revenue_water(inputs: Inputs) -> Any:
    parts = f.non_revenue(_number(inputs, "system_input"), _number(inputs, "billed"))
    return pl.select(_quotient(parts, 100)).item()


def leakage_index(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    known, shape = {}, pl.lit(True)
    least = n("UARL_L_per_day")
    if "Lm_km" in inputs:
        least = f.unavoidable_losses(n("Lm_km"), n("Nc"), n("Lp_km", 0.0), n("P_m"))
        shape = f.leakage_index_valid(n("Lm_km"), n("Nc"), n("P_m"))
        known = {"UARL_L_per_day": least, "ili_valid": shape}
    index = f.leakage_index(n("CARL_m3_per_year"), n("days", 365.0), least)
    return _worked(**known, ILI=pl.when(shape).then(_quotient(index)))


def night_flow(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    net = n("net_night_m3h")
    if "mnf_m3h" in inputs:
        net = f.net_night_flow(
            n("mnf_m3h"),
            n("population", 0.0),
            active_share=inputs.get("active_share", 0.06),
            litres_per_active_h=inputs.get("litres_per_active_person_h", 10),
            non_domestic=n("non_domestic_m3h", 0.0),
        )
    factor = pl.lit(24.0)
    if inputs.get("pressure_24h_m"):
        pressures = pl.lit(pl.Series(inputs["pressure_24h_m"], dtype=pl.Float64))
        at_night = pl.lit(pl.Series(inputs["pressure_24h_m"][2:4], dtype=pl.Float64)).mean()
        night = n("night_pressure_m") if "night_pressure_m" in inputs else at_night
        factor = f.hour_day_factor(pressures, night, n("N1", 1.0))
    return _worked(net_night_m3h=net, hour_day_factor=factor, leakage_m3d=f.night_leakage_m3_day(net, factor))


def supply_per_head(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    parts = f.per_head(n("water_into_distribution_L"), n("bulk_non_domestic_L", 0.0), n("population_served"))
    return pl.select(_quotient(parts)).item()


def continuity(inputs: Inputs) -> Any:
    if "zones" in inputs:
        zones = pl.DataFrame(inputs["zones"], schema={"hours": pl.Float64, "connections": pl.Float64})
        return zones.select(_quotient(f.weighted_hours(pl.col("hours"), pl.col("connections")))).item()
    hours = f.supply_hours(_number(inputs, "intervals_with_pressure_ok"), _number(inputs, "intervals_total"))
    return pl.select(hours).item()


def pressure_compliance(inputs: Inputs) -> Any:
    good = f.enough_pressure(pl.col("pressure"), _number(inputs, "minimum_m", 7.0))
    return _share(good, pressure=inputs["pressures_m"])


def chlorine_compliance(inputs: Inputs) -> Any:
    good = f.between(pl.col("chlorine"), _number(inputs, "low", 0.2), _number(inputs, "high", 1.0))
    return _share(good, chlorine=inputs["free_chlorine_mgL"])


def quality(inputs: Inputs) -> Any:
    if "samples" in inputs:
        rows = [{SAMPLE[name]: value for name, value in sample.items()} for sample in inputs["samples"]]
        samples = pl.DataFrame(rows, schema=dict.fromkeys(LIMITS, pl.Float64))
        return samples.select(_quotient(share(passes(LIMITS)), 100)).item()
    found = {}
    for grade in ("acceptable", "permissible"):
        limit = inputs.get(grade)
        own = f.between(pl.col("turbidity_ntu"), pl.lit(None, dtype=pl.Float64), pl.lit(limit, dtype=pl.Float64))
        good = within("turbidity_ntu", grade, LIMITS) if limit is None else own
        found[f"{grade}_pct"] = _share(good, turbidity_ntu=inputs["turbidity_NTU"])
    return found


def tank(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    usable = n("usable_m3")
    if "diameter_m" in inputs:
        usable = f.usable_m3(n("diameter_m"), n("level_m"), n("dead_level_m", 0.0))
    return _worked(usable_m3=usable, autonomy_h=_quotient(f.autonomy(usable, n("net_outflow_m3h"))))


def pump(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    volume, head, energy = n("volume_m3"), n("head_m"), n("energy_kWh")
    if "flow_m3s" in inputs:
        volume = n("flow_m3s") * 3600 * n("hours", 1.0)
    if "efficiency" in inputs:
        energy = f.hydraulic_kwh(volume, head) / n("efficiency")
    return _worked(
        energy_kWh=energy,
        kWh_per_m3=_quotient(f.energy_per_volume(energy, volume)),
        kWh_per_m3_100m=_quotient(f.energy_per_volume_and_head(energy, volume, head)),
        wire_to_water_pct=_quotient(f.part_of(f.hydraulic_kwh(volume, head), energy), 100),
    )


def read_success(inputs: Inputs) -> Any:
    n = lambda key: _number(inputs, key)  # noqa: E731
    parts = f.part_of(n("meters_with_valid_read"), n("meters_due"))
    if "valid_reads" in inputs:
        parts = f.part_of(n("valid_reads"), n("meters") * n("expected_reads_each"))
    return pl.select(_quotient(parts, 100)).item()


def coverage(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    parts = f.part_of(n("households_connected"), n("households_total"))
    if "functional_metered" in inputs:
        parts = f.metered(n("functional_metered"), n("total_connections"), n("standposts", 0.0))
    return pl.select(_quotient(parts, 100)).item()


def money(inputs: Inputs) -> Any:
    n = lambda key: _number(inputs, key)  # noqa: E731
    parts = f.part_of(n("operating_revenue"), n("operating_expense"))
    if "current_billed" in inputs:
        parts = f.part_of(n("current_collected"), n("current_billed"))
    return pl.select(_quotient(parts, 100)).item()


def sewage(inputs: Inputs) -> Any:
    n = lambda key, default=None: _number(inputs, key, default)  # noqa: E731
    if "reused_MLD" in inputs:
        return pl.select(_quotient(f.part_of(n("reused_MLD"), n("received_at_STP_MLD")), 100)).item()
    generated = f.sewage_generated(n("water_supplied_MLD"), n("other_sources_MLD", 0.0), n("return_factor", 0.8))
    part = n("sewage_collected_MLD") if "sewage_collected_MLD" in inputs else n("treatment_capacity_MLD")
    return pl.select(_quotient(f.part_of(part, generated), 100)).item()


ADAPTERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "WA-01": water_balance,
    "WA-02": non_revenue_water,
    "WA-03": leakage_index,
    "WA-04": night_flow,
    "WA-05": supply_per_head,
    "WA-06": continuity,
    "WA-07": pressure_compliance,
    "WA-08": chlorine_compliance,
    "WA-09": quality,
    "WA-10": tank,
    "WA-11": pump,
    "WA-12": read_success,
    "WA-13": coverage,
    "WA-14": money,
    "WA-15": sewage,
}
