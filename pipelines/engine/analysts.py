"""town.duckdb: views over all compacted rows for whoever opens it with DuckDB; made anew, never the truth."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.engine import manifest as manifests
from pipelines.engine import sql
from pipelines.engine.calendar import ROLLUP_SCHEMA
from pipelines.engine.errors import StoreError
from pipelines.engine.manifest import Part
from pipelines.engine.model import Column, Table
from pipelines.engine.registers import Registers

NAME = "town.duckdb"
# Analysts may have an older DuckDB than we.
CONFIG: dict[str, Any] = {"threads": "1", "memory_limit": "256MB", "storage_compatibility_version": "v1.2.0"}
# The rollups by sensor; those by ward and by value are the town's own.
GRAINS = ("hourly", "daily", "monthly")
PLACE = (
    "n.sensor, sensors.quantity, assets.asset, assets.name AS asset_name, assets.kind, assets.ward, "
    "wards.name AS ward_name"
)
PLACES = (
    "JOIN series n USING (series) LEFT JOIN sensors ON sensors.sensor = n.sensor "
    "LEFT JOIN assets ON assets.asset = sensors.asset LEFT JOIN wards ON wards.ward = assets.ward"
)


def build(store: Path, tables: Iterable[Table], registers: Registers, now: datetime) -> Path:
    """Write the file beside and rename it over the last one; who has that one open keeps what he sees.

    Shape: a view per table without its personal and free columns, readings and rollups with the sensor's place, a
    table per register, and `about`, which says how far it reaches.
    Raises StoreError when it cannot be made; the one before stays.
    """
    try:
        return _build(store, tables, registers, now)
    except (duckdb.Error, OSError) as error:
        raise StoreError(f"{store / NAME} could not be made anew ({error}); the one before is kept.") from error


def _build(store: Path, tables: Iterable[Table], registers: Registers, now: datetime) -> Path:
    manifest, beside = manifests.read(store), store / f"{NAME}.new"
    beside.unlink(missing_ok=True)
    beside.with_name(f"{NAME}.new.wal").unlink(missing_ok=True)
    known = {table.name: table for table in tables}
    rollups = [f"roll_{grain}" for grain in GRAINS]
    parts = {name: list(manifest.parts.get(name, {}).values()) for name in (*known, *rollups)}
    with duckdb.connect(str(beside), config=CONFIG) as db:
        db.execute("SET TimeZone='UTC'")
        own = {"wards": registers.wards, "assets": registers.assets, "sensors": registers.sensors}
        for name, rows in {**own, **registers.references}.items():
            _keep(db, name, rows)
        about = {"made_at": [now], "compaction": [manifest.rev], "journal_up_to": [manifest.applied_seq]}
        _keep(db, "about", pl.DataFrame(about))
        for name, table in known.items():
            if name != "readings":
                db.execute(f'CREATE VIEW "{name}" AS {_rows(store, parts[name], table)}')
        _place(db, "readings", _rows(store, parts["readings"], known["readings"]))
        for grain in GRAINS:
            _place(db, f"readings_{grain}", _rolled(store, parts[f"roll_{grain}"]))
    beside.rename(store / NAME)
    return store / NAME


def _keep(db: duckdb.DuckDBPyConnection, name: str, rows: pl.DataFrame) -> None:
    """A register as a table of its own."""
    db.register("_rows", rows)
    db.execute(f'CREATE TABLE "{name}" AS SELECT * FROM _rows')
    db.unregister("_rows")


def _place(db: duckdb.DuckDBPyConnection, name: str, source: str) -> None:
    """A view of rows by series, with the sensor and where it stands."""
    db.execute(f'CREATE VIEW "{name}" AS SELECT {PLACE}, r.* EXCLUDE (series) FROM ({source}) r {PLACES}')


def _rows(store: Path, parts: list[Part], table: Table) -> str:
    """The public columns of a table, from its files."""
    # A view cannot scrub what people wrote.
    columns = [column for column in table.columns if not column.personal and not column.free]
    chosen = ", ".join(f'"{column.name}"' for column in columns)
    nothing = _nothing(columns)
    if not parts:
        return f"SELECT {chosen}, received_at FROM ({nothing})"
    source = sql.parquet(store.resolve(), parts)
    source = sql.with_values(source) if table.name == "readings" else source
    found = f"SELECT * RENAME (_received_at AS received_at) FROM {source}"
    return f"SELECT {chosen}, received_at FROM ({found} UNION ALL BY NAME {nothing})"


def _nothing(columns: Iterable[Column]) -> str:
    """No rows of these columns: files written by an earlier version may lack some."""
    cast = ", ".join(f'CAST(NULL AS {sql.TYPES[column.kind]}) AS "{column.name}"' for column in columns)
    return f"SELECT {cast}, CAST(NULL AS TIMESTAMPTZ) AS received_at WHERE FALSE"


def _rolled(store: Path, parts: list[Part]) -> str:
    if parts:
        return f"SELECT {', '.join(ROLLUP_SCHEMA)} FROM {sql.parquet(store.resolve(), parts)}"
    types: dict[pl.DataType, str] = {pl.Int32(): "INTEGER", pl.Int64(): "BIGINT", pl.Float64(): "DOUBLE"}
    cast = ", ".join(
        f"CAST(NULL AS {types.get(kind, 'TIMESTAMPTZ')}) AS {name}" for name, kind in ROLLUP_SCHEMA.items()
    )
    return f"SELECT {cast} WHERE FALSE"
