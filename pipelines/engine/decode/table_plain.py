"""Readings in the plain shape (sensor, observed_at, value, unit), read column by column: the fast way for floods.

Whoever sends anything else (another heading, a time without Z, a number as text, a missing sensor) is read by the long
way, which knows all of it; both give the same rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Decoded, RowOriginals
from pipelines.engine.decode.plain_columns import Texts, cells_of, instants, numbers, stripped, text_column

COLUMNS = ("sensor", "observed_at", "value", "unit")
# What a mapping may say without changing what a plain payload means.
HARMLESS = frozenset({"format", "table", "zone", "feed", "kinds", "records", "max_mb", "known"})
NUMBERS = frozenset({int, float, type(None)})


@dataclass(frozen=True)
class Columns:
    """The cells of a payload column by column, and which row its first one is; `value` is None when one is odd."""

    sensor: Texts
    observed_at: Texts
    value: pl.Series | None
    unit: Texts | None
    first_row: int


def read_plain(body: bytes, mapping: Mapping[str, Any]) -> Decoded | None:
    """The readings of a payload in the plain shape; None for every other one, which the long way reads or refuses."""
    if mapping.get("table", "readings") != "readings" or any(
        said and key not in HARMLESS for key, said in mapping.items()
    ):
        return None
    reader = READERS.get(mapping["format"])
    found = reader(body, mapping) if reader else None
    if found is None:
        return None
    columns, original = found
    frame = _checked(columns)
    return Decoded({"readings": frame}, (), None, original) if frame is not None else None


def _checked(columns: Columns) -> pl.DataFrame | None:
    """The columns as the long way would give them, where nothing in them is odd."""
    at, value = instants(columns.observed_at), columns.value
    # An infinite number is for the long way to refuse.
    if at is None or value is None or not np.isfinite(value.drop_nulls().to_numpy()).all():
        return None
    sensor = stripped(columns.sensor)
    if sensor.null_count():
        return None
    unit = [] if columns.unit is None else [stripped(columns.unit).alias("unit")]
    rows = np.arange(columns.first_row, columns.first_row + len(sensor), dtype=np.uint32)
    named = [sensor.alias("sensor"), at.alias("observed_at"), value.alias("value"), *unit, pl.Series(ROW, rows)]
    return pl.DataFrame(named)


def _json(body: bytes, mapping: Mapping[str, Any]) -> tuple[Columns, RowOriginals] | None:
    """One list of records, at the top or under the mapping's path of one step."""
    document, path = _loaded(body), mapping.get("records", "")
    records = document.get(path) if isinstance(document, dict) and path else document
    if not isinstance(records, list) or (path and records is document):
        return None
    columns = _columns(records)
    return (columns, lambda row: orjson.dumps(records[row - 1])) if columns else None


def _ndjson(body: bytes, mapping: Mapping[str, Any]) -> tuple[Columns, RowOriginals] | None:
    """One record a line, read as one list; only records without lists inside can be told apart that way."""
    lines = body.replace(b"\r\n", b"\n").removesuffix(b"\n")
    records = _loaded(b"[" + lines.replace(b"\n", b",\n") + b"]")
    if not isinstance(records, list) or len(records) != lines.count(b"\n") + 1:
        return None
    if lines.count(b"}\n{") != len(records) - 1:
        return None
    columns = _columns(records)
    return (columns, _line_of(body)) if columns else None


def _loaded(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def _columns(records: list[Any]) -> Columns | None:
    """The columns of records that all have the same plain fields."""
    if not records or not isinstance(records[0], dict):
        return None
    names = tuple(records[0])
    if not {"sensor", "observed_at", "value"} <= set(names) <= set(COLUMNS):
        return None
    try:
        cells = {name: [record[name] for record in records] for name in names}
    except (KeyError, TypeError):
        return None
    if set(map(len, records)) != {len(names)}:
        return None
    kinds = {name: set(map(type, column)) for name, column in cells.items()}
    texts = kinds["sensor"] == kinds["observed_at"] == {str} and kinds.get("unit", {str}) <= {str, type(None)}
    if not texts or not kinds["value"] <= NUMBERS:
        return None
    value = pl.Series(cells["value"], dtype=pl.Float64, strict=False)
    # JSON's -0.0 is taken for the number 0, which has no sign.
    unsigned = value.set(value == 0, 0.0)
    unit = text_column(cells["unit"]) if "unit" in cells else None
    return Columns(text_column(cells["sensor"]), text_column(cells["observed_at"]), unsigned, unit, 1)


def _csv(body: bytes, mapping: Mapping[str, Any]) -> tuple[Columns, RowOriginals] | None:
    """A table with commas: no quotation marks, no letters beyond ASCII, no blank or ragged lines."""
    head, _, rest = body.partition(b"\n")
    names = head.decode("ascii", "replace").split(",")
    if not {"sensor", "observed_at", "value"} <= set(names) <= set(COLUMNS) or len(names) != len(set(names)):
        return None
    rest = rest.removesuffix(b"\n")
    lines = rest.count(b"\n") + 1
    if not rest or not rest.isascii() or any(mark in rest for mark in (b'"', b"\r", b"\0", b"\n\n")):
        return None
    cells = cells_of(rest, names)
    if cells is None or len(cells["sensor"]) != lines:
        return None
    columns = Columns(cells["sensor"], cells["observed_at"], numbers(cells["value"]), cells.get("unit"), 2)
    return columns, _line_of(body)


def _line_of(body: bytes) -> RowOriginals:
    return lambda row: body.split(b"\n")[row - 1].removesuffix(b"\r")


READERS = {"json": _json, "ndjson": _ndjson, "csv": _csv}
