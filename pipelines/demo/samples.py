"""What is looked at by day: laboratory samples, taps, street lamps; CSV rows for the drop folders."""

from collections.abc import Callable
from random import Random

import numpy as np

from pipelines.demo.blocks import Asset
from pipelines.demo.calendar import day_date, day_start, iso, weekday
from pipelines.demo.demand import DMAS
from pipelines.demo.geography import point_in, wards

Rows = list[dict[str, object]]
# Plant: name, ward, consent, days between samples, typical BOD, COD, TSS, N, P, coliforms.
PLANTS = {
    "STP1": ("Sewage plant Nadi Par", "W12", "moefcc_2017_other", 1, (21.0, 118.0, 62.0, 16.0, 2.1, 620.0)),
    "EP1": ("Dye works outlet", "W03", "general_1986", 3, (22.0, 196.0, 71.0, 9.0, 1.2, 90.0)),
    "EP2": ("Dairy outlet", "W03", "general_1986", 3, (25.5, 178.0, 76.0, 12.0, 3.0, 140.0)),
}


def assets(seed: int) -> list[Asset]:
    """The sewage plant and the outlets of two works."""
    found = []
    for plant, (name, ward, *_) in PLANTS.items():
        lon, lat = point_in(seed, ward, plant)
        found.append(Asset(plant, "pollution", "effluent_plant", name, ward, lat, lon))
    return found


def effluent_plants() -> Rows:
    """Rows of reference/effluent_plants.csv."""
    return [{"asset": plant, "consent": consent} for plant, (_, _, consent, *_) in PLANTS.items()]


def effluent_samples(seed: int, day: int) -> Rows:
    """Samples taken on this day, with the headings of the laboratory's sheet."""
    rows: Rows = []
    for plant, (_, _, _, every, typical) in PLANTS.items():
        if day % every:
            continue
        chance = Random(f"sample {seed} {plant} {day}")
        bod, cod, tss, nitrogen, phosphorus, coliforms = (x * float(np.exp(chance.gauss(0.0, 0.16))) for x in typical)
        rows.append(
            {
                "plant": plant,
                "sampled": iso(day_start(day) + 9.5 * 3600.0),
                "pH": round(chance.gauss(7.4, 0.25), 1),
                "BOD mg/L": round(bod, 1),
                "COD mg/L": round(cod),
                "TSS mg/L": round(tss),
                "total N mg/L": round(nitrogen, 1),
                "total P mg/L": round(phosphorus, 2),
                "faecal coliform MPN/100mL": round(coliforms),
                "laboratory": "District laboratory",
            }
        )
    return rows


def water_samples(seed: int, day: int) -> Rows:
    """Three tap samples a day in turn over the wards."""
    rows: Rows = []
    for number in range(3):
        ward = wards(seed)[(day * 3 + number) % 12].ward
        chance = Random(f"tap {seed} {day} {number}")
        rows.append(
            {
                "sample": f"TAP-{day_date(day):%Y%m%d}-{number + 1}",
                "sampled_at": iso(day_start(day) + (8 + number) * 3600.0),
                "dma": next(d.asset for d in DMAS if ward in d.wards),
                "ward": ward,
                "turbidity_ntu": round(abs(chance.gauss(0.6, 0.28)), 2),
                "ph": round(chance.gauss(7.3, 0.2), 1),
                "tds_mg_l": round(chance.gauss(340, 40)),
                "free_chlorine_mg_l": round(max(chance.gauss(0.42, 0.13), 0.0), 2),
                "e_coli_100ml": 0 if chance.random() > 0.012 else 3,
            }
        )
    return rows


def street_light_nights(seed: int, day: int) -> Rows:
    """One row per panel for the night that begins on this day."""
    rows: Rows = []
    for ward in wards(seed):
        chance = Random(f"lights {seed} {day} {ward.ward}")
        lamps = ward.population // 26
        dark = 11.5 * lamps * (chance.uniform(0.012, 0.05) if chance.random() > 0.05 else chance.uniform(0.2, 0.5))
        rows.append(
            {
                "panel": f"SLP-{ward.ward}",
                "ward": ward.ward,
                "lit_at": iso(day_start(day) + 18.25 * 3600.0),
                "lamps": lamps,
                "burn_hours": 11.5,
                "outage_lamp_hours": round(dark, 1),
            }
        )
    return rows


def street_light_surveys(seed: int, day: int) -> Rows:
    """Monday's patrol through half of the wards in turn."""
    if int(weekday(day)):
        return []
    rows: Rows = []
    for ward in wards(seed)[day // 7 % 2 :: 2]:
        lamps = ward.population // 52
        lit = round(lamps * Random(f"patrol {seed} {day} {ward.ward}").uniform(0.9, 0.99))
        at = iso(day_start(day) + 20.5 * 3600.0)
        rows.append({"ward": ward.ward, "surveyed_at": at, "lamps_surveyed": lamps, "lamps_lit": lit})
    return rows


DAILY: dict[str, Callable[[int, int], Rows]] = {
    "effluent_samples": effluent_samples,
    "water_samples": water_samples,
    "street_light_nights": street_light_nights,
    "street_light_surveys": street_light_surveys,
}

# Hours after local midnight at which a day's record is handed in; others at two in the afternoon.
HANDED_IN_H = {"street_light_nights": 30.5, "street_light_surveys": 22.5}


def due_at(name: str, day: int) -> float:
    """When the record of a local day is handed in."""
    return day_start(day) + HANDED_IN_H.get(name, 14.0) * 3600.0
