"""A dirty water network in Rome over the night that lacks an hour and a turn of the month."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import GEOJSON, WARDS, soiled
from tests.oracles.plain import DAY, Rows, local
from tests.oracles.readings import filled, wave

ZONE = "Europe/Rome"
START = datetime(2026, 3, 23, 23, tzinfo=UTC)
ASSETS = """asset,domain,kind,name,ward,lat,lon,parent
D1,water,dma,D1,W1,,,
D2,water,dma,D2,W2,,,
P1,water,pressure_point,P1,W1,,,D1
P2,water,pressure_point,P2,W3,,,D1
P3,water,pressure_point,P3,W2,,,D2
P4,water,pressure_point,P4,W2,,,D2
T1,water,tank,T1,W1,,,
T2,water,tank,T2,W2,,,
U1,water,pump,U1,W1,,,
U2,water,pump,U2,W2,,,
""" + "".join(f"M{n},water,meter,M{n},W{1 + n % 3},,,D{1 + n % 2}\n" for n in range(6))
DMAS = """asset,population_served,connections,minimum_pressure_m,baseline_night_m3_h,non_domestic_night_m3_h,n1,bulk_non_domestic_m3_day,mains_km,private_pipe_km,average_pressure_m
D1,9000,2500,12,20,1.5,1.0,100,60,10,30
D2,3000,1900,,,,,,30,,28
"""
TANKS = "asset,diameter_m,dead_level_m,full_level_m\nT1,12,0.5,4\nT2,8,,3\n"
SENSORS = """sensor,asset,quantity,unit,every
D1.a,D1,inflow_m3_h,m^3/h,15 min
D1.b,D1,inflow_m3_h,m^3/h,5 min
D2.a,D2,inflow_m3_h,m^3/h,15 min
P1.p,P1,pressure_m,metre_head,15 min
P2.p,P2,pressure_m,metre_head,15 min
P3.p,P3,pressure_m,metre_head,15 min
P4.p,P4,pressure_m,metre_head,30 min
P1.c,P1,chlorine_mg_l,mg/L,30 min
P3.c,P3,chlorine_mg_l,mg/L,30 min
T1.l,T1,tank_level_m,m,5 min
T1.o,T1,tank_outflow_m3_h,m^3/h,1 min
T1.i,T1,tank_inflow_m3_h,m^3/h,5 min
T2.l,T2,tank_level_m,m,5 min
T2.o,T2,tank_outflow_m3_h,m^3/h,5 min
U1.e,U1,pump_energy_kwh,kWh,15 min
U1.v,U1,pump_volume_m3,m^3,15 min
U1.h,U1,pump_head_m,metre_head,15 min
U2.e,U2,pump_energy_kwh,kWh,1 h
U2.v,U2,pump_volume_m3,m^3,1 h
U2.h,U2,pump_head_m,metre_head,15 min
""" + "".join(f"M{n}.l,M{n},consumption_l,L,1 h\n" for n in range(6))


def made(seed: int = 5) -> Dirty:
    """Ten days, the last one still running."""
    dice = random.Random(seed)
    registers = {
        "wards.csv": WARDS, "wards.geojson": GEOJSON, "assets.csv": ASSETS, "sensors.csv": SENSORS, "dmas.csv": DMAS,
        "tanks.csv": TANKS,
    }  # fmt: skip
    dirty = Dirty("water", ZONE, START, START + 10 * DAY - timedelta(hours=6, minutes=7), registers)
    for table, rows in _books(dice).items():
        dirty.batches += soiled(table, rows, dice)
    dirty.batches += soiled("water_samples", _samples(dice), dice, lambda row: {**row, "e_coli_100ml": 1.0})
    day_wave = wave(dice, 2, 45)

    def often_off(at: datetime) -> float:
        return 0.5 if local(at, ZONE).hour < 3 and local(at, ZONE).day % 2 else day_wave(at)

    levels = {
        "inflow_m3_h": wave(dice, 8, 80), "pressure_m": day_wave, "P3.p": often_off, "P4.p": often_off,
        "chlorine_mg_l": lambda at: dice.choice([0.1, 0.2, 0.5, 1.0, 1.2]), "tank_level_m": wave(dice, 0.3, 3.5),
        "tank_outflow_m3_h": wave(dice, 5, 60), "tank_inflow_m3_h": wave(dice, 0, 50),
        "pump_energy_kwh": wave(dice, 5, 20), "pump_volume_m3": lambda at: dice.choice([0.0, 20.0, 45.5]),
        "pump_head_m": wave(dice, 40, 70), "consumption_l": wave(dice, 0, 60),
    }  # fmt: skip
    filled(dirty, dice, levels, perfect=["U1.e", "U1.v", "U2.e", "D2.a"])
    return dirty


def _books(dice: random.Random) -> dict[str, Rows]:
    months = [f"{2025 + (m > 12)}-{(m - 1) % 12 + 1:02}-01" for m in range(4, 17)]
    bills: Rows = []
    for dma in ("D1", "D2"):
        for first, last in (("2026-02-10", "2026-03-09"), ("2026-03-10", "2026-03-28"), ("2026-03-29", "2026-04-20")):
            amount = dice.choice([None, 9_000.0, 22_000.0]) if dma == "D2" else 20_000.0
            bills.append({"dma": dma, "period_start": first, "period_end": last, "billed_m3": amount})
    return {
        "water_bills": bills,
        "water_audits": [_audit(dma, month, dice) for dma in ("D1", "D2") for month in months if dice.random() < 0.9],
        "water_connections": [
            {
                "ward": ward, "month": month, "households_connected": dice.choice([None, 900, 1000]),
                "connections": dice.choice([None, 800]), "standposts": dice.choice([None, 20]),
                "functional_meters": dice.choice([None, 500, 620]),
            }
            for ward in ("W1", "W2", "W3") for month in months
        ],
        "water_accounts": [
            {
                "month": month, "operating_revenue": dice.choice([None, 80_000, 90_000]),
                "operating_expense": 100_000 + number, "current_billed": 50_000,
                "current_collected": dice.choice([None, 40_000, 45_000]),
            }
            for number, month in enumerate(months)
        ],
        "sewage_accounts": [
            {
                "month": month, "supplied_m3": 180_000.0, "other_sources_m3": dice.choice([None, 15_000.0]),
                "collected_m3": dice.choice([90_000.0, 93_000.0]), "capacity_m3": 150_000.0, "reused_m3": 21_000.0,
            }
            for month in months
        ],
    }  # fmt: skip


def _audit(dma: str, month: str, dice: random.Random) -> dict[str, Any]:
    return {
        "dma": dma, "month": month, "system_input_m3": dice.choice([100_000.0, 120_000.0, 100_000.0, None]),
        "billed_metered_m3": 60_000.0, "billed_unmetered_m3": dice.choice([None, 5_000.0]),
        "unbilled_metered_m3": 500.0, "unbilled_unmetered_m3": dice.choice([None, 700.0]),
        "unauthorised_m3": 250.0, "under_registration_pct": dice.choice([None, 2.0]), "data_errors_m3": None,
    }  # fmt: skip


def _samples(dice: random.Random) -> Rows:
    return [
        {
            "sample": f"S{number}", "sampled_at": START + timedelta(hours=dice.randrange(230)),
            "dma": dice.choice(["D1", "D2", None]), "ward": dice.choice(["W1", "W2", None]),
            "turbidity_ntu": dice.choice([None, 0.4, 1.0, 1.1, 5.0, 5.1]), "ph": dice.choice([None, 6.5, 7.0, 8.6]),
            "tds_mg_l": dice.choice([None, 300.0, 500.0, 501.0]), "free_chlorine_mg_l": dice.choice([None, 0.2, 0.1, 3.0]),
            "e_coli_100ml": dice.choice([None, 0.0, 0.0, 0.0, 2.0]),
        }
        for number in range(90)
    ]  # fmt: skip
