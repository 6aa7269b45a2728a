"""Validation: every row is kept or set aside with a reason that a clerk understands."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine import registers, validate
from pipelines.engine.decode import Decoded
from pipelines.engine.decode.base import Refusal
from pipelines.engine.model import INSTANT, Check, Column, Table
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Feed
from tests.engine import small_town
from tests.engine.small_town import NOON, make

CASES = Table(
    name="cases", meaning="Test.", key=("id",), time="at", located=True,
    columns=(
        Column(name="id", meaning="Number.", required=True),
        Column(name="at", kind="instant", meaning="When.", required=True),
        Column(name="closed_at", kind="instant", meaning="When closed."),
        Column(name="day", kind="day", meaning="Day."),
        Column(name="count", kind="integer", meaning="How many.", low=0, high=10),
        Column(name="share", kind="number", meaning="Part."),
        Column(name="open", kind="flag", meaning="Open."),
        Column(name="state", meaning="State.", choices=("new", "done")),
        Column(name="lat", kind="number", meaning="Latitude."),
        Column(name="lon", kind="number", meaning="Longitude."),
        Column(name="ward", meaning="Ward."),
    ),
    checks=(Check(name="closed_before", words="closed before it began", holds=pl.col("closed_at") >= pl.col("at")),),
)  # fmt: skip
FEED = Feed(name="f", title="F", origin="http_push", format="csv", table="cases", every=timedelta(hours=1), zone="UTC")
TOLERANCE_S = 300.0


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Registers:
    return registers.load(small_town.read(make(tmp_path_factory.mktemp("validate") / "town")))


def checked(town: Registers, name: str, frame: pl.DataFrame) -> validate.Checked:
    numbered = frame.with_row_index("_row", offset=2)
    decoded = Decoded({name: numbered}, original=lambda row: b"line %d" % row)
    found = validate.check(decoded, FEED, {"cases": CASES}, town, NOON, TOLERANCE_S)
    assert sum(part.height for part in found.good.values()) + found.refused.height == frame.height
    return found


def reading(town: Registers, **changed: object) -> validate.Checked:
    row = {"sensor": "T1.level", "observed_at": NOON, "value": 2.0, "unit": None, **changed}
    kinds = {"sensor": pl.String, "observed_at": INSTANT, "unit": pl.String}
    kinds["value"] = pl.String if isinstance(row["value"], str) else pl.Float64
    return checked(town, "readings", pl.DataFrame([row], schema_overrides=kinds))


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"sensor": None}, "no_sensor", "names no sensor"),
        ({"sensor": "T9"}, "unknown_sensor", "`T9` is not in sensors.csv. Add it there"),
        ({"observed_at": None}, "no_time", "has no time"),
        (
            {"observed_at": NOON + timedelta(seconds=301)},
            "from_the_future",
            "2026-03-10 06:35:01 UTC lies in the future",
        ),
        ({"observed_at": datetime(1999, 12, 31, tzinfo=UTC)}, "clock_not_set", "never set"),
        ({"value": "full"}, "unreadable_number", "`full` is not a number"),
        ({"value": float("inf")}, "unreadable_number", "inf"),
        ({"value": float("nan")}, "unreadable_number", "NaN"),
        ({"unit": "kW"}, "unit", "`kW` does not fit: tank_level_m is kept in m"),
        ({"unit": "buckets"}, "unit", "`buckets` does not fit"),
        ({"value": 10.1}, "out_of_range", "10.1 m is above the possible 10.0 m"),
        ({"value": -0.5}, "out_of_range", "-0.5 m is below the possible 0.0 m"),
        ({"value": 1001.0, "unit": "cm"}, "out_of_range", "10.01 m is above"),
    ],
)
def test_reading_is_set_aside_with_its_reason(town: Registers, changed: dict, reason: str, words: str) -> None:
    found = reading(town, **changed)
    assert not found.good
    row = found.refused.row(0, named=True)
    assert (row["reason"], row["row"], bytes(row["original"]), row["at"]) == (reason, 2, b"line 2", NOON)
    assert words in row["detail"]


@pytest.mark.parametrize(
    ("changed", "value", "quality"),
    [
        ({}, 2.0, 0),
        ({"observed_at": NOON + timedelta(seconds=300)}, 2.0, 0),
        ({"value": None}, None, 1),
        ({"value": "2.50"}, 2.5, 0),
        ({"value": 250.0, "unit": "cm"}, 2.5, 0),
        ({"value": 10.0}, 10.0, 0),
        ({"value": 0.0}, 0.0, 0),
    ],
)
def test_reading_is_kept_in_the_unit_of_its_quantity(
    town: Registers, changed: dict, value: float | None, quality: int
) -> None:
    found = reading(town, **changed)
    (row,) = found.good["readings"].rows(named=True)
    assert row["value"] == (pytest.approx(value) if value is not None else None)
    assert row["quality"] == quality


def case(town: Registers, **changed: object) -> validate.Checked:
    row = {"id": "1", "at": "2026-03-10T05:00:00Z", "count": "3", "state": "new", **changed}
    return checked(town, "cases", pl.DataFrame([row], schema=dict.fromkeys(row, pl.String)))


@pytest.mark.parametrize(
    ("changed", "reason", "words"),
    [
        ({"id": None}, "missing", "column id is empty"),
        ({"at": None}, "missing", "column at is empty"),
        ({"at": "yesterday"}, "unreadable_instant", "`yesterday` is no point in time"),
        ({"at": "2031-01-01T00:00:00Z"}, "from_the_future", "future"),
        ({"at": "1970-01-01T00:00:00Z"}, "clock_not_set", "before 2000"),
        ({"count": "many"}, "unreadable_integer", "`many` is no whole number"),
        ({"count": "11"}, "out_of_range", "11 is above the possible 10"),
        ({"count": "-1"}, "out_of_range", "-1 is below the possible 0"),
        ({"share": "half"}, "unreadable_number", "`half` is no number"),
        ({"day": "31/02"}, "unreadable_day", "`31/02` is no date"),
        ({"open": "perhaps"}, "unreadable_flag", "`perhaps` is no yes or no"),
        ({"state": "lost"}, "not_allowed", "`lost` is none of new, done"),
        ({"closed_at": "2026-03-10T04:00:00Z"}, "closed_before", "closed before it began"),
    ],
)
def test_row_is_set_aside_with_its_reason(town: Registers, changed: dict, reason: str, words: str) -> None:
    found = case(town, **changed)
    assert not found.good
    row = found.refused.row(0, named=True)
    assert (row["reason"], row["table_name"]) == (reason, "cases")
    assert words in row["detail"]


def test_row_is_kept_in_declared_columns_and_kinds(town: Registers) -> None:
    found = case(town, open="Yes", day="2026-03-09", share="0.25", lat="0.5", lon="1.5", extra="x")
    (row,) = found.good["cases"].rows(named=True)
    assert found.good["cases"].schema == pl.Schema(CASES.schema)
    assert (row["count"], row["open"], row["share"], row["day"].isoformat()) == (3, True, 0.25, "2026-03-09")
    assert row["ward"] == "W2"
    assert row["at"] == datetime(2026, 3, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize(("lat", "lon", "ward"), [("0.5", "0.5", "W1"), ("5", "5", None), (None, "0.5", None)])
def test_ward_is_found_from_the_place_and_left_empty_outside(
    town: Registers, lat: str | None, lon: str, ward: str | None
) -> None:
    assert case(town, lat=lat, lon=lon).good["cases"]["ward"].to_list() == [ward]


def test_table_of_a_domain_that_is_off_is_set_aside(town: Registers) -> None:
    found = checked(town, "outages", pl.DataFrame({"outage": ["1", "2"]}))
    assert found.refused["reason"].to_list() == ["domain_off"] * 2
    assert "outages" in found.refused["detail"][0]


def test_rows_the_decoder_refused_are_kept_byte_for_byte(town: Registers) -> None:
    decoded = Decoded({}, refused=(Refusal(7, "no_cells", "the line is empty", b"\xff\x00raw", "cases"),))
    found = validate.check(decoded, FEED, {"cases": CASES}, town, NOON, TOLERANCE_S)
    row = found.refused.row(0, named=True)
    assert (row["row"], row["reason"], bytes(row["original"]), row["table_name"]) == (
        7,
        "no_cells",
        b"\xff\x00raw",
        "cases",
    )


def test_same_refused_row_has_the_same_id_and_another_has_another(town: Registers) -> None:
    first = reading(town, sensor="T9").refused["id"][0]
    assert reading(town, sensor="T9").refused["id"][0] == first
    assert reading(town, value="x").refused["id"][0] != first


def test_refused_payload_is_one_quarantine_row(tmp_path: Path) -> None:
    row = validate.refusal("f", NOON, "unreadable", "no table", b"\x00\x01").row(0, named=True)
    assert (row["feed"], row["row"], bytes(row["original"])) == ("f", 0, b"\x00\x01")
