"""Feeds about energy that need no mapping by the town: the headings of the samples, one file per kind of sender."""

from datetime import timedelta

from pipelines.engine.model import Source


def _measured(asset: str, columns: dict[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    """Column -> the sensor `<asset id>.<name>` and its unit; `asset` is the column that names the asset."""
    return {column: {"sensor": f"{{{asset}}}.{name}", "unit": unit} for column, (name, unit) in columns.items()}


SOURCES = (
    Source(
        name="feeder_readings",
        format="csv",
        every=timedelta(minutes=15),
        meaning="Meter readings of the feeder heads, a line per feeder and time; sensors are called <feeder>.power ...",
        mapping={
            "table": "readings",
            "time": "timestamp",
            "values": _measured(
                "feeder",
                {
                    "active_kw": ("power", "kW"),
                    "reactive_kvar": ("reactive", "kvar"),
                    "interval_kwh": ("energy", "kWh"),
                },
            ),
        },
        sample="energy/feeder_readings.csv",
    ),
    Source(
        name="transformer_readings",
        format="csv",
        every=timedelta(minutes=10),
        meaning="Meter readings of distribution transformers, a line per transformer and time; sensors are called "
        "<transformer>.power, <transformer>.voltage_r ...",
        mapping={
            "table": "readings",
            "time": "timestamp",
            "values": _measured(
                "transformer",
                {
                    "active_kw": ("power", "kW"),
                    "reactive_kvar": ("reactive", "kvar"),
                    "interval_kwh": ("energy", "kWh"),
                    "volts_r": ("voltage_r", "V"),
                    "volts_y": ("voltage_y", "V"),
                    "volts_b": ("voltage_b", "V"),
                    "oil_c": ("oil", "degC"),
                },
            ),
        },
        sample="energy/transformer_readings.csv",
    ),
    Source(
        name="microgrid_status",
        format="json",
        every=timedelta(minutes=1),
        meaning="What the energy manager of a microgrid reports; sensors are called <site>.solar ...",
        mapping={
            "table": "readings",
            "records": "sites",
            "time": "at",
            "values": _measured(
                "site",
                {
                    "solar_kw": ("solar", "kW"),
                    "load_kw": ("load", "kW"),
                    "grid.import_kw": ("grid_import", "kW"),
                    "grid.export_kw": ("grid_export", "kW"),
                    "battery.soc_pct": ("soc", "percent"),
                    "battery.discharge_kw": ("battery", "kW"),
                    "diesel_kw": ("diesel", "kW"),
                },
            ),
        },
        sample="energy/microgrid_status.json",
    ),
    Source(
        name="outages",
        format="csv",
        every=timedelta(minutes=15),
        meaning="The utility's list of outages, a line per restoration step; sent also when there is nothing new",
        mapping={"table": "outages"},
        sample="energy/outages.csv",
    ),
    Source(
        name="consumer_meters",
        format="csv",
        every=timedelta(minutes=30),
        meaning="Smart meters of consumers, a line per meter and interval; the meter number is the sensor",
        mapping={"table": "readings", "time": "interval_start", "sensor": "{meter}", "value": "kwh", "unit": "kWh"},
        sample="energy/consumer_meters.csv",
    ),
    Source(
        name="energy_accounts",
        format="csv",
        every=timedelta(days=31),
        meaning="Energy and money per feeder and billing period, from the utility's books",
        mapping={"table": "energy_accounts"},
        sample="energy/energy_accounts.csv",
    ),
    Source(
        name="street_light_nights",
        format="csv",
        every=timedelta(days=1),
        meaning="The night's report of the street-light panels",
        mapping={"table": "street_light_nights"},
        sample="energy/street_light_nights.csv",
    ),
    Source(
        name="street_light_surveys",
        format="csv",
        every=timedelta(days=7),
        meaning="Night patrols of the street lights",
        mapping={"table": "street_light_surveys"},
        sample="energy/street_light_surveys.csv",
    ),
)
