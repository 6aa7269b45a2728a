"""Supply per head and water not paid for."""

from datetime import date

import polars as pl
import pytest

from pipelines.water.supply import (
    billed_days,
    daily_volumes,
    non_revenue_water,
    non_revenue_water_year,
    supply_per_head,
)
from tests.pipelines.water_town import ASSETS, ROME, at, dmas, rolled, sensors, values, windows

INLETS = sensors(("f1", "D1", "inflow_m3_h", 900), ("f2", "D2", "inflow_m3_h", 900), ("f3", "D3", "inflow_m3_h", 900))
DAY = windows(("2026-01-10", "2026-01-11"))
PEOPLE = dmas(
    [
        {"asset": "D1", "population_served": 20_000},
        {"asset": "D2", "population_served": 10_000, "bulk_non_domestic_m3_day": 240.0},
        {"asset": "D3", "population_served": 10_000},
    ]
)


def day(sensor: str, asset: str, start, m3_h: float, n: int = 96):
    return (sensor, asset, start, n, 96.0, n * m3_h)


def bills(*rows: tuple[str, date, date, float]) -> pl.DataFrame:
    schema = {"dma": pl.String, "period_start": pl.Date, "period_end": pl.Date, "billed_m3": pl.Float64}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def test_supply_per_head_is_litres_over_people_served_without_bulk_sales():
    # 24 h x 100, 50, 40 m3/h = 2,400,000 + 1,200,000 + 960,000 L; bulk 240,000 L; 40,000 people
    start = at("2026-01-10")
    inflow = rolled(day("f1", "D1", start, 100), day("f2", "D2", start, 50), day("f3", "D3", start, 40))
    found = supply_per_head(inflow, PEOPLE, ASSETS, INLETS, DAY, "UTC")
    assert values(found) == pytest.approx(
        {
            ("01-10T00:00", "town"): 4_320_000 / 40_000,
            ("01-10T00:00", "ward:W1"): 3_360_000 / 30_000,
            ("01-10T00:00", "ward:W2"): 96.0,
            ("01-10T00:00", "asset:D1"): 120.0,
            ("01-10T00:00", "asset:D2"): 96.0,
            ("01-10T00:00", "asset:D3"): 96.0,
        }
    )


def test_supply_per_head_leaves_out_areas_that_were_not_measured_and_says_so():
    start = at("2026-01-10")
    inflow = rolled(day("f1", "D1", start, 100), day("f3", "D3", start, 40, n=30))
    town = supply_per_head(inflow, PEOPLE, ASSETS, INLETS, DAY, "UTC").filter(pl.col("area") == "town")
    assert town.select("numerator", "denominator", "n", "n_expected").row(0) == (2_400_000, 20_000, 1, 3)


@pytest.mark.parametrize(
    ("start", "end", "length"), [("2026-03-29", "2026-03-30", 23), ("2026-10-25", "2026-10-26", 25)]
)
def test_supply_per_head_follows_the_length_of_the_local_day(start: str, end: str, length: int):
    # a steady 100 m3/h over the day that the clocks leave
    inflow = rolled(day("f1", "D1", at(start, ROME), 100, n=4 * length))
    found = supply_per_head(inflow, PEOPLE, ASSETS, INLETS, windows((start, end), zone=ROME), ROME)
    town = found.filter(pl.col("area") == "town")
    assert town["numerator"].item() == pytest.approx(100_000 * length)
    assert town["n_expected"].item() == 3


def test_an_area_of_two_wards_gives_each_its_ratio_and_the_wards_add_up_to_the_town():
    point = ASSETS.filter(asset="P1").with_columns(asset=pl.lit("P9"), ward=pl.lit("W2"))
    start = at("2026-01-10")
    inflow = rolled(day("f1", "D1", start, 100), day("f3", "D3", start, 40))
    found = supply_per_head(inflow, PEOPLE, pl.concat([ASSETS, point]), INLETS, DAY, "UTC")
    # D1 120 L a head in W1 and W2, half of it each; D3 96 L a head in W2
    assert values(found)["01-10T00:00", "ward:W1"] == pytest.approx(120.0)
    assert values(found)["01-10T00:00", "ward:W2"] == pytest.approx((1_200_000 + 960_000) / 20_000)
    wards = found.filter(pl.col("area").str.starts_with("ward"))
    town = found.filter(area="town")
    for part in ("numerator", "denominator"):
        assert wards[part].sum() == pytest.approx(town[part].item())
    assert town.select("n", "n_expected").row(0) == (2, 3)


def test_daily_volumes_need_every_inlet_of_an_area():
    two = sensors(("f1", "D1", "inflow_m3_h", 900), ("f1b", "D1", "inflow_m3_h", 900))
    one_missing = rolled(day("f1", "D1", at("2026-01-10"), 100))
    both = rolled(day("f1", "D1", at("2026-01-10"), 100), day("f1b", "D1", at("2026-01-10"), -20))
    assert daily_volumes(one_missing, two, "UTC").is_empty()
    assert daily_volumes(both, two, "UTC")["volume_m3"].to_list() == [24 * 80.0]


def test_daily_volumes_count_a_day_once_when_it_came_twice():
    row = day("f1", "D1", at("2026-01-10"), 100)
    assert daily_volumes(rolled(row, row), INLETS, "UTC")["volume_m3"].to_list() == [2400.0]


def test_supply_per_head_is_empty_when_nothing_came():
    assert supply_per_head(rolled(), PEOPLE, ASSETS, INLETS, DAY, "UTC").is_empty()


def test_billed_days_spread_a_bill_over_the_days_it_covers():
    # 20 January to 18 February is 30 days
    found = billed_days(bills(("D1", date(2026, 1, 20), date(2026, 2, 18), 3000.0)))
    assert found.height == 30
    assert found.filter(pl.col("day") < date(2026, 2, 1))["billed_m3"].sum() == pytest.approx(1200.0)


JANUARY = windows(("2026-01-01", "2026-02-01"))


def month(sensor: str, asset: str, m3_h: float, days: int = 31) -> list:
    return [day(sensor, asset, at(f"2026-01-{d:02}"), m3_h) for d in range(1, days + 1)]


def test_non_revenue_water_is_a_ratio_of_sums_over_the_areas():
    # D1: 31 x 2400 in, 31 x 1680 billed (30 %); D3: 31 x 240 in, 31 x 216 billed (10 %)
    inflow = rolled(*month("f1", "D1", 100), *month("f3", "D3", 10))
    billed = bills(
        ("D1", date(2026, 1, 1), date(2026, 1, 31), 31 * 1680.0),
        ("D3", date(2026, 1, 1), date(2026, 1, 31), 31 * 216.0),
    )
    found = values(non_revenue_water(inflow, billed, ASSETS, INLETS, JANUARY, "UTC"), 100)
    assert found["01-01T00:00", "asset:D1"] == pytest.approx(30.0)
    assert found["01-01T00:00", "ward:W2"] == pytest.approx(10.0)
    assert found["01-01T00:00", "town"] == pytest.approx(100 * (720 + 24) / (2400 + 240))


def test_non_revenue_water_does_not_take_a_bill_that_is_still_out_for_a_loss():
    billed = bills(("D1", date(2026, 1, 1), date(2026, 1, 15), 15 * 1680.0))
    town = non_revenue_water(rolled(*month("f1", "D1", 100)), billed, ASSETS, INLETS, JANUARY, "UTC").filter(
        area="town"
    )
    assert town["numerator"].item() / town["denominator"].item() == pytest.approx(0.3)
    assert town.select("n", "n_expected").row(0) == (15, 93)


def test_non_revenue_water_is_empty_when_no_bill_came():
    assert non_revenue_water(rolled(*month("f1", "D1", 100)), bills(), ASSETS, INLETS, JANUARY, "UTC").is_empty()


def test_non_revenue_water_year_reaches_back_twelve_months_in_every_window():
    # December at 20 %, January at 40 % of the same inflow: 30 % together, and December alone stays 20 %
    inflow = rolled(
        *(day("f1", "D1", at(f"2025-12-{d:02}"), 100) for d in range(1, 32)),
        *month("f1", "D1", 100),
        day("f1", "D1", at("2025-01-31"), 100),
    )
    billed = bills(
        ("D1", date(2025, 1, 1), date(2025, 1, 31), 0.0),
        ("D1", date(2025, 12, 1), date(2025, 12, 31), 31 * 1920.0),
        ("D1", date(2026, 1, 1), date(2026, 1, 31), 31 * 1440.0),
    )
    months = windows(("2025-12-01", "2026-01-01"), ("2026-01-01", "2026-02-01"))
    found = non_revenue_water_year(inflow, billed, ASSETS, INLETS, months, "UTC")
    assert values(found, 100)["01-01T00:00", "town"] == pytest.approx(30.0)
    # January 2025 belongs to the year that ends in December: 31 x 480 + 2400 of 32 x 2400
    assert values(found, 100)["12-01T00:00", "town"] == pytest.approx(100 * (31 * 480 + 2400) / (32 * 2400))
    assert found.filter(area="asset:D1").sort("window")["n_expected"].to_list() == [365, 365]
