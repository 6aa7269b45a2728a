"""The fast way for plain readings gives what the long way gives, byte for byte, or leaves the payload to it."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipelines.engine.decode import Refused, decoder, table_file
from pipelines.engine.decode.table_plain import read_plain

Record = dict[str, Any]
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PLAIN_CELLS: dict[str, st.SearchStrategy[Any]] = {
    "sensor": st.sampled_from(["S1", "S2", "pump-7", "héron", " S3"]),
    "observed_at": st.integers(0, 10**9).map(lambda ms: f"{NOON + timedelta(milliseconds=ms):%Y-%m-%dT%H:%M:%S.%f}Z"),
    "value": st.none() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6).map(lambda v: round(v, 3)),
    "unit": st.sampled_from(["kW", "", None, " °C "]),
}
ODD_CELLS: dict[str, st.SearchStrategy[Any]] = {
    "sensor": st.sampled_from(["", None, 7, "a,b", 'a"b', "line\nbreak", "{}", "[1]", "},{", "\t"]),
    "observed_at": st.sampled_from([
        None, "", "soon", 1710684300, "2026-03-10", "2026-03-10T12:00Z", "2026-03-10T12:00:00+05:30",
        "2026-03-10T12:00:00", "2026-3-10T12:00:00Z", "2026-03-10T24:00:00Z", "2026-03-10T12:00:60Z", "9999-01-01T00:00:00Z",
        "1850-01-01T00:00:00Z", "2026-02-30T00:00:00Z", " 2026-03-10T12:00:00Z", "2026-03-10t12:00:00z", "٢026-03-10T12:00:00Z",
    ]),
    "value": st.sampled_from([
        "", "20.5", "1e3", "1,5", "NaN", "inf", "+3", ".5", "5.", "--", True, [1], {"a": 1}, -0.0, 1e300, 10**30, 1e-9, 2**53 + 1,
    ]),
    "unit": st.sampled_from([5, "furlong", ["kW"], True]),
}  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    """Records of the plain shape, now and then with an odd cell, a field more or one less."""
    names = draw(st.sampled_from([("sensor", "observed_at", "value"), ("value", "unit", "sensor", "observed_at")]))
    rows = draw(st.lists(st.fixed_dictionaries({name: PLAIN_CELLS[name] for name in names}), min_size=1, max_size=8))
    for _ in range(draw(st.integers(0, 2))):
        row, name = draw(st.sampled_from(rows)), draw(st.sampled_from(names))
        match draw(st.sampled_from(["odd", "odd", "odd", "less", "more"])):
            case "odd":
                row[name] = draw(ODD_CELLS[name])
            case "less":
                row.pop(name, None)
            case "more":
                row[draw(st.sampled_from(["note", "_row", "Sensor ", "unit"]))] = draw(
                    st.sampled_from(["x", 1, [2], None])
                )
    return rows


def as_json(rows: list[Record]) -> bytes:
    return json.dumps({"readings": rows}).encode()


def as_list(rows: list[Record]) -> bytes:
    return json.dumps(rows, ensure_ascii=False).encode()


def as_lines(rows: list[Record]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode() + b"\n"


def as_lines_from_windows(rows: list[Record]) -> bytes:
    return as_lines(rows).replace(b"\n", b"\r\n")


def as_csv(rows: list[Record]) -> bytes:
    text = io.StringIO()
    names = list(rows[0])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[row.get(name) for name in names] for row in rows])
    return text.getvalue().encode()


def as_ragged_csv(rows: list[Record]) -> bytes:
    names = list(rows[0])
    return "\n".join([",".join(names), *(",".join(str(cell) for cell in row.values()) for row in rows)]).encode()


FORMS: list[tuple[Callable[[list[Record]], bytes], dict[str, Any]]] = [
    (as_json, {"format": "json", "records": "readings"}),
    (as_list, {"format": "json"}),
    (as_lines, {"format": "ndjson"}),
    (as_lines_from_windows, {"format": "ndjson"}),
    (as_csv, {"format": "csv"}),
    (as_ragged_csv, {"format": "csv"}),
]


def outcome(payload: bytes, mapping: dict[str, Any]) -> Any:
    """Frame, refusals and the original bytes of each row; or the words of the refusal."""
    try:
        read = decoder(mapping["format"])(payload, mapping, NOON)
    except Refused as refusal:
        return refusal.reason, refusal.detail
    frame = read.tables["readings"]
    return frame, read.refused, [read.original(row) for row in frame["_row"]]


def same(payload: bytes, mapping: dict[str, Any]) -> None:
    fast = outcome(payload, mapping)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_file, "read_plain", lambda body, mapping: None)
        slow = outcome(payload, mapping)
    if isinstance(slow[0], pl.DataFrame) and isinstance(fast[0], pl.DataFrame):
        assert_frame_equal(fast[0], slow[0], check_exact=True)
        bits = [found["value"].fill_null(0.5).to_numpy().tobytes() for found in (fast[0], slow[0])]
        assert bits[0] == bits[1], "a number differs in its last bit, or a zero in its sign"
        assert fast[1:] == slow[1:]
    else:
        assert fast == slow


@pytest.mark.parametrize(("write", "about"), FORMS, ids=[write.__name__ for write, _ in FORMS])
@settings(max_examples=40)
@given(rows=records())
def test_fast_way_gives_what_the_long_way_gives(
    write: Callable[[list[Record]], bytes], about: dict[str, Any], rows: list[Record]
) -> None:
    same(write(rows), {**about, "table": "readings", "zone": "", "feed": "push"})


@pytest.mark.parametrize(("write", "about"), FORMS, ids=[write.__name__ for write, _ in FORMS])
def test_plain_payload_goes_the_fast_way(write: Callable[[list[Record]], bytes], about: dict[str, Any]) -> None:
    rows = [{"sensor": f"S{n}", "observed_at": "2026-03-10T12:00:00.5Z", "value": n / 4} for n in range(5)]
    read = read_plain(write(rows), {**about, "table": "readings"})
    assert read is not None
    assert read.tables["readings"]["value"].to_list() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert read.tables["readings"]["observed_at"][0] == datetime(2026, 3, 10, 12, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "mapping",
    [
        {"format": "csv", "decimal": ","},
        {"format": "csv", "missing": ["20"]},
        {"format": "csv", "time": {"column": "observed_at", "epoch": "s"}},
        {"format": "csv", "table": "outages"},
        {"format": "xlsx"},
    ],
)
def test_whatever_a_mapping_changes_goes_the_long_way(mapping: dict[str, Any]) -> None:
    assert read_plain(b"sensor,observed_at,value\nS1,2026-03-10T12:00:00Z,20\n", mapping) is None


TRICKS = [
    (b'{"sensor":"a","observed_at":"2026-03-10T12:00:00Z","value":1}\n\n{"sensor":"b","observed_at":"2026-03-10T12:00:00Z","value":1}', "ndjson"),
    (b'{"sensor":"a","observed_at":"2026-03-10T12:00:00Z","value":1},{"sensor":"b","observed_at":"2026-03-10T12:00:00Z","value":1}\n{"sensor":"c","observed_at":\n"2026-03-10T12:00:00Z","value":1}', "ndjson"),
    (b'{"sensor":"a","observed_at":"2026-03-10T12:00:00Z","value":1}\n{"sensor":"b}\n{","observed_at":"2026-03-10T12:00:00Z","value":1}', "ndjson"),
    (b"[1,2]\n[3]", "ndjson"),
    (b"sensor,observed_at,value\nS1,2026-03-10T12:00:00Z,1,9\nS2,2026-03-10T12:00:00Z\n", "csv"),
    (b"sensor,observed_at,value\n,,\nS2,2026-03-10T12:00:00Z,4\n", "csv"),
    (b"sensor,observed_at,value\nS2,2026-03-10T12:00:00Z, 4 \n S2 ,2026-03-10T12:00:00Z,4", "csv"),
    (b"sensor,observed_at,value\r\nS2,2026-03-10T12:00:00Z,4\r\n", "csv"),
    (b"sensor,observed_at,value\n", "csv"),
    (b"sensor,observed_at,value,value\nS2,2026-03-10T12:00:00Z,4,5\n", "csv"),
    (b"sensor,observed_at,value\nS2,2026-03-10T12:00:00Z,1e999\n", "csv"),
    (b"sensor,observed_at,value\nS2,2026-03-10T12:00:00Z," + b"9" * 400 + b"\n", "csv"),
    (b'[{"sensor":"a","observed_at":"2026-03-10T12:00:00Z","value":1,"value":2}]', "json"),
    (b'[{"sensor":"a","sensor":"b","observed_at":"2026-03-10T12:00:00Z","value":2}]', "json"),
    (b'["sensor","observed_at","value"]', "json"),
    (b"[]", "json"),
    (b'{"sensor":"a","observed_at":"2026-03-10T12:00:00Z","value":1}', "json"),
    (b'\xef\xbb\xbf[{"sensor":"a","observed_at":"2026-03-10T12:00:00Z","value":1}]', "json"),
    (b'[{"sensor":"a\\u0000","observed_at":"2026-03-10T12:00:00Z","value":1}]', "json"),
]  # fmt: skip


@pytest.mark.parametrize(("payload", "form"), TRICKS)
def test_tricks_end_the_same_by_both_ways(payload: bytes, form: str) -> None:
    same(payload, {"format": form, "table": "readings", "zone": "", "feed": "push"})
