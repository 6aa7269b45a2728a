"""Registers of meters: resets, rollovers, swaps and gaps never show as negative or doubled consumption."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.model import INSTANT
from pipelines.engine.quality.counters import Increments, consumption, increments

T0 = datetime(2026, 3, 10, tzinfo=UTC)
HOUR = 3_600_000_000
LETTERS = {0: "g", 1: "-", 2: "e"}


def register(values: list[float | None]) -> pl.DataFrame:
    """Hourly readings; None = did not come."""
    rows = [(T0 + timedelta(hours=n), v) for n, v in enumerate(values) if v is not None]
    return pl.DataFrame(rows, schema={"observed_at": INSTANT, "value": pl.Float64}, orient="row")


def read(values: list[float | None], modulus: float | None = None, most: float | None = 50.0) -> Increments:
    return increments(register(values), modulus, most, 3 * HOUR)


@pytest.mark.parametrize(
    ("values", "modulus", "used", "quality", "events"),
    [
        ([100, 110, 125, 125], None, [10, 15, 0], "ggg", []),
        # The 1,400 kWh that vanish in a reset: never minus 1,400; at least the 4 since are known.
        ([1400, 1404, 4, 9], None, [4, 4, 5], "geg", ["reset"]),
        # Five digits: 99,990 to 15 are 25.
        ([99_980, 99_990, 15, 30], 100_000.0, [10, 25, 15], "ggg", ["rollover"]),
        # Without the modulus the same is a reset.
        ([99_980, 99_990, 15, 30], None, [10, 15, 15], "geg", ["reset"]),
        # Another meter: what was used between is not known.
        ([52_000, 52_010, 31_000, 31_020], None, [10, None, 20], "g-g", ["swap"]),
        ([100, 110, 90_000, 90_010], None, [10, None, 10], "g-g", ["swap"]),
        # One reading of zero is the device's, and not the register's.
        ([100, 110, 0, 130, 140], None, [10, 10, 10, 10], "gggg", ["dropout"]),
        # Two hours may be missing; a day is spread and said to be so.
        ([100, None, None, 130, 140], None, [10, 10, 10, 10], "gggg", []),
        ([100, None, None, None, 140, 145], None, [10, 10, 10, 10, 5], "eeeeg", []),
        ([100], None, [], "", []),
        ([], None, [], "", []),
    ],
)
def test_register_gives_consumption_and_events(
    values: list[float | None], modulus: float | None, used: list[float | None], quality: str, events: list[str]
) -> None:
    found = read(values, modulus)
    cells = consumption(found, HOUR)
    assert cells["value"].to_list() == pytest.approx(used) if None not in used else cells["value"].to_list() == used
    assert "".join(LETTERS[q] for q in cells["quality"]) == quality
    assert found.events["event"].to_list() == events


def test_intervals_are_labelled_by_their_start_and_cut_from_readings_between() -> None:
    rows = pl.DataFrame(
        [(T0 + timedelta(minutes=m), v) for m, v in ((30, 0.0), (90, 60.0), (150, 60.0), (210, 120.0))],
        schema={"observed_at": INSTANT, "value": pl.Float64},
        orient="row",
    )
    cells = consumption(increments(rows, None, 100.0, 3 * HOUR), HOUR)
    assert cells["observed_at"].to_list() == [T0 + timedelta(hours=1), T0 + timedelta(hours=2)]
    assert cells["value"].to_list() == pytest.approx([30.0, 30.0])


@settings(max_examples=100)
@given(st.lists(st.one_of(st.none(), st.floats(0, 40)), min_size=2, max_size=60), st.floats(0, 99_999))
def test_nothing_is_lost_or_doubled_over_gaps_and_rollovers(steps: list[float | None], begin: float) -> None:
    """The sum of all intervals is what truly went through the meter between the first and the last reading."""
    true, total = [], begin
    for step in steps:
        total += step or 0.0
        true.append((total, step is not None))
    shown = [value % 100_000 if came else None for value, came in true]
    cells = consumption(increments(register(shown), 100_000.0, 50.0, 3 * HOUR), HOUR)
    came = [value for value, there in true if there]
    if len(came) > 1:
        assert cells["value"].sum() == pytest.approx(came[-1] - came[0], abs=1e-6)
        assert cells["value"].min() >= -1e-6


def test_recorded_meters_survive_a_reset_and_a_rollover_put_into_them(recorded: Path) -> None:
    """Bareilly: daily kWh of 23 meters, 11.6 % of the days missing. Their registers are the sums of what they used."""
    raw = pl.read_csv(recorded / "energy" / "ceew_bareilly_daily_kwh_23meters.csv.gz")
    day = 24 * HOUR
    for (_,), rows in (
        raw.with_columns(at=pl.col("Date").str.to_datetime(time_unit="us", strict=False)).drop_nulls().group_by("meter")
    ):
        used = rows.sort("at").unique("at", keep="first", maintain_order=True)
        shown = used.select(
            observed_at=pl.col("at").dt.replace_time_zone("UTC"), value=(99_950 + pl.col("t_kWh").cum_sum()) % 100_000
        )
        found = increments(shown, 100_000.0, 200.0 / 24, 3 * day)
        rolled = found.events["event"].to_list()
        assert rolled.count("rollover") == int(
            (99_950 + used["t_kWh"].sum()) // 100_000 - (99_950 + used["t_kWh"][0]) // 100_000
        )
        assert set(rolled) <= {"rollover"}
        assert found.amount.sum() == pytest.approx(used["t_kWh"][1:].sum(), abs=1e-6)
