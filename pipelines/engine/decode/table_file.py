"""Decoder of CSV, XLSX, JSON, NDJSON and Parquet tables, read as the feed's mapping says (docs/mappings.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from pipelines.engine.decode.base import Decoded, Part, Refused, Together
from pipelines.engine.decode.table_csv import read_csv
from pipelines.engine.decode.table_events import EventsPlan, read_events
from pipelines.engine.decode.table_fields import Beside
from pipelines.engine.decode.table_json import read_json, read_ndjson
from pipelines.engine.decode.table_mapping import check_mapping, faults
from pipelines.engine.decode.table_parquet import read_parquet
from pipelines.engine.decode.table_plain import read_plain
from pipelines.engine.decode.table_readings import ReadingsPlan, read_readings
from pipelines.engine.decode.table_sheet import Sheet
from pipelines.engine.decode.table_together import sheets
from pipelines.engine.decode.table_xlsx import read_xlsx
from pipelines.engine.decode.text import MAX_MB, unpack

__all__ = ["TOGETHER", "check_mapping", "decode"]

READERS = {"csv": read_csv, "xlsx": read_xlsx, "json": read_json, "ndjson": read_ndjson, "parquet": read_parquet}
# How a reader says that it cannot make sense of the bytes.
DAMAGED = (pl.exceptions.PanicException, pl.exceptions.PolarsError, ValueError, OverflowError, RecursionError)


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The rows of one file.

    Shape: one table, the mapping's `table`; `_row` is the line, spreadsheet row or record, counted from 1.
    Raises Refused when the payload as a whole is not what the mapping describes.
    """
    plan = plan_of(mapping)
    body = unpack(payload, mapping.get("max_mb", MAX_MB))
    plain = read_plain(body, mapping)
    if plain is not None:
        return plain
    fields = mapping.get("fields") or {}
    beside = Beside(plan, tuple(fields))
    try:
        sheet = READERS[mapping["format"]](body, mapping, plan.expected, beside.pick)
        sheet = replace(sheet, dated=sheet.dated or bool(mapping.get("dated")))
        return _read(beside.onto(sheet, fields), plan)
    except DAMAGED as error:
        raise Refused("not_this_format", f"The file cannot be read as {mapping['format']}: it is damaged.") from error


def decode_together(parts: Sequence[Part], mapping: Mapping[str, Any]) -> list[Together]:
    """The rows of many small JSON messages, those with the same fields as one; the others are to be decoded alone."""
    if "hours" in mapping:
        return []
    try:
        plan = plan_of(mapping)
        groups = sheets(parts, mapping, plan)
        return [Together(_read(group.sheet, plan), group.members, group.starts) for group in groups]
    except (Refused, *DAMAGED):
        return []


TOGETHER = {"json": decode_together}


def plan_of(mapping: Mapping[str, Any]) -> ReadingsPlan | EventsPlan:
    """How the mapping is to be followed.

    Raises Refused when it cannot be.
    """
    wrong = faults(mapping, mapping.get("kinds"))
    if wrong:
        raise Refused("mapping", "The feed's mapping cannot be used. " + " ".join(wrong))
    if mapping.get("table", "readings") == "readings":
        return ReadingsPlan(mapping)
    return EventsPlan(mapping, mapping["format"] in ("json", "ndjson"))


def _read(sheet: Sheet, plan: ReadingsPlan | EventsPlan) -> Decoded:
    table = plan.mapping.get("table", "readings")
    rows, refused = read_readings(sheet, plan) if isinstance(plan, ReadingsPlan) else read_events(sheet, plan)
    in_order = sorted((replace(one, table=table) for one in (*sheet.refused, *refused)), key=lambda one: one.row)
    return Decoded({table: rows}, tuple(in_order), None, sheet.original)
