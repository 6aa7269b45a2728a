"""Text -> numbers as people write them: decimal comma, thousands separators, codes that stand for "missing"."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import polars as pl

THOUSANDS = (".", ",", " ", "'")


@dataclass(frozen=True)
class Figures:
    """How a file writes its numbers."""

    decimal: str = "."
    thousands: str = ""
    codes: tuple[float, ...] = ()

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> Self:
        """The style that a mapping declares; those of its missing-value codes that are numbers are `codes`."""
        style = cls(mapping.get("decimal", "."), mapping.get("thousands", ""))
        codes = tuple(number for code in mapping.get("missing", ()) if (number := style.number(str(code))) is not None)
        return cls(style.decimal, style.thousands, codes)

    def number(self, text: str) -> float | None:
        """One number, or None when the text is none; a code may be written with a point as well."""
        for style in (self, Figures()):
            value = style._read(pl.Series([text]))[0]
            if value is not None:
                return float(value)
        return None

    def numbers(self, cells: pl.Series) -> tuple[pl.Series, pl.Series]:
        """The numbers, and beside them where a cell holds something that is no number.

        Empty cells and codes for "missing" are null and no fault; so is NaN in a file that has real numbers.
        """
        if cells.dtype.is_numeric():
            values = cells.cast(pl.Float64).fill_nan(None)
            faulty = values.is_infinite().fill_null(False)
        else:
            values = self._read(cells.cast(pl.String))
            faulty = cells.is_not_null() & ~values.is_finite().fill_null(False)
        missing = values.is_in(list(self.codes)) | faulty if self.codes else faulty
        return values.set(missing.fill_null(False), None), faulty

    def _read(self, texts: pl.Series) -> pl.Series:
        cell = pl.col("cell").str.strip_chars().str.replace("−", "-", literal=True)
        plain = cell.str.replace_all(self._separator, "") if self.thousands else cell
        if self.decimal == ",":
            plain = plain.str.replace(",", ".", literal=True)
        value = pl.when(cell.str.contains(self._pattern)).then(plain.cast(pl.Float64, strict=False))
        return texts.rename("cell").to_frame().select(value.alias("value")).to_series()

    @property
    def _separator(self) -> str:
        return "[   ]" if self.thousands == " " else re.escape(self.thousands)

    @property
    def _pattern(self) -> str:
        point = re.escape(self.decimal)
        whole = rf"(?:\d+|\d{{1,3}}(?:{self._separator}\d{{3}})+)" if self.thousands else r"\d+"
        return rf"^[+-]?(?:{whole}(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d{{1,3}})?$"


def words_only(codes: Sequence[Any]) -> list[str]:
    """The missing-value codes that are words: they count in every column, numbers only where numbers are read."""
    return [str(code).strip() for code in codes if Figures().number(str(code)) is None]
