"""Columns of text checked byte by byte in the caller's own thread: a sender waits for nobody else's work."""

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
SPACE, FIRST_BEYOND_ASCII, MINUS, POINT, ZERO = 0x20, 0x80, ord("-"), ord("."), ord("0")
# 2026-06-01T00:00:00Z, with a point and up to nine digits before the Z: where the digits of each part begin and end.
PARTS = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))
MARKS = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"}
SHORTEST, LONGEST = 20, 30
LIMITS = ((1900, 2199), (1, 12), (1, 31), (0, 23), (0, 59), (0, 59))
DAY, HOUR, MINUTE, SECOND = (seconds * 1_000_000 for seconds in (86_400, 3_600, 60, 1))


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


def instants(column: Texts) -> pl.Series | None:
    """The instants that all cells name as 2026-06-01T00:00:00Z, parts of a second allowed; None when one does not."""
    if column.null_count:
        return None
    every, begins = _laid_out(column)
    lengths, found = np.diff(begins), np.empty(len(column), np.int64)
    if not lengths.size or lengths.min() < SHORTEST or lengths.max() > LONGEST:
        return None
    for length in np.unique(lengths).tolist():
        rows = np.flatnonzero(lengths == length)
        cells = (
            every[begins[rows][:, None] + np.arange(length)] if rows.size < len(column) else every.reshape(-1, length)
        )
        micros = _micros(cells)
        if micros is None:
            return None
        found[rows] = micros
    return pl.Series(found).cast(INSTANT)


def _micros(cells: Bytes) -> Places | None:
    """Microseconds since 1970 of times that are all equally long, a row of bytes each."""
    width = cells.shape[1]
    marks = MARKS | ({19: ".", width - 1: "Z"} if width > SHORTEST else {19: "Z"})
    if width == SHORTEST + 1 or any((cells[:, place] != ord(mark)).any() for place, mark in marks.items()):
        return None
    digits = cells - np.uint8(ZERO)
    if (digits[:, [place for place in range(width) if place not in marks]] > 9).any():
        return None
    year, month, day, hour, minute, second = parts = [_number(digits[:, low:high]) for low, high in PARTS]
    if any((part < low).any() or (part > high).any() for part, (low, high) in zip(parts, LIMITS, strict=True)):
        return None
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    first, following = (start.astype("datetime64[D]").astype(np.int64) for start in (months, months + 1))
    if (day > following - first).any():
        return None
    part = _number(digits[:, SHORTEST : width - 1]) * 10**6 // 10 ** max(0, width - 1 - SHORTEST)
    return (first + day - 1) * DAY + hour * HOUR + minute * MINUTE + second * SECOND + part


def _number(digits: Bytes) -> Places:
    """The whole numbers that rows of digits spell; 0 where there is none."""
    found = np.zeros(len(digits), np.int64)
    for column in digits.T:
        found = found * 10 + column
    return found


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
