"""Dirty air and noise in Kathmandu, whose hours begin a quarter past those of Greenwich, over a turn of the year."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.oracles.agreement import Dirty
from tests.oracles.dirt import GEOJSON, WARDS, soiled
from tests.oracles.plain import DAY, Rows
from tests.oracles.readings import filled, wave

ZONE = "Asia/Kathmandu"
START = datetime(2025, 12, 27, 18, 15, tzinfo=UTC)
ASSETS = """asset,domain,kind,name,ward,lat,lon,parent
S1,pollution,air_station,S1,W1,,,
S2,pollution,air_station,S2,W2,,,
S3,pollution,air_station,S3,W2,,,
N1,pollution,noise_site,N1,W1,,,
N2,pollution,noise_site,N2,W3,,,
E1,pollution,sewage_plant,E1,W1,,,
E2,pollution,sewage_plant,E2,W2,,,
"""
AIR = {
    "pm25_ug_m3": "15 min", "pm10_ug_m3": "15 min", "no2_ug_m3": "30 min", "o3_ug_m3": "30 min", "so2_ug_m3": "1 h",
    "co_mg_m3": "1 h", "nh3_ug_m3": "1 h", "pb_ug_m3": "1 h",
}  # fmt: skip


def _sensors() -> str:
    lines = ["sensor,asset,quantity,unit,every"]
    for station in ("S1", "S2", "S3"):
        for name, every in AIR.items():
            if station == "S3" and name not in ("pm25_ug_m3", "no2_ug_m3"):
                continue
            lines.append(f"{station}.{name},{station},{name},{'mg/m^3' if name == 'co_mg_m3' else 'ug/m^3'},{every}")
    # A second instrument at the same station; they count by their readings.
    lines.append("S1.pm25b,S1,pm25_ug_m3,ug/m^3,1 h")
    lines += ["N1.a,N1,noise_dba,dBA,5 min", "N1.b,N1,noise_dba,dBA,15 min", "N2.a,N2,noise_dba,dBA,5 min"]
    return "\n".join(lines) + "\n"


def made(seed: int = 3) -> Dirty:
    """Eight days, the last one still running."""
    dice = random.Random(seed)
    registers = {
        "wards.csv": WARDS, "wards.geojson": GEOJSON, "assets.csv": ASSETS, "sensors.csv": _sensors(),
        "noise_sites.csv": "asset,zone_class\nN1,residential\nN2,silence\n",
        "effluent_plants.csv": "asset,consent\nE1,moefcc_2017_other\nE2,ngt_2019\n",
    }  # fmt: skip
    dirty = Dirty("pollution", ZONE, START, START + 8 * DAY - timedelta(hours=7, minutes=20), registers)
    dirty.batches += soiled("effluent_samples", _samples(dice), dice, lambda row: {**row, "bod_mg_l": 9.0})
    dirty.batches += soiled("climate_activities", _activities(dice), dice, lambda row: {**row, "amount": 77.0})
    levels = {
        "pm25_ug_m3": wave(dice, -4, 140), "pm10_ug_m3": wave(dice, 10, 380), "no2_ug_m3": wave(dice, 5, 120),
        "o3_ug_m3": wave(dice, 20, 330), "so2_ug_m3": wave(dice, 5, 1500), "co_mg_m3": wave(dice, 0.2, 14),
        "nh3_ug_m3": wave(dice, 5, 500), "pb_ug_m3": wave(dice, 0, 3.2), "noise_dba": wave(dice, 32, 70),
    }  # fmt: skip
    filled(dirty, dice, levels)
    return dirty


def _samples(dice: random.Random) -> Rows:
    return [
        {
            "plant": dice.choice(["E1", "E2"]), "sampled_at": START + timedelta(hours=4 * number, minutes=number),
            "ph": dice.choice([None, 7.2, 9.0, 9.4]), "bod_mg_l": dice.choice([None, 9.0, 28.0, 31.0]),
            "cod_mg_l": dice.choice([None, 40.0, 51.0]), "tss_mg_l": dice.choice([None, 19.0, 96.0, 120.0]),
            "total_nitrogen_mg_l": dice.choice([None, 9.0, 15.0]), "total_phosphorus_mg_l": None,
            "faecal_coliform_mpn": dice.choice([None, 200.0, 999.0, 1000.0, 5000.0]),
        }
        for number in range(46)
    ]  # fmt: skip


def _activities(dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "service": service, "item": item, "month_start": START + day * DAY,
            "amount": dice.choice([0.0, 10.0, 1250.5]),
        }
        for service in ("street_light", "sewage") for item in ("grid_kwh", "ch4_kg", "n2o_kg", "co2_kg", "lpg_kg")
        for day in (1, 5)
    ]  # fmt: skip
