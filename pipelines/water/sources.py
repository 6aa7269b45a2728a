"""Feeds about water that need no mapping by the town: the headings of the samples, one file per kind of sender."""

from datetime import timedelta
from typing import Any

from pipelines.engine.model import Source

MONTH = timedelta(days=31)


def _measured(asset: str, columns: dict[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Column -> the sensor `<asset id>.<name>` and its unit; `asset` is the column that names the asset."""
    return {column: {"sensor": f"{{{asset}}}.{name}", "unit": unit} for column, (name, unit) in columns.items()}


def _books(table: str, meaning: str, **columns: Any) -> Source:
    """A monthly CSV under the table's own headings, or under those given."""
    mapping: dict[str, Any] = {"table": table} | ({"columns": columns} if columns else {})
    return Source(name=table, format="csv", every=MONTH, meaning=meaning, mapping=mapping, sample=f"water/{table}.csv")


SOURCES = (
    Source(
        name="network_readings",
        format="csv",
        every=timedelta(minutes=5),
        meaning="Flow, pressure, level and chlorine from the telemetry, a line per sensor and time",
        mapping={"table": "readings", "time": "observed_at", "sensor": "{sensor}", "value": "value", "unit": "{unit}"},
        sample="water/network_readings.csv",
    ),
    Source(
        name="tank_readings",
        format="csv",
        every=timedelta(minutes=5),
        meaning="A line per tank and time; sensors are called <tank>.level, <tank>.inflow, <tank>.outflow",
        mapping={
            "table": "readings",
            "time": "timestamp",
            "values": _measured(
                "tank", {"level_m": ("level", "m"), "in_l_s": ("inflow", "L/s"), "out_l_s": ("outflow", "L/s")}
            ),
        },
        sample="water/tank_readings.csv",
    ),
    Source(
        name="pump_readings",
        format="csv",
        every=timedelta(minutes=15),
        meaning="A line per pump and quarter of an hour; sensors are called <pump>.energy, <pump>.volume, <pump>.head",
        mapping={
            "table": "readings",
            "time": "interval_start",
            "values": _measured(
                "pump", {"kwh": ("energy", "kWh"), "m3": ("volume", "m^3"), "head_m": ("head", "metre_head")}
            ),
        },
        sample="water/pump_readings.csv",
    ),
    Source(
        name="meter_hours",
        format="csv",
        every=timedelta(days=1),
        meaning="Smart meters, a line per meter and day with 24 hourly volumes; the meter number is the sensor",
        mapping={
            "table": "readings",
            "time": {"column": "Date", "format": "%d/%m/%Y"},
            "sensor": "{Meter}",
            "hours": "%H:%M",
            "unit": "L",
            "delimiter": ";",
            "decimal": ",",
            "missing": ["NA"],
        },
        sample="water/meter_hours.csv",
    ),
    _books(
        "water_bills",
        "Water billed per district metered area and billing period, both days included",
        dma="DMA",
        period_start={"column": "From", "format": "%d/%m/%Y"},
        period_end={"column": "To", "format": "%d/%m/%Y"},
        billed_m3="Billed m3",
    ),
    _books("water_audits", "The water balance per district metered area, from bulk meters, billing and estimates"),
    _books("water_samples", "The laboratory's results, a line per sample"),
    _books("water_connections", "Homes connected and working meters per ward"),
    _books("water_accounts", "The water service's running accounts, in minor units of money"),
    _books("sewage_accounts", "Sewage collected, treated and reused in the town"),
)
