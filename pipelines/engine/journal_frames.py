"""The bytes of the journal: frames with a checksum, entries of rows, and the compact record of a few rows."""

import json
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow as pa

from pipelines.engine.model import INSTANT
from pipelines.engine.timed import micros

MAGIC = b"TBJ1"
HEADER = struct.Struct("<4sIIQ")
SECTION = struct.Struct("<II")
# An Arrow stream begins with FF FF FF FF, so these four bytes tell the two forms of a body apart.
RECORD = b"TBR1"
RECORD_HEAD = struct.Struct("<4sHH")
# Above this many rows the kilobyte that an Arrow stream costs no longer matters.
FEW_ROWS = 64
LETTERS: dict[pl.DataType, str] = {
    pl.Int64(): "q",
    pl.Float64(): "d",
    pl.Boolean(): "?",
    pl.Int32(): "i",
    pl.UInt8(): "B",
    pl.Date(): "D",
    INSTANT: "T",
    pl.String(): "s",
    pl.Binary(): "y",
}
KINDS = {letter: kind for kind, letter in LETTERS.items()}
# How a kind lies in the record: days as 32, instants (microseconds, UTC) as 64 bits; texts are lengths, then bytes.
FORMS = {"D": "i", "T": "q", "s": "I", "y": "I"}


@dataclass(frozen=True)
class Entry:
    """Rows of one table inside a frame, with what is the same for all of them (feed, received_at)."""

    table: str
    rows: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)


def pack(entries: Sequence[Entry]) -> bytes:
    """The payload of one frame."""
    parts = [struct.pack("<H", len(entries))]
    for entry in entries:
        about = json.dumps({"table": entry.table, **entry.facts}, separators=(",", ":")).encode()
        body = _body(entry.rows)
        parts += [SECTION.pack(len(about), len(body)), about, body]
    return b"".join(parts)


def unpack(payload: bytes) -> list[Entry]:
    """The entries of one frame's payload."""
    (count,), at, entries = struct.unpack_from("<H", payload), 2, []
    for _ in range(count):
        about_length, body_length = SECTION.unpack_from(payload, at)
        at += SECTION.size
        facts = json.loads(payload[at : at + about_length])
        at += about_length
        body = payload[at : at + body_length]
        rows = _unrecorded(body) if body.startswith(RECORD) else pl.read_ipc_stream(BytesIO(body))
        at += body_length
        entries.append(Entry(facts.pop("table"), rows, facts))
    return entries


def frame(seq: int, entries: Sequence[Entry]) -> bytes:
    """One whole frame: magic, length, checksum, number, payload."""
    payload = pack(entries)
    return HEADER.pack(MAGIC, len(payload), zlib.crc32(payload, seq & 0xFFFFFFFF), seq) + payload


def frames(raw: bytes) -> Iterator[tuple[int, int | None, bytes]]:
    """(offset, seq, payload) of each whole frame; last (offset where good data ends, None, b"")."""
    at = 0
    while at + HEADER.size <= len(raw):
        magic, length, crc, seq = HEADER.unpack_from(raw, at)
        end = at + HEADER.size + length
        if magic != MAGIC or end > len(raw):
            break
        payload = raw[at + HEADER.size : end]
        if zlib.crc32(payload, seq & 0xFFFFFFFF) != crc:
            break
        yield at, seq, payload
        at = end
    yield at, None, b""


def _body(rows: pl.DataFrame) -> bytes:
    """A few rows as a record, many as an Arrow stream."""
    if rows.height <= FEW_ROWS and all(kind in LETTERS for kind in rows.schema.values()):
        return _recorded(rows)
    # Not by Polars, whose thread pool the KPIs of a beat may keep busy: a sender waits for this.
    table, body = rows.to_arrow(compat_level=pl.CompatLevel.newest()), pa.BufferOutputStream()
    with pa.ipc.new_stream(body, table.schema, options=pa.ipc.IpcWriteOptions(use_threads=False)) as stream:
        stream.write_table(table)
    return body.getvalue().to_pybytes()


def _recorded(rows: pl.DataFrame) -> bytes:
    """The record of some rows: head, the columns' names and letters as JSON, then column after column."""
    named = _named(tuple(rows.schema.items()))
    parts = [RECORD_HEAD.pack(RECORD, rows.height, len(named)), named]
    for column in rows.get_columns():
        letter, empty = LETTERS[column.dtype], column.null_count()
        cells = _cells(column)
        parts.append(bytes((empty > 0,)))
        if empty:
            parts.append(bytes(cell is None for cell in cells))
        if letter in "sy":
            texts = [(cell.encode() if letter == "s" else cell) if cell is not None else b"" for cell in cells]
            parts += [struct.pack(f"<{len(cells)}I", *map(len, texts)), *texts]
        else:
            whole = [0 if cell is None else cell for cell in cells] if empty else cells
            parts.append(struct.pack(f"<{len(cells)}{FORMS.get(letter, letter)}", *whole))
    return b"".join(parts)


def _cells(column: pl.Series) -> list[Any]:
    """The cells as the record has them: days and instants as numbers."""
    if column.dtype == INSTANT and not column.null_count():
        return micros(column).tolist()
    return (column.to_physical() if column.dtype.is_temporal() else column).to_list()


@lru_cache(maxsize=256)
def _named(columns: tuple[tuple[str, pl.DataType], ...]) -> bytes:
    return json.dumps({name: LETTERS[kind] for name, kind in columns}, separators=(",", ":")).encode()


@lru_cache(maxsize=256)
def _letters(named: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(named)
    return found


def _unrecorded(body: bytes) -> pl.DataFrame:
    """The rows of a record."""
    _, height, named = RECORD_HEAD.unpack_from(body)
    at = RECORD_HEAD.size + named
    columns = []
    for name, letter in _letters(body[RECORD_HEAD.size : at]).items():
        has_empty, at = body[at], at + 1
        empty = body[at : at + height] if has_empty else b""
        at += len(empty)
        form = f"<{height}{FORMS.get(letter, letter)}"
        cells: list[Any] = list(struct.unpack_from(form, body, at))
        at += struct.calcsize(form)
        if letter in "sy":
            cells, at = _texts(body, at, cells, letter)
        if has_empty:
            cells = [None if gone else cell for gone, cell in zip(empty, cells, strict=True)]
        columns.append(_column(name, letter, cells))
    return pl.DataFrame(columns)


def _texts(body: bytes, at: int, lengths: Sequence[int], letter: str) -> tuple[list[Any], int]:
    found: list[Any] = []
    for length in lengths:
        raw = body[at : at + length]
        found.append(raw.decode() if letter == "s" else raw)
        at += length
    return found, at


def _column(name: str, letter: str, cells: list[Any]) -> pl.Series:
    kind = KINDS[letter]
    if letter in "DT":
        return pl.Series(name, cells, dtype=pl.Int32 if letter == "D" else pl.Int64).cast(kind)
    return pl.Series(name, cells, dtype=kind)
