"""Charts: a band behind the line, and fewer points of a long history without losing a peak."""

import random
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from components.histories import thinned
from components.trend import Band, line_figure, usual_band
from pipelines.engine.model import INSTANT
from pipelines.engine.summaries import MOST_POINTS, fitting_step
from pipelines.engine.usual import Usual

START = datetime(2026, 3, 9, 18, 30, tzinfo=UTC)


def rows(values: list[float | None]) -> pl.DataFrame:
    at = [START + timedelta(minutes=number) for number in range(len(values))]
    return pl.DataFrame({"window": at, "value": values}, schema={"window": INSTANT, "value": pl.Float64})


def test_band_stands_behind_the_line_which_stays_the_first_trace() -> None:
    band = Band(["2026-03-10T00:00", "2026-03-10T01:00"], [1.0, 2.0], [3.0, 4.0])
    figure = line_figure(["2026-03-10T00:00"], [2.5], {"target": 5.0}, band)
    assert figure["data"][0]["y"] == [2.5]
    low, high = figure["data"][-2:]
    assert (low["y"], high["y"], high["fill"]) == ([1.0, 2.0], [3.0, 4.0], "tonexty")
    assert "fill" not in low
    assert len(line_figure(["2026-03-10T00:00"], [2.5], {})["data"]) == 1


def test_usual_that_is_not_shown_is_no_band_and_says_why() -> None:
    hidden = pl.DataFrame(
        {"observed_at": [START], "low": [None], "high": [None]},
        schema={"observed_at": INSTANT, "low": pl.Float64, "high": pl.Float64},
    )
    band = usual_band(Usual(hidden, "It is not shown.", False), "Asia/Kolkata")
    assert (list(band.x), band.words, band.told) == ([], "", "It is not shown.")
    shown = hidden.with_columns(low=1.0, high=2.0)
    assert list(usual_band(Usual(shown, "It is.", True), "Asia/Kolkata").x) == ["2026-03-10T00:00:00"]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=500), st.integers(8, 60))
def test_thinned_keeps_ends_extremes_order_and_gaps(values: list[float | None], most: int) -> None:
    whole = rows(values)
    found = thinned(whole, most)
    known = [value for value in values if value is not None]
    assert found["window"].is_sorted()
    assert found.join(whole, on=["window", "value"], how="semi", nulls_equal=True).height == found.height
    assert (found["window"][0], found["window"][-1]) == (whole["window"][0], whole["window"][-1])
    assert (found["value"].min(), found["value"].max()) == (min(known, default=None), max(known, default=None))
    assert (found["value"].null_count() > 0) == (None in values)
    assert found.height <= max(len(values) if len(values) <= most else 0, most * 5 // 4 + 5)


def test_a_single_peak_of_a_year_of_minutes_is_kept() -> None:
    chance = random.Random(6)
    values: list[float | None] = [chance.random() for _ in range(500_000)]
    values[313_131] = 99.0
    found = thinned(rows(values), MOST_POINTS)
    assert found["value"].max() == 99.0
    assert found.height <= MOST_POINTS * 5 // 4


def test_step_of_a_chart_is_the_finest_that_fits() -> None:
    day = timedelta(days=1)
    assert fitting_step(2 * day, 900) is None
    assert fitting_step(2 * day, 30) == "quarter_hour"
    assert fitting_step(30 * day, 60) == "hour"
    assert fitting_step(365 * day, 900) == "day"
    assert fitting_step(3650 * day, 900) == "month"
