"""Frames in order of time: spans found and put in anew give what sifting gives, and the pieces stay few."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import timed
from pipelines.engine.model import INSTANT
from pipelines.engine.timed import between, place, replaced

T0 = datetime(2026, 3, 1, tzinfo=UTC)
# (where the span begins, how long it is, how many rows it has afterwards)
SPANS = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 40), st.integers(0, 40)), max_size=60)


def second(number: float) -> datetime:
    return T0 + timedelta(seconds=number)


def rows(start: int, length: int, count: int) -> pl.DataFrame:
    at = [second(start + length * n / count) for n in range(count)]
    return pl.DataFrame({"observed_at": pl.Series(at, dtype=INSTANT), "n": pl.Series(range(count), dtype=pl.Int64)})


def sifted(frame: pl.DataFrame, fresh: pl.DataFrame, start: datetime, end: datetime) -> pl.DataFrame:
    outside = frame.filter((pl.col("observed_at") < start) | (pl.col("observed_at") >= end))
    return pl.concat([outside, fresh]).sort("observed_at", maintain_order=True)


@given(SPANS)
def test_spans_that_are_put_in_anew_give_what_sifting_gives(spans: list[tuple[int, int, int]]) -> None:
    frame = plain = rows(0, 300, 100)
    for start, length, count in spans:
        fresh, first, end = rows(start, length, count), second(start), second(start + length)
        frame, plain = replaced(frame, fresh, first, end), sifted(plain, fresh, first, end)
        assert frame.equals(plain)
        assert place(frame, end) == plain.filter(pl.col("observed_at") < end).height
        assert between(frame, first, end).equals(fresh)


def test_pieces_stay_few_and_large_ones_are_not_copied_however_long_a_frame_is_added_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(timed, "LARGE_PIECE", 500)
    frame, most = rows(0, 1, 600), 0
    for start in range(1, 2_000):
        frame = replaced(frame, rows(start, 1, 3), second(start), second(start + 1))
        most = max(most, sum(length < timed.LARGE_PIECE for length in frame.to_series().chunk_lengths()))
    lengths = frame.to_series().chunk_lengths()
    assert lengths[0] == 600 and sum(lengths) == frame.height == 600 + 3 * 1_999
    assert most <= timed.MOST_PIECES + len(lengths)


def test_late_rows_all_over_a_frame_leave_few_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed, "LARGE_PIECE", 50)
    frame = rows(0, 3_000, 3_000)
    for start in range(5, 2_500, 7):
        frame = replaced(frame, rows(start, 1, 2), second(start), second(start + 1))
        assert frame.n_chunks() <= 2 * (timed.MOST_PIECES + frame.height // timed.LARGE_PIECE)


def test_frame_with_nothing_to_change_stays_the_very_same() -> None:
    frame = rows(0, 10, 10)
    assert replaced(frame, frame.clear(), second(20), second(30)) is frame
    assert replaced(frame, frame.clear(), second(0), second(30)).equals(frame.clear())
