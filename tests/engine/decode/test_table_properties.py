"""Nothing but Refused comes out of any payload, no row is lost, and what was written is read back."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.engine.decode.base import Refused
from tests.engine.decode.table_payloads import read, rows

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
FORMATS = st.sampled_from(["csv", "xlsx", "json", "ndjson", "parquet"])
HEADER = b"sensor,observed_at,value\n"
NAMES = st.text(st.characters(codec="cp1252", exclude_categories=("Cc", "Zs", "Cf")), min_size=1, max_size=8).filter(
    lambda s: s == s.strip()
)
INSTANTS = st.integers(631152000, 4102444800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
VALUES = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(-(10**9), 10**9))
TABLES = st.lists(st.tuples(NAMES, INSTANTS, VALUES), max_size=25)


def taken(payload, form="csv", **mapping):
    """What was decoded, or None when the payload was refused; anything else is raised."""
    try:
        return read(payload, form, **mapping)
    except Refused as refused:
        assert refused.reason
        assert refused.detail.endswith(".")
        return None


def settled(payload, form):
    """Whether a payload was refused, or decoded with each of its rows in a table or set aside at a place of its own."""
    decoded = taken(payload, form)
    if decoded is None:
        return True
    places = [row.row for row in decoded.refused]
    places += [row for frame in decoded.tables.values() for row in frame["_row"]]
    return len(places) == len(set(places)) == decoded.rows


@SLOW
@given(
    st.binary(max_size=400),
    FORMATS,
    st.sampled_from([b"", HEADER, b"\x1f\x8b\x08", b"\xff\xfe", b"PAR1", b"[", b'{"a":']),
)
def test_arbitrary_bytes_raise_nothing_but_refused(tail, form, head):
    assert settled(head + tail, form)


@SLOW
@given(st.data(), st.sampled_from(["xlsx", "parquet"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
def test_damaged_binary_files_raise_nothing_but_refused(data, form, at, damage):
    frame = pl.DataFrame({"sensor": ["A", "B"], "observed_at": ["2024-03-01", "2024-03-02"], "value": [1.5, 2.5]})
    kept = io.BytesIO()
    frame.write_parquet(kept) if form == "parquet" else frame.write_excel(kept)
    payload = bytearray(kept.getvalue())
    at %= len(payload)
    payload[at : at + len(damage)] = damage
    assert settled(bytes(payload), form)


LINES = st.text(st.sampled_from('ab"",,;\n\r1.-2024T:Z é#\t'), max_size=120)


@SLOW
@given(LINES)
def test_every_line_with_text_is_a_row_or_part_of_one(text):
    body = HEADER + text.encode()
    decoded = taken(body)
    if decoded is None:
        return
    pieces = [one.original for one in decoded.refused]
    pieces += [decoded.original(row) for row in decoded.tables["readings"]["_row"]]
    expected = [line.rstrip("\r") for line in text.split("\n") if line.strip(' \t\r,"')]
    found = [line.rstrip("\r") for piece in pieces for line in piece.decode().split("\n") if line.strip(' \t\r,"')]
    assert sorted(found) == sorted(expected)


def written(table, dialect):
    delimiter, decimal, quoting, codec, end = dialect
    kept = io.StringIO()
    writer = csv.writer(kept, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["sensor", "observed_at", "value"])
    for name, at, value in table:
        writer.writerow(
            [name, at.strftime("%d/%m/%Y %H:%M:%S"), "" if value is None else str(value).replace(".", decimal)]
        )
    return kept.getvalue().encode(codec)


DIALECTS = st.tuples(
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([".", ","]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.sampled_from(["\n", "\r\n"]),
)
TIME = {"column": "observed_at", "format": "%d/%m/%Y %H:%M:%S"}


@SLOW
@given(TABLES, DIALECTS)
def test_written_table_is_read_back(table, dialect):
    payload = written(table, dialect)
    encoding = "cp1252" if "cp1252" in dialect else "auto"
    decoded = read(payload, decimal=dialect[1], time=TIME, encoding=encoding)
    assert decoded.refused == ()
    expected = [(name, at.isoformat()[:16], None if value is None else float(value)) for name, at, value in table]
    assert rows(decoded) == expected


@SLOW
@given(TABLES, st.integers(0, 25))
def test_rows_split_over_two_files_are_the_same_rows(table, at):
    lines = written(table, (";", ".", csv.QUOTE_MINIMAL, "utf-8", "\n")).split(b"\n")
    head, body = lines[0], [line for line in lines[1:] if line]
    halves = [b"\n".join([head, *part, b""]) for part in (body[:at], body[at:])]
    whole = rows(read(b"\n".join(lines), delimiter=";", time=TIME))
    assert [row for half in halves for row in rows(read(gzip.compress(half), delimiter=";", time=TIME))] == whole


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@SLOW
@given(
    st.lists(
        st.fixed_dictionaries({"sensor": JSON_VALUES, "observed_at": JSON_VALUES, "value": JSON_VALUES}) | JSON_VALUES,
        max_size=6,
    )
)
def test_every_json_record_is_a_row_or_a_refusal(records):
    decoded = taken(json.dumps(records), "json")
    if decoded is not None:
        assert decoded.rows == len(records)


@SLOW
@given(st.integers(-(10**6), 10**6), st.sampled_from(["s", "ms", "us"]))
def test_epochs_agree_with_the_calendar(minutes, unit):
    at = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    number = int(at.timestamp()) * {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    decoded = read(f"sensor,observed_at,value\nA,{number},1\n", time={"column": "observed_at", "epoch": unit})
    assert decoded.tables["readings"]["observed_at"].to_list() == [at]


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_deeply_nested_or_endless_text_is_refused_or_read(form):
    assert settled(b"[" * 100_000, form)
    assert settled(b'"' * 100_000, form)
    assert settled(HEADER + b'"a,' * 3000 + b"\n" + b'"\n' * 3000, form)
