"""SeeClickFix issues, nested and flattened, as service requests."""

import gzip
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.decode.base import Decoded, Refused
from pipelines.engine.decode.seeclickfix import decode

NOW = datetime(2025, 3, 5, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "data" / "samples" / "grievances" / "seeclickfix_issues.json"
NEWPORT = ROOT.parent / "shared" / "data" / "grievances" / "newport_ri_seeclickfix_issues_20170903.json.gz"
GOOD = {"id": 1, "status": "Open", "created_at": 1_500_000_000_000}


def read(payload: object) -> Decoded:
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return decode(body, {"format": "seeclickfix", "table": "service_requests", "zone": None, "feed": "f"}, NOW)


def test_decode_reads_nested_and_flattened_issues():
    decoded = read(SAMPLE.read_bytes())
    first, second, third = decoded.tables["service_requests"].to_dicts()
    assert decoded.refused == ()
    assert (first["status"], first["state"], first["service_code"], first["lon"]) == (
        "closed",
        "closed",
        "101",
        -71.3121,
    )
    assert first["first_response_at"] == datetime(2025, 2, 10, 16, 30, tzinfo=UTC)
    assert first["rating"] is None, "SeeClickFix's rating counts supporters"
    assert (second["status"], second["state"], second["reopen_count"]) == ("open", "reopened", 1)
    assert second["requested_datetime"] == datetime(2025, 2, 10, 15, 6, 40, tzinfo=UTC)
    assert (second["service_code"], second["lat"], second["lon"]) == ("102", 41.4877, -71.3099)
    assert second["description"] == "Missed pick-up"
    assert (third["state"], third["service_name"], third["closed_at"]) == ("acknowledged", None, None)


def test_decode_refuses_an_issue_of_unknown_status_with_its_bytes():
    bad = b'{"id":2,"status":"Lost","created_at":1500000000000}'
    decoded = read(b'{"metadata":{"issues":1},"issues":[' + orjson.dumps(GOOD) + b"," + bad + b"]}")
    assert [(r.row, r.reason, r.original) for r in decoded.refused] == [(1, "status", bad)]


@pytest.mark.parametrize("payload", [b"", b"{}", b'"x"', b'{"errors": {"place": ["not found"]}}'])
def test_decode_refuses_what_holds_no_issues(payload):
    with pytest.raises(Refused):
        read(payload)


CELL = st.none() | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
CELL |= st.text(max_size=8) | st.lists(st.floats(allow_nan=False) | st.text(max_size=2), max_size=3)
KEYS = st.sampled_from(
    [*GOOD, "closed_at", "reopened_at", "lat", "lng", "point.coordinates", "point", "request_type", "media"]
)


@given(st.lists(st.dictionaries(KEYS, CELL) | CELL, max_size=4))
def test_decode_accounts_for_every_issue_whatever_its_cells_hold(items):
    assert read({"issues": items}).rows == len(items)


@given(st.binary(max_size=60))
def test_decode_raises_nothing_but_refused(payload):
    for body in (payload, b'{"issues":[' + payload + b"]}"):
        try:
            assert isinstance(read(body), Decoded)
        except Refused as refused:
            assert refused.detail


@pytest.mark.skipif(not NEWPORT.exists(), reason="recorded payload is not on this machine")
def test_decode_reads_newports_issues_as_the_manifest_counts_them():
    decoded = read(gzip.decompress(NEWPORT.read_bytes()))
    frame = decoded.tables["service_requests"]
    assert (frame.height, decoded.refused) == (1031, ())
    assert frame["service_request_id"].n_unique() == 1031
    assert sum(frame["status"] == "open") == 31 + 25
    assert frame["closed_at"].null_count() == 70
    assert frame["service_name"].null_count() == 60
    assert frame["reopened_at"].count() == 48
    hours = ((frame["closed_at"] - frame["requested_datetime"]).dt.total_seconds() / 3600).drop_nulls()
    assert (round(hours.median()), round(hours.quantile(0.9, "linear")), round(hours.max())) == (97, 4417, 53532)
