"""Readings in which nothing is odd: the quick check says what the long one says, or leaves them to it."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipelines.engine import validate
from pipelines.engine.decode.base import ROW
from pipelines.engine.model import INSTANT
from pipelines.engine.plain_readings import Bounds, all_good
from tests.engine.test_validate import NOON

EARLY = datetime(2000, 1, 1, tzinfo=UTC)
SENSORS = pl.DataFrame({
    "sensor": ["cm", "open", "celsius"], "quantity": ["level", "level", "heat"], "factor": [0.01, 1.0, 1.0],
    "offset": [0.0, 0.0, 273.15], "low": [0.0, None, 200.0], "high": [6.0, None, 400.0],
})  # fmt: skip
NAMES = st.sampled_from(["cm", "open", "celsius", "celsius", "unknown", None])
VALUES = st.one_of(st.none(), st.floats(-1e3, 1e3), st.sampled_from([float("nan"), float("inf"), 600.0, 0.0]))
MINUTES = st.one_of(st.none(), st.integers(-10_000, 20))
FEW = settings(max_examples=150, deadline=None, derandomize=True)


def frame_of(rows: list[tuple[str | None, int | None, float | None]]) -> pl.DataFrame:
    at = [None if minutes is None else NOON + timedelta(minutes=minutes) for _, minutes, _ in rows]
    return pl.DataFrame(
        {"sensor": [r[0] for r in rows], "observed_at": at, "value": [r[2] for r in rows], ROW: range(1, len(rows) + 1)},
        schema={"sensor": pl.String, "observed_at": INSTANT, "value": pl.Float64, ROW: pl.UInt32}, strict=False,
    )  # fmt: skip


@FEW
@given(st.lists(st.tuples(NAMES, MINUTES, VALUES), min_size=1, max_size=6))
def test_plain_readings_are_those_of_the_long_check_and_all_of_them(
    rows: list[tuple[str | None, int | None, float | None]],
) -> None:
    frame, latest = frame_of(rows), NOON + timedelta(minutes=5)
    quick = all_good(frame, Bounds.of(SENSORS), EARLY, latest)
    known = SENSORS.with_columns(pl.col("low", "high").cast(pl.Float64))
    slow, faults = validate._readings(frame, _Town(known), latest)  # type: ignore[arg-type]
    kept, bad = validate._parted(slow, faults)
    assert (quick is None) == (bad.height > 0)
    if quick is not None:
        assert_frame_equal(quick, kept.select(quick.columns), check_exact=True)


class _Town:
    """As much of the registers as the long check asks."""

    def __init__(self, sensors: pl.DataFrame) -> None:
        self.sensors, self.quantities, self.gas_temperature_c = sensors, dict[str, object](), 25.0


@pytest.mark.parametrize("changed", [{"unit": "m"}, {"value": "12"}])
def test_readings_with_a_unit_or_numbers_as_text_are_left_to_the_long_check(changed: dict[str, str]) -> None:
    frame = frame_of([("open", 0, 1.0)]).with_columns(**{name: pl.lit(text) for name, text in changed.items()})
    assert all_good(frame, Bounds.of(SENSORS), EARLY, NOON) is None
