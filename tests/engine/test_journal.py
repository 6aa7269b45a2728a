"""The journal: what was acknowledged is there after any accident, and nothing else is."""

import errno
import os
import shutil
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine import journal as module
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import Entry, Journal, Rot, Tail, Withdrawn, frames, pack, segments, unpack


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
    written(tmp_path, 6, segment_bytes=900)
    first, *later = segments(tmp_path)
    assert later
    raw = bytearray(first.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    first.write_bytes(raw)
    with pytest.raises(Rot, match="restore the last backup"):
        Tail(tmp_path, 0).poll()


def test_segments_follow_one_another_and_tail_crosses_them(tmp_path: Path) -> None:
    opened, tail = Journal(tmp_path, segment_bytes=700), Tail(tmp_path, 0)
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
