"""Columns of text checked byte by byte in the caller's own thread: a sender waits for nobody else's work."""

from datetime import UTC, datetime
from typing import TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import csv

from pipelines.engine.model import INSTANT

Bytes = NDArray[np.uint8]
Places = NDArray[np.int64]
Texts: TypeAlias = pa.StringArray
SPACE, FIRST_BEYOND_ASCII, MINUS, POINT = 0x20, 0x80, ord("-"), ord(".")
# 2026-06-01T00:00:00Z, with a point and up to nine digits before the Z: where its marks stand.
MARKS = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"}
SHORTEST, LONGEST = 20, 30
# The longest that Arrow reads as microseconds; what is longer it reads as nanoseconds.
MICROSECONDS = 27
FIRST, LAST = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1e6) for year in (1900, 2200))


def ready() -> None:
    """Arrow with its first array behind it.

    With that it looks for pandas, 0.15 s where somebody has installed it; no sender should wait for what nobody needs.
    """
    text_column([])


def text_column(cells: list[str | None]) -> Texts:
    """A column of text."""
    return pa.array(cells, pa.string())


def cells_of(rows: bytes, names: list[str]) -> dict[str, Texts] | None:
    """The cells of lines with commas, each as it stands, by the names of their columns; None when lines differ."""
    try:
        table = csv.read_csv(
            pa.BufferReader(rows),
            csv.ReadOptions(use_threads=False, block_size=len(rows) + 1, column_names=names),
            csv.ParseOptions(quote_char=False, escape_char=False),
            csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), check_utf8=False),
        )
    except pa.ArrowInvalid:
        return None
    return {name: table[name].combine_chunks() for name in names}


def _laid_out(column: Texts) -> tuple[Bytes, Places]:
    """The bytes of all cells one after the other, and where each begins, with the end of the last."""
    _, offsets, data = column.buffers()
    begins = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
    every = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return every[begins[0] : begins[-1]], begins - begins[0]


def stripped(column: Texts) -> pl.Series:
    """The cells without blanks around them; null where nothing is left."""
    every, begins = _laid_out(column)
    found = pl.Series(values=pl.from_arrow(column))
    if every.size and (every.min() <= SPACE or every.max() >= FIRST_BEYOND_ASCII):
        found = found.str.strip_chars()
    elif (np.diff(begins) > 0).all():
        return found
    return found.set(found == "", None)


def coded(column: pl.Series) -> tuple[list[str], Places] | None:
    """The different texts of a column, and for each cell which of them it is; None when a cell is null."""
    if column.null_count():
        return None
    found = pc.dictionary_encode(column.to_arrow(compat_level=pl.CompatLevel.newest()))
    return pl.Series(values=pl.from_arrow(found.dictionary)).to_list(), found.indices.to_numpy()


def instants(column: Texts) -> pl.Series | None:
    """The instants that all cells name as 2026-06-01T00:00:00Z, parts of a second allowed; None when one does not."""
    if column.null_count or not len(column):
        return None
    every, begins = _laid_out(column)
    lengths = np.diff(begins)
    if lengths.min() < SHORTEST or lengths.max() > LONGEST:
        return None
    for length in np.bincount(lengths).nonzero()[0].tolist():
        rows = begins[:-1][lengths == length]
        whole = rows.size == len(column)
        cells = every.reshape(-1, length) if whole else every[rows[:, None] + np.arange(length)]
        if not _marked(cells):
            return None
    found = _instants(column, "us" if lengths.max() <= MICROSECONDS else "ns")
    return None if found is None or found.min() < FIRST or found.max() >= LAST else pl.Series(found).cast(INSTANT)


def _marked(cells: Bytes) -> bool:
    """Whether times that are all equally long, a row of bytes each, have their marks where they belong."""
    width = cells.shape[1]
    marks = MARKS | ({19: ".", width - 1: "Z"} if width > SHORTEST else {19: "Z"})
    return width != SHORTEST + 1 and all((cells[:, place] == ord(mark)).all() for place, mark in marks.items())


def _instants(column: Texts, unit: str) -> Places | None:
    """Microseconds since 1970; None when a cell is no time."""
    try:
        found = pc.cast(column, pa.timestamp(unit, "UTC")).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return found if unit == "us" else found // 1000


def numbers(column: Texts) -> pl.Series | None:
    """The numbers that all cells spell as -12.5, null for an empty one; None when one is anything else."""
    every, begins = _laid_out(column)
    ends, begins = begins[1:], begins[:-1]
    filled = ends > begins
    if bytes(every).translate(None, b"0123456789.-"):
        return None
    first, last = every[begins[filled]], every[ends[filled] - 1]
    after = every[begins[filled][first == MINUS] + 1] if (last != MINUS).all() else np.array([MINUS], np.uint8)
    if (first == POINT).any() or (last == POINT).any() or (after == POINT).any() or (after == MINUS).any():
        return None
    try:
        values = pc.cast(column if filled.all() else pc.if_else(pa.array(filled), column, None), pa.float64())
    except pa.ArrowInvalid:
        return None
    return pl.Series(values=pl.from_arrow(values))
