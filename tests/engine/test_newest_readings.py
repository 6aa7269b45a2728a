"""The newest reading of every sensor, asked by many between two beats; a beat still gets all that landed."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine.line import Line
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
