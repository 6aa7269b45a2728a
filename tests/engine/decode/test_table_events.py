from datetime import UTC, date, datetime

import pytest

from pipelines.engine.decode.base import Refused
from tests.engine.decode.table_payloads import read, reasons

KINDS = {
    "request": "text",
    "asked_at": "instant",
    "due": "day",
    "state": "text",
    "paused_h": "number",
    "rating": "integer",
}


def table(payload, form="csv", zone="Europe/Rome", **mapping):
    decoded = read(payload, form, zone, "requests", kinds=KINDS, **mapping)
    return decoded, decoded.tables["requests"].drop("_row").to_dicts()


def test_columns_are_renamed_mapped_converted_and_filled():
    text = "Nr;Created;Status;Paused min;Due\n7;3/1/2024 2:05:00 PM;Closed;90;2024-03-09\n8;3/1/2024 2:06:00 PM;Odd;;\n9;;;1;2024-03-10T23:30Z\n"
    _, found = table(
        text,
        columns={
            "request": {"value": "REQ-{Nr}"},
            "asked_at": {"column": "Created", "format": "%m/%d/%Y %I:%M:%S %p"},
            "state": {"column": "Status", "map": {"Closed": "closed", "*": "received"}, "default": "unknown"},
            "paused_h": {"column": "Paused min", "factor": 1 / 60},
            "due": "Due",
        },
    )
    assert found == [
        {"request": "REQ-7", "asked_at": datetime(2024, 3, 1, 13, 5, tzinfo=UTC), "state": "closed", "paused_h": 1.5, "due": date(2024, 3, 9)},
        {"request": "REQ-8", "asked_at": datetime(2024, 3, 1, 13, 6, tzinfo=UTC), "state": "received", "paused_h": None, "due": None},
        {"request": "REQ-9", "asked_at": None, "state": "unknown", "paused_h": pytest.approx(1 / 60), "due": date(2024, 3, 11)},
    ]  # fmt: skip


def test_words_outside_the_map_stay_when_nothing_stands_for_the_rest():
    _, found = table(
        "request,state\n1,Closed\n2,Odd\n", columns={"state": {"column": "state", "map": {"Closed": "closed"}}}
    )
    assert [row["state"] for row in found] == ["closed", "Odd"]


def test_canonical_headings_need_no_columns_and_others_are_left_out():
    decoded, found = table("request,asked_at,rating,extra\n1,2024-03-01T10:00:00Z,4,x\n")
    assert found == [{"request": "1", "asked_at": datetime(2024, 3, 1, 10, tzinfo=UTC), "rating": 4}]
    assert decoded.original(2) == b"1,2024-03-01T10:00:00Z,4,x"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,2024-02-30T10:00Z,4,", "unreadable_time"),
        ("1,2024-03-31T02:30,4,", "nonexistent_time"),
        ("1,2024-03-01T10:00Z,4.5,", "unreadable_number"),
        ("1,2024-03-01T10:00Z,4,tomorrow", "unreadable_time"),
        ("1,2024-03-01T10:00Z", "unreadable_row"),
    ],
)
def test_row_that_cannot_be_read_is_set_aside_and_the_others_are_kept(line, reason):
    decoded, found = table(f"request,asked_at,rating,due\n{line}\n2,2024-03-01T10:00Z,5,2024-03-02\n")
    assert [row["request"] for row in found] == ["2"]
    assert reasons(decoded) == [(2, reason)]
    assert decoded.refused[0].original == line.encode()
    assert decoded.refused[0].table == "requests"


def test_whole_numbers_keep_all_their_digits():
    _, found = table("rating\n9007199254740993\n12.0\n1e3\n")
    assert [row["rating"] for row in found] == [9007199254740993, 12, 1000]


def test_decimal_comma_and_codes_for_missing_apply_to_number_columns():
    _, found = table("request;paused_h\n-1;1,5\n-2;-1\n-3;n.d.\n", decimal=",", missing=["-1", "n.d."])
    assert found == [
        {"request": "-1", "paused_h": 1.5},
        {"request": "-2", "paused_h": None},
        {"request": "-3", "paused_h": None},
    ]


def test_column_declared_optional_may_be_absent_and_any_other_may_not():
    columns = {"request": "Nr", "state": {"column": "Status", "optional": True}}
    assert table("Nr,x\n1,\n", columns=columns)[1] == [{"request": "1", "state": None}]
    with pytest.raises(Refused, match="Missing: Status"):
        table("Nr,x\n1,\n", columns={"request": "Nr", "state": "Status"})


def test_text_from_several_columns_is_joined_by_spaces():
    _, found = table("no,street\n5,Main\n,Hill\n", columns={"request": {"columns": ["no", "street"]}})
    assert [row["request"] for row in found] == ["5 Main", "Hill"]


def test_kind_may_be_declared_when_the_engine_hands_over_none():
    decoded = read(
        "a;b;c\n1,5;17;3\n", table="t", decimal=",", columns={"x": {"column": "a", "kind": "number"}, "y": "b"}
    )
    assert decoded.tables["t"].drop("_row").to_dicts() == [{"x": 1.5, "y": "17"}]
