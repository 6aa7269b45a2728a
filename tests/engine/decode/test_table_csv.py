import gzip

import pytest

from pipelines.engine.decode.base import Refused
from tests.engine.decode.table_payloads import read, reasons, rows

LEVEL = "sensor,observed_at,value\nT1,2024-03-01T08:00Z,2.5\nT2,2024-03-01T08:00Z,3\n"
BOTH = [("T1", "2024-03-01T08:00", 2.5), ("T2", "2024-03-01T08:00", 3.0)]


def test_plain_csv_with_canonical_headings_needs_no_mapping():
    assert rows(read(LEVEL)) == BOTH


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_when_none_is_declared(delimiter):
    assert rows(read(LEVEL.replace(",", delimiter))) == BOTH


def test_delimiter_is_found_by_the_mapped_headings_when_another_sign_is_more_frequent():
    text = "observed_at;sensor;note a, b, c, d;value\n2024-03-01T08:00Z;T1;x, y, z, u;2,5\n"
    assert rows(read(text, decimal=",")) == BOTH[:1]


def test_thousands_separators_are_read_only_where_they_belong():
    text = "sensor;observed_at;value\nT1;2024-03-01;1.234,5\nT1;2024-03-02;12.34,5\nT1;2024-03-03;1234,5\n"
    decoded = read(text, decimal=",", thousands=".")
    assert [value for _, _, value in rows(decoded)] == [1234.5, 1234.5]
    assert reasons(decoded) == [(3, "unreadable_number")]


def test_decimal_comma_without_declaration_is_refused_with_the_remedy():
    decoded = read("sensor;observed_at;value\nT1;2024-03-01;2,6\n")
    assert reasons(decoded) == [(2, "unreadable_number")]
    assert 'write decimal = ","' in decoded.refused[0].detail


@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("cp1252", b""),
    ],
)
def test_encoding_is_recognised(codec, mark):
    text = "Zähler;Zeit;Wert\nKläranlage Süd;2024-03-01;5\n"
    decoded = read(mark + text.encode(codec), sensor="{Zähler}", time="Zeit", value="Wert")
    assert rows(decoded) == [("Kläranlage Süd", "2024-03-01T00:00", 5.0)]
    assert decoded.original(2) == "Kläranlage Süd;2024-03-01;5".encode(codec)


def test_declared_encoding_is_used():
    text = "датчик;observed_at;value\nнасос;2024-03-01;5\n"
    assert rows(read(text.encode("cp1251"), encoding="cp1251", sensor="{датчик}"))[0][0] == "насос"


def test_one_broken_letter_costs_its_own_line_only():
    good = "sensor,observed_at,value\nPeñón,2024-03-01,1\nNiño,2024-03-02,2\n".encode()
    decoded = read(good + b"Pe\xf1a,2024-03-03,3\nA,2024-03-04,4\n")
    assert [name for name, _, _ in rows(decoded)] == ["Peñón", "Niño", "A"]
    assert reasons(decoded) == [(4, "unreadable_row")]
    assert decoded.refused[0].original == b"Pe\xf1a,2024-03-03,3"


def test_preamble_units_row_blank_rows_and_comments_are_no_data():
    text = (
        "Waterworks of Nadipur\n\nexported 2 March\nsensor;observed_at;value;;\n-;UTC;m;;\n# shift change\n"
        "T1;2024-03-01;2,5;;\n;;;;\n\n  \nT2;2024-03-01;3;;\n"
    )
    decoded = read(text, decimal=",", skip_before=3, skip_after=1, comment="#")
    assert [(name, value) for name, _, value in rows(decoded)] == [("T1", 2.5), ("T2", 3.0)]
    assert decoded.tables["readings"]["_row"].to_list() == [7, 11]
    assert decoded.rows == 2


def test_columns_without_a_header_are_named_by_position():
    text = "T1,x,2024-03-01,2.5\nT2,x,2024-03-02,3\n"
    decoded = read(text, header=False, sensor="{#1}", time="#3", value="#4")
    assert [(name, value) for name, _, value in rows(decoded)] == [("T1", 2.5), ("T2", 3.0)]


def test_quoted_fields_may_hold_delimiters_quotes_and_line_breaks():
    text = 'sensor,observed_at,value\r\n"Tank ""A"", north",2024-03-01,"1"\r\n"two\r\nlines",2024-03-02,2\r\nB,2024-03-03,3\r\n'
    decoded = read(text)
    assert [(name, value) for name, _, value in rows(decoded)] == [
        ('Tank "A", north', 1.0),
        ("two\nlines", 2.0),
        ("B", 3.0),
    ]
    assert decoded.original(2) == b'"Tank ""A"", north",2024-03-01,"1"'
    assert decoded.original(3) == b'"two\r\nlines",2024-03-02,2'
    assert decoded.tables["readings"]["_row"].to_list() == [2, 3, 5]


@pytest.mark.parametrize("tail", ["", '\n"D",2024-03-04,4'])
def test_stray_quotation_mark_costs_its_own_line_only(tail):
    text = 'sensor,observed_at,value\nA,2024-03-01,1\n"B,2024-03-02,2\nC,2024-03-03,3' + tail
    decoded = read(text)
    assert [name for name, _, _ in rows(decoded)] == (["A", "C", "D"] if tail else ["A", "C"])
    assert reasons(decoded) == [(3, "unreadable_row")]
    assert decoded.refused[0].original == b'"B,2024-03-02,2'


def test_quotation_mark_inside_a_field_is_a_letter():
    assert rows(read('sensor,observed_at,value\n5" pipe,2024-03-01,1\n'))[0][0] == '5" pipe'


def test_rows_with_too_few_or_too_many_fields_are_set_aside_with_their_bytes():
    text = "sensor,observed_at,value\r\nA,2024-03-01\r\nB,2024-03-01,1,5\r\nC,2024-03-01,1,\r\nD,2024-03-01,1\r\n"
    decoded = read(text)
    assert [name for name, _, _ in rows(decoded)] == ["C", "D"]
    assert reasons(decoded) == [(2, "unreadable_row"), (3, "unreadable_row")]
    assert [one.original for one in decoded.refused] == [b"A,2024-03-01", b"B,2024-03-01,1,5"]
    assert decoded.refused[0].detail.startswith("line 2: it has 2 fields where 3 belong")
    assert decoded.rows == 4


def test_missing_column_names_those_expected_and_those_found():
    with pytest.raises(Refused) as caught:
        read("station,when,level\nA,2024-03-01,1\n", time="Date", sensor="{station}", value="level")
    assert caught.value.reason == "missing_column"
    assert "Missing: Date." in caught.value.detail
    assert "station, when, level" in caught.value.detail


def test_header_without_rows_is_an_empty_table():
    decoded = read("sensor,observed_at,value\n")
    assert decoded.rows == 0
    assert decoded.tables["readings"].columns == ["sensor", "observed_at", "value", "_row"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "empty"),
        (b"\r\n \n", "empty"),
        (b"<!DOCTYPE html><html><body>Please log in</body></html>", "not_this_format"),
        (b"\xef\xbb\xbf  <html>", "not_this_format"),
        (b"%PDF-1.7 ...", "not_this_format"),
        (b"PK\x03\x04rest", "not_this_format"),
        (b"\xff\xfea\x00b", "not_this_format"),
        (gzip.compress(LEVEL.encode(), mtime=0)[:-12], "damaged"),
        (b"\x1f\x8bnothing", "damaged"),
    ],
)
def test_payload_that_is_no_csv_is_refused_whole(payload, reason):
    with pytest.raises(Refused) as caught:
        read(payload)
    assert caught.value.reason == reason


def test_gzip_is_unpacked_even_in_several_members():
    head, tail = LEVEL.encode()[:40], LEVEL.encode()[40:]
    assert rows(read(gzip.compress(head) + gzip.compress(tail))) == BOTH


def test_gzip_that_grows_beyond_the_limit_is_refused():
    with pytest.raises(Refused) as caught:
        read(gzip.compress(b"sensor,observed_at,value\n" + b"\n" * 3_000_000), max_mb=2)
    assert caught.value.reason == "too_large"


def test_two_columns_of_one_name_are_told_apart():
    text = "observed_at,flow,flow\n2024-03-01,1,2\n"
    decoded = read(text, values={"flow": "in", "flow (2)": "out"})
    assert [(name, value) for name, _, value in rows(decoded)] == [("in", 1.0), ("out", 2.0)]
