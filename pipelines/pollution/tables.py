"""What arrives in the pollution domain: quantities, tables, references, and the feeds it knows how to read."""

from datetime import timedelta

import polars as pl

from pipelines.engine.model import Check, Column, Quantity, Reference, Refers, Source, Table
from pipelines.pollution.effluent import PARAMETERS
from pipelines.pollution.emissions import ITEMS
from pipelines.pollution.limit_tables import FOLDER

# Three recorded stations (Beijing 2013 to 2017, whole ug/m3, hourly) show one value of PM2.5 for 12 hours at most.
# Ozone, SO2 and CO rest at what the device can just detect for days: for them nothing plausible can be declared.
ONE_VALUE = timedelta(hours=24)

# Analysers drift a little below zero in clean air; below -10 the instrument is at fault.
QUANTITIES = (
    Quantity(
        name="pm25_ug_m3", unit="ug/m^3", meaning="Fine particles PM2.5.", low=-10, high=2000, stuck_after=ONE_VALUE
    ),
    Quantity(name="pm10_ug_m3", unit="ug/m^3", meaning="Particles PM10.", low=-10, high=5000, stuck_after=ONE_VALUE),
    Quantity(
        name="no2_ug_m3",
        unit="ug/m^3",
        habitual=True,
        meaning="Nitrogen dioxide NO2 (not NOx).",
        low=-10,
        high=4000,
        molar_mass=46.0055,
        stuck_after=ONE_VALUE,
    ),
    Quantity(
        name="o3_ug_m3", unit="ug/m^3", habitual=True, meaning="Ozone O3.", low=-10, high=2000, molar_mass=47.9982
    ),
    Quantity(name="so2_ug_m3", unit="ug/m^3", meaning="Sulphur dioxide SO2.", low=-10, high=5000, molar_mass=64.0638),
    Quantity(
        name="co_mg_m3",
        unit="mg/m^3",
        meaning="Carbon monoxide CO, in milligrams.",
        low=-1,
        high=150,
        molar_mass=28.0101,
    ),
    Quantity(name="nh3_ug_m3", unit="ug/m^3", meaning="Ammonia NH3.", low=-10, high=5000, molar_mass=17.0305),
    Quantity(name="pb_ug_m3", unit="ug/m^3", meaning="Lead in particles.", low=-0.1, high=50),
    Quantity(
        name="published_aqi", unit="index_point", meaning="Air index published by another body.", low=0, high=2000
    ),
    Quantity(
        name="noise_dba",
        unit="dBA",
        habitual=True,
        meaning="LAeq of the interval, A-weighted energy mean.",
        low=15,
        high=140,
    ),
)

EFFLUENT_SAMPLES = Table(
    name="effluent_samples",
    meaning="Samples of treated sewage at the outlet of a plant, one row per sample.",
    key=("plant", "sampled_at"),
    time="sampled_at",
    columns=(
        Column(name="plant", meaning="Asset id of the plant.", required=True),
        Column(name="sampled_at", kind="instant", meaning="When the sample was taken.", required=True),
        Column(name="ph", kind="number", unit="pH", low=0, high=14, meaning="Acidity."),
        Column(name="bod_mg_l", kind="number", unit="mg/L", low=0, high=5000, meaning="Five-day oxygen demand."),
        Column(name="cod_mg_l", kind="number", unit="mg/L", low=0, high=10000, meaning="Chemical oxygen demand."),
        Column(name="tss_mg_l", kind="number", unit="mg/L", low=0, high=10000, meaning="Total suspended solids."),
        Column(name="total_nitrogen_mg_l", kind="number", unit="mg/L", low=0, high=1000, meaning="Total nitrogen."),
        Column(name="total_phosphorus_mg_l", kind="number", unit="mg/L", low=0, high=200, meaning="Total phosphorus."),
        Column(name="faecal_coliform_mpn", kind="number", unit="MPN", low=0, high=1e12, meaning="MPN in 100 mL."),
        Column(name="laboratory", meaning="Who analysed it; `online` for an analyser, which is only indicative."),
    ),
)

CLIMATE_ACTIVITIES = Table(
    name="climate_activities",
    meaning="What a service of the town used or let out in a month, for its greenhouse gas.",
    key=("service", "item", "month_start"),
    time="month_start",
    columns=(
        Column(name="service", meaning="Service, such as street_light or sewage.", required=True),
        Column(name="item", choices=ITEMS, meaning="What: electricity in kWh, fuel or gas in kg.", required=True),
        Column(name="month_start", kind="instant", meaning="First instant of the month.", required=True),
        Column(name="amount", kind="number", meaning="How much, in the unit its item names.", required=True),
    ),
    checks=(Check(name="not_negative", words="an amount cannot be below zero", holds=pl.col("amount") >= 0),),
)

NOISE_SITES = Reference(
    name="noise_sites",
    meaning="The zone class that sets the noise limits of a site.",
    key=("asset",),
    columns=(
        Column(name="asset", meaning="The noise site.", required=True),
        Column(name="zone_class", meaning="Class of the reference noise_limits.", required=True),
    ),
    refers=(Refers("zone_class", "noise_limits", "zone_class"),),
)

EFFLUENT = Reference(
    name="effluent",
    meaning="Sets of limits of treated sewage, with their source; a town's own file replaces the shipped sets.",
    key=("consent", "parameter"),
    shipped=FOLDER / "effluent.csv",
    columns=(
        Column(name="consent", meaning="Name of the set.", required=True),
        Column(name="parameter", choices=PARAMETERS, meaning="Column of effluent_samples.", required=True),
        Column(name="at_least", kind="number", meaning="Lowest value that passes; empty = none."),
        Column(name="at_most", kind="number", meaning="Highest value that passes; empty = none."),
        Column(name="below_only", kind="flag", meaning="yes: the upper limit itself is already too much."),
        Column(name="source", meaning="Who set it."),
        Column(name="date", meaning="When."),
    ),
)

NOISE_LIMITS = Reference(
    name="noise_limits",
    meaning="Limits of noise by zone class, with their source; a town's own file replaces those of the Noise Rules.",
    key=("zone_class",),
    shipped=FOLDER / "india_noise.csv",
    columns=(
        Column(name="zone_class", meaning="Class of the zone.", required=True),
        Column(name="day_dba", kind="number", unit="dBA", meaning="Highest level by day.", required=True),
        Column(name="night_dba", kind="number", unit="dBA", meaning="Highest level by night.", required=True),
        Column(name="source", meaning="Who set it."),
        Column(name="date", meaning="When."),
    ),
)

EFFLUENT_PLANTS = Reference(
    name="effluent_plants",
    meaning="The limit set that the consent of a plant names.",
    key=("asset",),
    columns=(
        Column(name="asset", meaning="The plant.", required=True),
        Column(name="consent", meaning="Limit set of the reference effluent.", required=True),
    ),
    refers=(Refers("consent", "effluent", "consent"),),
)

SOURCES = (
    Source(
        name="air_stations",
        format="csv",
        every=timedelta(minutes=15),
        meaning="Readings of the air stations, one line per sensor and time.",
        sample="pollution/air_stations.csv",
        mapping={"table": "readings", "sensor": "{sensor}", "time": "time", "value": "value", "unit": "{unit}"},
    ),
    Source(
        name="noise_sites",
        format="csv",
        every=timedelta(minutes=5),
        meaning="LAeq of the noise sites, one line per sensor and interval.",
        sample="pollution/noise_sites.csv",
        mapping={"table": "readings", "sensor": "{sensor}", "time": "time", "value": "laeq_dba"},
    ),
    Source(
        name="effluent_samples",
        format="csv",
        every=timedelta(days=7),
        meaning="Laboratory results of the sewage plants.",
        sample="pollution/effluent_samples.csv",
        mapping={
            "table": "effluent_samples",
            "columns": {
                "plant": "plant",
                "sampled_at": "sampled",
                "ph": "pH",
                "bod_mg_l": "BOD mg/L",
                "cod_mg_l": "COD mg/L",
                "tss_mg_l": "TSS mg/L",
                "total_nitrogen_mg_l": "total N mg/L",
                "total_phosphorus_mg_l": "total P mg/L",
                "faecal_coliform_mpn": "faecal coliform MPN/100mL",
                "laboratory": "laboratory",
            },
        },
    ),
)
