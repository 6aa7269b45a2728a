import io
import json
from datetime import UTC, datetime, time

import openpyxl
import polars as pl
import pytest

from pipelines.engine.decode.base import Refused
from tests.engine.decode.table_payloads import read, reasons, rows


def workbook(*lines, sheet="Data", first=1):
    book = openpyxl.Workbook()
    page = book.active
    page.title = sheet
    for row, cells in enumerate(lines, start=first):
        for column, cell in enumerate(cells, start=1):
            page.cell(row, column, cell)
    book.create_sheet("Notes")["A1"] = "nothing"
    kept = io.BytesIO()
    book.save(kept)
    return kept.getvalue()


def cell(*parts):
    """A date cell: spreadsheets know no zone."""
    return datetime(*parts)  # noqa: DTZ001


HEAD = ("sensor", "observed_at", "value")


def test_workbook_keeps_numbers_in_full_and_reads_date_cells_whatever_the_format():
    payload = workbook(HEAD, ("A", cell(2024, 3, 1, 8, 30), 1 / 3), (7, "01/03/2024 09:00", 1.5e-12), ("007", "x", 2))
    decoded = read(payload, "xlsx", time={"column": "observed_at", "format": "%d/%m/%Y %H:%M"})
    assert rows(decoded) == [("A", "2024-03-01T08:30", 1 / 3), ("7", "2024-03-01T09:00", 1.5e-12)]
    assert reasons(decoded) == [(4, "unreadable_time")]
    assert json.loads(decoded.refused[0].original) == {"sensor": "007", "observed_at": "x", "value": "2"}
    assert json.loads(decoded.original(2))["value"] == repr(1 / 3)


def test_workbook_rows_are_numbered_as_the_spreadsheet_shows_them():
    payload = workbook(("Report",), HEAD, ("-", "UTC", "m"), (None, None, None), ("A", cell(2024, 3, 1), 1), first=3)
    decoded = read(payload, "xlsx", skip_before=3, skip_after=1)
    assert decoded.tables["readings"]["_row"].to_list() == [7]
    assert decoded.rows == 1


def test_workbook_with_date_and_time_in_two_columns():
    payload = workbook(("sensor", "day", "clock", "value"), ("A", cell(2024, 3, 1), time(9, 5), 1))
    assert rows(read(payload, "xlsx", time={"columns": ["day", "clock"]})) == [("A", "2024-03-01T09:05", 1.0)]


def test_workbook_sheet_is_chosen_by_name_and_the_others_are_listed_when_it_is_missing():
    payload = workbook(HEAD, ("A", cell(2024, 3, 1), 1), sheet="Levels 2024")
    assert read(payload, "xlsx", sheet="Levels 2024").rows == 1
    with pytest.raises(Refused, match="Levels 2024, Notes"):
        read(payload, "xlsx", sheet="Flows")


@pytest.mark.parametrize(("cut", "reason"), [(0, "empty"), (2, "damaged"), (3000, "damaged")])
def test_half_a_workbook_is_refused(cut, reason):
    with pytest.raises(Refused) as caught:
        read(workbook(HEAD)[:cut], "xlsx")
    assert caught.value.reason == reason


def test_workbook_that_unpacks_beyond_the_limit_is_refused():
    payload = workbook(HEAD, *[("A" * 50, "2024-03-01", row) for row in range(3000)])
    with pytest.raises(Refused) as caught:
        read(payload, "xlsx", max_mb=0.2)
    assert caught.value.reason == "too_large"


def test_json_records_under_a_path_with_nested_fields():
    document = {"data": {"items": [
        {"device": {"id": "A"}, "at": 1709280000000, "point": [7.5, 46.1]},
        {"device": {"id": "B"}, "at": None, "point": [7.5, 46.1]},
        "lost",
    ]}}  # fmt: skip
    decoded = read(
        json.dumps(document), "json", records="data.items", sensor="{device.id}",
        time={"column": "at", "epoch": "ms"}, value="point.1",
    )  # fmt: skip
    assert rows(decoded) == [("A", "2024-03-01T08:00", 46.1)]
    assert reasons(decoded) == [(2, "unreadable_time"), (3, "unreadable_row")]
    assert json.loads(decoded.refused[0].original) == document["data"]["items"][1]
    assert decoded.refused[1].original == b'"lost"'


def test_json_records_may_leave_out_fields_of_an_event_table():
    document = [{"id": 3.0, "request_type.title": "Tree"}, {"id": 4, "request_type": {"title": None}}]
    decoded = read(
        json.dumps(document), "json", table="t", columns={"a": "id", "b": "request_type.title", "c": "never"}
    )
    assert decoded.tables["t"].drop("_row").to_dicts() == [
        {"a": "3", "b": "Tree", "c": None},
        {"a": "4", "b": None, "c": None},
    ]


def test_one_json_object_is_one_record_and_an_empty_list_is_none():
    assert rows(read('{"sensor":"A","observed_at":"2024-03-01T08:00:00Z","value":true}', "json")) == []
    assert rows(read('{"sensor":"A","observed_at":"2024-03-01T08:00:00Z","value":2}', "json")) == [
        ("A", "2024-03-01T08:00", 2.0)
    ]
    assert read("[]", "json").rows == 0


@pytest.mark.parametrize(
    ("payload", "mapping", "reason"),
    [
        ('[{"sensor":', {}, "not_this_format"),
        ("5", {}, "missing_records"),
        ('{"error":"token expired"}', {"records": "readings"}, "missing_records"),
        ('[{"sensor":"A"}]', {}, "missing_column"),
        ("sensor,observed_at,value\n", {}, "not_this_format"),
    ],
)
def test_json_that_is_not_as_declared_is_refused(payload, mapping, reason):
    with pytest.raises(Refused) as caught:
        read(payload, "json", **mapping)
    assert caught.value.reason == reason


def test_ndjson_refuses_a_bad_line_alone():
    text = '{"sensor":"A","observed_at":"2024-03-01T08:00Z","value":1}\r\n\n{"sensor":"B","obse\n{"sensor":"C","observed_at":"2024-03-01T08:00Z","value":null}\n'
    decoded = read(text, "ndjson")
    assert rows(decoded) == [("A", "2024-03-01T08:00", 1.0), ("C", "2024-03-01T08:00", None)]
    assert [(one.row, one.original) for one in decoded.refused] == [(3, b'{"sensor":"B","obse')]
    assert decoded.original(1) == text.split("\r\n", maxsplit=1)[0].encode()


def parquet(**columns):
    kept = io.BytesIO()
    pl.DataFrame(columns).write_parquet(kept)
    return kept.getvalue()


def test_parquet_keeps_numbers_times_and_zones():
    payload = parquet(
        unit_no=[3.0, 4.0, None],
        at=[datetime(2024, 3, 1, 8, tzinfo=UTC)] * 3,
        level=[1 / 3, float("nan"), float("inf")],
    )
    decoded = read(payload, "parquet", zone=None, time="at", sensor="T{unit_no}", value="level")
    assert rows(decoded) == [("T3", "2024-03-01T08:00", 1 / 3), ("T4", "2024-03-01T08:00", None)]
    assert reasons(decoded) == [(3, "missing_sensor")]
    assert json.loads(decoded.original(1))["level"] == 1 / 3


def test_half_a_parquet_file_is_refused():
    payload = parquet(sensor=["A"], observed_at=["2024-03-01"], value=[1])
    assert read(payload, "parquet").rows == 1
    for cut in (0, 3, 40, len(payload) - 3):
        with pytest.raises(Refused):
            read(payload[:cut], "parquet")
