"""What is usual: from past weeks alone, never from what came later; right where the series repeats, silent where not."""

import random
import statistics
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.engine import expectation
from pipelines.engine.expectation import Season, departures, expected, scored, verdict
from pipelines.engine.model import INSTANT

HOURS = Season("hour", "Asia/Kolkata")
BEGIN = datetime(2026, 1, 4, 18, 30, tzinfo=UTC)
NONE = pl.DataFrame(schema={"series": pl.String, "observed_at": INSTANT})


def hourly(days: int, value: Any, series: str = "A") -> pl.DataFrame:
    """A value an hour: `value(local instant)`."""
    rows = []
    for number in range(days * 24):
        at = BEGIN + timedelta(hours=number)
        rows.append((series, at, value(at.astimezone(ZoneInfo(HOURS.zone)))))
    return pl.DataFrame(rows, schema={"series": pl.String, "observed_at": INSTANT, "value": pl.Float64}, orient="row")


def course(local: datetime) -> float:
    """Another curve on Sundays."""
    return float(local.hour * (2 if local.weekday() == 6 else 1))


def test_a_week_that_repeats_is_expected_exactly_and_beats_no_naive_that_is_exact_too() -> None:
    found = expected(hourly(70, course), NONE, HOURS)
    late = found.filter(pl.col("observed_at") > BEGIN + timedelta(days=30))
    assert (late["expected"] == late["value"]).all()
    assert scored(found, HOURS).row(0, named=True) | {"n": 0} == {
        "series": "A", "n": 0, "error": 0.0, "naive_error": 0.0, "inside": 1.0, "beats_naive": False,
    }  # fmt: skip


def test_noise_is_told_better_by_the_median_of_weeks_than_by_one_day() -> None:
    chance = random.Random(1)
    found = expected(hourly(80, lambda at: course(at) + chance.gauss(0, 3)), NONE, HOURS)
    score = scored(found, HOURS).row(0, named=True)
    assert score["beats_naive"]
    # The mean absolute error of noise is 0.8 of its deviation; that of a difference of two is 1.41 times as much.
    assert score["error"] == pytest.approx(0.8 * 3, rel=0.25)
    assert score["naive_error"] == pytest.approx(0.8 * 3 * 1.41, rel=0.25)
    assert 0.85 < score["inside"] < 1.0


def test_pure_chance_is_not_shown_when_yesterday_says_as_much() -> None:
    chance, level = random.Random(2), [0.0]

    def walk(at: datetime) -> float:
        if at.hour == 0:
            level[0] += chance.gauss(0, 10)
        return level[0]

    score = scored(expected(hourly(80, walk), NONE, HOURS), HOURS)
    assert not score["beats_naive"][0]
    assert verdict(score, "A").startswith("What is usual is not shown, for it tells no more")


def test_nothing_of_the_day_itself_or_later_is_used() -> None:
    history, chance = hourly(70, course), random.Random(3)
    edge = BEGIN + timedelta(days=50)
    changed = history.with_columns(
        value=pl.when(pl.col("observed_at") < edge).then("value").otherwise(pl.lit(chance.random() * 1000))
    )
    first, second = (expected(frame, NONE, HOURS) for frame in (history, changed))
    until = pl.col("observed_at") < edge + timedelta(days=1)
    assert first.filter(until).drop("value").equals(second.filter(until).drop("value"))


def test_a_holiday_goes_like_a_sunday() -> None:
    holiday = date(2026, 3, 4)
    season = Season("hour", HOURS.zone, frozenset([holiday]))
    found = expected(hourly(70, course), NONE, season)
    local = pl.col("observed_at").dt.convert_time_zone(HOURS.zone)
    there = found.filter(local.dt.date() == holiday)
    assert there["expected"].to_list() == [hour * 2.0 for hour in range(24)]


def test_hours_ahead_are_expected_too_and_a_lasting_departure_is_followed_in_part() -> None:
    def lifted(at: datetime) -> float:
        return course(at) + (10.0 if at.date() >= date(2026, 3, 10) else 0.0)

    history = hourly(65, lifted)
    end = BEGIN + timedelta(days=65)
    ahead = pl.DataFrame({"series": ["A"] * 48, "observed_at": [end + timedelta(hours=n) for n in range(48)]})
    found = expected(history, ahead.cast({"observed_at": INSTANT}), HOURS).tail(48)
    usual = [course((end + timedelta(hours=n)).astimezone(ZoneInfo(HOURS.zone))) for n in range(48)]
    assert found["value"].null_count() == 48
    assert [e - u for e, u in zip(found["expected"], usual, strict=True)] == pytest.approx(
        [10.0 * expectation.LASTING] * 48
    )


def test_a_gap_leaves_the_rest_expected() -> None:
    history = hourly(70, course).filter(
        ~pl.col("observed_at").is_between(BEGIN + timedelta(days=40), BEGIN + timedelta(days=47))
    )
    found = expected(history, NONE, HOURS).filter(pl.col("observed_at") > BEGIN + timedelta(days=50))
    assert (found["expected"] == found["value"]).all()


def test_short_history_says_that_it_is_short() -> None:
    score = scored(expected(hourly(8, course), NONE, HOURS), HOURS)
    assert "not yet three weeks" in verdict(score, "A")


def test_departures_name_how_far_beyond_the_band_a_value_lies() -> None:
    chance = random.Random(4)
    history = hourly(60, lambda at: course(at) + chance.uniform(-1, 1))
    odd = history["observed_at"][-5]
    history = history.with_columns(value=pl.when(pl.col("observed_at") == odd).then(500.0).otherwise("value"))
    found = departures(expected(history, NONE, HOURS), 3.0)
    assert found["observed_at"].to_list() == [odd]
    assert found["beyond"][0] > 100


# recorded ---------------------------------------------------------------------------------------------------------


def victoria(folder: Path) -> tuple[pl.DataFrame, frozenset[date]]:
    rows = pl.read_csv(folder / "energy" / "vic_electricity_halfhourly_2012_2014.csv.gz", try_parse_dates=True)
    at = pl.col("Time").cast(INSTANT).dt.truncate("1h").alias("observed_at")
    hours = rows.group_by(at).agg(value=pl.col("Demand").mean()).sort("observed_at")
    return hours.select(series=pl.lit("vic"), observed_at="observed_at", value="value"), frozenset(
        rows.filter("Holiday")["Date"]
    )


def test_demand_of_victoria_is_told_better_than_by_the_day_or_the_week_before(
    recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history, holidays = victoria(recorded)
    season = Season("hour", "Australia/Melbourne", holidays)
    found = expected(history, NONE, season)
    monkeypatch.setattr(expectation, "SCORED", timedelta(days=4000))
    score = scored(found, season).row(0, named=True)
    assert score["error"] < 0.75 * score["naive_error"]
    # Each hour is judged against a band of what was known at midnight: nearly as many lie in it as it says.
    assert 0.90 < score["inside"] < 0.96
    judged = found.drop_nulls()
    by_hand = statistics.fmean(abs(v - w) for v, w in judged.select("value", "day_before").iter_rows())
    assert score["naive_error"] <= by_hand + 1e-9


@pytest.mark.parametrize(("name", "precision"), [("TravelTime_387", 0.4), ("speed_6005", 0.6)])
def test_windows_that_people_labelled_on_road_detectors_are_found(recorded: Path, name: str, precision: float) -> None:
    """At twice the band; of the third detector, whose window opens fourteen days after its first reading, none is."""
    from benchmarks.forecast import detectors

    hours, windows = next((hours, windows) for one, hours, windows in detectors(recorded) if one == name)
    rang = departures(expected(hours, NONE, Season("hour", "UTC")), 2.0)["observed_at"].dt.replace_time_zone(None)
    begins = [at for at in rang if at - timedelta(hours=1) not in set(rang)]
    inside = [at for at in begins if any(low <= at <= high for low, high in windows)]
    assert all(any(low <= at <= high for at in begins) for low, high in windows)
    assert len(inside) / len(begins) >= precision
