"""Pieces that the statements of the store are put together from."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.engine.manifest import Part
from pipelines.engine.model import Table

TYPES = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "flag": "BOOLEAN",
    "instant": "TIMESTAMPTZ",
    "day": "DATE",
    "bytes": "BLOB",
    "series": "INTEGER",
    "code": "UTINYINT",
}
STEPS = {"units": "BIGINT", "scale": "DOUBLE"}


def names(table: Table) -> str:
    """The declared columns, in SQL."""
    return ", ".join(f'"{c.name}"' for c in table.columns)


def span(table: Table, start: datetime | None, end: datetime | None) -> list[str]:
    """The conditions that keep the time of a row in [start, end); of days, a little more."""
    if not table.time:
        return []
    # A day is a local day: it may begin up to a day before or after the same date in UTC.
    slack = timedelta(days=1) if _is_day(table) else timedelta(0)
    edges = ((">=", start and start - slack), ("<", end and end + slack))
    return [f"{at(table)} {sign} '{edge}'" for sign, edge in edges if edge is not None]


def parquet(folder: Path, parts: Sequence[Part], table: Table | None = None) -> str:
    """The rows of some Parquet files, as a source in SQL; with `table`, its columns are all there."""
    files = ", ".join(_quoted(folder / part.file) for part in parts)
    source = f"read_parquet([{files}], union_by_name=true)"
    if table is None:
        return source
    # The empty hot rows lend their columns: files written by an earlier version may lack some.
    whole = f'(SELECT * FROM {source} UNION ALL BY NAME SELECT * EXCLUDE (_seq) FROM "hot_{table.name}" WHERE FALSE)'
    return with_values(whole) if table.name == "readings" else whole


def rollups(folder: Path, parts: Sequence[Part]) -> str:
    """The rows of some files of a rollup, as a source in SQL; every version of a file has the columns that are read.

    So files are opened when they are read, and not all of them once more to compare their columns.
    """
    return f"read_parquet([{', '.join(_quoted(folder / part.file) for part in parts)}])"


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def with_values(readings: str) -> str:
    """The same source with values of readings as they came, which files keep as units and scale (engine/cold.py)."""
    # Files written by an earlier version have neither.
    columns = ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in STEPS.items())
    steps = f"(SELECT {columns} WHERE FALSE)"
    value = "coalesce(value, CAST(units AS DOUBLE) / scale) AS value"
    return (
        f"(SELECT * EXCLUDE (units, scale) REPLACE ({value}) FROM (SELECT * FROM {readings} UNION ALL BY NAME {steps}))"
    )


def joined_spans(spans: str) -> str:
    """Spans of feeds (feed, low, high, outcome) with those that overlap joined; only what landed counts."""
    before = "(PARTITION BY feed ORDER BY low ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    return (
        f"WITH came AS (SELECT * FROM ({spans}) WHERE outcome = 'landed'), "
        f"opening AS (SELECT *, CASE WHEN low <= max(high) OVER {before} THEN 0 ELSE 1 END AS opens FROM came), "
        "runs AS (SELECT *, sum(opens) OVER (PARTITION BY feed ORDER BY low ROWS UNBOUNDED PRECEDING) AS run "
        "FROM opening) "
        "SELECT feed, min(low) AS low, max(high) AS high FROM runs GROUP BY feed, run ORDER BY feed, low"
    )


def _is_day(table: Table) -> bool:
    return any(column.name == table.time and column.kind == "day" for column in table.columns)


def at(table: Table) -> str:
    """The time of a row as an instant, in SQL."""
    return f'CAST("{table.time}" AS TIMESTAMPTZ)' if _is_day(table) else f'"{table.time}"'


def not_hot(table: Table) -> str:
    """The condition that a row of `c` has no newer one among the hot rows."""
    same = " AND ".join(f'h."{key}" = c."{key}"' for key in table.key)
    return f'NOT EXISTS (SELECT 1 FROM "hot_{table.name}" h WHERE {same})'
