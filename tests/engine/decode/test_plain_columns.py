"""Columns of text in which nothing is odd: what the quick look accepts is what Python reads, to the last digit."""

import re
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.engine.decode.plain_columns import coded, instants, numbers, stripped, text_column

NUMBER = re.compile(r"-?\d+(\.\d+)?")
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31))  # noqa: DTZ001 the zone is written behind them
FEW = settings(max_examples=150, deadline=None, derandomize=True)


@FEW
@given(st.lists(st.text("0123456789.-", max_size=5), min_size=1, max_size=4))
@example(["-"])
@example(["1-", "-"])
@example(["", "-.5"])
def test_numbers_are_read_when_every_cell_is_one(cells: list[str]) -> None:
    found = numbers(text_column(cells))
    if all(not cell or NUMBER.fullmatch(cell) for cell in cells):
        assert found is not None
        assert found.to_list() == [float(cell) if cell else None for cell in cells]
    else:
        assert found is None


@pytest.mark.parametrize("cell", ["1e3", "+1", " 1", "nan", "inf", "0x1", "1_0", "1,5"])
def test_numbers_in_any_other_form_are_left_to_the_long_way(cell: str) -> None:
    assert numbers(text_column(["1", cell])) is None


@FEW
@given(st.lists(st.tuples(MOMENTS, st.booleans()), min_size=1, max_size=4))
def test_instants_are_those_of_pythons_calendar_with_and_without_parts_of_a_second(
    given: list[tuple[datetime, bool]],
) -> None:
    moments = [moment if parts else moment.replace(microsecond=0) for moment, parts in given]
    found = instants(text_column([f"{moment.isoformat()}Z" for moment in moments]))
    assert found is not None
    assert found.to_list() == [moment.replace(tzinfo=UTC) for moment in moments]


@pytest.mark.parametrize(
    "cell",
    [
        "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
        "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "2026-01-01T00:00:00.5z",
        "2026-01-01T00:00:00.0123456789Z", "1899-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2026-1a-01T00:00:00Z", "",
    ],
)  # fmt: skip
def test_instants_that_are_none_are_left_to_the_long_way(cell: str) -> None:
    assert instants(text_column(["2026-01-01T00:00:00Z", cell])) is None


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


@FEW
@given(MOMENTS, st.integers(0, 26), st.sampled_from(" +-.:0159TZzaé\x00"))
def test_a_time_with_one_wrong_letter_is_read_as_pythons_calendar_reads_it_or_left_to_the_long_way(
    moment: datetime, place: int, letter: str
) -> None:
    cell = f"{moment.isoformat(timespec='microseconds')}Z"
    cell = cell[:place] + letter + cell[place + 1 :]
    try:
        meant = datetime.fromisoformat(cell) if TIME.fullmatch(cell) else None
    except ValueError:
        meant = None
    found = instants(text_column([cell]))
    if meant is None or not 1900 <= meant.year < 2200:
        assert found is None
    else:
        assert found is not None
        assert found.to_list() == [meant]


def test_parts_beyond_a_microsecond_are_cut_off() -> None:
    found = instants(text_column(["2026-01-01T00:00:00.123456789Z", "2024-02-29T23:59:59.5Z"]))
    assert found is not None
    assert [at.microsecond for at in found.to_list()] == [123456, 500000]


@FEW
@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=8))
def test_a_coded_column_says_what_it_said(cells: list[str | None]) -> None:
    found = coded(pl.Series(cells, dtype=pl.String))
    assert (found is None) == (None in cells)
    if found is not None:
        names, codes = found
        assert [names[code] for code in codes] == cells
        assert len(set(names)) == len(names)


def test_cells_lose_the_blanks_around_them_and_are_null_when_nothing_is_left() -> None:
    assert stripped(text_column(["a", "b"])).to_list() == ["a", "b"]
    assert stripped(text_column([" a\t", "\u00a0é", "  ", "", None])).to_list() == ["a", "é", None, None, None]
