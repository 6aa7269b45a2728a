"""What a series says of itself: stuck, spike, too fast, replayed; and what must not be called so."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.quality import checks

T0 = datetime(2026, 3, 10, tzinfo=UTC)
MINUTE = 60_000_000
MARKS = {0: ".", 10: "r", 11: "s", 12: "=", 13: "c"}


def limits(**changed: float | None) -> pl.DataFrame:
    """Limits of series 0, read every minute; a gap is more than three."""
    row = {
        "series": 0, "gap": 3 * MINUTE, "rate": None, "spike": None, "stuck": None, "rest": 0.0, "block": 60 * MINUTE,
    }  # fmt: skip
    return pl.DataFrame([{**row, **changed}], schema=checks.LIMITS)


def marks(values: list[float | None], every: int = 1, **changed: float | None) -> str:
    """One letter per value: . good, r too fast, s spike, = stuck, c copied. None is a reading that never came."""
    rows = [(0, T0 + timedelta(minutes=n * every), v) for n, v in enumerate(values) if v is not None]
    frame = pl.DataFrame(
        rows, schema={"series": pl.Int32, "observed_at": pl.Datetime("us", "UTC"), "value": pl.Float64}, orient="row"
    )
    return "".join(MARKS[code] for code in checks.codes(frame, limits(**changed)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # Five minutes of the same value are too long when four are plausible; the first of them was new.
        ([1, 5, 5, 5, 5, 5, 2], "..====."),
        ([1, 5, 5, 5, 5, 2], "......"),
        # Zero flow may last.
        ([1, 0, 0, 0, 0, 0, 0, 0], "........"),
        # Nobody knows what it said in a gap of four minutes: the two ends do not make one repetition.
        ([5, 5, 5, None, None, None, 5, 5, 5], "......"),
        # One that is missing does not end it: two intervals are no gap.
        ([5, 5, None, 5, 5], ".==="),
        ([], ""),
    ],
)
def test_stuck_is_the_same_value_for_longer_than_plausible(values: list[float | None], expected: str) -> None:
    assert marks(values, stuck=4 * MINUTE) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # The median of 5, 5.1, 90, 5.2, 5.1 is 5.1: 90 is away by 84.9, their scaled median deviation by 0.15.
        ([5, 5.1, 90, 5.2, 5.1], "..s.."),
        # Two behind each other are still fewer than three good ones around.
        ([5, 5.1, 90, 91, 5.2, 5.1, 5], "..ss..."),
        # A step that stays is a step.
        ([5, 5.1, 5, 90, 90.1, 90], "......"),
        # Small against the spike that counts: what the device itself wavers.
        ([5, 5, 7.9, 5, 5], "....."),
        # Noisy neighbours: 40 is away by 29, six scaled median deviations of 9 are 80.
        ([2, 20, 40, 1, 11], "....."),
        # What follows is not known yet.
        ([5, 5.1, 5, 90], "...."),
    ],
)
def test_spike_stands_alone_among_its_neighbours(values: list[float | None], expected: str) -> None:
    assert marks(values, spike=3.0) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        # 60 an hour are five in five minutes, and no less is asked of readings that are nearer.
        ([5, 6, 7, 12.5, 8], "...r."),
        ([5, 6, None, 11], "..."),
        # After a gap anything may have happened.
        ([5, None, None, None, 50], ".."),
    ],
)
def test_too_fast_is_a_change_that_the_quantity_cannot_make(values: list[float | None], expected: str) -> None:
    assert marks(values, rate=60.0) == expected


def test_reading_after_a_spike_is_not_blamed_for_the_way_back() -> None:
    assert marks([5, 5.1, 90, 5.2, 5.1], spike=3.0, rate=60.0) == "..s.."


DAY = [float((n * 37) % 101) for n in range(24 * 60)]


def test_day_that_is_copied_is_suspect_and_the_one_it_is_a_copy_of_is_not() -> None:
    fresh = [value + 0.5 for value in DAY]
    found = marks([*DAY, *fresh, *fresh, *DAY])
    assert found[: 2 * 1440] == "." * 2880
    assert found[2 * 1440 : 3 * 1440] == "c" * 1440
    assert found[3 * 1440 :] == "." * 1440


def test_copied_hour_within_a_good_day_is_found_from_end_to_end() -> None:
    second = [value + 0.5 for value in DAY]
    second[600:700] = DAY[600:700]
    found = marks([*DAY, *second])
    assert set(found[1440 + 600 : 1440 + 700]) == {"c"}
    assert found.count("c") == 100


def test_constant_night_and_chance_meetings_are_no_copy() -> None:
    quiet = [3.0] * 700 + DAY[700:]
    assert "c" not in marks([*quiet, *[3.0] * 700, *(v + 1 for v in DAY[700:])])
    # Half of the values agree with the day before: too few.
    assert "c" not in marks([*DAY, *(value if n % 2 else value + 0.5 for n, value in enumerate(DAY))])


def test_recorded_house_shows_its_copied_days(recorded: Path) -> None:
    """UCI 235 has no data from 2007-04-28 00:21 to 04-30 14:23; the packager filled them by copying the day before.

    MANIFEST.md counts 1,419 of 1,440 minutes of the 28th.
    """
    raw = pl.read_csv(
        recorded / "energy" / "uci_household_power_sceaux_1min_2007_02_04.csv.gz", null_values=["?", "NA", ""]
    )
    rows = house(raw)
    found = rows.filter(checks.codes(rows, limits(block=60 * MINUTE)) == 13)["observed_at"]
    assert (found.dt.day() == 28).sum() == 1419
    assert (found.dt.day() == 29).sum() == 1440
    assert found[0] == datetime(2007, 4, 28, 0, 21, tzinfo=UTC)
    # At the very end a minute or two agree by chance.
    assert abs(found[-1] - datetime(2007, 4, 30, 14, 23, tzinfo=UTC)) <= timedelta(minutes=5)


def house(raw: pl.DataFrame) -> pl.DataFrame:
    """Its voltage as a series."""
    at = raw.select(pl.col(next(c for c in raw.columns if "date" in c.lower() or "time" in c.lower()))).to_series()
    return (
        raw.select(
            series=pl.lit(0, pl.Int32),
            observed_at=at.cast(pl.String).str.to_datetime(time_unit="us", strict=False).dt.replace_time_zone("UTC"),
            value=pl.col(next(c for c in raw.columns if c.lower().startswith("volt"))).cast(pl.Float64, strict=False),
        )
        .drop_nulls()
        .unique("observed_at", keep="first")
        .sort("observed_at")
    )


@settings(max_examples=60)
@given(st.data())
def test_verdict_on_a_row_depends_on_nothing_beyond_its_reach(data: st.DataObject) -> None:
    """The engine reads only a neighbourhood: cutting the series at the reach must change no verdict inside."""
    how = {"stuck": 6 * MINUTE, "spike": 3.0, "rate": 120.0, "block": 0}
    value = st.one_of(st.none(), st.sampled_from([0.0, 4.0, 5.0, 5.0, 5.0, 6.0, 40.0]))
    values = data.draw(st.lists(value, min_size=30, max_size=80))
    whole = marks(values, **how)
    reach = int(checks.reach(limits(**how))[0] // MINUTE)
    place = data.draw(st.integers(0, len(values) - 1))
    if values[place] is None:
        return
    low, high = max(0, place - reach), place + reach + 1
    cut = marks(values[low:high], **how)
    known = sum(v is not None for v in values[:place])
    inside = sum(v is not None for v in values[low:place])
    assert cut[inside] == whole[known]
