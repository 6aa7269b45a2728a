"""The newest reading of every sensor, asked by many between two beats; a beat still gets all that landed."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.line import Line
from pipelines.engine.newest import NewestReadings
from pipelines.engine.standing import NEWEST, Standing
from tests.engine.small_town import NOON, csv_of, make, open_line, readings, send

MINUTE = timedelta(minutes=1)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = open_line(make(tmp_path / "town"), NOON)
    yield line
    line.close()


def said(frame: pl.DataFrame) -> list[tuple[float, float]]:
    """Minutes before noon and value of the pressure at P1, in order of time."""
    rows = frame.filter(pl.col("sensor") == "P1.p").sort("observed_at")
    return [((NOON - at) / MINUTE, value) for at, value in rows.select("observed_at", "value").iter_rows()]


def land(line: Line, *found: tuple[int, float]) -> None:
    rows = [("P1.p", NOON - minutes * MINUTE, value) for minutes, value in found]
    assert send(line, "network", csv_of(rows), NOON).stored == len(rows), readings(line)


def test_newest_reading_is_known_at_once_and_late_ones_do_not_hide_it(line: Line) -> None:
    assert said(line.latest) == []
    land(line, (10, 15.0))
    assert said(line.latest) == [(10, 15.0)]
    land(line, (5, 17.0), (20, 12.0))
    assert said(line.latest) == said(line.latest) == [(5, 17.0)]
    land(line, (5, 18.0))
    assert said(line.latest) == [(5, 18.0)], "a correction of the newest"


def test_beat_gets_every_reading_that_landed_whoever_asked_for_the_newest_before(line: Line) -> None:
    land(line, (10, 99.0), (9, 15.0))
    assert said(line.latest) == [(9, 15.0)]
    land(line, (8, 16.0))
    assert said(line.drain_samples()) == [(10, 99.0), (9, 15.0), (8, 16.0)]
    assert said(line.drain_samples()) == [(8, 16.0)], "what a beat has had does not come twice, but the newest does"


READINGS = st.tuples(st.sampled_from([0, 3, 5000]), st.integers(0, 5), st.sampled_from([None, 1.0, 2.5, -3.0]))
PIECES = st.lists(st.lists(READINGS, max_size=5), max_size=5)
FEW = settings(max_examples=100, deadline=None, derandomize=True)
Reading = tuple[int, int, float | None]


def frame(rows: list[Reading]) -> pl.DataFrame:
    return pl.DataFrame(
        [(series, NOON + minute * MINUTE, value) for series, minute, value in rows], schema=NEWEST, orient="row"
    )


def told(rows: pl.DataFrame) -> list[Reading]:
    return [(series, int((at - NOON) / MINUTE), value) for series, at, value in rows.iter_rows()]


def newest(rows: list[Reading]) -> dict[int, Reading]:
    """The last that came of the latest instant of each series."""
    found: dict[int, Reading] = {}
    for row in rows:
        if row[0] not in found or row[1] >= found[row[0]][1]:
            found[row[0]] = row
    return found


@FEW
@given(PIECES)
def test_newest_of_every_series_stands_whatever_comes_in_whatever_order(pieces: list[list[Reading]]) -> None:
    standing, came = Standing(frame([])), list[Reading]()
    for piece in pieces:
        standing.learn(frame(piece))
        came += piece
        assert sorted(told(standing.rows()), key=lambda row: row[0]) == [row for _, row in sorted(newest(came).items())]


@FEW
@given(PIECES, PIECES)
def test_what_landed_since_is_drained_once_beside_the_newest_of_the_others(
    before: list[list[Reading]], after: list[list[Reading]]
) -> None:
    found = NewestReadings(frame([]), threading.RLock())
    for piece in before:
        found.add(frame(piece), corrects=True)
    found.drain()
    for piece in after:
        found.add(frame(piece), corrects=True)
    drained = told(found.drain())
    states = {(series, minute): (series, minute, value) for piece in after for series, minute, value in piece}
    still = newest([row for piece in (*before, *after) for row in piece])
    assert len(drained) == len({row[:2] for row in drained})
    assert {row[:2]: row for row in drained} == {row[:2]: row for row in still.values()} | states
