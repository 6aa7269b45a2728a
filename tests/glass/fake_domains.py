"""Six small services written by hand, for tests of the glass only; their numbers mean nothing."""

from datetime import timedelta

import polars as pl

from pipelines.engine.model import AlarmRule, Column, Domain, Kpi, Quantity, Table, every
from tests.glass.fake_pictures import BY_FORM

LEVELS = ("town", "ward")


def _kpi(name: str, title: str, unit: str, reads: str, **rest: object) -> Kpi:
    scope: dict[str, object] = {"pl": pl}
    exec(f"def {name}({reads}, windows, *, minimum=7.0):\n    'Nothing: never called.'\n    return windows", scope)
    fixed = {
        "catalogue": "XX-01",
        "levels": LEVELS,
        "window": every("hour"),
        "standard": "IWA performance indicators, clause 4",
    }
    words = {
        "plain": f"How the town does in {title.lower()}.",
        "formula": "100 x those that met it / all that were measured",
    }
    return Kpi(function=scope[name], title=title, unit=unit, **{**fixed, **words, **rest})  # type: ignore[arg-type]


def _domain(name: str, title: str, meaning: str, quantity: Quantity, kpis: tuple[Kpi, ...], **rest: object) -> Domain:
    rule = AlarmRule(
        name=f"{name}_high",
        title=f"{title}: beyond its limit",
        watches=quantity.name,
        priority="high",
        instruction="Call the crew on duty and look at the neighbours.",
        above=90,
    )
    return Domain(name=name, title=title, meaning=meaning, quantities=(quantity,), kpis=kpis, alarms=(rule,), **rest)  # type: ignore[arg-type]


TRANSPORT = _domain(
    "transport", "Transport", "Buses on time, service delivered, traffic on the main roads.",
    Quantity(name="traffic_speed_km_h", unit="km/h", meaning="mean speed"),
    (
        _kpi("on_time_performance", "On-time performance", "percent", "traffic_speed_km_h", better="higher", target=80, watch=75, scale=100, headline=True),
        _kpi("service_delivered", "Service delivered", "percent", "traffic_speed_km_h", better="higher", target=98, scale=100, headline=True),
        _kpi("excess_waiting_time", "Excess waiting time", "minute", "traffic_speed_km_h", better="lower", target=1.5, decimals=2, headline=True),
        _kpi("mean_speed", "Mean speed on main roads", "km/h", "traffic_speed_km_h", better="context", headline=True),
        _kpi("vehicles_seen", "Vehicles seen", "vehicle", "traffic_speed_km_h", better="context", decimals=0),
    ),
)  # fmt: skip
WATER = _domain(
    "water", "Water", "From source to tap: supply, pressure, losses and quality.",
    Quantity(name="pressure_m", unit="metre_head", meaning="pressure at a point", low=0, high=150),
    (
        _kpi("supply_per_head", "Water supplied per person", "L/day/person", "pressure_m", better="higher", target=135, decimals=0, window=every("day"), headline=True),
        _kpi("pressure_compliance", "Pressure compliance", "percent", "pressure_m", better="higher", target=95, watch=90, headline=True),
        _kpi("non_revenue_water", "Non-revenue water", "percent", "pressure_m", better="lower", target=20, headline=True, window=every("month")),
        _kpi("supply_hours", "Hours of supply", "hour", "pressure_m", better="higher", target=24, headline=True, window=every("day")),
        _kpi("chlorine_compliance", "Residual chlorine compliance", "percent", "pressure_m", better="higher", target=98),
        _kpi("minimum_night_flow", "Minimum night flow", "m^3/h", "pressure_m", better="lower", target=40),
        _kpi("continuity", "Continuity of supply at the connections of the outer district metered areas", "percent", "pressure_m", better="higher", target=90),
    ),
    tables=(Table(name="water_bills", meaning="Billed volumes", key=("dma",), time="period_start", columns=(Column(name="dma", meaning="area"), Column(name="period_start", kind="instant", meaning="start"), Column(name="billed_m3", kind="number", unit="m^3", meaning="volume billed"))),),
    pictures=BY_FORM,
)  # fmt: skip
ENERGY = _domain(
    "energy", "Energy", "Outages, loading, voltage and the microgrid.",
    Quantity(name="feeder_power_kw", unit="kW", meaning="active power"),
    (
        _kpi("saidi", "SAIDI, month to date", "minute", "feeder_power_kw", better="lower", target=120, window=every("month"), headline=True),
        _kpi("customers_out", "Customers without power", "customer", "feeder_power_kw", better="lower", target=0, decimals=0, headline=True),
        _kpi("peak_loading", "Peak transformer loading", "percent", "feeder_power_kw", better="lower", target=80, headline=True),
        _kpi("voltage_compliance", "Voltage compliance", "percent", "feeder_power_kw", better="higher", target=95, headline=True),
    ),
)  # fmt: skip
POLLUTION = _domain(
    "pollution", "Pollution", "Air, noise and effluent against their limits.",
    Quantity(name="pm25_ug_m3", unit="ug/m^3", meaning="fine particles"),
    (
        _kpi("air_quality_index", "Air quality index", "index_point", "pm25_ug_m3", better="lower", target=100, decimals=0, headline=True),
        _kpi("pm25_daily", "PM2.5, daily mean", "ug/m^3", "pm25_ug_m3", better="lower", target=60, headline=True, window=every("day")),
        _kpi("noise_exceedance", "Noise above the limit", "percent", "pm25_ug_m3", better="lower", target=5, headline=True),
    ),
)  # fmt: skip
GRIEVANCES = _domain(
    "grievances", "Grievances", "What residents ask for and how soon they are answered.",
    Quantity(name="requests_open", unit="request", meaning="open requests"),
    (
        _kpi("within_deadline", "Closed within deadline", "percent", "requests_open", better="higher", target=90, headline=True, window=every("day")),
        _kpi("backlog", "Open requests", "request", "requests_open", better="lower", target=150, decimals=0, headline=True),
        _kpi("median_days_to_close", "Median days to close", "day", "requests_open", better="lower", target=3, headline=True, window=every("day"), settles=timedelta(hours=2)),
    ),
)  # fmt: skip
WASTE = _domain(
    "waste", "Waste", "Collection and the dump.",
    Quantity(name="bin_fill_pct", unit="percent", meaning="how full a bin is"),
    (_kpi("collected", "Collected on the day", "percent", "bin_fill_pct", better="higher", target=95, headline=True),),
)  # fmt: skip
FIVE = (TRANSPORT, WATER, ENERGY, POLLUTION, GRIEVANCES)
