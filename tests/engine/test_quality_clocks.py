"""Clocks that drift, step or run ahead are told from networks that are slow; simulated from what each would send."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.model import INSTANT
from pipelines.engine.quality.clocks import AHEAD, BEHIND, DRIFTING, RIGHT, judged, lags
from pipelines.engine.tables import RECEIVED

NOW = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
START = NOW - timedelta(days=7)
EVERY = timedelta(minutes=5)
Clock = Callable[[float], float]
Way = Callable[[random.Random, float], float]


def right(_: float) -> float:
    return 0.0


def gains(per_day: float) -> Clock:
    return lambda days: per_day * days


def stepped(seconds: float, after_days: float) -> Clock:
    return lambda days: seconds if days > after_days else 0.0


def quick(chance: random.Random, _: float) -> float:
    return 1.0 + chance.expovariate(1 / 3)


def mobile(chance: random.Random, _: float) -> float:
    """Minutes now and then, an hour in the night, never less than some seconds."""
    return 4.0 + chance.lognormvariate(3, 1.2) + (3600 if chance.random() < 0.05 else 0)


def held_up(chance: random.Random, days: float) -> float:
    """A day of outage: all of it comes when the link is back."""
    return quick(chance, days) + (max(0.0, 5.5 - days) * 86_400 if 4.5 < days < 5.5 else 0.0)


def came(series: int, clock: Clock, way: Way = quick, seed: int = 1, every: timedelta = EVERY) -> pl.DataFrame:
    """A week of readings of a device: by its own clock, and when they came by ours."""
    chance, rows = random.Random(seed * 1000 + series), []
    for turn in range(int((NOW - START) / every)):
        true = START + turn * every
        days = (true - START) / timedelta(days=1)
        rows.append((series, true + timedelta(seconds=clock(days)), true + timedelta(seconds=way(chance, days))))
    kinds = {"series": pl.Int32, "observed_at": INSTANT, RECEIVED: INSTANT}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def verdict(*devices: pl.DataFrame, pace_s: float = 300.0, feed: str | None = "meters") -> dict[int, dict]:
    rows = pl.concat(devices)
    about = rows.select("series").unique().with_columns(feed=pl.lit(feed, pl.String), pace_s=pl.lit(pace_s))
    return {row["series"]: row for row in judged(lags(rows), about, NOW).iter_rows(named=True)}


PEERS = tuple(came(number, right) for number in range(10, 16))


@pytest.mark.parametrize("way", [quick, mobile, held_up])
@pytest.mark.parametrize("peers", [PEERS, ()], ids=["among others", "alone"])
def test_right_clock_is_right_however_its_readings_come(way: Way, peers: tuple[pl.DataFrame, ...]) -> None:
    found = verdict(came(1, right, way), *peers)
    assert {row["state"] for row in found.values()} == {RIGHT}


@pytest.mark.parametrize("per_day", [90.0, 200.0, -90.0, -400.0])
@pytest.mark.parametrize("way", [quick, mobile])
def test_drift_is_estimated_from_the_shortest_delays(per_day: float, way: Way) -> None:
    # A clock that gains is still less ahead than what is refused as the future.
    behind = -600.0 if per_day > 0 else 0.0
    row = verdict(came(1, lambda days: behind + per_day * days, way), *PEERS)[1]
    assert row["state"] == DRIFTING
    assert row["drift_s_per_day"] == pytest.approx(per_day, rel=0.15)


@pytest.mark.parametrize(
    ("seconds", "state"), [(250.0, AHEAD), (60.0, AHEAD), (-900.0, BEHIND), (-7200.0, BEHIND), (-100.0, RIGHT)]
)
def test_clock_that_is_off_is_told_from_those_of_its_feed(seconds: float, state: str) -> None:
    row = verdict(came(1, lambda _: seconds, quick), *PEERS)[1]
    assert row["state"] == state
    assert row["error_s"] == pytest.approx(seconds, abs=5)
    assert row["drift_s_per_day"] is None


@pytest.mark.parametrize(("seconds", "state"), [(-3600.0, BEHIND), (200.0, AHEAD)])
def test_clock_that_stepped_is_told_from_its_own_past_where_it_has_no_peers(seconds: float, state: str) -> None:
    row = verdict(came(1, stepped(seconds, 4.5), quick))[1]
    assert row["state"] == state
    assert row["error_s"] == pytest.approx(seconds, abs=5)
    assert row["drift_s_per_day"] is None, "a step is no drift"


def test_feed_that_is_late_as_a_whole_has_no_clock_that_is_behind() -> None:
    def late(chance: random.Random, days: float) -> float:
        return quick(chance, days) + 7200

    assert {row["state"] for row in verdict(*(came(n, right, late) for n in range(8))).values()} == {RIGHT}


def test_within_a_file_a_day_nothing_smaller_than_a_day_is_said() -> None:
    def nightly(_: random.Random, days: float) -> float:
        return (1 - days % 1) * 86_400

    found = verdict(came(1, lambda _: -3600.0, nightly), *(came(n, right, nightly) for n in range(2, 8)), pace_s=86_400)
    assert {row["state"] for row in found.values()} == {RIGHT}


def test_device_of_which_little_is_known_is_not_judged() -> None:
    fresh = came(1, lambda _: -9000.0).filter(pl.col(RECEIVED) > NOW - timedelta(hours=12))
    assert 1 not in verdict(fresh, *PEERS)


@given(st.floats(-80_000, 250), st.integers(0, 5))
def test_error_is_never_larger_than_what_the_delays_show(seconds: float, seed: int) -> None:
    every = timedelta(hours=1)
    row = verdict(came(1, lambda _: seconds, quick, seed, every), *PEERS, pace_s=3600.0)[1]
    assert row["error_s"] == pytest.approx(seconds, abs=30)
    assert (row["state"] == BEHIND) == (seconds < -3600 - 30) or abs(seconds + 3600) < 60
