"""One register of the town as a clerk saved it: reference/<name>.csv, each mistake named by its line."""

import csv
import io
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import Column, Reference
from pipelines.engine.settings import shown_path

# Up to here every whole number can be told from its neighbours when it was written as a number with a point.
LARGEST_INTEGER = 2**53
_PARSERS: dict[str, Callable[[str], Any]] = {"flag": lambda text: text.lower() in ("1", "true", "yes", "y")}


def read(path: Path, reference: Reference, zone: str, mistakes: list[str], lines: list[int]) -> pl.DataFrame:
    """The rows of one register; `lines` receives the line of the file that each stands on.

    An instant without an offset is on the town's clock, `zone`.
    """
    header, rows = _header_and_rows(path, reference, mistakes)
    shown = shown_path(path)
    found: dict[str, list[Any]] = {column.name: [] for column in reference.columns}
    seen: dict[tuple[Any, ...], int] = {}
    for number, row in enumerate(rows, 2):
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[len(header) :]):
            mistakes.append(
                f"{shown}, line {number}: more cells than the {len(header)} columns. "
                "A text with a comma in it must stand in quotes."
            )
            continue
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        values = {c.name: _cell(shown, number, c, cells.get(c.name, ""), zone, mistakes) for c in reference.columns}
        key = tuple(values[name] for name in reference.key)
        if key in seen:
            mistakes.append(
                f"{shown}, line {number}: {', '.join(map(str, key))} stands already on line {seen[key]}. Keep one."
            )
            continue
        seen[key] = number
        lines.append(number)
        for name, value in values.items():
            found[name].append(value)
    return pl.DataFrame(found, schema=reference.schema)


def _header_and_rows(
    path: Path, reference: Reference, mistakes: list[str]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """The names of the columns and the rows below them; no rows where the file cannot be used."""
    shown = shown_path(path)
    if not path.is_file():
        if not reference.optional:
            mistakes.append(f"{shown} is missing. It holds {reference.meaning.lower()}")
        return (), ()
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        mistakes.append(f"{shown} is not saved as UTF-8. In the spreadsheet choose 'CSV UTF-8' when saving.")
        return (), ()
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    try:
        rows = list(reader)
    except csv.Error:
        mistakes.append(
            f"{shown}, line {reader.line_num}: a cell holds more than {csv.field_size_limit():,} characters. "
            'Look there for a quotation mark (") that is opened and never closed.'
        )
        return (), ()
    header = [name.strip() for name in rows[0]] if rows else []
    missing = [c.name for c in reference.columns if c.required and c.name not in header]
    if missing:
        mistakes.append(
            f"{shown}, line 1: the column {', '.join(missing)} is missing. Found: {', '.join(header) or 'nothing'}."
        )
        return (), ()
    return header, rows[1:]


def _cell(shown: str, line: int, column: Column, text: str, zone: str, mistakes: list[str]) -> Any:
    where = f"{shown}, line {line}, column {column.name}"
    if not text:
        if column.required:
            mistakes.append(f"{where}: nothing is written here. {column.meaning}")
        return None
    if column.choices and text not in column.choices:
        mistakes.append(f"{where}: `{text}` is none of {', '.join(column.choices)}.")
        return None
    if column.kind not in ("number", "integer"):
        found = _PARSERS.get(column.kind, str)(text)
        return _instant(where, text, zone, mistakes) if column.kind == "instant" else found
    return _number(where, text, column, mistakes)


def _number(where: str, text: str, column: Column, mistakes: list[str]) -> float | None:
    try:
        value = float(text.replace(",", "."))
        if not math.isfinite(value):
            raise ValueError(text)
    except ValueError:
        mistakes.append(f"{where}: `{text}` is not a number. Write it without a unit, for example 12.5.")
        return None
    if (column.low is not None and value < column.low) or (column.high is not None and value > column.high):
        mistakes.append(f"{where}: {text} is outside the possible {column.low} to {column.high}.")
        return None
    if column.kind == "integer" and abs(value) > LARGEST_INTEGER:
        mistakes.append(f"{where}: {text[:40]} is too large for a whole number. Write the figures that were counted.")
        return None
    return int(value) if column.kind == "integer" else value


def _instant(where: str, text: str, zone: str, mistakes: list[str]) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        mistakes.append(f"{where}: `{text}` is no point in time. Write it like 2026-03-10 08:00.")
        return None
    return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).astimezone(UTC)
