"""What arrives about energy: quantities, event tables and reference tables."""

from datetime import timedelta

import polars as pl

from pipelines.engine.model import Check, Column, Downs, Quantity, Reference, Table

INTERVAL = "in the interval that the reading is labelled with (its start)"

QUANTITIES = (
    Quantity(
        name="feeder_power_kw",
        unit="kW",
        low=-50_000,
        high=50_000,
        habitual=True,
        meaning="Active power at the feeder head",
    ),
    Quantity(
        name="breaker_position",
        unit="dimensionless",
        low=0,
        high=3,
        meaning="Position of the feeder's breaker as IEC 61850-7-3 codes it: 0 between, 1 open, 2 closed, 3 bad",
    ),
    Quantity(
        name="feeder_reactive_kvar", unit="kvar", low=-50_000, high=50_000, meaning="Reactive power at the feeder head"
    ),
    Quantity(
        name="feeder_energy_kwh", unit="kWh", low=-50_000, high=50_000, meaning=f"Energy at the feeder head {INTERVAL}"
    ),
    Quantity(
        name="feeder_export_kwh",
        unit="kWh",
        low=0,
        high=50_000,
        meaning=f"Energy that the feeder passed on to another feeder {INTERVAL}",
    ),
    Quantity(
        name="transformer_power_kw",
        unit="kW",
        low=-5_000,
        high=5_000,
        habitual=True,
        meaning="Active power through the transformer",
    ),
    Quantity(
        name="transformer_reactive_kvar",
        unit="kvar",
        low=-5_000,
        high=5_000,
        meaning="Reactive power through the transformer",
    ),
    Quantity(
        name="transformer_energy_kwh",
        unit="kWh",
        low=-5_000,
        high=5_000,
        meaning=f"Energy out of the transformer {INTERVAL}",
    ),
    Quantity(
        name="transformer_current_a",
        unit="A",
        low=0,
        high=10_000,
        meaning="Current of one phase on the low-voltage side, one sensor per phase",
    ),
    # A recorded house (UCI 235, a minute, 10 mV) never shows one voltage for more than three minutes.
    Quantity(
        name="voltage_v",
        unit="V",
        low=0,
        high=600,
        meaning="Voltage of one phase to neutral, one sensor per phase",
        stuck_after=timedelta(hours=2),
    ),
    # Oil needs hours to warm: 60 K of rise at most, a time constant of 2.5 to 3.5 h (IEC 60076-7). In two recorded
    # years (ETTh1) it moves by less than 10 K an hour, and whole days of one value are a logger's filling.
    Quantity(
        name="oil_temperature_c",
        signal="temperature",
        span=150,
        unit="degC",
        low=-40,
        high=200,
        habitual=True,
        meaning="Top-oil temperature of a transformer",
        most_per_hour=60,
        spike=10,
        stuck_after=timedelta(hours=12),
        rests_at=None,
    ),
    Quantity(
        name="consumer_energy_kwh", unit="kWh", low=-1_000, high=5_000, meaning=f"Energy of a consumer {INTERVAL}"
    ),
    Quantity(
        name="meter_register_kwh",
        unit="kWh",
        low=0,
        high=1e10,
        meaning="Register of an energy meter; a sensor of energy in an interval names it in its column `register`",
        counter=True,
    ),
    Quantity(
        name="solar_power_kw",
        unit="kW",
        low=-100,
        high=20_000,
        habitual=True,
        meaning="Power of the solar plant, after inverter",
    ),
    Quantity(
        name="poa_irradiance_w_m2", unit="W/m^2", low=-20, high=1_600, meaning="Irradiance in the plane of the panels"
    ),
    Quantity(
        name="load_power_kw",
        unit="kW",
        low=-100,
        high=20_000,
        habitual=True,
        meaning="Power that the microgrid's consumers draw",
    ),
    Quantity(name="grid_import_kw", unit="kW", low=0, high=20_000, meaning="Power drawn from the grid"),
    Quantity(name="grid_export_kw", unit="kW", low=0, high=20_000, meaning="Power given to the grid"),
    Quantity(name="battery_soc_pct", unit="percent", low=0, high=100, meaning="State of charge of the battery"),
    Quantity(
        name="battery_power_kw", unit="kW", low=-20_000, high=20_000, meaning="Battery power; discharge is positive"
    ),
    Quantity(name="diesel_power_kw", unit="kW", low=0, high=20_000, meaning="Power of the diesel generator"),
)

OUTAGES = Table(
    name="outages",
    meaning="Interruptions of supply: one row per restoration step of an outage",
    key=("outage", "step"),
    time="started_at",
    downs=Downs("feeder", "started_at", "restored_at"),
    columns=(
        Column(name="outage", required=True, meaning="Number of the outage"),
        Column(name="step", kind="integer", required=True, low=1, meaning="Restoration step, 1 for the first"),
        Column(name="feeder", meaning="The feeder's asset id"),
        Column(name="ward", meaning="Ward of the customers; the feeder's ward where empty"),
        Column(name="started_at", kind="instant", required=True, meaning="When these customers lost power"),
        Column(name="restored_at", kind="instant", meaning="When they had it back; empty while they are still out"),
        Column(
            name="customers",
            kind="integer",
            unit="customer",
            low=0,
            meaning="Customers restored at this step, or still out; empty when not known: then the row counts nowhere",
        ),
        Column(
            name="planned", kind="flag", meaning="Announced beforehand (maintenance, load-shedding); empty means no"
        ),
        Column(name="cause", meaning="Cause in the utility's words"),
    ),
    checks=(
        Check(
            name="restored_after_start",
            words="power came back before it went: compare started_at and restored_at",
            holds=pl.col("restored_at") >= pl.col("started_at"),
        ),
    ),
)

ACCOUNTS = Table(
    name="energy_accounts",
    meaning="Energy and money of a feeder in a billing period; billed means billed for energy used in this period",
    key=("feeder", "period_start"),
    time="period_start",
    columns=(
        Column(name="feeder", required=True, meaning="The feeder's asset id"),
        Column(name="period_start", kind="instant", required=True, meaning="First instant of the period"),
        Column(name="input_kwh", kind="number", unit="kWh", low=0, required=True, meaning="Net energy put in"),
        Column(name="billed_kwh", kind="number", unit="kWh", low=0, required=True, meaning="Energy billed"),
        Column(
            name="billed_minor", kind="integer", low=0, required=True, meaning="Revenue booked, in minor units of money"
        ),
        Column(name="collected_minor", kind="integer", low=0, required=True, meaning="Money received, in minor units"),
        Column(name="debtors_opening_minor", kind="integer", meaning="Owed by customers at the start; empty means 0"),
        Column(name="debtors_closing_minor", kind="integer", meaning="Owed by customers at the end; empty means 0"),
    ),
)

STREET_LIGHT_NIGHTS = Table(
    name="street_light_nights",
    meaning="What a street-light panel reports after each night; a dead panel counts with all its lamps",
    key=("panel", "lit_at"),
    time="lit_at",
    columns=(
        Column(name="panel", required=True, meaning="Number of the switching panel"),
        Column(name="ward", meaning="Ward that it lights"),
        Column(name="lit_at", kind="instant", required=True, meaning="When the lamps were due to go on"),
        Column(name="lamps", kind="integer", low=0, required=True, meaning="Lamps on the panel"),
        Column(name="burn_hours", kind="number", unit="hour", low=0, high=24, required=True, meaning="Hours due"),
        Column(
            name="outage_lamp_hours",
            kind="number",
            unit="hour",
            low=0,
            required=True,
            meaning="Lamp-hours that were dark, power cuts included",
        ),
    ),
    checks=(
        Check(
            name="no_more_dark_than_due",
            words="more lamp-hours were dark than were due: compare outage_lamp_hours with lamps x burn_hours",
            holds=pl.col("outage_lamp_hours") <= pl.col("lamps") * pl.col("burn_hours"),
        ),
    ),
)

STREET_LIGHT_SURVEYS = Table(
    name="street_light_surveys",
    meaning="Night patrols: lamps looked at and lamps found lit",
    key=("ward", "surveyed_at"),
    time="surveyed_at",
    columns=(
        Column(name="ward", required=True, meaning="Ward that was patrolled"),
        Column(name="surveyed_at", kind="instant", required=True, meaning="When the patrol was there"),
        Column(name="lamps_surveyed", kind="integer", low=0, required=True, meaning="Lamps looked at"),
        Column(name="lamps_lit", kind="integer", low=0, required=True, meaning="Lamps found lit"),
    ),
    checks=(
        Check(
            name="no_more_lit_than_surveyed",
            words="more lamps were lit than were looked at: compare lamps_lit with lamps_surveyed",
            holds=pl.col("lamps_lit") <= pl.col("lamps_surveyed"),
        ),
    ),
)

TABLES = (OUTAGES, ACCOUNTS, STREET_LIGHT_NIGHTS, STREET_LIGHT_SURVEYS)

REFERENCES = (
    Reference(
        name="feeders",
        meaning="The feeders and how many customers each serves",
        key=("asset",),
        columns=(
            Column(name="asset", required=True, meaning="The feeder's asset id"),
            Column(
                name="customers_served",
                kind="integer",
                unit="customer",
                low=0,
                required=True,
                meaning="Customers connected, on average of the year",
            ),
        ),
    ),
    Reference(
        name="feeder_wards",
        meaning="Customers per ward of the feeders that serve several wards; other feeders count where they stand",
        key=("asset", "ward"),
        columns=(
            Column(name="asset", required=True, meaning="The feeder's asset id"),
            Column(name="ward", required=True, meaning="A ward that it serves"),
            Column(
                name="customers_served",
                kind="integer",
                unit="customer",
                low=0,
                required=True,
                meaning="Its customers in this ward; the wards of a feeder add up to its line in feeders",
            ),
        ),
    ),
    Reference(
        name="transformers",
        meaning="Distribution transformers and the voltage they declare; the parent asset is the feeder",
        key=("asset",),
        columns=(
            Column(name="asset", required=True, meaning="The transformer's asset id"),
            Column(
                name="rated_kva", kind="number", unit="kVA", low=1, high=10_000, required=True, meaning="Name-plate"
            ),
            Column(
                name="declared_v", kind="number", unit="V", low=100, high=600, meaning="Declared voltage to neutral"
            ),
            Column(
                name="tolerance_pct",
                kind="number",
                unit="percent",
                low=0.1,
                high=50,
                meaning="Permitted departure by the supply code",
            ),
        ),
    ),
    Reference(
        name="microgrids",
        meaning="Sites with solar power and a battery",
        key=("asset",),
        columns=(
            Column(name="asset", required=True, meaning="The microgrid's asset id"),
            Column(
                name="battery_kwh",
                kind="number",
                unit="kWh",
                low=0,
                meaning="Usable battery capacity at its present health",
            ),
            Column(
                name="soc_min_pct",
                kind="number",
                unit="percent",
                low=0,
                high=100,
                meaning="Charge below which it stops",
            ),
            Column(
                name="discharge_efficiency", kind="number", low=0, high=1, meaning="Energy given per energy taken out"
            ),
            Column(name="solar_kwp", kind="number", unit="kW", low=0, meaning="Rated peak power of the panels"),
        ),
    ),
)
