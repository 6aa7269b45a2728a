"""The time that arrivals cover: joined spans, and shares of windows, against a plain count of seconds."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.covered import Covered
from pipelines.engine.model import INSTANT

T0 = datetime(2026, 3, 1, tzinfo=UTC)
EVERY = {"a": timedelta(seconds=5), "b": timedelta(0)}


def at(second: int) -> datetime:
    return T0 + timedelta(seconds=second)


def arrivals(rows: list[tuple[str, int, int]]) -> pl.DataFrame:
    """Landed arrivals: feed, from which second on they cover, when they were observed."""
    return pl.DataFrame(
        [(feed, at(low), at(high), "landed") for feed, low, high in rows],
        schema={"feed": pl.String, "covers_from": INSTANT, "observed_at": INSTANT, "outcome": pl.String},
        orient="row",
    )


def covered(*batches: list[tuple[str, int, int]]) -> Covered:
    found = Covered(pl.DataFrame(schema={"feed": pl.String, "low": INSTANT, "high": INSTANT}), EVERY)
    for batch in batches:
        found.add(arrivals(batch))
    return found


def windows(rows: list[tuple[int, int]]) -> pl.DataFrame:
    return pl.DataFrame([(at(a), at(b)) for a, b in rows], schema={"window": INSTANT, "as_of": INSTANT}, orient="row")


def counted(rows: list[tuple[str, int, int]], feeds: set[str], start: int, end: int) -> float | None:
    """Second by second: is it in a span of these feeds, the newest of each feed reaching until the next is due?"""
    spans = []
    for feed in feeds:
        own = [(low, high) for name, low, high in rows if name == feed]
        newest = max((high for _, high in own), default=0)
        pace = int(EVERY[feed].total_seconds())
        spans += [(low, high + pace if high == newest else high) for low, high in own]
    inside = sum(any(low <= second < high for low, high in spans) for second in range(start, end))
    return inside / (end - start) if end > start else None


SPANS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 60), st.integers(1, 20)).map(lambda s: (s[0], s[1], s[1] + s[2])),
    max_size=12,
)


@given(batches=st.lists(SPANS, max_size=4), feeds=st.sets(st.sampled_from("ab")), start=st.integers(0, 90))
def test_shares_are_what_counting_seconds_gives_in_any_order_of_arrival(
    batches: list[list[tuple[str, int, int]]], feeds: set[str], start: int
) -> None:
    asked = [(start, start), (start, start + 7), (0, 90), (start, start + 40)]
    found = covered(*batches).share(feeds, windows(asked))
    rows = [row for batch in batches for row in batch]
    wanted = [counted(rows, feeds, low, high) for low, high in asked]
    assert found["coverage"].to_list() == wanted
    assert found["window"].to_list() == [at(low) for low, _ in asked]


def test_spans_that_overlap_or_touch_become_one() -> None:
    rows = [("b", 0, 10), ("b", 5, 12), ("b", 12, 15), ("b", 20, 30), ("b", 21, 25)]
    spans = covered(rows[3:], rows[:2], rows[2:3]).of({"b"})
    start = int(T0.timestamp()) * 1_000_000
    assert ((spans.low - start) // 1_000_000).tolist() == [0, 20]
    assert ((spans.high - start) // 1_000_000).tolist() == [15, 30]


def test_the_newest_covered_instant_is_what_came_not_what_is_due() -> None:
    found = covered([("a", 0, 10)]).share({"a"}, windows([(0, 12), (30, 40)]))
    assert found["coverage"].to_list() == [1.0, 0.0]
    assert found["as_of"].to_list() == [at(10), None]


def test_hours_before_anything_came_have_no_completeness() -> None:
    rows = [("b", 3600 + 900, 3600 + 1800)]
    assert covered(rows).completeness("b", T0, 3, at(2 * 3600 + 1800)) == [None, 0.25, 0.0]
