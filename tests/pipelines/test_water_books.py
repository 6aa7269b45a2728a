"""Samples, pumps, the water balance and the monthly books."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from pipelines.engine.model import Table
from pipelines.water import accounts, balance, pumps, quality, tables
from pipelines.water.tables import DRINKING_WATER
from tests.pipelines.water_town import ASSETS, ROME, at, dmas, rolled, values, windows
from tests.shipped import shipped

JANUARY = windows(("2026-01-01", "2026-02-01"), zone=ROME)
LABEL = "12-31T23:00"
YEAR = windows(("2026-01-01", "2027-01-01"), zone=ROME)
LIMITS = shipped(DRINKING_WATER)


def rows(table: Table, *written: dict[str, Any]) -> pl.DataFrame:
    """Rows of an event table, columns not written empty."""
    return pl.DataFrame(list(written), schema=table.schema)


def samples(*written: dict[str, Any]) -> pl.DataFrame:
    placed = {"sampled_at": at("2026-01-10T09:00"), "ward": "W1", "dma": "D1"}
    return rows(tables.WATER_SAMPLES, *({"sample": str(i)} | placed | row for i, row in enumerate(written)))


def test_turbidity_is_judged_by_both_limits_inclusive():
    # WA-09#1
    found = samples(*({"turbidity_ntu": ntu} for ntu in (0.4, 1.0, 1.1, 4.9, 5.0, 6.2)))
    assert values(quality.turbidity_acceptable(found, LIMITS, JANUARY), 100)[LABEL, "town"] == pytest.approx(33.333333)
    assert values(quality.turbidity_permissible(found, LIMITS, JANUARY), 100)[LABEL, "asset:D1"] == pytest.approx(
        83.333333
    )


def test_water_quality_needs_every_tested_parameter_to_pass():
    # WA-09#2, with a sixth sample of which only chlorine was tested (passes) and a seventh with no result
    def one(ph, turbidity, chlorine, coli):
        return {"ph": ph, "turbidity_ntu": turbidity, "free_chlorine_mg_l": chlorine, "e_coli_100ml": coli}

    five = [
        one(7.2, 0.8, 0.3, 0),
        one(8.6, 0.8, 0.3, 0),
        one(7.0, 0.5, 0.1, 0),
        one(7.0, 0.5, 0.5, 2),
        one(6.5, 1.0, 0.2, 0),
    ]
    assert values(quality.water_quality(samples(*five), LIMITS, JANUARY), 100)[LABEL, "town"] == pytest.approx(40.0)
    more = samples(*five, {"free_chlorine_mg_l": 0.4}, {})
    assert values(quality.water_quality(more, LIMITS, JANUARY), 100)[LABEL, "town"] == pytest.approx(50.0)


def test_e_coli_found_counts_positive_samples_only_where_it_was_tested():
    day = windows(("2026-01-10", "2026-01-11"), ("2026-01-11", "2026-01-12"))
    found = quality.e_coli_found(samples({"e_coli_100ml": 0.0}, {"e_coli_100ml": 3.0}, {}), LIMITS, day)
    assert values(found)["01-10T00:00", "town"] == 1.0
    assert found.filter(area="town").select("n").rows() == [(2,)]


def test_quality_is_empty_when_no_sample_was_taken():
    for kpi in (
        quality.water_quality,
        quality.turbidity_acceptable,
        quality.turbidity_permissible,
        quality.e_coli_found,
    ):
        assert kpi(samples(), LIMITS, JANUARY).is_empty()


def pump(name: str, hours: dict[str, tuple[int, float]]) -> pl.DataFrame:
    return rolled(*((name, "T1", at(f"2026-01-10T{hour}"), n, 1.0, total) for hour, (n, total) in hours.items()))


def test_pump_energy_is_set_against_volume_and_head():
    # WA-11#2: 540 kWh, 1500 m3, 60 m, over two hours; the third hour has no volume reading and does not count
    energy = pump("e", {"08:00": (1, 300.0), "09:00": (1, 240.0), "10:00": (1, 99.0)})
    volume = pump("v", {"08:00": (1, 800.0), "09:00": (1, 700.0)})
    head = pump("h", {"08:00": (1, 60.0), "09:00": (1, 60.0), "10:00": (1, 60.0)})
    day = windows(("2026-01-10", "2026-01-11"))
    key = ("01-10T00:00", "town")
    assert values(pumps.pump_energy_per_volume(energy, volume, head, day))[key] == pytest.approx(0.36)
    assert values(pumps.pump_specific_energy(energy, volume, head, day))[key] == pytest.approx(0.6)
    assert values(pumps.pump_efficiency(energy, volume, head, day), 100)[key] == pytest.approx(45.416667)
    assert pumps.pump_efficiency(energy, pump("v", {}), head, day).is_empty()


AUDIT = {
    "dma": "D1",
    "month": date(2026, 1, 1),
    "system_input_m3": 1_000_000.0,
    "billed_metered_m3": 700_000.0,
    "billed_unmetered_m3": 20_000.0,
    "unbilled_metered_m3": 5_000.0,
    "unbilled_unmetered_m3": 7_500.0,
    "unauthorised_m3": 2_500.0,
    "under_registration_pct": 2.0,
}


def test_water_balance_parts_are_shares_of_the_system_input():
    # WA-01#1 and #2: losses 267,500; apparent 2,500 + 14,285.714; real the rest; of 1,000,000
    audits = rows(tables.WATER_AUDITS, AUDIT)
    for kpi, share in (
        (balance.water_losses, 26.75),
        (balance.apparent_losses, 1.6785714),
        (balance.real_losses, 25.0714286),
    ):
        found = values(kpi(audits, ASSETS, JANUARY, ROME), 100)
        assert found == {(LABEL, area): pytest.approx(share) for area in ("town", "ward:W1", "asset:D1")}


def test_water_balance_reaches_back_twelve_months():
    dry = {"system_input_m3": 1_000_000.0, "billed_metered_m3": 1_000_000.0}
    audits = rows(
        tables.WATER_AUDITS,
        AUDIT,
        {"dma": "D1", "month": date(2025, 2, 1)} | dry,
        {"dma": "D1", "month": date(2025, 1, 1)} | dry,
    )
    assert values(balance.water_losses(audits, ASSETS, JANUARY, ROME), 100)[LABEL, "town"] == pytest.approx(13.375)


def test_negative_losses_are_a_data_error_and_no_value():
    audits = rows(tables.WATER_AUDITS, AUDIT | {"billed_metered_m3": 1_200_000.0})
    found = balance.real_losses(audits, ASSETS, JANUARY, ROME)
    assert set(values(found).values()) == {None}
    assert found.select("reason", "detail").unique().rows() == [
        ("not_applicable", "negative losses: check the bulk meters")
    ]


def test_infrastructure_leakage_index_is_real_over_unavoidable_losses():
    # UARL of 100 km, 6,000 connections, 60 km, 40 m is 324,000 L/day (WA-03#1); 31 days at twice that is 20,088 m3
    network = dmas(
        [{"asset": "D1", "mains_km": 100.0, "connections": 6000, "private_pipe_km": 60.0, "average_pressure_m": 40.0}]
    )
    audits = rows(tables.WATER_AUDITS, {"dma": "D1", "month": date(2026, 1, 1), "system_input_m3": 20_088.0})
    found = balance.infrastructure_leakage_index(audits, network, ASSETS, JANUARY, ROME)
    assert values(found) == {(LABEL, "town"): pytest.approx(2.0)}


def test_infrastructure_leakage_index_is_not_applicable_to_a_small_network():
    # WA-03#3: 1,200 + 20 x 25 is below 3,000
    network = dmas([{"asset": "D1", "mains_km": 25.0, "connections": 1200, "average_pressure_m": 30.0}])
    found = balance.infrastructure_leakage_index(rows(tables.WATER_AUDITS, AUDIT), network, ASSETS, JANUARY, ROME)
    assert found.select("denominator", "reason").row(0) == (None, "not_applicable")


def test_connection_coverage_and_metering_add_up_from_wards():
    wards = pl.DataFrame({"ward": ["W1", "W2"], "households": [8000.0, 4000.0]})
    month = {"month": date(2026, 1, 1)}
    books = rows(
        tables.WATER_CONNECTIONS,
        month
        | {
            "ward": "W1",
            "households_connected": 7120,
            "connections": 7120,
            "standposts": 30,
            "functional_meters": 4000,
        },
        month
        | {"ward": "W2", "households_connected": 2000, "connections": 2000, "standposts": 50, "functional_meters": 300},
    )
    homes = values(accounts.connection_coverage(books, wards, JANUARY, ROME), 100)
    # WA-13: 9,120 of 12,000 households; 4,300 meters on 9,120 connections and 80 standposts
    assert homes == pytest.approx({(LABEL, "town"): 76.0, (LABEL, "ward:W1"): 89.0, (LABEL, "ward:W2"): 50.0})
    assert values(accounts.metering_extent(books, JANUARY, ROME), 100)[LABEL, "town"] == pytest.approx(46.73913)


def test_cost_recovery_sums_the_year_and_collection_the_month():
    def book(month, revenue, expense, billed, collected):
        amounts = {"operating_revenue": revenue, "operating_expense": expense}
        return {"month": month, "current_billed": billed, "current_collected": collected} | amounts

    books = rows(
        tables.WATER_ACCOUNTS,
        book(date(2026, 1, 1), 2200, 3000, 4300, 3870),
        book(date(2026, 2, 1), 2000, 3000, 4300, 100),
    )
    assert values(accounts.cost_recovery(books, YEAR, ROME), 100) == {(LABEL, "town"): pytest.approx(70.0)}
    assert values(accounts.collection_efficiency(books, JANUARY, ROME), 100) == {(LABEL, "town"): pytest.approx(90.0)}


def test_sewage_shares_follow_the_water_supplied():
    # WA-15, as 6.0, 0.5, 3.1, 5.0 and 0.7 million litres a day over 31 days
    days = 31 * 1000
    month = {
        "month": date(2026, 1, 1),
        "supplied_m3": 6.0 * days,
        "other_sources_m3": 0.5 * days,
        "collected_m3": 3.1 * days,
        "capacity_m3": 5.0 * days,
        "reused_m3": 0.7 * days,
    }
    books = rows(tables.SEWAGE_ACCOUNTS, month)
    key = (LABEL, "town")
    assert values(accounts.sewage_collected(books, JANUARY, ROME), 100)[key] == pytest.approx(59.615385)
    assert values(accounts.sewage_capacity(books, JANUARY, ROME), 100)[key] == pytest.approx(96.153846)
    assert values(accounts.sewage_reused(books, JANUARY, ROME), 100)[key] == pytest.approx(22.580645)


def test_books_that_did_not_come_or_have_gaps_give_no_row():
    half = rows(tables.WATER_ACCOUNTS, {"month": date(2026, 1, 1), "current_billed": 4300})
    assert accounts.collection_efficiency(half, JANUARY, ROME).is_empty()
    assert accounts.cost_recovery(rows(tables.WATER_ACCOUNTS), YEAR, ROME).is_empty()
    assert accounts.sewage_reused(rows(tables.SEWAGE_ACCOUNTS), JANUARY, ROME).is_empty()
    assert balance.real_losses(rows(tables.WATER_AUDITS), ASSETS, JANUARY, ROME).is_empty()
    assert balance.infrastructure_leakage_index(rows(tables.WATER_AUDITS), dmas([]), ASSETS, JANUARY, ROME).is_empty()
