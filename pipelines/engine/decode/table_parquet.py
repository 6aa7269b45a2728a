"""A Parquet file -> a sheet that keeps the file's numbers and times as such."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Refused
from pipelines.engine.decode.table_sheet import Pick, Sheet, tidy
from pipelines.engine.decode.text import MAX_MB, refuse_other_files

BYTES_OF_A_CELL = 8


def read_parquet(payload: bytes, mapping: Mapping[str, Any], expected: Sequence[str], pick: Pick) -> Sheet:
    """The sheet of a Parquet file; rows are counted from 1."""
    refuse_other_files(payload, "parquet")
    damaged = "This is no whole Parquet file: it broke off or is damaged. Send it again."
    try:
        schema = pl.read_parquet_schema(io.BytesIO(payload))
        height = pl.scan_parquet(io.BytesIO(payload)).select(pl.len()).collect().item()
    except (pl.exceptions.PanicException, Exception) as error:
        raise Refused("damaged", damaged) from error
    headings = {name: tidy(name) for name in schema if name != ROW}
    wanted = list(pick(list(headings.values())))
    columns = [name for name, heading in headings.items() if heading in wanted]
    limit = mapping.get("max_mb", MAX_MB)
    if height * max(len(columns), 1) * BYTES_OF_A_CELL > limit * 2**20:
        raise Refused("too_large", f"The file unpacks to more than {limit:g} MB. Send it in parts, or raise max_mb.")
    try:
        frame = pl.read_parquet(io.BytesIO(payload), columns=columns, use_pyarrow=False) if columns else pl.DataFrame()
        frame = pl.DataFrame([_plain(frame[name]).alias(headings[name]) for name in columns])
    except (pl.exceptions.PanicException, Exception) as error:
        raise Refused("damaged", damaged) from error
    numbered = frame.with_row_index(ROW, 1).with_columns(pl.col(ROW).cast(pl.UInt32))

    def original(row: int) -> bytes:
        found = pl.scan_parquet(io.BytesIO(payload)).slice(row - 1, 1).collect().to_dicts()
        return orjson.dumps(found[0], default=str) if found else b""

    return Sheet(numbered, original, "row")


def _plain(cells: pl.Series) -> pl.Series:
    """Numbers, times and text as they are, anything else as text."""
    dtype = cells.dtype
    if dtype.is_decimal():
        return cells.cast(pl.Float64)
    if dtype == pl.Boolean or dtype.is_numeric() or dtype in (pl.Date, pl.Datetime, pl.String):
        return cells
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        texts = [None if cell is None else _told(cell) for cell in cells.to_list()]
        return pl.Series(cells.name, texts, dtype=pl.String)
    return cells.cast(pl.String, strict=False)


def _told(cell: Any) -> str:
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else orjson.dumps(cell, default=str).decode()
