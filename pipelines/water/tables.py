"""What arrives about water: quantities of sensors, event tables, and the references a clerk keeps."""

from datetime import timedelta
from pathlib import Path

import polars as pl

from pipelines.engine.model import Check, Column, Quantity, Reference, Table

QUANTITIES = (
    Quantity(
        name="inflow_m3_h",
        signal="flow",
        unit="m^3/h",
        habitual=True,
        meaning="Net flow into a district metered area, at one of its inlets; water passed on counts negative",
        low=-20_000,
        high=20_000,
    ),
    Quantity(
        name="pressure_m",
        signal="pressure",
        span=50,
        unit="metre_head",
        habitual=True,
        meaning="Pressure at a point of the network",
        low=-10,
        high=300,
    ),
    # Half a metre away and back within an interval is a wave or an echo, never the tank's whole surface.
    Quantity(
        name="tank_level_m",
        signal="level",
        span=5,
        unit="m",
        meaning="Depth of water above the tank floor",
        low=0,
        high=50,
        spike=0.5,
    ),
    Quantity(name="tank_outflow_m3_h", unit="m^3/h", habitual=True, meaning="Flow out of a tank", low=0, high=20_000),
    Quantity(name="tank_inflow_m3_h", unit="m^3/h", habitual=True, meaning="Flow into a tank", low=0, high=20_000),
    Quantity(
        name="consumption_l",
        unit="L",
        meaning="Water used at a meter in an interval",
        low=0,
        high=1e6,
    ),
    Quantity(
        name="meter_register_m3",
        unit="m^3",
        meaning="Register of a water meter; a consumption_l sensor names it in its column `register`",
        low=0,
        high=1e10,
        counter=True,
    ),
    Quantity(
        name="chlorine_mg_l",
        signal="analyser",
        span=2,
        unit="mg/L",
        meaning="Free residual chlorine",
        low=0,
        high=20,
        stuck_after=timedelta(hours=12),
    ),
    Quantity(
        name="pump_energy_kwh",
        unit="kWh",
        meaning="Electricity a pump used in an interval",
        low=0,
        high=1e5,
    ),
    Quantity(
        name="pump_volume_m3",
        unit="m^3",
        meaning="Water a pump lifted in an interval",
        low=0,
        high=1e5,
    ),
    Quantity(name="pump_head_m", unit="metre_head", meaning="Pressure gained across the pump", low=0, high=1000),
)

DMAS = Reference(
    name="dmas",
    meaning="District metered areas: who is supplied there, and what is normal",
    key=("asset",),
    columns=(
        Column(name="asset", meaning="The district metered area, as in assets.csv", required=True),
        Column(name="population_served", kind="integer", meaning="People with piped supply", unit="person", low=0),
        Column(name="connections", kind="integer", meaning="Service connections", low=0),
        Column(name="minimum_pressure_m", kind="number", meaning="Pressure owed at the tap", unit="metre_head", low=0),
        Column(name="baseline_night_m3_h", kind="number", meaning="Usual minimum night flow", unit="m^3/h", low=0),
        Column(name="non_domestic_night_m3_h", kind="number", meaning="Night use of businesses", unit="m^3/h", low=0),
        Column(name="n1", kind="number", meaning="Leakage exponent: 0.5 bursts, 1.5 seepage", low=0, high=2.5),
        Column(name="bulk_non_domestic_m3_day", kind="number", meaning="Bulk sales", unit="m^3/day", low=0),
        Column(name="mains_km", kind="number", meaning="Length of mains", unit="km", low=0),
        Column(
            name="private_pipe_km",
            kind="number",
            meaning="Pipe from property line to meter",
            unit="km",
            low=0,
        ),
        Column(name="average_pressure_m", kind="number", meaning="Mean pressure of a year", unit="metre_head", low=0),
    ),
)

TANKS = Reference(
    name="tanks",
    meaning="Upright round tanks: their size and the level below which nothing flows out",
    key=("asset",),
    columns=(
        Column(name="asset", meaning="The tank, as in assets.csv", required=True),
        Column(name="diameter_m", kind="number", meaning="Inner diameter", unit="m", low=0.1, high=200),
        Column(name="dead_level_m", kind="number", meaning="Depth that cannot be used", unit="m", low=0, high=50),
        Column(name="full_level_m", kind="number", meaning="Depth at which it spills over", unit="m", low=0, high=50),
    ),
)

TESTED = ("turbidity_ntu", "ph", "tds_mg_l", "free_chlorine_mg_l", "e_coli_100ml")
DRINKING_WATER = Reference(
    name="drinking_water",
    meaning="Limits of drinking water, with their source; a town's own file replaces the table of IS 10500",
    key=("parameter",),
    shipped=Path(__file__).parent / "limits" / "drinking_water.csv",
    columns=(
        Column(name="parameter", meaning="Column of water_samples", required=True, choices=TESTED),
        Column(name="acceptable_low", kind="number", meaning="Lowest acceptable value; empty = none"),
        Column(name="acceptable_high", kind="number", meaning="Highest acceptable value; empty = none"),
        Column(name="permissible_low", kind="number", meaning="Lowest value where there is no other source"),
        Column(name="permissible_high", kind="number", meaning="Highest value where there is no other source"),
        Column(name="unit", meaning="Unit of the limits"),
        Column(name="source", meaning="Who set them"),
        Column(name="dated", meaning="When"),
    ),
)

REFERENCES = (DMAS, TANKS, DRINKING_WATER)


def _volume(name: str, meaning: str, unit: str = "m^3") -> Column:
    return Column(name=name, kind="number", meaning=meaning, unit=unit, low=0)


WATER_BILLS = Table(
    name="water_bills",
    meaning="Water billed in a district metered area over a billing period, whatever its length",
    key=("dma", "period_start"),
    time="period_start",
    columns=(
        Column(name="dma", meaning="The district metered area, as in assets.csv", required=True),
        Column(name="period_start", kind="day", meaning="First day billed", required=True),
        Column(name="period_end", kind="day", meaning="Last day billed", required=True),
        _volume("billed_m3", "Water billed in the period, metered and unmetered"),
    ),
    checks=(
        Check(
            name="period_runs_forward",
            words="the last day billed is before the first: check the two dates",
            holds=pl.col("period_end") >= pl.col("period_start"),
        ),
    ),
)

WATER_AUDITS = Table(
    name="water_audits",
    meaning="The water balance of a district metered area for a month, from bulk meters, billing and estimates",
    key=("dma", "month"),
    time="month",
    columns=(
        Column(name="dma", meaning="The district metered area, as in assets.csv", required=True),
        Column(name="month", kind="day", meaning="First day of the month", required=True),
        _volume("system_input_m3", "Water put into the network"),
        _volume("billed_metered_m3", "Billed by meter"),
        _volume("billed_unmetered_m3", "Billed without a meter"),
        _volume("unbilled_metered_m3", "Given free, metered"),
        _volume("unbilled_unmetered_m3", "Given free, not metered (flushing, fire fighting)"),
        _volume("unauthorised_m3", "Taken without permission (estimate)"),
        Column(
            name="under_registration_pct", kind="number", meaning="Slowness of meters", unit="percent", low=0, high=90
        ),
        Column(name="data_errors_m3", kind="number", meaning="Lost in billing and handling (estimate)", unit="m^3"),
    ),
)

WATER_SAMPLES = Table(
    name="water_samples",
    meaning="Water samples at taps and tanks with the laboratory's results; a parameter left empty was not tested",
    key=("sample",),
    time="sampled_at",
    columns=(
        Column(name="sample", meaning="The laboratory's number", required=True),
        Column(name="sampled_at", kind="instant", meaning="When the sample was taken", required=True),
        Column(name="dma", meaning="The district metered area, as in assets.csv"),
        Column(name="ward", meaning="The ward"),
        _volume("turbidity_ntu", "Turbidity", "NTU"),
        Column(name="ph", kind="number", meaning="Acidity", unit="pH", low=0, high=14),
        _volume("tds_mg_l", "Total dissolved solids", "mg/L"),
        _volume("free_chlorine_mg_l", "Free residual chlorine", "mg/L"),
        _volume("e_coli_100ml", "E. coli in 100 mL", "MPN/100mL"),
    ),
)

WATER_CONNECTIONS = Table(
    name="water_connections",
    meaning="Homes connected and meters that work, per ward and month",
    key=("ward", "month"),
    time="month",
    columns=(
        Column(name="ward", meaning="The ward", required=True),
        Column(name="month", kind="day", meaning="First day of the month", required=True),
        Column(name="households_connected", kind="integer", meaning="Households with their own tap", low=0),
        Column(name="connections", kind="integer", meaning="Service connections", low=0),
        Column(name="standposts", kind="integer", meaning="Public standposts", low=0),
        Column(name="functional_meters", kind="integer", meaning="Meters that work", low=0),
    ),
)

WATER_ACCOUNTS = Table(
    name="water_accounts",
    meaning="The water service's running accounts per month, in minor units of money, without capital works or arrears",
    key=("month",),
    time="month",
    columns=(
        Column(name="month", kind="day", meaning="First day of the month", required=True),
        Column(name="operating_revenue", kind="integer", meaning="Revenue from running the service"),
        Column(name="operating_expense", kind="integer", meaning="Expense of running it, electricity included", low=0),
        Column(name="current_billed", kind="integer", meaning="Billed for this month, no arrears", low=0),
        Column(name="current_collected", kind="integer", meaning="Of that, collected", low=0),
    ),
)

SEWAGE_ACCOUNTS = Table(
    name="sewage_accounts",
    meaning="Water supplied and sewage collected, treated and reused in the town, per month",
    key=("month",),
    time="month",
    columns=(
        Column(name="month", kind="day", meaning="First day of the month", required=True),
        _volume("supplied_m3", "Water supplied to consumers"),
        _volume("other_sources_m3", "Ground water and other own sources (estimate)"),
        _volume("collected_m3", "Sewage that reached the treatment plant"),
        _volume("capacity_m3", "What the plant can treat in the month"),
        _volume("reused_m3", "Treated water used again"),
    ),
)

TABLES = (WATER_BILLS, WATER_AUDITS, WATER_SAMPLES, WATER_CONNECTIONS, WATER_ACCOUNTS, SEWAGE_ACCOUNTS)
