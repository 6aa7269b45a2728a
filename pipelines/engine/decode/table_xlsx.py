"""An Excel workbook -> a sheet."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from pipelines.engine.decode.base import ROW, Refused
from pipelines.engine.decode.table_sheet import Pick, Sheet, named
from pipelines.engine.decode.text import MAX_MB, refuse_other_files

if TYPE_CHECKING:
    import fastexcel

NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?$"


def read_xlsx(payload: bytes, mapping: Mapping[str, Any], expected: Sequence[str], pick: Pick) -> Sheet:
    """The sheet that the mapping names, or the first one; rows are numbered as the spreadsheet shows them."""
    refuse_other_files(payload, "xlsx")
    _refuse_bombs(payload, mapping.get("max_mb", MAX_MB))
    cells = _cells(payload, mapping.get("sheet"))
    idle = pl.all_horizontal((pl.all().is_null()) | (pl.all().str.strip_chars() == ""))
    cells = cells.with_row_index(ROW, 1).with_columns(pl.col(ROW).cast(pl.UInt32))
    filled = cells.filter(~cells.drop(ROW).select(idle.alias("idle"))["idle"]) if cells.width > 1 else cells.clear()
    filled = filled.filter(pl.col(ROW) > mapping.get("skip_before", 0))
    if not filled.height:
        raise Refused("empty", "The spreadsheet has no filled rows. Check the sheet's name and skip_before.")
    first = filled.row(0)
    if mapping.get("header", True):
        headings = named(first[1:])
        filled = filled.slice(1).filter(pl.col(ROW) > first[0] + mapping.get("skip_after", 0))
    else:
        headings = [f"#{i}" for i in range(1, len(first))]
        filled = filled.filter(pl.col(ROW) >= first[0] + mapping.get("skip_after", 0))
    filled = filled.select(ROW, *(pl.nth(i + 1).alias(name) for i, name in enumerate(headings)))

    def original(row: int) -> bytes:
        found = filled.filter(pl.col(ROW) == row).drop(ROW).to_dicts()
        return orjson.dumps(found[0]) if found else b""

    return Sheet(filled.select(ROW, *pick(headings)), original, "row", dated=True)


def _refuse_bombs(payload: bytes, max_mb: float) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except Exception as error:
        raise Refused("damaged", "This is no whole Excel workbook (.xlsx): it broke off or is damaged.") from error
    if size > max_mb * 2**20:
        raise Refused(
            "too_large", f"The workbook unpacks to more than {max_mb:g} MB. Send it in parts, or raise max_mb."
        )


def _cells(payload: bytes, sheet: str | None) -> pl.DataFrame:
    """All cells as text, first row and all; dates as ISO text."""
    # Not held by every process that never reads a workbook.
    import fastexcel

    try:
        book = fastexcel.read_excel(payload)
        names = book.sheet_names
    except Exception as error:
        raise Refused("not_this_format", "This is no Excel workbook (.xlsx), or it is damaged.") from error
    if not names or (sheet is not None and sheet not in names):
        raise Refused("missing_sheet", f"The workbook has no sheet {sheet!r}. It has: {', '.join(names) or 'none'}.")
    try:
        text = _load(book, sheet or names[0], "string")
        return _exact(text, _load(book, sheet or names[0], "float"))
    except (pl.exceptions.PanicException, Exception) as error:
        raise Refused("damaged", "The sheet cannot be read: the workbook is damaged.") from error


def _load(book: "fastexcel.ExcelReader", sheet: str, kind: Any) -> list[pl.Series]:
    loaded = book.load_sheet(sheet, header_row=None, skip_rows=0, dtypes=kind)
    return loaded.to_polars().get_columns() if loaded.width else []


def _exact(texts: list[pl.Series], numbers: list[pl.Series]) -> pl.DataFrame:
    """The text of the cells, with numbers in full: as text calamine rounds them to nine decimals."""
    columns = []
    for place, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        both = pl.DataFrame({"text": text.cast(pl.String), "number": number.cast(pl.Float64)})
        rounded = pl.col("text").str.contains(NUMBER) & (
            pl.col("text").cast(pl.Float64, strict=False) != pl.col("number")
        )
        whole = pl.when(rounded).then(pl.col("number").cast(pl.String)).otherwise(pl.col("text"))
        columns.append(both.select(whole.alias(f"column {place}")).to_series())
    return pl.DataFrame(columns)
