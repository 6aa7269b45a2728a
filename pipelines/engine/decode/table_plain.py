"""Readings in the plain shape (sensor, observed_at, value, unit), read column by column: the fast way for floods.

Whoever sends anything else (another heading, a time without Z, a number as text, a missing sensor) is read by the long
way, which knows all of it; both give the same rows.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Decoded, RowOriginals
from pipelines.engine.decode.clock import FIRST, INSTANT, LAST

COLUMNS = ("sensor", "observed_at", "value", "unit")
# What a mapping may say without changing what a plain payload means.
HARMLESS = frozenset({"format", "table", "zone", "feed", "kinds", "records", "max_mb", "known"})
STAMP = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$"
STAMP_FORM = "%Y-%m-%dT%H:%M:%S%.fZ"
NUMBER = r"^-?\d+(\.\d+)?$"
NUMBERS = frozenset({int, float, type(None)})
Columns = dict[str, pl.Series]


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
    sensor = columns["sensor"].str.strip_chars()
    stamps = columns["observed_at"]
    if sensor.null_count() or not sensor.str.len_bytes().min() or not _all(stamps, STAMP):
        return None
    at = stamps.str.to_datetime(STAMP_FORM, strict=False, time_unit="us")
    if at.null_count() or not at.is_between(FIRST, LAST).all():
        return None
    # An infinite number is for the long way to refuse.
    value = columns["value"]
    if not value.is_finite().all():
        return None
    unit = {}
    if "unit" in columns:
        given = columns["unit"].str.strip_chars()
        unit = {"unit": given.set(given == "", None)}
    rows = pl.int_range(columns["row"][0], columns["row"][0] + len(sensor), dtype=pl.UInt32, eager=True)
    return pl.DataFrame({
        "sensor": sensor, "observed_at": at.dt.replace_time_zone("UTC").cast(INSTANT), "value": value, **unit, ROW: rows
    })  # fmt: skip


def _all(texts: pl.Series, pattern: str) -> bool:
    return not texts.null_count() and bool(texts.str.contains(pattern).all())


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
    series = {name: pl.Series(cells[name], dtype=pl.String) for name in names if name != "value"}
    value = pl.Series(cells["value"], dtype=pl.Float64, strict=False)
    # JSON's -0.0 is taken for the number 0, which has no sign.
    return {**series, "value": value.set(value == 0, 0.0), "row": pl.Series([1])}


def _csv(body: bytes, mapping: Mapping[str, Any]) -> tuple[Columns, RowOriginals] | None:
    """A table with commas: no quotation marks, no letters beyond ASCII, no blank or ragged lines."""
    head, _, rest = body.partition(b"\n")
    names = head.decode("ascii", "replace").split(",")
    if not {"sensor", "observed_at", "value"} <= set(names) <= set(COLUMNS) or len(names) != len(set(names)):
        return None
    rest = rest.removesuffix(b"\n")
    lines = rest.count(b"\n") + 1
    odd = not rest or not rest.isascii() or any(mark in rest for mark in (b'"', b"\r", b"\0", b"\n\n"))
    if odd or rest.count(b",") != lines * (len(names) - 1):
        return None
    try:
        frame = pl.read_csv(BytesIO(rest), has_header=False, new_columns=names, infer_schema=False)
    except pl.exceptions.PolarsError:
        return None
    text = frame["value"]
    if frame.height != lines or not text.drop_nulls().str.contains(NUMBER).all():
        return None
    value = text.cast(pl.Float64, strict=False)
    if value.null_count() != text.null_count():
        return None
    return {**frame.to_dict(), "value": value, "row": pl.Series([2])}, _line_of(body)


def _line_of(body: bytes) -> RowOriginals:
    return lambda row: body.split(b"\n")[row - 1].removesuffix(b"\r")


READERS = {"json": _json, "ndjson": _ndjson, "csv": _csv}
