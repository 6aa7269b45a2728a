"""JSON and NDJSON records -> a sheet; nested fields are named by a dotted path."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Refusal, Refused, RowOriginals
from pipelines.engine.decode.table_sheet import Pick, Sheet
from pipelines.engine.decode.text import refuse_other_files, to_text

DEPTH = 12
LISTED = 8


def read_json(payload: bytes, mapping: Mapping[str, Any], expected: Sequence[str], pick: Pick) -> Sheet:
    """The records found under the mapping's `records` path; one object alone is one record."""
    refuse_other_files(payload, "json")
    text, _ = to_text(payload)
    try:
        document = orjson.loads(text)
    except ValueError as error:
        raise Refused(
            "not_this_format", f"This is no JSON, or it breaks off: {_where(error)}. Send it again."
        ) from error
    records = found_records(document, mapping.get("records", ""))
    return _sheet(enumerate(records, start=1), [], pick, lambda row: orjson.dumps(records[row - 1]), "record")


def read_ndjson(payload: bytes, mapping: Mapping[str, Any], expected: Sequence[str], pick: Pick) -> Sheet:
    """One record a line; a line that is no JSON is refused alone."""
    refuse_other_files(payload, "ndjson")
    text, _ = to_text(payload)
    lines = text.split("\n")
    records: list[tuple[int, Any]] = []
    refused = []

    def original(row: int) -> bytes:
        return lines[row - 1].removesuffix("\r").encode("utf-8", "surrogateescape")

    for row, line in enumerate(lines, start=1):
        if line.strip():
            try:
                records.append((row, orjson.loads(line)))
            except ValueError as error:
                detail = f"line {row}: this is no JSON: {_where(error)}. Correct the line and send it again."
                refused.append(Refusal(row, "unreadable_row", detail, original(row)))
    if not records:
        raise Refused("not_this_format", "No line of the file is JSON. One record a line is expected.")
    return _sheet(records, refused, pick, original, "line")


def _where(error: ValueError) -> str:
    words = str(error).split(":")
    return words[-1].strip() if "column" in words[-1] else str(error).split("\n", maxsplit=1)[0]


def found_records(document: Any, path: str) -> list[Any]:
    """The list of records under a path; one object alone is one record.

    Raises Refused when there is none.
    """
    here, walked = document, []
    for step in path.split(".") if path else []:
        walked.append(step)
        if not isinstance(here, dict) or step not in here:
            has = ", ".join(list(here)[:20]) if isinstance(here, dict) else "no named fields"
            raise Refused(
                "missing_records",
                f"The records should stand under {path!r}, but {'.'.join(walked)!r} is not there. Found: {has}.",
            )
        here = here[step]
    if isinstance(here, list):
        return here
    if isinstance(here, dict):
        return [here]
    raise Refused("missing_records", f"Under {path or 'the top'!r} is no list of records but {type(here).__name__}.")


def _sheet(
    records: Iterable[tuple[int, Any]], refused: list[Refusal], pick: Pick, original: RowOriginals, place: str
) -> Sheet:
    rows, flat = [], []
    for row, record in records:
        if isinstance(record, (dict, list)):
            rows.append(row)
            flat.append(flat_record(record))
        else:
            detail = f"{place} {row}: this is a bare value, not a record with named fields."
            refused.append(Refusal(row, "unreadable_row", detail, original(row)))
    wanted = pick(headings_of(flat)) if flat or refused else []
    cells = {name: pl.Series([record.get(name) for record in flat], dtype=pl.String) for name in wanted}
    return Sheet(pl.DataFrame({ROW: pl.Series(rows, dtype=pl.UInt32), **cells}), original, place, tuple(refused))


def headings_of(flat: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of all fields, in the order in which they first come."""
    return [name for name in dict.fromkeys(name for record in flat for name in record) if name != ROW]


def flat_record(record: dict[str, Any] | list[Any]) -> dict[str, str | None]:
    """Path -> text of every field; the places of a list are #1, #2 when the record itself is one, else .0, .1."""
    fields: dict[str, str | None] = {}
    if isinstance(record, list):
        record = {f"#{i}": value for i, value in enumerate(record, start=1)}
    _gather(record, "", fields, 0)
    return fields


def _gather(record: Mapping[str, Any], before: str, fields: dict[str, str | None], depth: int) -> None:
    for key, value in record.items():
        name = f"{before}{key}"
        if isinstance(value, dict) and depth < DEPTH:
            _gather(value, f"{name}.", fields, depth + 1)
            continue
        fields.setdefault(_clean(name), _text(value))
        if isinstance(value, list) and len(value) <= LISTED and depth < DEPTH:
            _gather({str(i): item for i, item in enumerate(value)}, f"{name}.", fields, depth + 1)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return str(value) if isinstance(value, int) else orjson.dumps(value).decode()


def _clean(name: str) -> str:
    return " ".join(name.split())
