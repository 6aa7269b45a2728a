"""Exports to files and the forms they take; cells parsed back with other people's readers."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine import exports, forms
from pipelines.engine.asking import Misasked, Span
from pipelines.engine.extracts import names
from pipelines.engine.manifest import Part
from pipelines.engine.model import INSTANT, Column
from pipelines.engine.spans import MOST_ROWS, Extract, of_frame
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import NOW, SECRET, TOML, asked, filled

COLUMNS = (
    Column(name="at", kind="instant", meaning="An instant."),
    Column(name="text", meaning="A text."),
    Column(name="value", kind="number", meaning="A number."),
    Column(name="count", kind="integer", meaning="A whole number."),
    Column(name="yes", kind="flag", meaning="A flag."),
    Column(name="day", kind="day", meaning="A day."),
)
SCHEMA = of_frame("cells", pl.DataFrame(), COLUMNS).schema
TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12)
STARTS = st.sampled_from(["=", "+", "-", "@", "\t", "\r", "'", '"', ";", "\n"])
ROWS = st.lists(
    st.tuples(
        st.integers(0, 130 * 366 * 86_400_000_000).map(
            lambda us: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
        ),
        st.one_of(st.none(), TEXT, st.builds(lambda start, rest: start + rest, STARTS, TEXT)),
        st.one_of(st.none(), st.floats()),
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.booleans()),
        st.one_of(st.none(), st.dates(date(1905, 1, 1), date(2100, 1, 1))),
    ),
    max_size=8,
)


def frame_of(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def guarded(text: str) -> str:
    """What OWASP asks of a cell that begins like a formula."""
    return "'" + text if text[:1] in {"=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"} else text


@settings(max_examples=300, deadline=None)
@given(ROWS)
def test_csv_read_back_is_the_rows(rows: list[tuple[Any, ...]]) -> None:
    cells = of_frame("cells", frame_of(rows), COLUMNS)
    written = b"".join(forms.streamed(cells, cells.frames(), "csv")).decode()
    head, *lines = csv.reader(io.StringIO(written, newline=""), strict=True)
    assert head == [column.name for column in COLUMNS]
    assert len(lines) == len(rows)
    for (at, text, value, count, yes, day), line in zip(rows, lines, strict=True):
        assert datetime.fromisoformat(line[0]) == at
        assert line[0].endswith("Z")
        assert line[1] == guarded(text or "")
        assert (float(line[2]) if line[2] else None) == (value if value is not None and math.isfinite(value) else None)
        assert (int(line[3]) if line[3] else None) == count
        assert line[4] == {None: "", True: "true", False: "false"}[yes]
        assert line[5] == ("" if day is None else day.isoformat())


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_json_read_back_is_the_rows_unguarded(rows: list[tuple[Any, ...]]) -> None:
    import json

    cells = of_frame("cells", frame_of(rows), COLUMNS)
    document = json.loads(b"".join(forms.streamed(cells, cells.frames(), "json", key="cells")))
    assert (document["count"], document["next"]) == (len(rows), None)
    found = [
        (datetime.fromisoformat(r["at"]), r["text"], r["value"], r["count"], r["yes"], r["day"])
        for r in document["cells"]
    ]
    finite = [value if value is not None and math.isfinite(value) else None for _, _, value, _, _, _ in rows]
    assert found == [
        (at, text, v, n, yes, day and day.isoformat())
        for (at, text, _, n, yes, day), v in zip(rows, finite, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(rows=ROWS)
def test_excel_read_back_is_the_rows(rows: list[tuple[Any, ...]], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("excel") / "cells.xlsx"
    cells = of_frame("cells", frame_of(rows), COLUMNS)
    assert forms.write_xlsx(cells, cells.frames(), path) == len(rows)
    sheet = openpyxl.load_workbook(path).active
    head, *lines = sheet.iter_rows()
    assert [cell.value for cell in head] == [column.name for column in COLUMNS]
    for (at, text, value, count, yes, day), line in zip(rows, lines, strict=True):
        assert abs(line[0].value.replace(tzinfo=UTC) - at) <= timedelta(milliseconds=1)
        assert all(cell.data_type != "f" for cell in line)
        if text and text.isprintable():
            assert line[1].value == guarded(text)
        if value is not None and math.isfinite(value):
            assert float(line[2].value) == pytest.approx(value, rel=1e-14, abs=1e-300)
        if count is not None:
            assert int(line[3].value) == count
        assert line[4].value == yes
        assert (line[5].value and line[5].value.date()) == day


def test_a_text_longer_than_a_cell_says_how_much_is_missing(tmp_path: Path) -> None:
    cells = of_frame("cells", frame_of([(NOW, "x" * 40_000, None, None, None, None)]), COLUMNS)
    forms.write_xlsx(cells, cells.frames(), tmp_path / "cells.xlsx")
    text = openpyxl.load_workbook(tmp_path / "cells.xlsx").active["B2"].value
    assert len(text) <= 32_767
    assert text.endswith(f"… [{40_000 - text.count('x')} more characters: take CSV or JSON]")


def test_rows_beyond_a_sheet_go_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "SHEET_ROWS", 3)
    cells = of_frame("cells", frame_of([(NOW, str(n), None, n, None, None) for n in range(7)]), COLUMNS)
    assert forms.write_xlsx(cells, cells.frames(), tmp_path / "cells.xlsx") == 7
    sheets = [sheet for sheet in openpyxl.load_workbook(tmp_path / "cells.xlsx") if sheet.title.startswith("rows")]
    assert [[row[3] for row in sheet.iter_rows(min_row=2, values_only=True)] for sheet in sheets] == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]
    assert {sheet["B1"].value for sheet in sheets} == {"text"}


def test_lists_become_one_text_in_flat_forms() -> None:
    nested = {"text": pl.List(pl.String)}
    frame = frame_of([(NOW, None, None, None, None, None)]).with_columns(text=pl.Series([["a", None, "=b"]]))
    cells = of_frame("cells", frame, COLUMNS, nested)
    assert b",a;;=b," in b"".join(forms.streamed(cells, cells.frames(), "csv"))


@settings(max_examples=80, deadline=None)
@given(
    minutes=st.lists(st.integers(0, 60 * 24 * 400), max_size=60),
    edges=st.tuples(st.integers(-100, 600_000), st.integers(1, 600_000)),
    open_ends=st.tuples(st.booleans(), st.booleans()),
    late=st.integers(-1000, 1000),
)
def test_spans_read_every_row_once(
    minutes: list[int], edges: tuple[int, int], open_ends: tuple[bool, bool], late: int
) -> None:
    start = NOW - timedelta(days=400)
    times = sorted(start + timedelta(minutes=m) for m in minutes)
    low = None if open_ends[0] else start + timedelta(minutes=edges[0])
    high = None if open_ends[1] else start + timedelta(minutes=edges[0] + edges[1])

    def within(begin: datetime | None, end: datetime | None) -> list[datetime]:
        return [at for at in times if (begin is None or at >= begin) and (end is None or at < end)]

    def read(begin: datetime | None, end: datetime | None) -> pl.DataFrame:
        return pl.DataFrame({"at": within(begin, end)}, schema={"at": INSTANT})

    wanted = Extract(
        name="times", columns=COLUMNS[:1], read=read, time="at", span=Span(low, high), now=lambda: NOW,
        earliest=lambda: times[0] + timedelta(minutes=late) if times else None,
    )  # fmt: skip
    found = [at for frame in wanted.frames() for at in frame["at"]]
    assert found == within(low, high)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Any]]:
    folder = small_town.make(
        tmp_path_factory.mktemp("export") / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    )
    line = filled(folder)
    with asked(folder) as (asker, found):
        yield found, asker
    line.close()


@pytest.mark.parametrize("form", ["csv", "json", "ndjson"])
@pytest.mark.parametrize(
    "table", ["readings", "service_requests", "water_bills", "arrivals", "quarantine", "kpi_values", "sensors"]
)
def test_a_file_holds_what_the_api_gives(town: tuple[Town, Any], tmp_path: Path, table: str, form: str) -> None:
    found, asker = town
    rows = exports.export_file(found, table, None, None, None, form, tmp_path / "file")
    answer = asker.get(f"/api/v1/tables/{table}", format=form)
    given = answer.content.replace(b'{"readings":', b'{"rows":', 1)
    assert (tmp_path / "file").read_bytes() == given
    assert rows == int(answer.headers["x-row-count"])


@pytest.mark.parametrize("table", ["readings", "kpis", "water_bills", "assets"])
def test_parquet_and_excel_hold_the_same_rows(town: tuple[Town, Any], tmp_path: Path, table: str) -> None:
    rows = {
        form: exports.export_file(town[0], table, None, None, None, form, tmp_path / f"rows.{form}")
        for form in ("csv", "parquet", "xlsx")
    }
    frame = pl.read_parquet(tmp_path / "rows.parquet")
    assert rows["csv"] == rows["parquet"] == rows["xlsx"] == frame.height > 0
    assert openpyxl.load_workbook(tmp_path / "rows.xlsx").active.max_row == frame.height + 1


def test_kpis_by_ward_and_span(town: tuple[Town, Any], tmp_path: Path) -> None:
    span = ("2026-03-08T18:30:00Z", "2026-03-09T18:30:00Z")
    exports.export_file(town[0], "kpis", *span, "W2", "csv", tmp_path / "kpis.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "kpis.csv").read_text("utf-8"))))
    assert {row["area"] for row in rows} == {"ward:W2"}
    assert "pressure_compliance" in {row["kpi"] for row in rows}
    assert {row["window"] >= "2026-03-08T18:30:00Z" for row in rows} == {True}


def test_nothing_personal_is_in_any_file(town: tuple[Town, Any], tmp_path: Path) -> None:
    for table in [*names(town[0]), "kpis"]:
        exports.export_file(town[0], table, None, None, None, "csv", tmp_path / table)
        assert SECRET not in (tmp_path / table).read_text("utf-8")


def test_a_failed_export_leaves_what_was_there(town: tuple[Town, Any], tmp_path: Path) -> None:
    output = tmp_path / "readings.csv"
    output.write_text("the export of yesterday")
    broken = Extract(name="broken", columns=COLUMNS, read=lambda low, high: pl.DataFrame({"other": [1]}))
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        exports.write(broken, "csv", output)
    assert output.read_text() == "the export of yesterday"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("water_bill", None, None, None, "csv"), "`water_bills`"),
        (("readings", "2026-03-10", None, None, "csv"), "2026-11-23T00:00:00Z"),
        (("readings", None, None, "W9", "csv"), "W1, W2"),
        (("readings", None, None, None, "pdf"), "parquet"),
    ],
)
def test_the_command_line_is_refused_in_words(
    town: tuple[Town, Any], tmp_path: Path, arguments: tuple[Any, ...], words: str
) -> None:
    with pytest.raises(Misasked, match=words):
        exports.export_file(town[0], *arguments, tmp_path / "out")
    with pytest.raises(Misasked, match="no folder"):
        exports.export_file(town[0], "readings", None, None, None, "csv", tmp_path / "absent" / "out")


def test_frames_stay_small_after_months_of_silence_when_files_tell_how_much_comes() -> None:
    """A reading a year ago, then ten a second for half a day: spans that grew long in the silence are cut again."""
    begin, busy = NOW - timedelta(days=365), NOW - timedelta(hours=12)

    def rows(low: datetime | None, high: datetime | None) -> pl.DataFrame:
        first, last = (
            max(0, -(-(edge - busy) // timedelta(milliseconds=100))) for edge in (low or begin, min(high or NOW, NOW))
        )
        at = pl.int_range(first, max(first, last), eager=True) * 100_000 + int(busy.timestamp() * 1e6)
        return pl.DataFrame({"at": at.cast(INSTANT)})

    part = Part("one", 432_000, busy, NOW)
    wanted = Extract(
        name="bursts",
        columns=COLUMNS[:1],
        read=rows,
        time="at",
        earliest=lambda: begin,
        weigh=part.within,
        now=lambda: NOW,
    )
    heights = [frame.height for frame in wanted.frames()]
    assert sum(heights) == 432_000
    assert max(heights) <= 1.1 * MOST_ROWS


@pytest.mark.parametrize(
    ("low", "high", "rows"), [(0, 10, 100.0), (-5, 5, 50.0), (5, 25, 50.0), (10, 20, 0.0), (-9, -1, 0.0)]
)
def test_rows_of_a_file_are_thought_to_lie_evenly(low: int, high: int, rows: float) -> None:
    part = Part("one", 100, NOW, NOW + timedelta(hours=10))
    assert part.within(NOW + timedelta(hours=low), NOW + timedelta(hours=high)) == pytest.approx(rows)
