"""What people write down: laboratory samples, bills, accounts, street-light nights; CSV rows for the drop folders."""

import itertools
from collections.abc import Callable
from datetime import date
from random import Random

import numpy as np

from pipelines.demo.blocks import Asset
from pipelines.demo.calendar import EPOCH, day_date, day_number, day_start, iso
from pipelines.demo.demand import DMAS, consumption_m3_h, inflow_m3_h
from pipelines.demo.geography import point_in, wards
from pipelines.demo.incidents import World
from pipelines.demo.meters import bills
from pipelines.demo.outages import FEEDERS
from pipelines.demo.power import feeder_kw, transformer_kw

Rows = list[dict[str, object]]
MONTHS = 12
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


def months(now: float, count: int = MONTHS) -> list[tuple[int, int]]:
    """First local days of the last closed months and of the months after each, oldest first."""
    today = day_date(int(day_number(now)))
    index = today.year * 12 + today.month - 1
    starts = [(date(m // 12, m % 12 + 1, 1) - EPOCH).days for m in range(index - count, index + 1)]
    return list(itertools.pairwise(starts))


def _span(first: int, after: int) -> np.ndarray:
    return np.arange(day_start(first) + 1800.0, day_start(after), 3600.0)


def energy_accounts(seed: int, now: float) -> Rows:
    """One row per feeder and closed month."""
    rows: Rows = []
    for first, after in months(now):
        entered = feeder_kw(transformer_kw(World(seed), _span(first, after)[::3])).sum(axis=1) * 3.0
        for feeder, kwh in zip(FEEDERS, entered, strict=True):
            chance = Random(f"account {seed} {feeder.asset} {first}")
            billed = float(kwh) * chance.uniform(0.855, 0.915)
            money = round(billed * 712)
            rows.append(
                {
                    "feeder": feeder.asset,
                    "period_start": iso(day_start(first)),
                    "input_kwh": round(float(kwh)),
                    "billed_kwh": round(billed),
                    "billed_minor": money,
                    "collected_minor": round(money * chance.uniform(0.93, 0.99)),
                }
            )
    return rows


def _monthly_water(seed: int, first: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Inflow and consumption of each area in the month, m3."""
    t = _span(first, after)
    world = World(seed)
    return np.array([inflow_m3_h(world, d, t).sum() for d in DMAS]), np.array(
        [consumption_m3_h(world, d, t).sum() for d in DMAS]
    )


def water_audits(seed: int, now: float) -> Rows:
    """The water balance of each area per closed month."""
    rows: Rows = []
    for first, after in months(now):
        for dma, entered, drawn in zip(DMAS, *_monthly_water(seed, first, after), strict=True):
            rows.append(
                {
                    "dma": dma.asset,
                    "month": day_date(first).isoformat(),
                    "system_input_m3": round(entered),
                    "billed_metered_m3": round(drawn * 0.985),
                    "billed_unmetered_m3": 0,
                    "unbilled_metered_m3": round(drawn * 0.004),
                    "unbilled_unmetered_m3": round(entered * 0.006),
                    "unauthorised_m3": round(entered * 0.004),
                    "under_registration_pct": 2.0,
                    "data_errors_m3": round(drawn * 0.003),
                }
            )
    return rows


def water_accounts(seed: int, now: float) -> Rows:
    """Revenue and expense of the water service per closed month, in paise."""
    rows: Rows = []
    for first, after in months(now):
        billed = round(float(_monthly_water(seed, first, after)[1].sum()) * 0.985 * 1150)
        chance = Random(f"water account {seed} {first}")
        rows.append(
            {
                "month": day_date(first).isoformat(),
                "operating_revenue": round(billed * 1.06),
                "operating_expense": round(billed * chance.uniform(1.15, 1.28)),
                "current_billed": billed,
                "current_collected": round(billed * chance.uniform(0.86, 0.93)),
            }
        )
    return rows


def sewage_accounts(seed: int, now: float) -> Rows:
    """Sewage collected, treated and used again per closed month."""
    rows: Rows = []
    for first, after in months(now):
        drawn = float(_monthly_water(seed, first, after)[1].sum())
        chance = Random(f"sewage {seed} {first}")
        collected = 0.8 * drawn * chance.uniform(0.66, 0.72)
        rows.append(
            {
                "month": day_date(first).isoformat(),
                "supplied_m3": round(drawn),
                "other_sources_m3": round(0.06 * drawn),
                "collected_m3": round(collected),
                "capacity_m3": 5200 * (after - first),
                "reused_m3": round(collected * chance.uniform(0.17, 0.24)),
            }
        )
    return rows


def water_connections(seed: int, now: float) -> Rows:
    """Homes connected and meters that work, per ward and closed month."""
    rows: Rows = []
    for back, (first, _) in enumerate(reversed(months(now))):
        for ward in wards(seed):
            meters = round(2000 * ward.population / 60_000)
            rows.append(
                {
                    "ward": ward.ward,
                    "month": day_date(first).isoformat(),
                    "households_connected": round(ward.households * (0.94 - 0.002 * back)),
                    "connections": meters,
                    "standposts": 2,
                    "functional_meters": round(meters * (0.975 - 0.003 * back)),
                }
            )
    return rows


MONTHLY: dict[str, Callable[[int, float], Rows]] = {
    "energy_accounts": energy_accounts,
    "water_bills": bills,
    "water_audits": water_audits,
    "water_accounts": water_accounts,
    "sewage_accounts": sewage_accounts,
    "water_connections": water_connections,
}
DAILY: dict[str, Callable[[int, int], Rows]] = {
    "effluent_samples": effluent_samples,
    "water_samples": water_samples,
    "street_light_nights": street_light_nights,
}


def due_at(name: str, day: int) -> float:
    """When the record of a local day is handed in: at two in the afternoon, the lamps' report the next morning."""
    return day_start(day) + (30.5 if name == "street_light_nights" else 14.0) * 3600.0
