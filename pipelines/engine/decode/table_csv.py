"""CSV as towns send it -> a sheet: odd delimiters, preambles, units rows, stray quotes; every line read or refused."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

import polars as pl

from pipelines.engine.decode.base import ROW, Refusal, Refused
from pipelines.engine.decode.table_sheet import Pick, Sheet, named
from pipelines.engine.decode.text import UNDECODABLE, refuse_other_files, to_text

DELIMITERS = (",", ";", "\t", "|")
LINES_IN_A_RECORD = 200
ROWS_TO_SNIFF = 20


@dataclass(frozen=True)
class _Dialect:
    """One delimiter and quote: how a line falls into fields."""

    delimiter: str
    quote: str

    @cached_property
    def whole(self) -> re.Pattern[str]:
        """Matches a record in which every quotation mark that opens a field is closed again."""
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        one = rf"(?:{q}(?:[^{q}]|{q}{q})*+{q}[^{d}{q}]*+|[^{d}{q}][^{d}]*+|)"
        return re.compile(rf"{one}(?:{d}{one})*+")

    @property
    def simple(self) -> str:
        """Matches lines whose quotation marks enclose whole fields without marks or delimiters in them."""
        d, q = re.escape(self.delimiter), re.escape(self.quote)
        one = rf"(?:{q}[^{d}{q}]*{q}|[^{d}{q}]*)"
        return rf"^{one}(?:{d}{one})*$"

    def fields(self, record: str) -> list[str]:
        """The fields of one record.

        Raises csv.Error when a field is beyond all measure.
        """
        if not self.quote or self.quote not in record:
            return record.split(self.delimiter)
        return next(csv.reader([record], delimiter=self.delimiter, quotechar=self.quote), [])


@dataclass(frozen=True)
class _Lines:
    """The physical lines of the file and the codec that gives their bytes back; `spans`: records longer than a line."""

    texts: list[str]
    codec: str
    spans: dict[int, int] = field(default_factory=dict)

    def original(self, row: int) -> bytes:
        """The bytes of the record that begins on this line, without its line end."""
        text = "\n".join(self.texts[row - 1 : row - 1 + self.spans.get(row, 1)]).removesuffix("\r")
        return text.encode(self.codec, "surrogatepass" if self.codec.startswith("utf-16") else "surrogateescape")


@dataclass
class _Table:
    """Where the records begin, what the columns are called and how many fields a line has."""

    dialect: _Dialect
    headings: list[str]
    width: int
    first: int

    def fault(self, count: int, extra: Sequence[str]) -> str | None:
        """Why a line with so many fields does not fit; empty fields at its end do not count."""
        if count < len(self.headings):
            return f"it has {count} fields where {len(self.headings)} belong"
        if count > self.width and any(cell.strip() for cell in extra):
            return (
                f"it has {count} fields where {self.width} belong (a {self.dialect.delimiter!r} too many, or unquoted?)"
            )
        return None


def read_csv(payload: bytes, mapping: Mapping[str, Any], expected: Sequence[str], pick: Pick) -> Sheet:
    """The sheet of a CSV file; `expected`, the headings that the mapping names, tell which delimiter is right."""
    refuse_other_files(payload, "csv")
    text, codec = to_text(payload, mapping.get("encoding", "auto"))
    lines = _Lines(text.split("\n" if "\n" in text else "\r"), codec)
    table = _table(lines, mapping, expected)
    wanted = {name: table.headings.index(name) for name in pick(table.headings)}
    plain, others = _sorted_out(lines, table, mapping.get("comment", ""))
    frame = _split(plain, table, wanted)
    rows, refused = _read_one_by_one(lines, table, others)
    if rows:
        cells = {name: [fields[at] for _, fields in rows] for name, at in wanted.items()}
        slow = pl.DataFrame({ROW: [row for row, _ in rows], **cells}, schema=frame.schema)
        frame = pl.concat([frame, slow]).sort(ROW)
    return Sheet(frame, lines.original, "line", tuple(refused))


def head_of(payload: bytes, mapping: Mapping[str, Any], expected: Sequence[str]) -> tuple[str, str | None]:
    """The codec of a CSV file and its record of headings, None where it has none.

    Raises Refused.
    """
    text, codec = to_text(payload, mapping.get("encoding", "auto"))
    lines = _Lines((text.split("\n") if "\n" in text else text.split("\r")), codec)
    if not mapping.get("header", True):
        return codec, None
    table, start = _table(lines, mapping, expected), mapping.get("skip_before", 0)
    at = next(i for i in range(start, len(lines.texts)) if not _idle(lines.texts[i], mapping.get("comment", "")))
    record, _ = _record(lines.texts, at, table.dialect) or (lines.texts[at], 1)
    return codec, UNDECODABLE.sub("\ufffd", record.removesuffix("\r"))


def _table(lines: _Lines, mapping: Mapping[str, Any], expected: Sequence[str]) -> _Table:
    start, comment = mapping.get("skip_before", 0), mapping.get("comment", "")
    quote = mapping.get("quote", '"')
    useful = (i for i in range(start, len(lines.texts)) if not _idle(lines.texts[i], comment))
    at = next(useful, None)
    if at is None:
        raise Refused("empty", f"The file has no header after the {start} lines to skip. Check skip_before.")
    head = [at, *islice(useful, ROWS_TO_SNIFF)]
    given = mapping.get("delimiter")
    tables = [_headed(lines, head, _Dialect(d, quote), mapping) for d in ([given] if given else DELIMITERS)]
    return max(tables, key=lambda table: (len(set(expected) & set(table.headings)), table.width))


def _headed(lines: _Lines, head: list[int], dialect: _Dialect, mapping: Mapping[str, Any]) -> _Table:
    at = head[0]
    record, span = _record(lines.texts, at, dialect) or (lines.texts[at], 1)
    try:
        cells = dialect.fields(record.rstrip("\r"))
    except csv.Error as error:
        raise Refused("not_this_format", "The first line is far too long for a header: this is no CSV.") from error
    if mapping.get("header", True):
        return _Table(dialect, named(cells), len(cells), at + span + mapping.get("skip_after", 0))
    counts = [len(cells), *(lines.texts[i].count(dialect.delimiter) + 1 for i in head[1:] if '"' not in lines.texts[i])]
    width = max(sorted(set(counts)), key=counts.count)
    return _Table(dialect, [f"#{i + 1}" for i in range(width)], width, at + mapping.get("skip_after", 0))


def _idle(line: str, comment: str) -> bool:
    """Whether the line is blank or a comment; a row of nothing but delimiters is blank."""
    return not line.strip(' \t\r,;|"') or bool(comment and line.lstrip().startswith(comment))


def _sorted_out(lines: _Lines, table: _Table, comment: str) -> tuple[pl.DataFrame, list[int]]:
    """The lines that fall apart at their delimiters, and the indexes of those that need a closer look."""
    texts = lines.texts[table.first :]
    broken = [i for i, line in enumerate(texts) if not line.isascii() and UNDECODABLE.search(line)]
    safe = [None if i in set(broken) else line for i, line in enumerate(texts)] if broken else texts
    blank = ' \t\r"' + table.dialect.delimiter + table.dialect.quote
    frame = pl.DataFrame({"line": pl.Series(safe, dtype=pl.String)}).with_row_index("index", table.first)
    line = pl.col("line").str.strip_chars_end("\r")
    idle = line.str.strip_chars(blank) == ""
    if comment:
        idle = idle | line.str.strip_chars_start().str.starts_with(comment)
    fits = line.str.count_matches(table.dialect.delimiter, literal=True) == table.width - 1
    quote = table.dialect.quote
    if quote:
        quoted = line.str.contains(quote, literal=True)
        fits = fits & (~quoted | line.str.contains(table.dialect.simple))
        line = pl.when(quoted & fits).then(line.str.replace_all(quote, "", literal=True)).otherwise(line)
    frame = frame.with_columns(line, idle=idle.fill_null(False), fits=fits.fill_null(False))
    others = frame.filter(~pl.col("fits") & ~pl.col("idle"))["index"].to_list()
    return frame.filter(pl.col("fits") & ~pl.col("idle")), others


def _split(plain: pl.DataFrame, table: _Table, wanted: Mapping[str, int]) -> pl.DataFrame:
    fields = plain.select((pl.col("index") + 1).alias(ROW), pl.col("line").str.split(table.dialect.delimiter))
    cells = [pl.col("line").list.get(at).alias(name) for name, at in wanted.items()]
    return fields.select(pl.col(ROW).cast(pl.UInt32), *cells)


def _read_one_by_one(
    lines: _Lines, table: _Table, indexes: list[int]
) -> tuple[list[tuple[int, list[str]]], list[Refusal]]:
    """Rows from quoted lines and lines with an odd number of fields, and refusals of those that cannot be rows."""
    rows, refused, done = [], [], -1
    for index in indexes:
        if index < done:
            continue
        fields, span, fault = _fields(lines.texts, index, table)
        done = index + span
        if span > 1:
            lines.spans[index + 1] = span
        if fault:
            detail = f"line {index + 1}: {fault}. Correct the line in the sending system and send it again."
            refused.append(Refusal(index + 1, "unreadable_row", detail, lines.original(index + 1)))
        elif any(cell.strip() for cell in fields):
            rows.append((index + 1, fields))
    return rows, refused


def _fields(texts: list[str], index: int, table: _Table) -> tuple[list[str], int, str | None]:
    """Fields of the record that begins here, the lines it spans, and what is wrong with it.

    A quotation mark that is closed lines later only counts when the record then fits, so that a stray mark
    costs its own line and no other.
    """
    if UNDECODABLE.search(texts[index]):
        return [], 1, "it holds bytes that are no letters in the file's encoding"
    found = _record(texts, index, table.dialect)
    if found is None:
        return [], 1, "a quotation mark opens a field and is never closed"
    record, span = found
    try:
        fields = table.dialect.fields(record)
    except csv.Error:
        return [], 1, "a field is far too long"
    fault = table.fault(len(fields), fields[table.width :])
    if fault and span > 1:
        return [], 1, "a quotation mark opens a field and is not closed on this line"
    return fields, span, fault


def _record(texts: list[str], index: int, dialect: _Dialect) -> tuple[str, int] | None:
    """The text of the record that begins here and how many lines it spans; None when it never ends."""
    record = texts[index].removesuffix("\r")
    if not dialect.quote or dialect.quote not in record:
        return record, 1
    whole = dialect.whole
    for span, line in enumerate(_following(texts, index), start=1):
        record = line if span == 1 else f"{record}\n{line}"
        if (span == 1 or dialect.quote in line) and whole.fullmatch(record):
            return record, span
    return None


def _following(texts: list[str], index: int) -> Iterator[str]:
    return (texts[i].removesuffix("\r") for i in range(index, min(index + LINES_IN_A_RECORD, len(texts))))
