"""What a spreadsheet makes of our files: opened by LibreOffice, without a window."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from pipelines.engine import forms
from pipelines.engine.forms import ABOUT
from pipelines.engine.model import Column
from pipelines.engine.spans import of_frame

AT = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
# Hindi and Urdu as clerks write them; what a spreadsheet would run; what only looks like a number.
TEXTS = (
    "पानी की टंकी ख़ाली", "پانی کی ٹنکی خالی ہے", '=HYPERLINK("http://x.example","gift")', "+91 98765", "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)", "\t=1+1", "＝1+1", 'says "wet", twice\nand again', "0042", "1E5",
)  # fmt: skip
VALUES = (1.5, -2.25, 0.0, None, 1e-9, 123456.75, -1e6, 3.0, 4.0, 5.0, 6.0)
COLUMNS = (
    Column(name="text", meaning="What somebody wrote."),
    Column(name="value", kind="number", unit="m^3/h", meaning="How much flows."),
    Column(name="n", kind="integer", meaning="How many."),
    Column(name="at", kind="instant", meaning="When."),
    Column(name="yes", kind="flag", meaning="Whether."),
)
ROWS = pl.DataFrame(
    {"text": TEXTS, "value": VALUES, "n": range(-1, 10), "at": [AT] * 11, "yes": [True, None] * 5 + [False]},
    schema=of_frame("rows", pl.DataFrame(), COLUMNS).schema,
)
WANTED = of_frame("rows", ROWS, COLUMNS)


# Comma, double quote, UTF-8, from the first line on: what its dialogue shows for such a file; without a window it asks nobody.
AS_CSV = "--infilter=Text - txt - csv (StarCalc):44,34,76,1"


def opened(folder: Path, file: Path, *more: str) -> Any:
    """The first sheet of a file, as LibreOffice understood it."""
    subprocess.run(
        ["soffice", f"-env:UserInstallation=file://{folder}/profile", "--headless", "--norestore", *more, "--convert-to",
         "xlsx:Calc MS Excel 2007 XML", "--outdir", str(folder / "seen"), str(file)],
        check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    return openpyxl.load_workbook(folder / "seen" / f"{file.stem}.xlsx").worksheets[0]


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not here: apt-get install libreoffice-calc")
def test_spreadsheet_shows_every_character_numbers_as_numbers_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(forms.BOM + b"".join(forms.streamed(WANTED, WANTED.frames(), "csv")))
    forms.write_xlsx(WANTED, WANTED.frames(), tmp_path / "x.xlsx")
    for sheet in (opened(tmp_path, tmp_path / "c.csv", AS_CSV), opened(tmp_path, tmp_path / "x.xlsx")):
        head, *rows = sheet.iter_rows(max_col=5)
        assert [cell.value for cell in head] == ["text", "value", "n", "at", "yes"]
        # LibreOffice writes a flag that it read from text as =TRUE(): the last column.
        assert not [cell.coordinate for row in sheet.iter_rows(max_col=4) for cell in row if cell.data_type in "fe"]
        shown = [str(row[0].value).lstrip("'") for row in rows]
        assert shown[:2] == list(TEXTS[:2])
        assert [text.split("\n")[0] for text in shown[2:9]] == [text.split("\n")[0] for text in TEXTS[2:9]]
        assert [row[1].value for row in rows] == list(VALUES)
        assert {row[1].data_type for row in rows if row[1].value is not None} == {"n"}
        assert [row[2].value for row in rows] == list(range(-1, 10))


def test_workbook_says_what_its_columns_mean(tmp_path: Path) -> None:
    about = {"town": "Testville", "definitions": "0123456789", "as_of": AT, "seq": 7}
    forms.write_xlsx(of_frame("rows", ROWS, COLUMNS, about=about), iter([ROWS]), tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == ["rows 1", "columns", "about"]
    described = list(book["columns"].iter_rows(values_only=True))
    assert described[2] == ("value", "number", "m^3/h", "How much flows.")
    assert len(described) == 1 + len(COLUMNS)
    told = dict(book["about"].iter_rows(values_only=True))
    assert told == {
        "table": "rows", "rows": "11", "town": "Testville", "definitions": "0123456789", "as_of": "2026-11-22T18:30:00Z",
        "seq": "7",
    }  # fmt: skip
    cells = book["rows 1"]["D2"], book["rows 1"]["E2"]
    assert (cells[0].value, cells[0].is_date, cells[1].data_type) == (AT.replace(tzinfo=None), True, "b")


def test_parquet_file_says_what_its_columns_mean(tmp_path: Path) -> None:
    import json

    import pyarrow.parquet as pq

    about = {"definitions": "0123456789", "seq": 7}
    forms.write_parquet(of_frame("rows", ROWS, COLUMNS, about=about), iter([ROWS]), tmp_path / "x.parquet")
    told = json.loads(pq.read_metadata(tmp_path / "x.parquet").metadata[ABOUT.encode()])
    assert (told["table"], told["rows"], told["definitions"]) == ("rows", 11, "0123456789")
    assert told["columns"][1] == {"column": "value", "type": "number", "unit": "m^3/h", "meaning": "How much flows."}
    assert pl.read_parquet(tmp_path / "x.parquet").equals(ROWS)
