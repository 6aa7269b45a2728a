"""The journal: what was acknowledged is there after any accident, and nothing else is."""

import errno
import io
import json
import os
import shutil
import struct
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine import disk, journal_frames
from pipelines.engine import journal as module
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import Entry, Journal, Rot, Tail, Withdrawn, frames, pack, segments, unpack
from pipelines.engine.model import INSTANT, KINDS
from pipelines.engine.tables import ARRIVALS, READINGS


def entry(*values: float) -> Entry:
    return Entry("readings", pl.DataFrame({"value": list(values)}), {"received_s": 1.5})


def written(folder: Path, count: int, segment_bytes: int = 1 << 20) -> Path:
    opened = Journal(folder, segment_bytes)
    for number in range(count):
        opened.append([entry(number)])
    opened.close()
    return segments(folder)[-1]


def seen(folder: Path, after: int = 0) -> list[tuple[int, float]]:
    return [(seq, entries[0].rows["value"][0]) for seq, entries in Tail(folder, after).poll()]


def test_frame_gives_back_its_entries() -> None:
    (first, second) = unpack(pack([entry(1, 2), Entry("arrivals", pl.DataFrame({"feed": ["a"]}))]))
    assert (first.table, first.facts, first.rows["value"].to_list()) == ("readings", {"received_s": 1.5}, [1.0, 2.0])
    assert (second.table, second.facts, second.rows["feed"].to_list()) == ("arrivals", {}, ["a"])


CELLS: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "integer": st.integers(-(2**63), 2**63 - 1),
    "number": st.floats(allow_nan=False),
    "flag": st.booleans(),
    "instant": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    "day": st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    "bytes": st.binary(),
    "series": st.integers(0, 2**31 - 1),
    "code": st.integers(0, 255),
}


@st.composite
def some_rows(draw: st.DrawFn) -> pl.DataFrame:
    """A few rows with columns of every kind, some cells empty."""
    height = draw(st.integers(0, 20))
    return pl.DataFrame(
        {
            kind: pl.Series(draw(st.lists(st.none() | cells, min_size=height, max_size=height)), dtype=KINDS[kind])
            for kind, cells in CELLS.items()
        }
    )


@given(some_rows())
def test_record_of_a_few_rows_gives_back_every_bit(rows: pl.DataFrame) -> None:
    (found,) = unpack(pack([Entry("all", rows, {"received_s": 1.25})]))
    assert found.rows.schema == rows.schema
    assert found.rows.equals(rows)
    halves = [frame["number"].fill_null(0.5).to_numpy().tobytes() for frame in (found.rows, rows)]
    assert halves[0] == halves[1], "a zero lost its sign"


@pytest.mark.parametrize("count", [1, 20])
def test_frame_of_a_few_readings_with_its_arrival_costs_no_kilobyte(count: int) -> None:
    at = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
    rows = pl.DataFrame([(n, at, 20.5, 0) for n in range(count)], schema=dict(READINGS.schema), orient="row")
    arrival = ("812.0", "network", at, at, "landed", None, 90, count, count, 0, 0, 0)
    arrivals = pl.DataFrame([arrival], schema=dict(ARRIVALS.schema), orient="row")
    facts = {"received_s": at.timestamp()}
    small = pack([Entry("readings", rows, {**facts, "corrects": False}), Entry("arrivals", arrivals, facts)])
    assert len(small) < 600 + count * READINGS_ROW


READINGS_ROW = 4 + 8 + 8 + 1


def test_frames_written_before_there_were_records_are_read_as_ever() -> None:
    rows = pl.DataFrame(
        {"value": [1.0, None], "at": [datetime(2026, 1, 1, tzinfo=UTC)] * 2}, schema_overrides={"at": INSTANT}
    )
    body = io.BytesIO()
    rows.write_ipc_stream(body, compat_level=pl.CompatLevel.newest())
    about = json.dumps({"table": "readings", "received_s": 2.0}).encode()
    payload = struct.pack("<H", 1) + struct.pack("<II", len(about), body.tell()) + about + body.getvalue()
    (found,) = unpack(payload)
    assert (found.table, found.facts, found.rows.rows()) == ("readings", {"received_s": 2.0}, rows.rows())


def test_many_rows_and_foreign_kinds_stand_as_arrow() -> None:
    many = pl.DataFrame({"value": [float(n) for n in range(journal_frames.FEW_ROWS + 1)]})
    lists = pl.DataFrame({"values": [[1, 2], [3]]})
    found = unpack(pack([Entry("many", many), Entry("lists", lists)]))
    assert [entry.rows.to_dicts() for entry in found] == [many.to_dicts(), lists.to_dicts()]


def test_journal_cuts_the_last_frame_wherever_it_was_torn(tmp_path: Path) -> None:
    path = written(tmp_path / "whole", 3)
    raw = path.read_bytes()
    starts = [offset for offset, seq, _ in frames(raw) if seq is not None]
    for cut in range(starts[-1], len(raw)):
        folder = tmp_path / "torn"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / path.name).write_bytes(raw[:cut])
        opened = Journal(folder)
        assert (opened.seq, opened.torn_bytes) == (2, cut - starts[-1])
        assert opened.append([entry(9)]) == 3
        opened.close()
        assert seen(folder) == [(1, 0.0), (2, 1.0), (3, 9.0)]


@pytest.mark.parametrize("junk", [b"\0", b"\0" * 4096, b"TBJ1", b"TBJ1" + b"\xff" * 40, b"noise" * 99])
def test_journal_cuts_a_tail_of_zeros_or_noise(tmp_path: Path, junk: bytes) -> None:
    path = written(tmp_path, 2)
    with path.open("ab") as file:
        file.write(junk)
    opened = Journal(tmp_path)
    assert (opened.seq, opened.torn_bytes) == (2, len(junk))
    opened.append([entry(5)])
    opened.close()
    assert seen(tmp_path) == [(1, 0.0), (2, 1.0), (3, 5.0)]


def test_tail_says_rot_when_a_sealed_segment_is_garbled_in_the_middle(tmp_path: Path) -> None:
    written(tmp_path, 6, segment_bytes=250)
    first, *later = segments(tmp_path)
    assert later
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    first.write_bytes(raw)
    with pytest.raises(Rot, match="restore the last backup"):
        Tail(tmp_path, 0).poll()


def test_segments_follow_one_another_and_tail_crosses_them(tmp_path: Path) -> None:
    opened, tail = Journal(tmp_path, segment_bytes=250), Tail(tmp_path, 0)
    found = []
    for number in range(8):
        opened.append([entry(number)])
        found += [(seq, entries[0].rows["value"][0]) for seq, entries in tail.poll()]
    assert found == [(n + 1, float(n)) for n in range(8)]
    assert len(segments(tmp_path)) > 2
    assert seen(tmp_path, after=5) == [(6, 5.0), (7, 6.0), (8, 7.0)]
    opened.close()


def test_second_writer_is_refused_in_plain_words(tmp_path: Path) -> None:
    first = Journal(tmp_path)
    with pytest.raises(StoreError, match="already written by another Townboard"):
        Journal(tmp_path)
    first.close()
    Journal(tmp_path).close()


def test_short_write_leaves_the_journal_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Journal(tmp_path)
    opened.append([entry(1)])
    whole = os.write
    monkeypatch.setattr(module.os, "write", lambda handle, frame: whole(handle, frame[: len(frame) // 2]))
    with pytest.raises(OSError, match="part of the rows"):
        opened.append([entry(2)])
    monkeypatch.setattr(module.os, "write", whole)
    assert opened.append([entry(3)]) == 2
    opened.close()
    assert seen(tmp_path) == [(1, 1.0), (2, 3.0)]


def test_journal_goes_on_in_a_new_segment_when_it_cannot_even_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Journal(tmp_path)
    opened.append([entry(1)])
    whole = os.write

    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "gone")

    with monkeypatch.context() as broken:
        broken.setattr(module.os, "write", lambda handle, frame: whole(handle, frame[:30]))
        broken.setattr(module.os, "ftruncate", refuse)
        with pytest.raises(OSError, match="part of the rows"):
            opened.append([entry(2)])
    assert opened.append([entry(3)]) == 2
    opened.close()
    assert seen(tmp_path) == [(1, 1.0), (2, 3.0)]


def failing_sync(monkeypatch: pytest.MonkeyPatch, opened: Journal, tail: Tail | None = None) -> None:
    def fail(handle: int) -> None:
        if tail is not None:
            tail.poll()
        raise OSError(errno.EIO, "the device is gone")

    with monkeypatch.context() as broken:
        broken.setattr(module.os, "fdatasync", fail)
        with pytest.raises(OSError, match="device is gone"):
            opened.append([entry(99)])


@pytest.mark.parametrize("kept", [0, 1])
def test_failed_sync_keeps_nothing_and_its_descriptor_is_never_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    opened = Journal(tmp_path)
    for number in range(kept):
        opened.append([entry(number)])
    handle = opened._handle
    failing_sync(monkeypatch, opened)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(handle)
    opened.append([entry(7)])
    opened.close()
    assert [value for _, value in seen(tmp_path)] == [*map(float, range(kept)), 7.0]
    again = Journal(tmp_path)
    again.append([entry(8)])
    again.close()
    assert [value for _, value in seen(tmp_path)][-2:] == [7.0, 8.0]


@pytest.mark.parametrize("kept", [0, 1])
def test_reader_is_told_when_a_frame_it_saw_is_withdrawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    opened, tail = Journal(tmp_path), Tail(tmp_path, 0)
    for number in range(kept):
        opened.append([entry(number)])
    failing_sync(monkeypatch, opened, tail)
    assert tail.seq == kept + 1
    opened.append([entry(7)])
    opened.append([entry(8)])
    with pytest.raises(Withdrawn):
        tail.poll()
    opened.close()
    assert [value for _, value in seen(tmp_path)] == [*map(float, range(kept)), 7.0, 8.0]


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_frame_that_was_refused_never_comes_back_where_even_the_cut_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    opened = Journal(tmp_path)
    for number in range(kept):
        opened.append([entry(number)])

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(module.os, "ftruncate", refuse)
        failing_sync(monkeypatch, opened)
        with pytest.raises(OSError, match="Read-only"):
            opened.append([entry(98)])
        assert opened.refused is not None
    assert opened.append([entry(7)]) == kept + 2
    assert opened.refused is None
    opened.close()
    assert [value for _, value in seen(tmp_path)] == [*map(float, range(kept)), 7.0]


def test_frame_that_the_disk_lost_after_a_failed_sync_is_named_and_nothing_more_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Journal(tmp_path)
    opened.append([entry(1)])
    opened.append([entry(2)])
    path = segments(tmp_path)[-1]
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 - 1] ^= 0xFF
    path.write_bytes(raw)
    failing_sync(monkeypatch, opened)
    for _ in range(2):
        with pytest.raises(Rot, match="damaged"):
            opened.append([entry(3)])
    opened.close()


# a full disk --------------------------------------------------------------------------------------------------------

BALLAST = 1 << 20


def test_full_disk_gives_up_the_ballast_and_takes_rows_again_once_it_can_have_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Journal(tmp_path, ballast_bytes=BALLAST)
    opened.append([entry(1)])
    ballast = tmp_path / "ballast"
    assert ballast.stat().st_blocks * 512 >= BALLAST
    whole = os.write
    with monkeypatch.context() as broken:
        broken.setattr(module.os, "write", lambda handle, frame: whole(handle, frame[:20]))
        with pytest.raises(OSError, match="full"):
            opened.append([entry(2)])
        assert not ballast.exists()
    with monkeypatch.context() as broken:
        broken.setattr(disk, "room", lambda folder: (2 * BALLAST - 1, 10**9))
        with pytest.raises(OSError, match="the disk is full") as refusal:
            opened.append([entry(3)])
        assert refusal.value.errno == errno.ENOSPC
        assert not ballast.exists()
    assert opened.append([entry(4)]) == 2
    assert ballast.stat().st_size == BALLAST
    opened.close()
    assert seen(tmp_path) == [(1, 1.0), (2, 4.0)]


def test_journal_opens_on_a_disk_that_refuses_everything_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, 2)
    with path.open("ab") as file:
        file.write(b"torn")

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(module.os, "ftruncate", refuse)
        opened = Journal(tmp_path)
        assert opened.seq == 2
        with pytest.raises(OSError, match="Read-only"):
            opened.append([entry(9)])
    assert opened.append([entry(5)]) == 3
    opened.close()
    assert seen(tmp_path) == [(1, 0.0), (2, 1.0), (3, 5.0)]


def test_disk_says_in_plain_words_that_it_will_be_full_before_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "room", lambda folder: (900 << 20, 16 << 30))
    assert disk.low(tmp_path) is None
    monkeypatch.setattr(disk, "room", lambda folder: (800 << 20, 16 << 30))
    assert "Only 800 MB are free" in str(disk.low(tmp_path))
    assert disk.in_words(OSError(errno.EROFS, "Read-only file system")).startswith("the disk cannot be written")
    assert disk.in_words(OSError(errno.EMFILE, "Too many open files")) == "Too many open files"


def test_frame_is_kept_when_the_next_segment_cannot_be_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Journal(tmp_path, segment_bytes=10)
    whole = os.open

    def full(path: object, *rest: object) -> int:
        if str(path).endswith(".journal"):
            raise OSError(errno.ENOSPC, "no space")
        return whole(path, *rest)

    with monkeypatch.context() as broken:
        broken.setattr(module.os, "open", full)
        assert opened.append([entry(1)]) == 1
        with pytest.raises(OSError, match="no space"):
            opened.append([entry(2)])
    assert opened.append([entry(3)]) == 2
    opened.close()
    assert seen(tmp_path) == [(1, 1.0), (2, 3.0)]


def test_closed_journal_writes_nothing_more_where_another_may_write_now(tmp_path: Path) -> None:
    first = Journal(tmp_path, segment_bytes=10)
    first.append([entry(1)])
    first.close()
    second = Journal(tmp_path, segment_bytes=10)
    second.append([entry(2)])
    with pytest.raises(OSError, match="closed"):
        first.append([entry(9)])
    second.close()
    assert seen(tmp_path) == [(1, 1.0), (2, 2.0)]


def test_tail_waits_for_a_frame_that_is_still_being_written(tmp_path: Path) -> None:
    path = written(tmp_path, 2)
    raw = path.read_bytes()
    second = next(offset for offset, seq, _ in frames(raw) if seq == 2)
    path.write_bytes(raw[: second + 10])
    tail = Tail(tmp_path, 0)
    assert [seq for seq, _ in tail.poll()] == [1]
    path.write_bytes(raw)
    assert [seq for seq, _ in tail.poll()] == [2]


def test_dropped_segments_are_not_needed_by_a_reader_that_had_read_them(tmp_path: Path) -> None:
    opened, tail = Journal(tmp_path, segment_bytes=10), Tail(tmp_path, 0)
    opened.append([entry(1)])
    opened.append([entry(2)])
    assert len(tail.poll()) == 2
    opened.append([entry(3)])
    assert opened.drop_before(2) == 2
    assert [seq for seq, _ in tail.poll()] == [3]
    assert opened.drop_before(10**6) == 0
    opened.close()


def test_reader_far_behind_says_that_frames_are_missing(tmp_path: Path) -> None:
    opened = Journal(tmp_path, segment_bytes=10)
    for number in range(4):
        opened.append([entry(number)])
    opened.drop_before(3)
    opened.close()
    with pytest.raises(Rot):
        Tail(tmp_path, 0).poll()


def test_numbers_go_on_where_parquet_ends_when_the_segments_were_lost(tmp_path: Path) -> None:
    opened = Journal(tmp_path, at_least=500)
    assert opened.append([entry(1)]) == 501
    opened.close()
    assert seen(tmp_path, after=500) == [(501, 1.0)]
