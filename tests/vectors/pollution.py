"""Catalogue vectors of the pollution domain, shaped for the formulas that the KPIs use."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.pollution.effluent import PARAMETERS, judged_samples
from pipelines.pollution.emissions import factors, tonnes_co2e
from pipelines.pollution.formulas import (
    category,
    european_level,
    exceeds_who,
    india_is_valid,
    india_ozone,
    india_sub_index,
    millionths,
    not_negative,
    nowcast,
    ppb_from_ug_per_m3,
    ug_per_m3,
    us_ozone,
    us_sub_index,
    us_sulphur_dioxide,
    who_goal_met,
    worst,
)
from pipelines.pollution.goals import capture
from pipelines.pollution.limit_tables import (
    MILLION,
    greenhouse_factors,
    molar_mass,
    periods,
    who_goals,
    whole_millionths,
)
from pipelines.pollution.noise import day_evening_night, is_quiet_enough, sound_energy, sound_level
from pipelines.pollution.stations import EIGHT_HOURS_NEED, INSTRUMENT_LIMIT, MINIMUM_SHARE
from pipelines.pollution.tables import EFFLUENT, NOISE_LIMITS
from tests.shipped import shipped

SHORT = {"PM2.5": "PM25"}
LONG = {"PM25": "PM2.5", "PM2_5": "PM2.5", "OZONE": "O3"}
US_UNIT = {"PM2.5": "ug/m3", "PM10": "ug/m3", "O3": "ppm", "CO": "ppm", "SO2": "ppb", "NO2": "ppb"}


def one(expression: pl.Expr, **columns: Any) -> Any:
    return pl.DataFrame({name: [value] for name, value in columns.items()}).select(expression).item()


def long_name(pollutant: str) -> str:
    return LONG.get(pollutant.upper(), pollutant if pollutant == "Pb" else pollutant.replace("PB", "Pb"))


def short_name(pollutant: str | None) -> str | None:
    return None if pollutant is None else SHORT.get(pollutant, pollutant)


def number(value: Any) -> float | None:
    return None if value is None else float(value)


# --- PO-01


def us_key(text: str) -> tuple[str, str | None, str | None]:
    """`O3_8h_ppm` -> O3, 8h, ppm."""
    name, averaging, unit = text, None, None
    for ending in ("ug/m3", "ug_m3", "mg/m3", "mg_m3", "ppm", "ppb"):
        if name.endswith("_" + ending):
            name, unit = name[: -len(ending) - 1], ending.replace("_", "/")
    for ending in ("1h", "8h", "24h"):
        if name.endswith("_" + ending):
            name, averaging = name[: -len(ending) - 1], ending
    return long_name(name), averaging, unit


def us_millionths(pollutant: str, value: Any, unit: str | None) -> int | None:
    """In the unit of the table: ug/m3, ppb, or ppm for CO."""
    if value is None:
        return None
    amount = float(value)
    unit = (unit or US_UNIT[pollutant]).replace("µ", "u").replace("³", "3")
    if unit in ("ug/m3", "mg/m3") and pollutant in ("O3", "SO2", "NO2", "CO"):
        amount = ppb_from_ug_per_m3(amount, molar_mass(pollutant))
    large, small = ("ppm", "mg/m3"), ("ppb", "ug/m3")
    if pollutant == "CO":
        amount = amount / 1000 if unit in small else amount
    else:
        amount = amount * 1000 if unit in large else amount
    return one(millionths(pl.col("v")), v=amount)


def us_aqi(inputs: Mapping[str, Any]) -> Any:
    if "pollutant" in inputs:
        pollutant, averaging, unit = us_key(inputs["pollutant"])
        averaging = (
            averaging
            or inputs.get("averaging")
            or {"O3": "8h", "CO": "8h", "SO2": "1h", "NO2": "1h"}.get(pollutant, "24h")
        )
        value = us_millionths(pollutant, inputs["conc"], inputs.get("unit", unit))
        return one(us_sub_index(pollutant, averaging, pl.col("v").cast(pl.Int64)), v=value)
    given: dict[tuple[str, str], int | None] = {}
    for key, value in inputs.get("values", inputs).items():
        pollutant, averaging, unit = us_key(key)
        if pollutant in US_UNIT:
            averaging = averaging or {"O3": "8h", "CO": "8h", "SO2": "1h", "NO2": "1h"}.get(pollutant, "24h")
            given[pollutant, averaging] = us_millionths(pollutant, value, unit)

    def of(pollutant: str, averaging: str) -> pl.Expr:
        return pl.lit(given.get((pollutant, averaging)), dtype=pl.Int64)

    indexes = {
        "PM2.5": us_sub_index("PM2.5", "24h", of("PM2.5", "24h")),
        "PM10": us_sub_index("PM10", "24h", of("PM10", "24h")),
        "O3": us_ozone(of("O3", "8h"), of("O3", "1h")),
        "CO": us_sub_index("CO", "8h", of("CO", "8h")),
        "SO2": us_sulphur_dioxide(of("SO2", "1h"), of("SO2", "24h")),
        "NO2": us_sub_index("NO2", "1h", of("NO2", "1h")),
    }
    if ("SO2", "24h") in given and ("SO2", "1h") not in given:
        indexes["SO2"] = us_sub_index("SO2", "24h", of("SO2", "24h"))
    found = pl.select(**indexes, **worst(indexes)).row(0, named=True)
    if found["value"] is None:
        return None
    answer = {short_name(name): found[name] for name in indexes if found[name] is not None}
    band = pl.select(category(pl.lit(found["value"]), "us_aqi")).item()
    return {**answer, "AQI": found["value"], "responsible": short_name(found["detail"]), "category": band}


# --- PO-02


def india_naqi(inputs: Mapping[str, Any]) -> Any:
    if "pollutant" in inputs:
        pollutant = long_name(inputs["pollutant"].removesuffix("_24h").removesuffix("_8h").removesuffix("_1h"))
        value = number(inputs["conc"])
        return one(india_sub_index(pollutant, millionths(pl.col("v").cast(pl.Float64))), v=value)
    taken: dict[str, pl.Expr] = {}
    for key, given in inputs["values"].items():
        mean, hours = given if isinstance(given, list) else (given, 24)
        pollutant = long_name(key.removesuffix("_24h").removesuffix("_8h"))
        needed = EIGHT_HOURS_NEED if pollutant in ("O3", "CO") else 16
        valid = mean is not None and (hours or 0) >= (1 if key.endswith("_1h") else needed)
        taken[pollutant] = millionths(pl.lit(number(mean) if valid else None, dtype=pl.Float64))
    if "O3_1h" in taken:
        taken["O3"] = india_ozone(taken.get("O3", pl.lit(None, dtype=pl.Int64)), taken.pop("O3_1h"))
    indexes = {name: india_sub_index(name, value) for name, value in taken.items()}
    if not indexes:
        return None
    found = pl.select(ok=india_is_valid(indexes), **worst(indexes)).row(0, named=True)
    if not found["ok"]:
        return None
    band = pl.select(category(pl.lit(found["value"]))).item()
    return {"AQI": found["value"], "responsible": short_name(found["detail"]), "category": band}


# --- PO-03


def nowcasts(inputs: Mapping[str, Any]) -> Any:
    hours = [number(value) for value in inputs["hourly_most_recent_first"]][:12]
    pollutant = long_name(inputs.get("pollutant", "PM25"))
    limit = next(
        (inputs[key] for key in ("instrument_limit", "detection_limit", "limit") if key in inputs), INSTRUMENT_LIMIT
    )
    frame = pl.DataFrame({"c": hours, "ago": list(range(len(hours)))}, schema={"c": pl.Float64, "ago": pl.Int64})
    settled = frame.with_columns(not_negative(pl.col("c"), limit).alias("c"))
    value = settled.select(nowcast(pl.col("c"), pl.col("ago"))).item()
    if value is None:
        return None
    return {"nowcast": value, "aqi": one(us_sub_index(pollutant, "24h", millionths(pl.col("v"))), v=value)}


# --- PO-04


def european(inputs: Mapping[str, Any]) -> Any:
    if "pollutant" in inputs:
        value = number(inputs.get("hourly", inputs.get("conc")))
        return one(european_level(long_name(inputs["pollutant"]), millionths(pl.col("v").cast(pl.Float64))), v=value)
    given = {
        long_name(key): number(value)
        for key, value in inputs.items()
        if long_name(key) in ("PM2.5", "PM10", "NO2", "O3", "SO2")
    }
    levels = {name: european_level(name, millionths(pl.lit(value, dtype=pl.Float64))) for name, value in given.items()}
    if not levels:
        return None
    found = pl.select(**worst(levels)).row(0, named=True)
    if found["value"] is None:
        return None
    name = pl.select(category(pl.lit(found["value"]), "european_aqi")).item()
    return {"level": found["value"], "name": name, "responsible": short_name(found["detail"])}


# --- PO-05


def who(inputs: Mapping[str, Any]) -> Any:
    pollutant, answer = long_name(inputs["pollutant"]), {}
    if "daily_means" in inputs:
        limit = inputs.get("aqg_24h")
        guideline = who_goals(pollutant, "24h")[0][1] if limit is None else whole_millionths(str(limit))
        days = pl.DataFrame({"mean": [number(value) for value in inputs["daily_means"]]}, schema={"mean": pl.Float64})
        above = exceeds_who(pollutant, millionths(pl.col("mean")), guideline)
        answer |= days.select(exceedance_days=above.sum(), valid_days=pl.col("mean").count()).row(0, named=True)
    if "annual_mean" in inputs:
        mean = number(inputs["annual_mean"])
        limit = inputs.get("aqg_annual", who_goals(pollutant, "annual")[0][1] / MILLION)
        goal = one(who_goal_met(pollutant, millionths(pl.col("v").cast(pl.Float64))), v=mean)
        answer |= {"ratio_to_AQG": None if mean is None else mean / limit, "interim_target_met": goal}
    return answer


# --- PO-06, PO-07


def mean_level(levels: list[float | None]) -> float | None:
    frame = pl.DataFrame({"l": levels}, schema={"l": pl.Float64})
    return frame.select(sound_level(sound_energy(pl.col("l")).mean())).item()


def by_period(hourly: list[float | None], scheme: str) -> dict[str, float | None]:
    """The levels of the parts of a day from 24 hourly levels that start at midnight."""
    parts = {}
    for part in periods(scheme):
        inside = [(part.from_hour + hour) % 24 for hour in range(part.hours)]
        parts[part.name] = mean_level([hourly[hour] for hour in inside])
    return parts


def noise(inputs: Mapping[str, Any]) -> Any:
    for key in ("levels_dBA", "levels"):
        if key in inputs:
            return mean_level(inputs[key])
    known = {key.lower().lstrip("l").replace("eq_", "").strip("_"): value for key, value in inputs.items()}
    ldn = "ldn" in str(inputs.get("scheme", inputs.get("metric", ""))).lower() or "evening" not in known
    hourly = next((value for key, value in inputs.items() if key.startswith("hourly") and len(value or []) == 24), None)
    scheme = "US Ldn" if ldn and (hourly is None or "scheme" in inputs or "metric" in inputs) else "EU Lden"
    levels = known if hourly is None else by_period(hourly, scheme)
    parts = {part.name: pl.lit(levels.get(part.name), dtype=pl.Float64) for part in periods(scheme)}
    return pl.select(day_evening_night(parts, periods(scheme))).item()


def noise_limit(inputs: Mapping[str, Any]) -> Any:
    zone = str(inputs["zone"]).lower().removesuffix(" zone").removesuffix(" area").strip()
    classes = {row["zone_class"]: row for row in shipped(NOISE_LIMITS).iter_rows(named=True)}
    limits = (classes[zone]["day_dba"], classes[zone]["night_dba"])
    answer: dict[str, Any] = {}
    for period, limit in zip(("day", "night"), limits, strict=True):
        level = inputs.get(f"Leq_{period}")
        hourly = inputs.get(f"hourly_Leq_{period}")
        if hourly is not None:
            valid = sum(value is not None for value in hourly)
            hours = next(part.hours for part in periods("India") if part.name == period)
            level = mean_level(hourly) if valid >= MINIMUM_SHARE * hours else None
        ok = one(is_quiet_enough(pl.col("l").cast(pl.Float64), pl.lit(limit)), l=number(level))
        excess = None if level is None else max(level - limit, 0.0)
        answer |= {f"Leq_{period}": level, f"{period}_ok": ok, f"{period}_excess": excess}
    return answer


# --- PO-08

EFFLUENT_KEYS = {
    "pH": "ph",
    "BOD": "bod_mg_l",
    "COD": "cod_mg_l",
    "TSS": "tss_mg_l",
    "N": "total_nitrogen_mg_l",
    "TN": "total_nitrogen_mg_l",
    "P": "total_phosphorus_mg_l",
    "TP": "total_phosphorus_mg_l",
    "FC": "faecal_coliform_mpn",
}


def consent(standard: str) -> str:
    text = standard.lower()
    if "ngt" in text or "2019" in text:
        return "ngt_2019"
    if "2017" in text:
        return "moefcc_2017_metro" if "metro" in text else "moefcc_2017_other"
    return "general_1986"


def effluent(inputs: Mapping[str, Any]) -> Any:
    results = dict.fromkeys(PARAMETERS, None) | {
        EFFLUENT_KEYS[key]: number(inputs[key]) for key in inputs if key in EFFLUENT_KEYS
    }
    schema = {"consent": pl.String} | dict.fromkeys(PARAMETERS, pl.Float64)
    sample = pl.DataFrame([{"consent": consent(inputs["standard"]), **results}], schema=schema)
    found = judged_samples(sample, shipped(EFFLUENT)).row(0, named=True)
    failed = [key for key in inputs if key in EFFLUENT_KEYS and EFFLUENT_KEYS[key] in found["failed"]]
    status = {True: "compliant", False: "failed", None: "pending"}[found["compliant"]]
    return {"compliant": found["compliant"], "failed": failed, "status": status}


# --- PO-09, PO-10, PO-11


def ghg(inputs: Mapping[str, Any]) -> Any:
    items = {key.lower(): value for key, value in inputs.items() if key.lower().endswith(("_kg", "_kwh"))}
    items = {key: value for key, value in items.items() if not key.startswith("factor")}
    grid = inputs.get("factor_kg_per_kWh", greenhouse_factors("CEA v21")["grid_kwh"])
    used = factors(inputs.get("gwp", "AR5"), grid)
    frame = pl.DataFrame(
        {"item": list(items), "amount": [number(value) for value in items.values()]},
        schema={"item": pl.String, "amount": pl.Float64},
    )
    total = tonnes_co2e(pl.col("item"), pl.col("amount"), used)
    return frame.select(pl.when(total.count() > 0).then(total.sum())).item()


def data_capture(inputs: Mapping[str, Any]) -> Any:
    names = ("valid_hours", "period_hours", "required")
    valid, expected, required = (pl.lit(inputs.get(name), dtype=pl.Float64) for name in names)
    if "required" not in inputs:
        required = expected * MINIMUM_SHARE
    return pl.select(**capture(valid, expected, required)).row(0, named=True)


def gas(inputs: Mapping[str, Any]) -> Any:
    mass = inputs.get("molar_mass") or molar_mass(long_name(inputs["pollutant"]))
    where = (mass, inputs.get("temp_C", 25), inputs.get("pressure_kPa", 101.325))
    if "ppb" in inputs:
        return None if inputs["ppb"] is None else ug_per_m3(inputs["ppb"], *where)
    if "ppm" in inputs:
        return ug_per_m3(inputs["ppm"] * 1000, *where)
    return ppb_from_ug_per_m3(inputs["ug_m3"] if "ug_m3" in inputs else inputs["ug_per_m3"], *where)


ADAPTERS = {
    "PO-01": us_aqi,
    "PO-02": india_naqi,
    "PO-03": nowcasts,
    "PO-04": european,
    "PO-05": who,
    "PO-06": noise,
    "PO-07": noise_limit,
    "PO-08": effluent,
    "PO-09": ghg,
    "PO-10": data_capture,
    "PO-11": gas,
}
