"""The board between two beats: readings come at once, KPIs and alarms stand as the last beat left them."""

import json
import zlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl

from pipelines.engine import flow
from pipelines.engine.line import Line
from pipelines.engine.snapshot import Board
from tests.engine.small_town import NOON, after, csv_of, make, open_line, send

SECOND = timedelta(seconds=1)


def beating_line(tmp_path: Path) -> Line:
    line = open_line(make(tmp_path / "town"), NOON, frozenset({"pressure_compliance"}))
    flow.beat(line, NOON)
    return line


def test_reading_is_on_the_board_before_the_next_beat(tmp_path: Path) -> None:
    line = beating_line(tmp_path)
    before = Board(line.board_path).look()
    send(line, "network", csv_of([("T1.level", NOON, 2.5)]), NOON + SECOND)
    line.publisher.refresh(NOON + SECOND)
    now = Board(line.board_path).look()
    assert before is not None and now is not None
    assert now.state["assets"]["T1"]["latest"]["tank_level_m"][0] == 2.5
    assert now.seq > before.seq
    for part in ("kpis", "alarms", "jobs", "town"):
        assert now.state[part] == before.state[part]
    assert now.state["ledger"] == line.feeds.ledger()
    line.close()


def test_refresh_sends_only_what_landed_as_changes_to_the_board_before(tmp_path: Path) -> None:
    line = beating_line(tmp_path)
    before = Board(line.board_path).look()
    send(line, "network", csv_of([("T1.level", NOON, 2.5)]), NOON + SECOND)
    refreshed = line.publisher.refresh(NOON + SECOND)
    assert before is not None and refreshed is not None
    delta = changes_of(refreshed.stream_delta)
    assert delta["prev"] == before.seq
    assert set(delta["assets"]) == {"T1"}
    assert not {"kpis", "alarms", "jobs"} & set(delta)
    line.close()


def test_nothing_is_published_when_nothing_landed(tmp_path: Path) -> None:
    line = beating_line(tmp_path)
    send(line, "network", csv_of([("T1.level", NOON, 2.5)]), NOON + SECOND)
    assert line.publisher.refresh(NOON + SECOND) is not None
    assert line.publisher.refresh(NOON + 2 * SECOND) is None
    line.close()


def test_board_stands_still_when_no_beat_comes_although_readings_do(tmp_path: Path) -> None:
    line = beating_line(tmp_path)
    late = after(NOON, 1)
    send(line, "network", csv_of([("T1.level", late, 2.5)]), late)
    assert line.publisher.refresh(late) is None
    flow.beat(line, late)
    send(line, "network", csv_of([("T1.level", late + SECOND, 2.6)]), late + SECOND)
    assert line.publisher.refresh(late + SECOND) is not None
    line.close()


def changes_of(stream: bytes) -> dict:
    data = next(part for part in zlib.decompressobj(-15).decompress(stream).split(b"\n") if part.startswith(b"data: "))
    return json.loads(data.removeprefix(b"data: "))


def test_share_of_few_cases_says_how_many_there_are(tmp_path: Path) -> None:
    line = beating_line(tmp_path)
    work = line.kpis.works["pressure_compliance"]
    few = {"window": NOON, "end": after(NOON, 60), "area": "town", "value": None, "reason": "insufficient_data"}
    few |= {"numerator": 3.0, "denominator": 7.0, "coverage": 1.0}
    work.kpi = replace(work.kpi, floor=20)
    work.current = pl.DataFrame([few], schema=work.current.schema)
    rows = dict(line.publisher._built_rows(work, NOON))
    assert rows["pressure_compliance|town"]["value"] is None
    assert rows["pressure_compliance|town"]["reason"] == "only 7 so far; nothing is said of fewer than 20"
    line.close()
