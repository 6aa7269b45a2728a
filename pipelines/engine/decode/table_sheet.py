"""A payload as a sheet: columns under the names the file gives them, one row per record, nothing interpreted yet."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import polars as pl

from pipelines.engine.decode.base import ROW, Refusal, Refused, RowOriginals

Pick = Callable[[Sequence[str]], Sequence[str]]
"""Chooses from the headings found those that the mapping needs; raises Refused when one is missing."""


BRACES = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Sheet:
    """The picked columns of a file (text, or numbers and times where the format has such types) and `_row`.

    `place`: what the clerk calls a position in this kind of file (line, row, record).
    `dated`: cells may be real dates that the reader wrote as ISO text, whatever format the mapping declares.
    A sheet of several messages says in `apart` which rows came in one, and in `counted` a row's place in its own.
    """

    frame: pl.DataFrame
    original: RowOriginals
    place: str
    refused: tuple[Refusal, ...] = ()
    dated: bool = False
    apart: pl.Series | None = None
    counted: Callable[[int], int] = int

    def set_aside(self, bad: pl.DataFrame) -> tuple[Refusal, ...]:
        """Refusals of rows that no table can hold.

        Shape of `bad`: `_row`, `reason`, `detail`.
        """
        return tuple(
            Refusal(row, reason, f"{self.place} {self.counted(row)}: {detail}", self.original(row))
            for row, reason, detail in bad.select(ROW, "reason", "detail").iter_rows()
        )


def named(cells: Sequence[str | None]) -> list[str]:
    """Headings from the cells of the header row: spaces tidied, nameless columns called #3, a second `x` called x (2).

    Nameless columns at the end are dropped.
    """
    titles = [tidy(cell or "") for cell in cells]
    while titles and not titles[-1]:
        titles.pop()
    seen = {ROW: 1}
    names = []
    for position, name in enumerate(titles, start=1):
        known = name or f"#{position}"
        seen[known] = seen.get(known, 0) + 1
        names.append(known if seen[known] == 1 else f"{known} ({seen[known]})")
    return names


def as_text(cells: pl.Series) -> pl.Series:
    """The cells as text; whole numbers that a file keeps as floats lose their `.0`."""
    if cells.dtype == pl.String:
        return cells
    if cells.dtype.is_float():
        whole = cells.cast(pl.Int64, strict=False)
        both = pl.DataFrame({"number": cells, "whole": whole})
        shorter = pl.when(pl.col("whole").cast(cells.dtype) == pl.col("number")).then(pl.col("whole").cast(pl.String))
        return both.select(shorter.otherwise(pl.col("number").cast(pl.String)).alias(cells.name)).to_series()
    return cells.cast(pl.String, strict=False)


def without_words(frame: pl.DataFrame, words: Sequence[str]) -> pl.DataFrame:
    """The frame with trimmed text in which empty cells and the given words for "missing" are null."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String and name != ROW]
    trimmed = [pl.col(name).str.strip_chars() for name in texts]
    gone = ["", *words]
    return frame.with_columns(
        pl.when(~cell.is_in(gone)).then(cell).alias(name) for name, cell in zip(texts, trimmed, strict=True)
    )


def require(needed: Sequence[str], headings: Sequence[str]) -> None:
    """Nothing, when all needed columns are there.

    Raises Refused that names those missing and those found.
    """
    missing = [name for name in dict.fromkeys(needed) if name not in headings]
    if missing:
        found = ", ".join(list(headings)[:60]) or "none"
        raise Refused(
            "missing_column",
            f"Missing: {', '.join(missing)}. The file has these columns: {found}. "
            "Ask the sender what changed, or correct the names in the feed's mapping.",
        )


def tidy(name: str) -> str:
    """A column's name as headings are kept: every run of spaces or line breaks is one space."""
    return " ".join(name.split())


def columns_in(template: str | None) -> list[str]:
    """The columns that a template such as "{City}-pm25" takes text from."""
    return [tidy(name) for name in BRACES.findall(template or "")]


def filled(frame: pl.DataFrame, template: str) -> pl.Series:
    """The template with each row's text in place of its braces; null where one of them is empty."""
    names = columns_in(template)
    if not names:
        return pl.Series([template], dtype=pl.String).new_from_index(0, frame.height)
    texts = pl.DataFrame([as_text(frame[name]) for name in dict.fromkeys(names)])
    pieces = BRACES.split(template)
    parts = [pl.col(tidy(piece)) if i % 2 else pl.lit(piece) for i, piece in enumerate(pieces)]
    return texts.select(pl.concat_str(parts).alias("filled")).to_series()
