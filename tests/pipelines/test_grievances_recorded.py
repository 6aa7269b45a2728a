"""Grievance KPIs on recorded payloads of real towns, where they are at hand."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import polars as pl
import pytest

from pipelines.engine.decode import open311, seeclickfix
from pipelines.grievances import backlog, people, settling

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "grievances"
NEWPORT = FOLDER / "newport_ri_seeclickfix_issues_20170903.json.gz"
CHICAGO = FOLDER / "chicago_open311_georeport_v2_2014.json"
NOW = datetime(2017, 9, 3, tzinfo=UTC)
WARDS = pl.DataFrame(schema={"ward": pl.String, "name": pl.String, "population": pl.Int64, "households": pl.Int64})
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="recorded payloads are not on this machine")


def span(*bounds: tuple[datetime, datetime]) -> pl.DataFrame:
    kind = pl.Datetime("us", "UTC")
    return pl.DataFrame(
        [(a, b, b) for a, b in bounds], schema={"window": kind, "end": kind, "as_of": kind}, orient="row"
    )


def town(frame: pl.DataFrame) -> dict:
    return frame.filter(pl.col("area") == "town").row(0, named=True)


@pytest.fixture(scope="module")
def newport() -> pl.DataFrame:
    return seeclickfix.decode(gzip.decompress(NEWPORT.read_bytes()), {"zone": None}, NOW).tables["service_requests"]


def test_newports_backlog_is_its_open_and_acknowledged_issues(newport):
    today = span((NOW - timedelta(days=1), NOW))
    assert town(backlog.backlog(newport, WARDS, today))["value"] == 31 + 25


def test_newports_median_days_to_close_is_the_manifests(newport):
    # 97 h and 4,417 h for everything with a closing time; the six that came back are open or closed otherwise
    issues = [
        i
        for i in orjson.loads(gzip.decompress(NEWPORT.read_bytes()))
        if i["status"] in ("Archived", "Closed") and i["closed_at"]
    ]
    taken = sorted((i["closed_at"] - i["created_at"]) / 86_400_000 for i in issues)
    whole = span((datetime(2009, 1, 1, tzinfo=UTC), NOW))
    row = town(settling.median_days_to_resolve(newport, whole))
    middle = len(taken) // 2
    assert row["n"] == len(taken) == 955
    assert row["value"] == pytest.approx(taken[middle] if len(taken) % 2 else (taken[middle - 1] + taken[middle]) / 2)


def test_newports_open_issues_make_the_censored_median_longer(newport):
    quarter = span((NOW - timedelta(days=90), NOW))
    closed_only = newport.filter(pl.col("status") == "closed")
    censored, flattering = (
        town(settling.km_median_days(newport, quarter)),
        town(settling.km_median_days(closed_only, quarter)),
    )
    assert censored["n"] > flattering["n"] > 30
    assert censored["value"] > flattering["value"]


def test_newports_repeats_stay_a_small_share(newport):
    row = town(people.duplicate_share(newport, span((datetime(2009, 1, 1, tzinfo=UTC), NOW))))
    assert row["denominator"] == 1031
    assert 0 < row["numerator"] < 103


def test_newports_backlog_has_every_day_since_the_first_issue_that_counts(newport):
    first = datetime(2010, 1, 5, tzinfo=UTC)  # the one before was archived at an unknown time
    days = [(first + timedelta(days=n), first + timedelta(days=n + 1)) for n in range(-10, 2800)]
    out = backlog.backlog(newport, WARDS, span(*days)).filter(pl.col("area") == "town")
    assert out.height == 2800
    assert out.filter(pl.col("window") == out["window"].max())["value"].item() == 56


def test_chicagos_fifty_requests_by_ward_add_up():
    table = open311.decode(CHICAGO.read_bytes(), {"zone": None}, NOW).tables["service_requests"]
    year = span((datetime(2014, 1, 1, 6, tzinfo=UTC), datetime(2015, 1, 1, 6, tzinfo=UTC)))
    received = people.requests_received(table, WARDS, year)
    assert town(received)["value"] == 50
    assert received.filter(pl.col("area").str.starts_with("ward:"))["value"].sum() == 50
    later = span((datetime(2016, 1, 1, tzinfo=UTC), datetime(2016, 1, 2, tzinfo=UTC)))
    assert town(backlog.backlog(table, WARDS, later))["value"] == 1
    duplicates = town(people.duplicate_share(table, year))
    assert duplicates["numerator"] >= 1 and duplicates["denominator"] == 50
