"""Decoder of CSV, XLSX, JSON, NDJSON and Parquet tables, read as the feed's mapping says (docs/mappings.md)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.table_csv import read_csv
from pipelines.engine.decode.table_events import EventsPlan, read_events
from pipelines.engine.decode.table_json import read_json, read_ndjson
from pipelines.engine.decode.table_mapping import check_mapping, faults
from pipelines.engine.decode.table_parquet import read_parquet
from pipelines.engine.decode.table_plain import read_plain
from pipelines.engine.decode.table_readings import ReadingsPlan, read_readings
from pipelines.engine.decode.table_xlsx import read_xlsx
from pipelines.engine.decode.text import MAX_MB, unpack

__all__ = ["check_mapping", "decode"]

READERS = {"csv": read_csv, "xlsx": read_xlsx, "json": read_json, "ndjson": read_ndjson, "parquet": read_parquet}


def decode(payload: bytes, mapping: Mapping[str, Any], received_at: datetime) -> Decoded:
    """The rows of one file.

    Shape: one table, the mapping's `table`; `_row` is the line, spreadsheet row or record, counted from 1.
    Raises Refused when the payload as a whole is not what the mapping describes.
    """
    wrong = faults(mapping, mapping.get("kinds"))
    if wrong:
        raise Refused("mapping", "The feed's mapping cannot be used. " + " ".join(wrong))
    table = mapping.get("table", "readings")
    plan = (
        ReadingsPlan(mapping) if table == "readings" else EventsPlan(mapping, mapping["format"] in ("json", "ndjson"))
    )
    body = unpack(payload, mapping.get("max_mb", MAX_MB))
    plain = read_plain(body, mapping)
    if plain is not None:
        return plain
    try:
        sheet = READERS[mapping["format"]](body, mapping, plan.expected, plan.pick)
        read = read_readings(sheet, plan) if isinstance(plan, ReadingsPlan) else read_events(sheet, plan)
    except (
        pl.exceptions.PanicException,
        pl.exceptions.PolarsError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise Refused("not_this_format", f"The file cannot be read as {mapping['format']}: it is damaged.") from error
    rows, refused = read
    in_order = sorted((replace(one, table=table) for one in (*sheet.refused, *refused)), key=lambda one: one.row)
    return Decoded({table: rows}, tuple(in_order), None, sheet.original)
