"""A dirty power network on Lord Howe Island, whose clock goes back by half an hour, over a turn of the month."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import GEOJSON, WARDS, soiled
from tests.oracles.plain import DAY, HOUR
from tests.oracles.readings import filled, wave

ZONE = "Australia/Lord_Howe"
# Midnight of 30 March 2026; the clock goes back on 5 April.
START = datetime(2026, 3, 29, 13, tzinfo=UTC)
ASSETS = """asset,domain,kind,name,ward,lat,lon,parent
F1,energy,feeder,One,W1,,,
F2,energy,feeder,Two,W2,,,
F3,energy,feeder,Three,W1,,,
T1,energy,transformer,T1,W1,,,F1
T2,energy,transformer,T2,W3,,,F1
T3,energy,transformer,T3,W2,,,F2
M1,energy,microgrid,M1,W3,,,
M2,energy,microgrid,M2,W2,,,
"""
FEEDERS = "asset,customers_served\nF1,1000\nF2,500\nF3,800\n"
FEEDER_WARDS = "asset,ward,customers_served\nF1,W1,600\nF1,W3,400\n"
TRANSFORMERS = "asset,rated_kva,declared_v,tolerance_pct\nT1,100,230,6\nT2,160,240,\nT3,63,230,10\n"
MICROGRIDS = "asset,battery_kwh,soc_min_pct,discharge_efficiency,solar_kwp\nM1,200,20,0.95,50\nM2,80,10,0.9,20\n"
SITE = (
    "load_power_kw",
    "grid_import_kw",
    "solar_power_kw",
    "battery_power_kw",
    "poa_irradiance_w_m2",
    "battery_soc_pct",
)


def _sensors() -> str:
    lines = ["sensor,asset,quantity,unit,every"]
    for feeder in ("F1", "F2"):
        lines += [f"{feeder}.{q},{feeder},{q},{u},15 min" for q, u in FEEDER_QUANTITIES.items()]
    lines.append("F3.slow,F3,feeder_energy_kwh,kWh,30 min")
    for box in ("T1", "T2", "T3"):
        lines += [
            f"{box}.{q},{box},{q},{u},15 min"
            for q, u in BOX_QUANTITIES.items()
            if (box, q) != ("T2", "transformer_reactive_kvar")
        ]
        lines += [f"{box}.v{phase},{box},voltage_v,V,{every}" for phase, every in PHASES[box]]
    lines += [f"T2.a{phase},T2,transformer_current_a,A,15 min" for phase in "123"]
    units = {"poa_irradiance_w_m2": "W/m^2", "battery_soc_pct": "percent"}
    lines += [f"{site}.{q},{site},{q},{units.get(q, 'kW')},15 min" for site in ("M1", "M2") for q in SITE]
    lines += ["M1.out,M1,grid_export_kw,kW,15 min", "M2.diesel,M2,diesel_power_kw,kW,15 min"]
    return "\n".join(lines) + "\n"


FEEDER_QUANTITIES = {
    "feeder_power_kw": "kW", "feeder_reactive_kvar": "kvar", "feeder_energy_kwh": "kWh", "feeder_export_kwh": "kWh",
}  # fmt: skip
BOX_QUANTITIES = {"transformer_power_kw": "kW", "transformer_reactive_kvar": "kvar", "transformer_energy_kwh": "kWh"}
PHASES = {"T1": [("1", "10 min"), ("2", "10 min"), ("3", "10 min")], "T2": [("1", "5 min")], "T3": [("1", "10 min")]}


def made(seed: int = 11) -> Dirty:
    """Nine days, the last one still running."""
    dice = random.Random(seed)
    registers = {
        "wards.csv": WARDS, "wards.geojson": GEOJSON, "assets.csv": ASSETS, "sensors.csv": _sensors(),
        "feeders.csv": FEEDERS, "feeder_wards.csv": FEEDER_WARDS, "transformers.csv": TRANSFORMERS,
        "microgrids.csv": MICROGRIDS,
    }  # fmt: skip
    dirty = Dirty("energy", ZONE, START, START + 9 * DAY - timedelta(hours=5), registers)
    dirty.batches += soiled(
        "outages", _outages(dice), dice, lambda row: {**row, "customers": (row["customers"] or 0) + 5}
    )
    dirty.batches += soiled("energy_accounts", _accounts(dice), dice, lambda row: {**row, "collected_minor": 70_000})
    dirty.batches += soiled("street_light_nights", _nights(dice), dice, lambda row: {**row, "outage_lamp_hours": 3.0})
    dirty.batches += soiled("street_light_surveys", _surveys(dice), dice)
    levels = {
        "feeder_power_kw": wave(dice, -20, 300), "feeder_reactive_kvar": wave(dice, -40, 120),
        "feeder_energy_kwh": wave(dice, 20, 75), "feeder_export_kwh": wave(dice, 0, 6),
        "transformer_energy_kwh": wave(dice, 8, 30), "transformer_power_kw": wave(dice, 20, 110),
        "transformer_reactive_kvar": wave(dice, 0, 60), "transformer_current_a": wave(dice, 60, 240),
        "voltage_v": lambda at: round(dice.choice([230, 232, 216.2, 243.8, 215, 250, 5, 198, 194]) + 0.0, 1),
        "load_power_kw": wave(dice, -1, 40), "grid_import_kw": wave(dice, 0, 20), "grid_export_kw": wave(dice, 0, 9),
        "solar_power_kw": wave(dice, 0, 30), "battery_power_kw": wave(dice, -9, 9), "diesel_power_kw": wave(dice, 0, 8),
        "poa_irradiance_w_m2": wave(dice, 0, 900), "battery_soc_pct": wave(dice, 5, 100),
    }  # fmt: skip
    filled(
        dirty,
        dice,
        levels,
        perfect=["F1.feeder_energy_kwh", "F2.feeder_energy_kwh", "F3.slow", "T3.transformer_energy_kwh"],
    )
    return dirty


def _outages(dice: random.Random) -> list[dict[str, Any]]:
    rows = []
    for number in range(160):
        back = dice.choice([dice.random() * 9, dice.random() * 9, dice.random() * 900])
        began = START + timedelta(days=9 - back) - timedelta(hours=6)
        steps = dice.choice([1, 1, 1, 2, 3])
        for step in range(1, steps + 1):
            minutes = dice.choice([0.5, 4.9, 5.0, 5.01, 30, 90, 600]) * step
            running = step == steps and dice.random() < 0.1
            rows.append({
                "outage": f"O{number}", "step": step, "feeder": dice.choice(["F1", "F2"]),
                "ward": dice.choice([None, None, "W1", "W3"]), "started_at": began,
                "restored_at": None if running else began + timedelta(minutes=minutes),
                "customers": dice.choice([None, 10, 100, 250]), "planned": dice.choice([None, True, False]),
            })  # fmt: skip
    return rows


def _accounts(dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "feeder": feeder, "period_start": START + month * DAY, "input_kwh": 10_000.0 + 10 * dice.randrange(100),
            "billed_kwh": dice.choice([7_500.0, 8_000.0, 9_100.0]), "billed_minor": 90_000 + month,
            "collected_minor": dice.choice([80_000, 99_000]), "debtors_opening_minor": dice.choice([None, 5_000]),
            "debtors_closing_minor": dice.choice([None, 4_000]),
        }
        for feeder in ("F1", "F2", "F3") for month in (0, 1, 4, 8)
    ]  # fmt: skip


def _nights(dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "panel": f"P{panel}", "ward": dice.choice(["W1", "W2", None]), "lit_at": START + night * DAY + 18 * HOUR,
            "lamps": 40 + panel, "burn_hours": 11.5, "outage_lamp_hours": dice.choice([0.0, 12.5, 400.0]),
        }
        for panel in range(6) for night in range(8) if dice.random() < 0.9
    ]  # fmt: skip


def _surveys(dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "ward": ward, "surveyed_at": START + night * DAY + 20 * HOUR, "lamps_surveyed": 50 + night,
            "lamps_lit": 45 + dice.randrange(5),
        }
        for ward in ("W1", "W2") for night in range(0, 8, 2)
    ]  # fmt: skip
