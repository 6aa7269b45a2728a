"""The words that KPI functions are made of: rows in windows, areas, and steps that several KPIs take."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.measures import MOST_SHARED, by_area, forget_shared, in_windows, shared
from pipelines.engine.model import INSTANT

T0 = datetime(2026, 3, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return T0 + timedelta(minutes=minute)


def windows(spans: list[tuple[int, int]]) -> pl.DataFrame:
    rows = [(at(a), at(b), at(b)) for a, b in spans]
    return pl.DataFrame(rows, schema=dict.fromkeys(("window", "end", "as_of"), INSTANT), orient="row")


@given(
    spans=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=5, unique_by=lambda s: s[0]),
    minutes=st.lists(st.one_of(st.none(), st.integers(-5, 80)), max_size=20),
)
def test_a_row_is_in_every_window_that_holds_it_and_in_no_other(
    spans: list[tuple[int, int]], minutes: list[int | None]
) -> None:
    asked = [(start, start + length) for start, length in spans]
    frame = pl.DataFrame(
        {"row": range(len(minutes)), "observed_at": [None if m is None else at(m) for m in minutes]},
        schema={"row": pl.Int64, "observed_at": INSTANT},
    )
    found = in_windows(frame, windows(asked)).select("row", "window").rows()
    wanted = [(i, at(a)) for i, m in enumerate(minutes) for a, b in asked if m is not None and a <= m < b]
    assert sorted(found) == sorted(wanted)


def test_by_area_stacks_the_levels_and_leaves_out_rows_without_a_name() -> None:
    frame = pl.DataFrame({"ward": ["W1", None], "value": [1, 2]})
    found = by_area(frame, ("town", "ward")).select("area", "value").rows()
    assert found == [("town", 1), ("town", 2), ("ward:W1", 1)]


def test_a_shared_step_is_taken_once_for_the_same_frames_and_again_for_others() -> None:
    taken: list[int] = []

    @shared
    def doubled(frame: pl.DataFrame, pair: tuple[pl.DataFrame, int], *, by: int = 2) -> pl.DataFrame:
        taken.append(by)
        return frame * by

    one, other = pl.DataFrame({"x": [1]}), pl.DataFrame({"x": [1]})
    assert doubled(one, (one, 1)) is doubled(one, (one, 1))
    assert doubled(one, (one, 1), by=3)["x"].to_list() == [3]
    assert doubled(other, (one, 1))["x"].to_list() == doubled(one, (other, 1))["x"].to_list() == [2]
    assert taken == [2, 3, 2, 2]


def test_a_shared_step_forgets_the_oldest_answer_first() -> None:
    taken: list[int] = []

    @shared
    def step(frame: pl.DataFrame, number: int) -> pl.DataFrame:
        taken.append(number)
        return frame

    frame = pl.DataFrame({"x": [1]})
    for number in range(MOST_SHARED + 1):
        step(frame, number)
    step(frame, MOST_SHARED)
    step(frame, 0)
    forget_shared()
    step(frame, 0)
    assert taken == [*range(MOST_SHARED + 1), 0, 0]
