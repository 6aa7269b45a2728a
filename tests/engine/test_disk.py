"""A disk that is nearly full, full, or read-only is on the board in plain words before and while it hurts."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import disk
from pipelines.engine.line import Line
from tests.engine import small_town
from tests.engine.small_town import NOON, after, beat, csv_of, make, send

KPIS = frozenset({"pressure_compliance"})
ROW = csv_of([("P1.p", NOON, 20.0)])


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    opened = small_town.open_line(make(tmp_path / "town"), NOON, KPIS)
    yield opened
    opened.close()


def shown(line: Line, minutes: float) -> dict[str, dict[str, Any]]:
    """The alarms about the store on the board: rule -> alarm."""
    alarms = beat(line, after(NOON, minutes))["alarms"]
    return {alarm["rule"]: alarm for alarm in alarms if alarm["area"] == "town" and alarm["domain"] == "feeds"}


def test_disk_that_will_soon_be_full_rings_before_it_is(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(disk, "room", lambda folder: (300 << 20, 64 << 30))
        alarm = shown(line, 1)["disk_low"]
    assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "high")
    assert "Only 300 MB are free" in alarm["instruction"]
    assert shown(line, 2)["disk_low"]["state"] == "returned_unacknowledged"


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "it was made read-only")]
)
def test_line_stays_up_says_that_the_disk_refuses_and_heals_by_itself(
    line: Line, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, "refused")

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.engine.journal.os.write", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="refused"):
                send(line, "network", ROW, NOON)
        alarm = shown(line, 1)["disk_refuses"]
    assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "critical")
    assert words in alarm["instruction"]
    assert send(line, "network", ROW, NOON).stored == 1
    assert shown(line, 2)["disk_refuses"]["state"] == "returned_unacknowledged"


def test_damaged_file_is_named_on_the_board(line: Line) -> None:
    line.store.damaged["cold/readings/2026-03-09.4.parquet"] = "cold/readings/2026-03-09.4.parquet is missing"
    alarm = shown(line, 1)["files_damaged"]
    assert "2026-03-09.4.parquet is missing" in alarm["instruction"]
