"""What is written down by month: bills, accounts, balances, crashes; the current month up to today. CSV rows."""

import itertools
from collections.abc import Callable
from datetime import date
from random import Random

import numpy as np

from pipelines.demo.calendar import DAY_S, EPOCH, day_date, day_number, day_start, iso
from pipelines.demo.demand import DMAS, consumption_m3_h, inflow_m3_h
from pipelines.demo.geography import point_in, wards
from pipelines.demo.incidents import World
from pipelines.demo.meters import bills
from pipelines.demo.outages import FEEDERS
from pipelines.demo.power import feeder_kw, transformer_kw
from pipelines.demo.traffic import LINKS

Rows = list[dict[str, object]]
MONTHS = 12


def months(now: float, count: int = MONTHS) -> list[tuple[int, int]]:
    """First local days of the last closed months, and of this one, and the day after each, oldest first."""
    today = day_date(int(day_number(now)))
    index = today.year * 12 + today.month - 1
    starts = [(date(m // 12, m % 12 + 1, 1) - EPOCH).days for m in range(index - count, index + 1)]
    if today.day > 1:
        starts.append((today - EPOCH).days)
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


def climate_activities(seed: int, now: float) -> Rows:
    """Electricity, gas and methane of the town's own services per month."""
    rows: Rows = []
    for first, after in months(now):
        days = after - first
        chance = Random(f"climate {seed} {first}")
        used = (
            ("street_light", "grid_kwh", 1150.0),
            ("water", "grid_kwh", 3350.0),
            ("sewage", "grid_kwh", 1480.0),
            ("sewage", "ch4_kg", 21.0),
            ("offices", "lpg_kg", 6.0),
        )
        for service, item, a_day in used:
            amount = round(a_day * days * chance.uniform(0.94, 1.06), 1)
            rows.append({"service": service, "item": item, "month_start": iso(day_start(first)), "amount": amount})
    return rows


def crashes(seed: int, now: float) -> Rows:
    """Road crashes as the police record them, oldest first."""
    rows: Rows = []
    for first, after in months(now):
        chance = Random(f"crashes {seed} {first}")
        days = sorted(
            chance.uniform(first, after) for _ in range(round(chance.uniform(2.0, 5.0) * (after - first) / 30.0))
        )
        for number, day in enumerate(days, 1):
            link = chance.choice(LINKS)
            lon, lat = point_in(seed, link.ward, "crash", int(day))
            rows.append(
                {
                    "crash": f"FIR-{day_date(first):%Y%m}-{number:02d}",
                    "crashed_at": iso(day_start(0) + day * DAY_S),
                    "road": link.name,
                    "lat": lat,
                    "lon": lon,
                    "deaths": int(chance.random() < 0.14),
                    "serious": chance.choice((0, 0, 1, 1, 2)),
                    "slight": chance.choice((0, 1, 1, 2)),
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
    "climate_activities": climate_activities,
    "crashes": crashes,
}
