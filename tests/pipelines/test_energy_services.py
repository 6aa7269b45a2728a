"""Microgrids, AT&C loss, street lights and the domain's declaration against the catalogue and hand calculation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.energy import DOMAIN
from pipelines.energy.microgrids import (
    battery_autonomy,
    renewable_fraction,
    self_consumption,
    self_sufficiency,
    solar_performance_ratio,
)
from pipelines.energy.services import atc_loss, street_light_uptime, street_lights_lit
from pipelines.engine.decode.base import decoder
from pipelines.engine.model import INSTANT

START = datetime(2025, 3, 3, tzinfo=UTC)
WARDS = {"MG1": "W1", "MG2": "W2", "F1": "W1", "F2": "W2"}
ROLLUP = {
    "sensor": pl.String, "asset": pl.String, "kind": pl.String, "ward": pl.String, "observed_at": INSTANT,
    "n": pl.Int64, "expected": pl.Float64, "sum": pl.Float64,
    "min": pl.Float64, "max": pl.Float64, "last": pl.Float64,
}  # fmt: skip
ASSETS = pl.DataFrame({"asset": list(WARDS), "ward": list(WARDS.values())})
MICROGRIDS = pl.DataFrame(
    {
        "asset": ["MG1", "MG2"],
        "battery_kwh": [200.0, 100.0],
        "soc_min_pct": [20.0, 10.0],
        "discharge_efficiency": [0.95, 0.9],
        "solar_kwp": [10.0, 20.0],
    }
)


def windows(*spans: tuple[datetime, datetime, datetime]) -> pl.DataFrame:
    return pl.DataFrame(spans, schema={"window": INSTANT, "end": INSTANT, "as_of": INSTANT}, orient="row")


DAY = windows((START, START + timedelta(days=1), START + timedelta(days=1)))


def hourly(means: dict[str, list[float | None]]) -> pl.DataFrame:
    """Rollup of 60 equal readings an hour per site, in kW; a None is an hour without a row."""
    rows = [
        (site, site, None, WARDS[site], START + timedelta(hours=place), 60, 60.0, 60 * mean, mean, mean, mean)
        for site, series in means.items()
        for place, mean in enumerate(series)
        if mean is not None
    ]
    return pl.DataFrame(rows, schema=ROLLUP, orient="row")


def readings(site: str, values: list[float], start: datetime, every: timedelta) -> pl.DataFrame:
    """Readings of one site, one after the other."""
    rows = [(site, site, None, WARDS[site], start + every * place, value) for place, value in enumerate(values)]
    schema = {name: ROLLUP[name] for name in ("sensor", "asset", "kind", "ward", "observed_at")} | {"value": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def sensors(**sites: list[str]) -> pl.DataFrame:
    rows = [(quantity, site) for quantity, names in sites.items() for site in names]
    return pl.DataFrame(rows, schema={"quantity": pl.String, "asset": pl.String}, orient="row")


def values(frame: pl.DataFrame) -> dict[str, float | None]:
    return {
        row["area"]: row["numerator"] / row["denominator"]
        if row["denominator"] and row["numerator"] is not None
        else None
        for row in frame.to_dicts()
    }


BOTH = ["MG1", "MG2"]
FULL = {
    "load_power_kw": BOTH, "grid_import_kw": BOTH, "grid_export_kw": BOTH, "solar_power_kw": BOTH,
    "battery_power_kw": BOTH, "diesel_power_kw": BOTH,
}  # fmt: skip


def sufficiency(load: dict, imported: dict, exported: dict, solar: dict, register: dict) -> pl.DataFrame:
    frames = [hourly(means) for means in (load, imported, exported, solar)]
    return self_sufficiency(*frames, hourly({}), hourly({}), sensors(**register), DAY)


PARTS = dict.fromkeys(("load_power_kw", "grid_import_kw", "grid_export_kw", "solar_power_kw"), BOTH)


def test_self_sufficiency_is_load_not_imported() -> None:
    """Catalogue vector EN-09#1 over two hours: load 120, solar 80, import 60, export 20 kWh."""
    rows = sufficiency({"MG1": [70, 50]}, {"MG1": [40, 20]}, {"MG1": [0, 20]}, {"MG1": [30, 50]}, PARTS)
    assert values(rows) == {"town": 0.5, "ward:W1": 0.5, "asset:MG1": 0.5}
    assert rows["detail"].unique().to_list() == ["balance closes"]


def test_an_energy_balance_that_does_not_close_is_said() -> None:
    rows = sufficiency({"MG1": [70, 50]}, {"MG1": [40, 20]}, {"MG1": [0, 20]}, {"MG1": [30, 55]}, PARTS)
    assert rows["detail"].unique().to_list() == ["balance does not close: check the meters"]


def test_hours_with_a_silent_meter_are_left_out_and_missing_equipment_is_zero() -> None:
    """MG1's import meter was silent in the second hour; MG2 has no connection to the grid at all."""
    register = PARTS | {"grid_import_kw": ["MG1"]}
    rows = sufficiency({"MG1": [10, 10], "MG2": [10, 10]}, {"MG1": [5, None]}, {}, {}, register)
    assert values(rows) == {"town": 25 / 30, "ward:W1": 0.5, "ward:W2": 1, "asset:MG1": 0.5, "asset:MG2": 1}


def test_self_consumption_is_solar_energy_not_exported() -> None:
    rows = self_consumption(hourly({"MG1": [30, 50]}), hourly({"MG1": [0, 20]}), sensors(**PARTS), DAY)
    assert values(rows)["asset:MG1"] == 0.75
    dark = self_consumption(hourly({"MG1": [0, 0]}), hourly({"MG1": [0, 0]}), sensors(**PARTS), DAY)
    assert values(dark)["asset:MG1"] is None


def test_renewable_fraction_leaves_out_grid_and_diesel() -> None:
    """Of 600 kWh 180 came from the grid or diesel: 70 % as in catalogue vector EN-09#2."""
    rows = renewable_fraction(
        hourly({"MG1": [200, 400]}), hourly({"MG1": [50, 50]}), hourly({"MG1": [80, 0]}), sensors(**FULL), DAY
    )
    assert values(rows) == {"town": 0.7, "ward:W1": 0.7, "asset:MG1": 0.7}


def test_microgrids_without_readings_say_nothing() -> None:
    assert sufficiency({}, {}, {}, {}, PARTS).is_empty()


NOW = START + timedelta(hours=12)
QUARTER = windows((NOW - timedelta(minutes=5), NOW + timedelta(minutes=10), NOW))


def autonomy(charge: float, load: list[float], age_min: int = 1) -> pl.DataFrame:
    soc = readings("MG1", [charge], NOW - timedelta(minutes=age_min), timedelta(minutes=1))
    drawn = readings("MG1", load, NOW - timedelta(minutes=60), timedelta(minutes=15))
    return battery_autonomy(soc, drawn, MICROGRIDS, QUARTER)


def test_autonomy_is_usable_energy_over_the_mean_load_of_the_last_hour() -> None:
    """Catalogue vector EN-10#1: the mean of 5, 10, 15 and 20 kW is 12.5 kW."""
    assert values(autonomy(70, [5, 10, 15, 20])) == {
        area: pytest.approx(7.6) for area in ("town", "ward:W1", "asset:MG1")
    }


def test_autonomy_is_zero_below_the_lowest_charge() -> None:
    assert values(autonomy(15, [10] * 4))["asset:MG1"] == 0


def test_autonomy_is_not_applicable_without_load() -> None:
    rows = autonomy(70, [0] * 4)
    assert values(rows)["asset:MG1"] is None
    assert set(rows["reason"]) == {"not_applicable"}


def test_autonomy_says_nothing_on_an_old_charge() -> None:
    assert autonomy(70, [10] * 4, age_min=16).is_empty()


def test_autonomy_of_the_town_names_the_site_that_ends_first() -> None:
    """95 kWh on 10 kW and 54 kWh on 20 kW."""
    minute = timedelta(minutes=1)
    soc = pl.concat([readings(site, [70], NOW - minute, minute) for site in BOTH])
    load = pl.concat([readings("MG1", [10], NOW - minute, minute), readings("MG2", [20], NOW - minute, minute)])
    town = battery_autonomy(soc, load, MICROGRIDS, QUARTER).filter(pl.col("area") == "town").row(0, named=True)
    assert (town["numerator"], town["denominator"], town["detail"]) == (pytest.approx(149), 30, "MG2")


def test_autonomy_of_many_quarters_looks_back_from_each() -> None:
    quarter = timedelta(minutes=15)
    spans = windows(*((START + quarter * n, START + quarter * (n + 1), START + quarter * (n + 1)) for n in range(8)))
    soc = readings("MG1", [90 - place for place in range(120)], START, timedelta(minutes=1))
    load = readings("MG1", [float(place) for place in range(120)], START, timedelta(minutes=1))
    rows = battery_autonomy(soc, load, MICROGRIDS, spans).filter(pl.col("area") == "asset:MG1").sort("window")
    assert rows["denominator"].to_list() == [7.0, 14.5, 22.0, 29.5, 44.5, 59.5, 74.5, 89.5]
    assert rows["numerator"][0] == pytest.approx((0.76 - 0.2) * 200 * 0.95)


def test_performance_ratio_is_energy_over_what_the_sun_would_give() -> None:
    """Catalogue vector EN-11#2 on MG1; the hour of 40 W/m2 is too dim to count."""
    solar, sun = hourly({"MG1": [6.4, 6.4, 6.4, 0.0]}), hourly({"MG1": [800, 800, 800, 40]})
    found = values(solar_performance_ratio(solar, sun, MICROGRIDS, DAY))
    assert found == {area: pytest.approx(0.8) for area in ("town", "ward:W1", "asset:MG1")}


def test_performance_ratio_of_the_night_is_unknown() -> None:
    assert solar_performance_ratio(hourly({"MG1": [0.0]}), hourly({"MG1": [0.0]}), MICROGRIDS, DAY).is_empty()


def accounts(*rows: dict) -> pl.DataFrame:
    complete = [
        {"feeder": "F1", "period_start": START, "debtors_opening_minor": None, "debtors_closing_minor": None} | row
        for row in rows
    ]
    schema = next(table.schema for table in DOMAIN.tables if table.name == "energy_accounts")
    return pl.DataFrame(complete, schema=schema)


def account(sent: float, billed: float, booked: int, collected: int, **more: Any) -> dict:
    return {"input_kwh": sent, "billed_kwh": billed, "billed_minor": booked, "collected_minor": collected} | more


def test_atc_loss_is_what_never_became_money() -> None:
    """Catalogue vectors EN-04#1 (simple) and EN-04#2 (with the movement of debtors)."""
    assert values(atc_loss(accounts(account(100, 85, 5000, 4750)), ASSETS, DAY))["asset:F1"] == pytest.approx(0.1925)
    moved = account(92, 80, 400, 380, debtors_opening_minor=50, debtors_closing_minor=60)
    assert values(atc_loss(accounts(moved), ASSETS, DAY))["asset:F1"] == pytest.approx(0.19565217, abs=1e-8)


def test_collection_above_100_per_cent_is_capped_and_shown() -> None:
    """Catalogue vector EN-04#3."""
    rows = atc_loss(accounts(account(100, 85, 1000, 1040)), ASSETS, DAY)
    assert values(rows)["town"] == pytest.approx(0.15)
    assert rows["detail"][0] == "85.0 % billed, 104.0 % collected"
    raw = atc_loss(accounts(account(100, 85, 1000, 1040)), ASSETS, DAY, cap_collection=False)
    assert values(raw)["town"] == pytest.approx(0.116)


def test_street_light_uptime_is_lamp_hours_lit() -> None:
    """Catalogue vector EN-12#1 in W1; a panel of 100 lamps that was dark all night in W2."""
    nights = pl.DataFrame(
        {
            "panel": ["P1", "P2"],
            "ward": ["W1", "W2"],
            "lit_at": pl.Series([START, START], dtype=INSTANT),
            "lamps": [1000, 100],
            "burn_hours": [11.5, 11.5],
            "outage_lamp_hours": [402.5, 1150.0],
        }
    )
    found = values(street_light_uptime(nights, DAY))
    assert found == {"ward:W1": pytest.approx(0.965), "ward:W2": 0, "town": pytest.approx((11500 - 402.5) / 12650)}
    assert street_light_uptime(nights.clear(), DAY).is_empty()


def test_street_lamps_lit_are_those_a_patrol_saw() -> None:
    """Catalogue vector EN-12#2."""
    survey = pl.DataFrame(
        {"ward": ["W1"], "surveyed_at": pl.Series([START], dtype=INSTANT), "lamps_surveyed": [1000], "lamps_lit": [948]}
    )
    assert values(street_lights_lit(survey, DAY)) == {"ward:W1": 0.948, "town": 0.948}


def test_every_catalogue_entry_of_energy_has_a_kpi() -> None:
    assert {kpi.catalogue for kpi in DOMAIN.kpis} == {f"EN-{number:02}" for number in range(1, 13)}


def test_a_dead_feeder_rings_within_a_minute() -> None:
    rule = next(rule for rule in DOMAIN.alarms if rule.name == "feeder_dead")
    assert rule.on_delay <= timedelta(seconds=30)
    assert rule.priority == "critical"


SAMPLES = Path(__file__).parents[2] / "data" / "samples"


@pytest.mark.parametrize("source", DOMAIN.sources, ids=lambda source: source.name)
def test_a_source_reads_its_sample_without_a_refusal(source: Any) -> None:
    named = source.mapping["table"]
    table = next((table for table in DOMAIN.tables if table.name == named), None)
    kinds = {column.name: column.kind for column in table.columns} if table else {}
    mapping = {**source.mapping, "format": source.format, "zone": "Asia/Kolkata", "feed": source.name, "kinds": kinds}
    decoded = decoder(source.format)((SAMPLES / source.sample).read_bytes(), mapping, START)
    rows = decoded.tables[named]
    assert not decoded.refused
    assert rows.height > 0
    if table:
        assert set(rows.columns) >= {column.name for column in table.columns}
    else:
        assert rows["sensor"].null_count() == 0
        assert set(rows["unit"]) <= {quantity.unit for quantity in DOMAIN.quantities}
