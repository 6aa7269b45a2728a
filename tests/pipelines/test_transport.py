"""The transport domain as declared: its samples are read whole and fit the declared tables; KPIs bear empty frames."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine.decode import decoder
from pipelines.engine.model import INSTANT
from pipelines.transport import DOMAIN
from tests.pipelines.transport_town import ZONE, at, windows

SAMPLES = Path(__file__).parents[2] / "data" / "samples"
TABLES = {table.name: table for table in DOMAIN.tables}
REGISTERS = {
    "wards": {"ward": pl.String, "name": pl.String, "population": pl.Int64, "households": pl.Int64},
    "assets": {"asset": pl.String, "parent": pl.String, "ward": pl.String},
    "sensors": {"sensor": pl.String, "asset": pl.String, "ward": pl.String, "quantity": pl.String},
    "arrivals": {
        "feed": pl.String,
        "observed_at": INSTANT,
        "received_at": INSTANT,
        "outcome": pl.String,
        "rows": pl.Int64,
    },
}
READINGS = {
    "sensor": pl.String,
    "asset": pl.String,
    "kind": pl.String,
    "ward": pl.String,
    "observed_at": INSTANT,
    "value": pl.Float64,
}


@pytest.mark.parametrize("source", DOMAIN.sources, ids=lambda source: source.name)
def test_a_sample_is_read_without_a_refusal(source):
    mapping = {"table": "readings", "format": source.format, "zone": ZONE, "feed": source.name, **source.mapping}
    received = datetime(2025, 11, 3, 3, 0, tzinfo=UTC)
    decoded = decoder(source.format)((SAMPLES / source.sample).read_bytes(), mapping, received)
    assert decoded.refused == ()
    assert decoded.rows > 0
    for name, rows in decoded.tables.items():
        if name != "readings":
            assert set(rows.columns) - {"_row"} <= set(TABLES[name].schema)
            assert sum(rows.select(TABLES[name].key).null_count().row(0)) == 0


@pytest.mark.parametrize(
    "source", [s for s in DOMAIN.sources if s.format.startswith("gtfs")], ids=lambda source: source.name
)
def test_a_gtfs_sample_has_the_declared_types(source):
    decoded = decoder(source.format)(
        (SAMPLES / source.sample).read_bytes(), {"zone": ZONE}, datetime(2025, 11, 3, 3, 0, tzinfo=UTC)
    )
    for name, rows in decoded.tables.items():
        assert dict(rows.drop("_row").select(list(TABLES[name].schema)).schema) == TABLES[name].schema


def handed(name: str):
    if name == "zone":
        return ZONE
    if name == "windows":
        return windows(at("00:00"), timedelta(days=1), 3)
    if name in TABLES:
        return pl.DataFrame(schema=TABLES[name].schema)
    if name in REGISTERS:
        return pl.DataFrame(schema=REGISTERS[name])
    references = {reference.name: reference.schema for reference in DOMAIN.references}
    return pl.DataFrame(schema=references.get(name, READINGS))


@pytest.mark.parametrize("kpi", DOMAIN.kpis, ids=lambda kpi: kpi.id)
def test_a_kpi_of_nothing_gives_no_value(kpi):
    result = kpi.function(**{name: handed(name) for name in kpi.inputs})
    assert {"window", "area"} <= set(result.columns)
    if "value" in result.columns:
        assert result["value"].null_count() == result.height
    else:
        assert result["denominator"].fill_null(0).sum() == 0
