"""Snapshots, the board that readers hold, feed states in words, coverage and the judgement of values."""

import gzip
import json
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import brotli
import polars as pl
import pytest

from pipelines.engine import coverage
from pipelines.engine.feeds import FeedState, spoken
from pipelines.engine.judge import judge
from pipelines.engine.model import INSTANT, Kpi, every
from pipelines.engine.settings import Feed
from pipelines.engine.snapshot import GZIP_STREAM_HEAD, Board, NotAFrame, Snapshot, changes

T0 = datetime(2026, 3, 10, 6, 0, tzinfo=UTC)


def state(seq: int, **kpis: Any) -> dict[str, Any]:
    return {
        "seq": seq,
        "built_at": T0.isoformat(),
        "kpis": kpis,
        "feeds": {},
        "assets": {},
        "alarms": [],
        "jobs": [],
        "ledger": {},
        "town": {},
        "build": "1",
    }


def test_snapshot_is_the_same_in_every_form() -> None:
    first = Snapshot.build(state(1, a={"value": 1}))
    assert (
        json.loads(first.json)
        == json.loads(gzip.decompress(first.gz))
        == json.loads(brotli.decompress(first.br))
        == state(1, a={"value": 1})
    )


def test_stream_blocks_follow_one_another_in_one_compressed_stream() -> None:
    first = Snapshot.build(state(1, a={"value": 1}))
    second = Snapshot.build(state(2, a={"value": 2}), first.state)
    reader = zlib.decompressobj(31)
    text = reader.decompress(GZIP_STREAM_HEAD + first.stream_full + second.stream_delta).decode()
    events = [block.split("\n") for block in text.strip().split("\n\n")]
    assert [lines[:2] for lines in events] == [["id: 1", "event: full"], ["id: 2", "event: delta"]]
    delta = json.loads(events[1][2].removeprefix("data: "))
    assert (delta["prev"], delta["kpis"]) == (1, {"a": {"value": 2}})


def test_changes_hold_what_is_new_changed_or_gone_and_nothing_else() -> None:
    before, now = state(1, a={"v": 1}, b={"v": 2}, c={"v": 3}), state(2, a={"v": 1}, b={"v": 9}, d={"v": 4})
    found = changes(before, now)
    assert (found["kpis"], found["gone"]) == ({"b": {"v": 9}, "d": {"v": 4}}, {"kpis": ["c"]})
    assert "alarms" not in found
    assert "feeds" not in found


def test_board_keeps_the_last_good_snapshot_when_the_file_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "board"
    board = Board(path)
    assert board.look() is None
    Snapshot.build(state(1)).write(path)
    first = board.look()
    assert first is not None
    raw = path.read_bytes()
    for torn in (b"", raw[:10], raw[:-1], b"other" + raw, raw + b"x"):
        path.write_bytes(torn)
        assert board.look() is first
        with pytest.raises(NotAFrame):
            Snapshot.read(path)
    path.unlink()
    assert board.look() is first
    Snapshot.build(state(2)).write(path)
    again = board.look()
    assert again is not None
    assert again.seq == 2
    assert board.look() is again
    assert [p.name for p in tmp_path.iterdir()] == ["board"]


# feeds -------------------------------------------------------------------------------------------------------------


def feed_state(landed_s: float | None, fault_s: float | None = None, declared: bool = True) -> FeedState:
    feed = Feed(
        name="f",
        title="F",
        origin="poll",
        format="csv",
        table="readings",
        every=timedelta(minutes=10),
        zone="UTC",
        declared=declared,
    )
    at = lambda s: None if s is None else T0 - timedelta(seconds=s)  # noqa: E731
    return FeedState(
        feed,
        last_landed_at=at(landed_s),
        last_fault_at=at(fault_s),
        last_fault="it answered 500." if fault_s is not None else "",
    )


@pytest.mark.parametrize(
    ("known", "expected", "words"),
    [
        (feed_state(None), "waiting", "Nothing has come from this feed yet."),
        (feed_state(60), "live", "Comes every 10 minutes as it should."),
        (feed_state(905), "live", "Comes every 10 minutes as it should."),
        (feed_state(906), "late", "Nothing usable for 15 minutes (it should come every 10 minutes)."),
        (feed_state(1801), "silent", "Nothing usable for 30 minutes (it should come every 10 minutes)."),
        (feed_state(7200), "silent", "Nothing usable for 2 hours (it should come every 10 minutes)."),
        (feed_state(None, 5), "failing", "The last attempt failed: it answered 500."),
        (
            feed_state(600, 5),
            "late",
            "Nothing usable for 10 minutes (it should come every 10 minutes). it answered 500.",
        ),
        (feed_state(1801, 5), "failing", "The last attempt failed: it answered 500."),
        # A fault that a later payload has overtaken is not mentioned any more.
        (feed_state(1000, 2000), "late", "Nothing usable for 16 minutes (it should come every 10 minutes)."),
        (feed_state(10**6, declared=False), "live", "Comes every 10 minutes as it should."),
    ],
)
def test_feed_state_is_told_in_words(known: FeedState, expected: str, words: str) -> None:
    assert (known.state(T0), known.words(T0)) == (expected, words)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30, "30 seconds"),
        (60, "1 minute"),
        (90, "90 seconds"),
        (840, "14 minutes"),
        (3600, "1 hour"),
        (10900, "3 hours"),
        (172800, "2 days"),
        (2678400, "31 days"),
    ],
)
def test_spans_are_spoken_as_people_do(seconds: int, words: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == words


# coverage ----------------------------------------------------------------------------------------------------------


def window(hours: float, as_of: float) -> pl.DataFrame:
    row = (T0, T0 + timedelta(hours=hours), T0 + timedelta(hours=as_of))
    return pl.DataFrame([row], schema=dict.fromkeys(("window", "end", "as_of"), INSTANT), orient="row")


SENSORS = pl.DataFrame(
    [("s1", "A1", "W1", "D1", 900.0), ("s2", "A2", "W2", "D1", 3600.0)],
    schema={"sensor": pl.String, "asset": pl.String, "ward": pl.String, "parent": pl.String, "every_s": pl.Float64},
    orient="row",
)


def test_expected_readings_are_counted_from_the_register_for_what_has_elapsed() -> None:
    rows = pl.DataFrame(
        [("s1", T0 + timedelta(minutes=m)) for m in (0, 15, 45)],
        schema={"sensor": pl.String, "observed_at": INSTANT},
        orient="row",
    )
    found = {
        row["area"]: (row["n"], row["n_expected"])
        for row in coverage.of_readings(rows, coverage.places(SENSORS), window(24, 2)).iter_rows(named=True)
    }
    # In two hours s1 sends eight, s2 two; s2 sent nothing.
    assert found == {
        "town": (3, 10),
        "ward:W1": (3, 8),
        "ward:W2": (0, 2),
        "asset:A1": (3, 8),
        "asset:A2": (0, 2),
        "asset:D1": (3, 10),
    }


def test_nothing_is_expected_before_the_first_interval_is_over() -> None:
    rows = pl.DataFrame(schema={"sensor": pl.String, "observed_at": INSTANT})
    found = coverage.of_readings(rows, coverage.places(SENSORS), window(24, 0.2)).filter(area="town")
    assert found.select("n", "n_expected").rows() == [(0, 0)]


# judgement ---------------------------------------------------------------------------------------------------------


def share(windows: pl.DataFrame) -> pl.DataFrame:
    """A KPI that is only judged here."""
    return windows


def kpi(**changed: Any) -> Kpi:
    values = {
        "function": share, "catalogue": "X", "title": "x", "plain": "x", "formula": "x", "standard": "x", "unit": "percent",
        "window": every("day"), "levels": ("town",), "better": "higher", "target": 90.0,
    }  # fmt: skip
    return Kpi(**{**values, **changed})


@pytest.mark.parametrize(
    ("declared", "value", "age_s", "word"),
    [
        (kpi(), None, 0, "no data"),
        (kpi(), 90.0, 0, "good"),
        (kpi(), 89.0, 0, "watch"),
        (kpi(), 81.0, 0, "watch"),
        (kpi(), 80.9, 0, "breach"),
        (kpi(watch=85.0), 84.9, 0, "breach"),
        (kpi(better="lower", target=10.0), 10.0, 0, "good"),
        (kpi(better="lower", target=10.0), 10.5, 0, "watch"),
        (kpi(better="lower", target=10.0), 12.0, 0, "breach"),
        (kpi(better="context", target=None), 5.0, 0, "context"),
        (kpi(), 95.0, 2700, "good"),
        (kpi(), 95.0, 2701, "stale"),
        (kpi(better="lower", target=0.0), 0.1, 0, "breach"),
    ],
)
def test_value_is_judged_against_its_target_and_its_age(
    declared: Kpi, value: float | None, age_s: float, word: str
) -> None:
    assert judge(declared, value, T0 - timedelta(seconds=age_s), 900.0, T0) == word
