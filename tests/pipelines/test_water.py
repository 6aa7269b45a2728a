"""The water domain as declared: its samples, its alarms, its KPIs side by side with the standards."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from pipelines.engine.alarms.rules import limit_of
from pipelines.engine.decode.base import ROW, decoder
from pipelines.engine.decode.table_file import check_mapping
from pipelines.engine.model import INSTANT, Kpi, Source
from pipelines.engine.units import conversion, parse_unit
from pipelines.water import DOMAIN

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
NOW = datetime(2025, 11, 4, tzinfo=UTC)
TABLES = {table.name: table for table in DOMAIN.tables}
ALARMS = {rule.name: rule for rule in DOMAIN.alarms}
KPIS = {kpi.id: kpi for kpi in DOMAIN.kpis}


def kinds(source: Source) -> dict[str, str]:
    table = TABLES.get(source.mapping["table"])
    return {column.name: column.kind for column in table.columns} if table else {}


def decoded(source: Source) -> pl.DataFrame:
    mapping = dict(source.mapping) | {
        "format": source.format,
        "zone": "Asia/Kolkata",
        "feed": source.name,
        "kinds": kinds(source),
    }
    assert check_mapping(mapping, kinds(source)) == []
    result = decoder(source.format)((SAMPLES / source.sample).read_bytes(), mapping, NOW)
    assert result.refused == ()
    return result.tables[source.mapping["table"]]


def sourced(name: str) -> pl.DataFrame:
    return decoded(next(source for source in DOMAIN.sources if source.name == name))


@pytest.mark.parametrize("source", DOMAIN.sources, ids=lambda source: source.name)
def test_sample_of_a_source_decodes_without_a_refusal_into_declared_columns(source: Source):
    frame = decoded(source)
    assert frame.height > 0
    table = TABLES.get(source.mapping["table"])
    allowed = {column.name for column in table.columns} if table else {"sensor", "observed_at", "value", "unit"}
    assert set(frame.columns) - {ROW} <= allowed
    required = {column.name for column in table.columns if column.required} if table else {"sensor", "observed_at"}
    assert frame.select(sorted(required)).null_count().sum_horizontal().item() == 0


def test_meter_hours_are_one_reading_per_hour_of_the_local_day():
    rows = sourced("meter_hours").filter(sensor="M000117").sort("observed_at")
    # 2 November 00:00 in Kolkata is 18:30 UTC the day before; the 06:00 column says 22 L, the 05:00 column 1.5 L
    assert rows["observed_at"][0] == datetime(2025, 11, 1, 18, 30, tzinfo=UTC)
    assert rows["value"][5:7].to_list() == [1.5, 22.0]
    assert rows.height == 24
    assert sourced("meter_hours").filter(sensor="M000118")["value"].null_count() == 2


def test_bills_keep_both_days_of_their_period():
    first = sourced("water_bills").row(0, named=True)
    assert (str(first["period_start"]), str(first["period_end"]), float(first["billed_m3"])) == (
        "2025-09-16",
        "2025-10-15",
        41280,
    )


def test_units_of_the_samples_can_be_turned_into_those_of_the_quantities():
    wanted = {"inflow": "m^3/h", "outflow": "m^3/h", "pressure": "metre_head", "chlorine": "mg/L", "level": "m"}
    for name in ("network_readings", "tank_readings"):
        for sensor, unit in sourced(name).select("sensor", "unit").unique().rows():
            assert conversion(unit, wanted[sensor.partition(".")[2]])[0] > 0
    assert conversion("L/s", "m^3/h")[0] == pytest.approx(3.6)


def test_bill_that_ends_before_it_begins_is_set_aside():
    check = TABLES["water_bills"].checks[0]
    days = pl.DataFrame({"period_start": [date(2025, 10, 1)] * 2, "period_end": [date(2025, 10, 1), date(2025, 9, 30)]})
    assert days.select(check.holds).to_series().to_list() == [True, False]


def test_pressure_alarm_rings_within_a_minute_and_returns_two_per_cent_of_range_above():
    rule = ALARMS["pressure_low"]
    assert (rule.watches, rule.below, rule.level) == ("pressure_m", 7.0, "asset")
    limit = limit_of(rule, next(quantity for quantity in DOMAIN.quantities if quantity.name == rule.watches))
    assert limit.low == 7.0 and limit.on_delay.total_seconds() <= 60
    # EEMUA 191: a deadband of 2 % of the range of a pressure signal; network gauges here span 50 m
    assert limit.deadband == pytest.approx(0.02 * 50)


def test_night_alarm_waits_for_the_third_night():
    rule = ALARMS["night_flow_high"]
    assert (rule.watches, rule.above, rule.on_delay.days) == ("night_flow_over_baseline", 125.0, 2)


def test_every_kpi_has_a_known_unit_and_a_catalogue_id():
    assert {kpi.catalogue for kpi in DOMAIN.kpis} == {f"WA-{number:02}" for number in range(1, 16)}
    assert all(parse_unit(kpi.unit) is not None for kpi in DOMAIN.kpis)


@pytest.mark.parametrize(
    ("kpi", "target"),
    [
        ("non_revenue_water", 20),  # SLB 2.1.4
        ("supply_per_head", 135),  # SLB 2.1.2
        ("supply_continuity", 24),  # SLB 2.1.5
        ("connection_coverage", 100),  # SLB 2.1.1
        ("cost_recovery", 100),  # SLB 2.1.8
        ("collection_efficiency", 90),  # SLB 2.1.9
        ("tank_autonomy", 8),  # convention
        ("meter_read_success", 98),  # AMISP
    ],
)
def test_targets_are_those_of_the_standards(kpi: str, target: float):
    assert KPIS[kpi].target == target


READINGS = {"sensor": pl.String, "asset": pl.String, "kind": pl.String, "ward": pl.String, "observed_at": INSTANT}
ROLLUP = READINGS | {"n": pl.Int64, "expected": pl.Float64} | dict.fromkeys(("sum", "min", "max", "last"), pl.Float64)
ENGINE = {
    "windows": dict.fromkeys(("window", "end", "as_of"), INSTANT),
    "wards": {"ward": pl.String, "name": pl.String, "population": pl.Float64, "households": pl.Float64},
    "assets": dict.fromkeys(("asset", "domain", "kind", "name", "ward", "parent"), pl.String),
    "sensors": dict.fromkeys(("sensor", "asset", "kind", "ward", "quantity", "unit"), pl.String)
    | {"every_s": pl.Float64},
}


def nothing(name: str) -> Any:
    """What the engine hands a KPI function under this name in a town that has no rows yet."""
    if name == "zone":
        return "Asia/Kolkata"
    quantities = {quantity.name for quantity in DOMAIN.quantities}
    references = {reference.name: reference.schema for reference in DOMAIN.references}
    tables = {table.name: table.schema | {"received_at": INSTANT} for table in DOMAIN.tables}
    if name.endswith(("_hourly", "_daily")):
        return pl.DataFrame(schema=ROLLUP)
    known = ENGINE | references | tables | dict.fromkeys(quantities, READINGS | {"value": pl.Float64})
    return pl.DataFrame(schema=known[name])


@pytest.mark.parametrize("kpi", DOMAIN.kpis, ids=lambda kpi: kpi.id)
def test_kpi_gives_the_contract_columns_and_no_row_when_the_town_is_empty(kpi: Kpi):
    one_day = pl.DataFrame(
        {"window": [NOW], "end": [NOW + timedelta(days=1)], "as_of": [NOW]}, schema=ENGINE["windows"]
    )
    given = {name: one_day if name == "windows" else nothing(name) for name in kpi.inputs}
    found = kpi.function(**given)
    assert found.is_empty()
    assert {"window", "area"} <= set(found.columns)
    assert "value" in found.columns or {"numerator", "denominator"} <= set(found.columns)
