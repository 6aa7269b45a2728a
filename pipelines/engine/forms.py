"""Rows as bytes: CSV, JSON, NDJSON as streams; Parquet and Excel as files. One place decides how a cell is written."""

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from pipelines.engine.model import Column
from pipelines.engine.spans import Extract

STREAMED = ("csv", "json", "ndjson")
FORMS = (*STREAMED, "parquet", "xlsx")
MEDIA = {
    "csv": "text/csv; charset=utf-8; header=present",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
BOM = "\N{BYTE ORDER MARK}".encode()
RFC_3339 = "%Y-%m-%dT%H:%M:%S%.fZ"
# What a spreadsheet takes for a formula (OWASP, CSV injection), the full-width forms included.
FORMULA = "^[=+\\-@\t\r\n＝＋－＠]"
SHEET_ROWS, CELL_TEXT, EXACT = 1_048_575, 32_767, 2**53
# The largest number a cell can hold (Excel specifications and limits).
LARGEST = 9.99999999999999e307
SHEET_EPOCH = datetime(1900, 3, 1, tzinfo=UTC)
# Widths of columns in a workbook, in characters, by kind.
WIDTHS = {"instant": 20, "day": 11, "flag": 7, "code": 7}
# Under this key a Parquet file says what it holds.
ABOUT = "townboard"


def worded(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with instants as RFC 3339 text in UTC and numbers that are none as null."""
    instants = [pl.col(name) for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime)]
    figures = [pl.col(name) for name, kind in frame.schema.items() if kind == pl.Float64]
    return frame.with_columns(
        *(column.dt.convert_time_zone("UTC").dt.strftime(RFC_3339) for column in instants),
        *(pl.when(column.is_finite()).then(column) for column in figures),
    )


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with lists as one text each: items between semicolons, the fields of an item between spaces."""
    texts = {
        name: pl.Series([_joined(item) for item in frame[name]], dtype=pl.String)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.List)
    }
    return frame.with_columns(**texts)


def _joined(items: Any) -> str | None:
    if items is None:
        return None
    fields = [item.values() if isinstance(item, dict) else (item,) for item in items]
    return ";".join(" ".join("" if part is None else str(part) for part in item) for item in fields)


def harmless(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with an apostrophe before each text that a spreadsheet would run as a formula; numbers stay numbers."""
    return frame.with_columns(
        pl.when(pl.col(name).str.contains(FORMULA)).then("'" + pl.col(name)).otherwise(pl.col(name)).alias(name)
        for name, kind in frame.schema.items()
        if kind == pl.String
    )


def csv_rows(frame: pl.DataFrame, header: bool = False) -> bytes:
    """RFC 4180 lines of a frame; nothing between two commas is null, "" is an empty text."""
    return harmless(flat(worded(frame))).write_csv(include_header=header, line_terminator="\r\n").encode()


def ndjson_rows(frame: pl.DataFrame) -> bytes:
    """One JSON object a line."""
    return worded(frame).write_ndjson().encode()


def json_rows(frame: pl.DataFrame) -> bytes:
    """JSON objects with commas between them."""
    return worded(frame).write_json().encode()[1:-1]


def streamed(
    extract: Extract, frames: Iterable[pl.DataFrame], form: str, *, key: str = "rows", following: str | None = None
) -> Iterator[bytes]:
    """The bytes of an export in one of STREAMED. JSON ends with the number of rows, so that a whole answer shows."""
    if form == "json":
        yield from _json(frames, key, following)
        return
    if form == "csv":
        yield csv_rows(extract.empty(), header=True)
    write = csv_rows if form == "csv" else ndjson_rows
    for frame in frames:
        yield write(frame)


def _json(frames: Iterable[pl.DataFrame], key: str, following: str | None) -> Iterator[bytes]:
    yield b"{%s:[" % orjson.dumps(key)
    count = 0
    for frame in frames:
        yield (b",\n" if count else b"\n") + json_rows(frame)
        count += frame.height
    yield b'\n],"count":%d,"next":%s}\n' % (count, orjson.dumps(following))


def write_parquet(extract: Extract, frames: Iterable[pl.DataFrame], path: Path) -> int:
    """A Parquet file with instants as UTC microseconds, put together from pieces so that memory stays flat.

    Its metadata hold, under ABOUT, the columns with unit and meaning, and what the manifest tells.
    """
    rows = 0
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export") as folder:
        pieces = [Path(folder) / "0"]
        extract.empty().write_parquet(pieces[0])
        for frame in frames:
            pieces.append(Path(folder) / str(len(pieces)))
            frame.write_parquet(pieces[-1], compression="lz4")
            rows += frame.height
        about = orjson.dumps({**extract.about, "table": extract.name, "rows": rows, "columns": columns(extract)})
        pl.scan_parquet(pieces).sink_parquet(path, metadata={ABOUT: about.decode()})
    return rows


def columns(extract: Extract) -> list[dict[str, str | None]]:
    """The columns as a manifest names them: column, type, unit, meaning."""
    return [{"column": c.name, "type": c.kind, "unit": c.unit, "meaning": c.meaning} for c in extract.columns]


def write_xlsx(extract: Extract, frames: Iterable[pl.DataFrame], path: Path) -> int:
    """An Excel workbook; instants are cells of date and time in UTC; beyond the rows of one sheet another follows.

    The sheet `columns` is the dictionary, with the unit and meaning of each; `about` is what the manifest tells.
    """
    # Not held by every process that never writes a workbook.
    import xlsxwriter

    rows = 0
    with xlsxwriter.Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)}) as book:
        looks = {"instant": "yyyy-mm-dd hh:mm:ss", "day": "yyyy-mm-dd"}
        styles = {kind: book.add_format({"num_format": look}) for kind, look in looks.items()}
        sheet = _sheet(book, extract, 0)
        for frame in frames:
            for cells in harmless(flat(frame)).iter_rows():
                if rows and rows % SHEET_ROWS == 0:
                    sheet = _sheet(book, extract, rows)
                _line(sheet, rows % SHEET_ROWS + 1, cells, styles)
                rows += 1
        described = [("column", "type", "unit", "meaning"), *map(_described, extract.columns)]
        _texts(book.add_worksheet("columns"), described)
        about = {"table": extract.name, "rows": rows, **extract.about}
        _texts(book.add_worksheet("about"), [(name, _told(value)) for name, value in about.items()])
    return rows


def _sheet(book: Any, extract: Extract, rows: int) -> Any:
    sheet = book.add_worksheet(f"rows {rows + 1}")
    sheet.freeze_panes(1, 0)
    for place, column in enumerate(extract.columns):
        sheet.set_column(place, place, WIDTHS.get(column.kind, 14))
        sheet.write_string(0, place, column.name)
    return sheet


def _described(column: Column) -> tuple[str, str, str, str]:
    return column.name, column.kind, column.unit or "", column.meaning


def _texts(sheet: Any, rows: Iterable[Iterable[str]]) -> None:
    """Rows of text on a sheet of their own; none of it is a formula, for each cell is written as a string."""
    sheet.set_column(0, 3, 22)
    for number, row in enumerate(rows):
        for place, text in enumerate(row):
            sheet.write_string(number, place, text)


def _told(value: Any) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)


def _line(sheet: Any, row: int, cells: Iterable[Any], styles: dict[str, Any]) -> None:
    for place, cell in enumerate(cells):
        if isinstance(cell, bool):
            sheet.write_boolean(row, place, cell)
        elif isinstance(cell, int | float):
            _figure(sheet, row, place, cell)
        elif isinstance(cell, datetime):
            _instant(sheet, row, place, cell, styles)
        elif isinstance(cell, date) and cell >= SHEET_EPOCH.date():
            sheet.write_datetime(row, place, cell, styles["day"])
        elif cell is not None:
            sheet.write_string(row, place, _fitting(str(cell)))


def _figure(sheet: Any, row: int, place: int, cell: float) -> None:
    """A number; one that a spreadsheet would round or cannot hold stands as text, what is no number stays empty."""
    if (isinstance(cell, int) and abs(cell) > EXACT) or LARGEST < abs(cell) < math.inf:
        sheet.write_string(row, place, str(cell))
    elif cell - cell == 0:
        sheet.write_number(row, place, cell)


def _instant(sheet: Any, row: int, place: int, cell: datetime, styles: dict[str, Any]) -> None:
    if cell < SHEET_EPOCH:
        sheet.write_string(row, place, cell.isoformat())
    else:
        sheet.write_datetime(row, place, cell.astimezone(UTC).replace(tzinfo=None), styles["instant"])


def _fitting(text: str) -> str:
    """A text that fits a cell; one that does not says how much is missing."""
    if len(text) <= CELL_TEXT:
        return text
    kept = CELL_TEXT - 60
    return f"{text[:kept]} … [{len(text) - kept} more characters: take CSV or JSON]"


Writer = Callable[[Extract, Iterable[pl.DataFrame], Path], int]
WRITERS: dict[str, Writer] = {"parquet": write_parquet, "xlsx": write_xlsx}
