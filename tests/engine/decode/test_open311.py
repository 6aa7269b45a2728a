"""Open311 GeoReport v2 in JSON and XML: what becomes a row, what is refused and with which words."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.open311 import decode, query_span
from pipelines.engine.decode.service_requests import SCHEMA

NOW = datetime(2025, 3, 5, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
SAMPLES = ROOT / "data" / "samples" / "grievances"
CHICAGO = ROOT.parent / "shared" / "data" / "grievances" / "chicago_open311_georeport_v2_2014.json"
GOOD = {"service_request_id": "7", "status": "open", "requested_datetime": "2025-03-01T09:00:00+05:30"}


def read(payload: object, form: str = "open311_json", zone: str | None = None) -> Decoded:
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return decode(body, {"format": form, "table": "service_requests", "zone": zone, "feed": "f"}, NOW)


def rows(decoded: Decoded) -> list[dict]:
    return decoded.tables["service_requests"].to_dicts()


def xml(inside: str) -> bytes:
    return f'<?xml version="1.0"?><service_requests>{inside}</service_requests>'.encode()


def test_decode_gives_utc_rows_of_the_json_sample():
    decoded = read((SAMPLES / "open311_requests.json").read_bytes())
    first, second, third = rows(decoded)
    assert decoded.refused == ()
    assert first["requested_datetime"] == datetime(2025, 3, 3, 2, 10, tzinfo=UTC)
    assert first["closed_at"] == datetime(2025, 3, 3, 10, 35, tzinfo=UTC)
    assert first["first_response_at"] == datetime(2025, 3, 3, 3, 40, tzinfo=UTC)
    assert (first["ward"], first["channel"], first["rating"], first["state"]) == ("W02", "phone", 4, "closed")
    assert first["media_url"] is None and first["lon"] == 78.4871
    assert (second["state"], second["duplicate_of"]) == ("duplicate", "ND-2025-0101")
    assert (third["lat"], third["lon"], third["state"], third["paused_h"]) == (None, None, "on_hold", 12.5)
    assert third["closed_at"] is None, "an open request's update is no closing"


def test_decode_gives_the_same_kind_of_rows_from_xml():
    decoded = read((SAMPLES / "open311_requests.xml").read_bytes(), "open311_xml")
    first, second = rows(decoded)
    assert decoded.refused == ()
    assert first["closed_at"] == datetime(2025, 3, 4, 12, 15, tzinfo=UTC)
    assert first["first_response_at"] == datetime(2025, 3, 4, 5, 30, tzinfo=UTC)
    assert first["description"] == "The cart did not come & the bin is full"
    assert (first["ward"], first["status_notes"], first["lat"]) == ("W05", None, 17.3901)
    assert (second["status"], second["closed_at"], second["state"]) == ("open", None, "received")


def test_decode_keeps_the_declared_columns_when_the_list_is_empty():
    for payload, form in ((b"[]", "open311_json"), (xml(""), "open311_xml")):
        frame = read(payload, form).tables["service_requests"]
        assert frame.height == 0
        assert dict(frame.schema) == {**SCHEMA, "_row": frame.schema["_row"]}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "Closed"}, "status"),
        ({"status": "in_progress"}, "status"),
        ({"status": None}, "missing"),
        ({"service_request_id": " "}, "missing"),
        ({"requested_datetime": ""}, "missing"),
        ({"requested_datetime": "yesterday"}, "datetime"),
        ({"requested_datetime": "0001-01-01T00:00:00+14:00"}, "datetime"),
        ({"requested_datetime": "2025-03-01T09:00:00"}, "zone"),
        ({"expected_datetime": "soon"}, "datetime"),
        ({"lat": "north", "long": 78.0}, "number"),
        ({"description": ["a"]}, "type"),
    ],
)
def test_decode_refuses_a_bad_item_with_its_bytes_and_keeps_the_others(change, reason):
    bad = orjson.dumps({**GOOD, **change}, option=orjson.OPT_INDENT_2)
    decoded = read(b"[ " + orjson.dumps(GOOD) + b",\n" + bad + b" ]")
    assert [r["service_request_id"] for r in rows(decoded)] == ["7"]
    (refusal,) = decoded.refused
    assert (refusal.row, refusal.reason, refusal.original) == (1, reason, bad)
    assert refusal.table == "service_requests"
    assert decoded.rows == 2


def test_decode_names_what_is_allowed_when_the_status_is_wrong():
    (refusal,) = read([{**GOOD, "status": "Closed"}]).refused
    assert "'Closed'" in refusal.detail and '"open" or "closed"' in refusal.detail


def test_decode_gives_the_bytes_of_a_refused_xml_request():
    bad = "<request><service_request_id>9</service_request_id><status>done</status></request>"
    decoded = read(xml("<request><status>open</status></request>\n" + bad), "open311_xml")
    assert [r.reason for r in decoded.refused] == ["missing", "status"]
    assert decoded.refused[1].original == bad.encode()


def test_decode_reads_naive_times_in_the_feeds_zone():
    (row,) = rows(read([{**GOOD, "requested_datetime": "2025-03-01T09:00:00"}], zone="Asia/Kolkata"))
    assert row["requested_datetime"] == datetime(2025, 3, 1, 3, 30, tzinfo=UTC)


def test_decode_ignores_a_state_that_contradicts_the_status():
    (row,) = rows(read([{**GOOD, "extended_attributes": {"state": "closed"}}]))
    assert row["state"] == "received"


def test_decode_reads_an_envelope_and_a_single_request():
    assert len(rows(read({"service_requests": [GOOD, GOOD]}))) == 2
    assert len(rows(read(GOOD))) == 1


@pytest.mark.parametrize(
    ("payload", "form", "reason"),
    [
        (b"<html>", "open311_json", "not_json"),
        (b"", "open311_json", "not_json"),
        (b"3", "open311_json", "not_open311"),
        (b'{"data": []}', "open311_json", "not_open311"),
        (b'[{"code": 403, "description": "key missing"}]', "open311_json", "server_error"),
        (b"{}", "open311_xml", "not_xml"),
        (b"<html><body/></html>", "open311_xml", "not_open311"),
        (
            b"<errors><error><code>404</code><description>no</description></error></errors>",
            "open311_xml",
            "server_error",
        ),
    ],
)
def test_decode_refuses_the_whole_payload_when_it_is_something_else(payload, form, reason):
    with pytest.raises(Refused) as refused:
        read(payload, form)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        '<!DOCTYPE a SYSTEM "http://example.org/a.dtd">',
    ],
)
def test_decode_refuses_xml_with_a_document_type(doctype):
    with pytest.raises(Refused) as refused:
        read(f"{doctype}<service_requests><request/></service_requests>".encode(), "open311_xml")
    assert refused.value.reason == "unsafe_xml"


def test_query_span_is_never_more_than_90_days():
    assert query_span(None, NOW) == timedelta(days=90)
    assert query_span(NOW - timedelta(days=400), NOW) == timedelta(days=90)
    assert query_span(NOW - timedelta(days=5), NOW) == timedelta(days=5)


CELL = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
CELL |= st.text(max_size=12) | st.sampled_from(
    ["open", "closed", "2025-03-01T09:00:00Z", "9999-12-31T23:59:59-23:00", "nan", "1e999"]
)
JSON = st.recursive(
    CELL, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
ITEM = st.dictionaries(
    st.sampled_from([*GOOD, "lat", "long", "notes", "extended_attributes", "updated_datetime"]), JSON
)


@given(st.lists(ITEM | JSON, max_size=4))
def test_decode_accounts_for_every_item_whatever_its_cells_hold(items):
    try:
        decoded = read(items)
    except Refused:
        return
    assert decoded.rows == len(items)
    assert all(orjson.loads(r.original) == orjson.loads(orjson.dumps(items[r.row])) for r in decoded.refused)


@given(st.binary(max_size=60), st.sampled_from(["open311_json", "open311_xml"]))
def test_decode_raises_nothing_but_refused(payload, form):
    for body in (
        payload,
        b"[" + payload + b"]",
        b"<service_requests><request>" + payload + b"</request></service_requests>",
    ):
        try:
            assert isinstance(read(body, form), Decoded)
        except Refused as refused:
            assert refused.detail


def test_decode_survives_deep_nesting():
    deep = b'{"service_request_id":' + b"[" * 900 + b"]" * 900 + b"}"
    assert [r.reason for r in read(b"[" + deep + b"]").refused] == ["type"]
    nested = b"<request>" + b"<a>" * 20_000 + b"</a>" * 20_000 + b"</request>"
    assert [r.reason for r in read(xml(nested.decode()), "open311_xml").refused] == ["missing"]


@pytest.mark.skipif(not CHICAGO.exists(), reason="recorded payload is not on this machine")
def test_decode_reads_chicagos_fifty_requests():
    decoded = read(CHICAGO.read_bytes())
    frame = decoded.tables["service_requests"]
    source = orjson.loads(CHICAGO.read_bytes())
    assert (frame.height, decoded.refused) == (50, ())
    assert sum(frame["status"] == "closed") == 49
    for row, item in zip(frame.iter_rows(named=True), source, strict=True):
        updated = datetime.fromisoformat(item["updated_datetime"])
        assert row["closed_at"] == (updated if item["status"] == "closed" else None)
        assert (row["lon"], row["ward"]) == (item["long"], item["extended_attributes"]["ward"])
        assert orjson.loads(decoded.original(row["_row"])) == item
    assert frame.filter(frame["state"] == "duplicate")["duplicate_of"].to_list() == ["15-05164921"]
