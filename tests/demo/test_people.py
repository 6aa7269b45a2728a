"""Residents and the office behave like people, and Open311 tells only what has happened."""

import json
from collections import Counter
from datetime import datetime

import pytest

from pipelines.demo import people
from pipelines.demo.geography import ward_at
from pipelines.demo.incidents import World
from pipelines.engine.decode.service_requests import STATES


@pytest.fixture(scope="module")
def requests(start: float) -> list[dict]:
    """Every request of the history once: days overlap, as polls do."""
    rows = {}
    for payload in people.history(World(7), start, 30):
        rows.update({row["service_request_id"]: row for row in json.loads(payload)})
    return list(rows.values())


def test_about_thirty_five_grievances_a_day_over_ten_services(requests) -> None:
    days = Counter(row["requested_datetime"][:10] for row in requests)
    assert 26 <= sum(days.values()) / len(days) <= 40
    assert len({row["service_code"] for row in requests}) >= 10


def test_nothing_is_told_before_it_happens_and_dates_are_in_order(requests, start: float) -> None:
    def at(text: str) -> float:
        return datetime.fromisoformat(text).timestamp()

    for row in requests:
        more = row["extended_attributes"]
        assert at(row["requested_datetime"]) <= at(row["updated_datetime"]) <= start
        assert at(row["expected_datetime"]) > at(row["requested_datetime"])
        assert more["state"] in STATES
        assert (row["status"] == "closed") == ("closed_at" in more)
        for name in ("first_response_at", "closed_at", "reopened_at"):
            assert at(row["requested_datetime"]) <= at(more.get(name, row["updated_datetime"])) <= start


def test_each_grievance_lies_in_its_ward(requests) -> None:
    own = [r for r in requests if "duplicate_of" not in r["extended_attributes"]]
    assert all(ward_at(7, r["long"], r["lat"]) == r["extended_attributes"]["ward"] for r in own)


def test_most_are_settled_in_time_some_come_back_some_are_rated(requests) -> None:
    closed = [r for r in requests if r["status"] == "closed"]
    in_time = sum(r["extended_attributes"]["closed_at"] <= r["expected_datetime"] for r in closed) / len(closed)
    assert 0.6 < in_time < 0.95
    assert 0.02 < sum(r["extended_attributes"]["reopen_count"] for r in closed) / len(closed) < 0.1
    assert 0.25 < sum("rating" in r["extended_attributes"] for r in closed) / len(closed) < 0.55
    names = {r["service_request_id"] for r in requests}
    assert {
        r["extended_attributes"]["duplicate_of"] for r in requests if "duplicate_of" in r["extended_attributes"]
    } <= names


def test_incidents_bring_complaints_in_their_ward(troubled: World, start: float) -> None:
    rows = people.changed_since(troubled, start, start + 1500.0)
    counts = Counter((r["service_code"], r["extended_attributes"]["ward"]) for r in rows)
    burst, wave = troubled.of_kind("burst_main")[0], troubled.of_kind("complaint_wave")[0]
    assert counts["WTR", burst.target.split(":")[1]] > 10
    assert counts[wave.target.split(":")[1], wave.target.split(":")[0]] > 15
