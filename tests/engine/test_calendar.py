"""The town's calendar: windows of local hours and days, also where clocks are changed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.engine.calendar import after, daily, floor, hourly, windows
from pipelines.engine.model import INSTANT, every, rolling

ROME, KOLKATA, LORD_HOWE, CAIRO = "Europe/Rome", "Asia/Kolkata", "Australia/Lord_Howe", "Africa/Cairo"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (ROME, "2026-03-29", 23), (ROME, "2026-10-25", 25), (ROME, "2026-06-01", 24), (KOLKATA, "2026-03-29", 24),
        (LORD_HOWE, "2026-04-05", 24.5), (LORD_HOWE, "2026-10-04", 23.5), (CAIRO, "2026-04-24", 23),
    ],
)  # fmt: skip
def test_day_has_as_many_hours_as_the_clock_gives_it(zone: str, day: str, hours: float) -> None:
    noon = local(f"{day}T12:00", zone)
    grid = windows(every("day"), noon, noon + timedelta(seconds=1), noon + timedelta(days=3), zone)
    ((start, end, as_of),) = grid.rows()
    assert (end - start, as_of) == (timedelta(hours=hours), end)
    assert end.astimezone(ZoneInfo(zone)).date() == datetime.fromisoformat(day).date() + timedelta(days=1)


@pytest.mark.parametrize("zone", [ROME, KOLKATA, LORD_HOWE, CAIRO, "America/Havana", "Asia/Kathmandu"])
@pytest.mark.parametrize("step", ["quarter_hour", "hour", "day", "week", "month", "year"])
def test_windows_tile_the_year_and_hold_their_own_instants(zone: str, step: str) -> None:
    begin = local("2026-01-01T00:00", zone)
    finish = begin + timedelta(days=14 if step == "quarter_hour" else 370)
    at, previous = floor(begin, step, zone), None
    while at < finish:
        following = after(at, step, zone)
        assert following > at
        middle = at + (following - at) / 2
        assert floor(at, step, zone) == floor(middle, step, zone) == at
        assert floor(following - timedelta(microseconds=1), step, zone) == at
        assert previous is None or previous == at
        at = previous = following


def test_hours_of_a_half_hour_zone_begin_on_the_towns_full_hour() -> None:
    assert floor(utc("2026-03-10T06:40"), "hour", KOLKATA) == utc("2026-03-10T06:30")
    assert floor(utc("2026-03-10T06:20"), "hour", KOLKATA) == utc("2026-03-10T05:30")
    assert floor(utc("2026-03-10T06:20"), "quarter_hour", KOLKATA) == utc("2026-03-10T06:15")


def test_repeated_hour_is_two_hours() -> None:
    first, second = local("2026-10-25T02:30", ROME), local("2026-10-25T02:30", ROME, fold=1)
    assert (floor(first, "hour", ROME), floor(second, "hour", ROME)) == (
        utc("2026-10-25T00:00"),
        utc("2026-10-25T01:00"),
    )


def test_half_hour_clock_change_gives_one_hour_of_ninety_and_one_of_thirty_minutes() -> None:
    long, short = local("2026-04-05T01:00", LORD_HOWE), utc("2026-10-03T15:30")
    assert after(long, "hour", LORD_HOWE) - long == timedelta(minutes=90)
    assert after(short, "hour", LORD_HOWE) - short == timedelta(minutes=30)


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    at = local("2026-03-12T15:00", KOLKATA)
    assert floor(at, "week", KOLKATA) == local("2026-03-09T00:00", KOLKATA)
    assert floor(at, "month", KOLKATA) == local("2026-03-01T00:00", KOLKATA)
    assert floor(at, "year", KOLKATA) == local("2026-01-01T00:00", KOLKATA)
    assert after(local("2026-01-01T00:00", KOLKATA), "month", KOLKATA) == local("2026-02-01T00:00", KOLKATA)
    assert after(local("2024-01-01T00:00", KOLKATA), "year", KOLKATA) == local("2025-01-01T00:00", KOLKATA)


def test_windows_begin_no_later_than_now_and_the_running_one_ends_its_reach_there() -> None:
    now = local("2026-03-12T15:20", KOLKATA)
    grid = windows(every("hour"), now - timedelta(hours=2), now + timedelta(hours=9), now, KOLKATA)
    assert grid["window"].to_list() == [local(f"2026-03-12T{h}:00", KOLKATA) for h in (13, 14, 15)]
    assert grid["as_of"].to_list() == [local(f"2026-03-12T{h}", KOLKATA) for h in ("14:00", "15:00", "15:20")]
    assert windows(every("day"), now + timedelta(days=2), now + timedelta(days=3), now, KOLKATA).is_empty()


@pytest.mark.parametrize(("hours", "step"), [(8, "hour"), (24, "hour"), (24, "day"), (72, "day")])
def test_rolling_windows_hold_the_instant_and_are_all_of_them(hours: int, step: str) -> None:
    start, now = utc("2026-03-12T10:10"), utc("2026-03-20T00:00")
    grid = windows(rolling(hours, step), start, start + timedelta(seconds=1), now, "UTC")
    held = grid.filter((pl.col("window") <= start) & (start < pl.col("end")))
    assert held.height == hours // (1 if step == "hour" else 24)
    assert (grid["end"] - grid["window"]).unique().to_list() == [timedelta(hours=hours)]


@pytest.mark.parametrize(
    ("zone", "begin"),
    [
        (ROME, "2026-03-28T20:00"),
        (ROME, "2026-10-24T20:00"),
        (KOLKATA, "2026-03-10T00:10"),
        (LORD_HOWE, "2026-04-04T10:00"),
        (LORD_HOWE, "2026-10-03T10:00"),
        (CAIRO, "2026-04-23T18:00"),
    ],
)
def test_rollups_agree_with_the_windows_they_are_read_by(zone: str, begin: str) -> None:
    rows = [(1, utc(begin) + timedelta(minutes=10 * n), float(n)) for n in range(240)]
    frame = pl.DataFrame(rows, schema={"series": pl.Int32, "observed_at": INSTANT, "value": pl.Float64}, orient="row")
    hours = hourly(frame, zone)
    expected: dict[datetime, list[float]] = {}
    for _, at, value in rows:
        expected.setdefault(floor(at, "hour", zone), []).append(value)
    assert dict(zip(hours["observed_at"], hours["sum"], strict=True)) == {k: sum(v) for k, v in expected.items()}
    days: dict[datetime, list[float]] = {}
    for _, at, value in rows:
        days.setdefault(floor(at, "day", zone), []).append(value)
    found = daily(hours, zone)
    assert dict(zip(found["observed_at"], found["n"], strict=True)) == {k: len(v) for k, v in days.items()}
    assert dict(zip(found["observed_at"], found["last"], strict=True)) == {k: v[-1] for k, v in days.items()}


def test_unusable_readings_are_in_no_rollup() -> None:
    frame = pl.DataFrame(
        [(1, utc("2026-03-10T00:00"), None), (1, utc("2026-03-10T00:10"), 3.0)],
        schema={"series": pl.Int32, "observed_at": INSTANT, "value": pl.Float64},
        orient="row",
    )
    assert hourly(frame, "UTC").select("n", "sum", "min", "max", "last").rows() == [(1, 3.0, 3.0, 3.0, 3.0)]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_fiscal_year_runs_from_april_to_march_on_the_towns_clock(zone: str) -> None:
    for text, year in (("2026-03-31T23:59", 2025), ("2026-04-01T00:00", 2026), ("2026-12-31T12:00", 2026)):
        at = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
        start = floor(at, "fiscal_year", zone)
        assert start.astimezone(ZoneInfo(zone)).isoformat()[:16] == f"{year}-04-01T00:00"
        end = after(start, "fiscal_year", zone)
        assert end.astimezone(ZoneInfo(zone)).isoformat()[:16] == f"{year + 1}-04-01T00:00"
