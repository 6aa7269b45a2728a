"""The journal: append-only, checksummed frames, fsynced before anything is acknowledged; the recent past's truth."""

import errno
import fcntl
import io
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.engine.errors import StoreError

MAGIC = b"TBJ1"
HEADER = struct.Struct("<4sIIQ")
SECTION = struct.Struct("<II")
SEGMENT_BYTES = 64 << 20
SUFFIX = ".journal"


class Rot(StoreError):
    """A frame in a sealed segment does not match its checksum: the disk has changed what was written."""


class Withdrawn(Exception):
    """A frame that was read before it was durable has been taken back; the reader begins again from the manifest."""


@dataclass(frozen=True)
class Entry:
    """Rows of one table inside a frame, with what is the same for all of them (feed, received_at)."""

    table: str
    rows: pl.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)


def pack(entries: Sequence[Entry]) -> bytes:
    """The payload of one frame."""
    parts = [struct.pack("<H", len(entries))]
    for entry in entries:
        about = json.dumps({"table": entry.table, **entry.facts}).encode()
        body = io.BytesIO()
        entry.rows.write_ipc_stream(body, compat_level=pl.CompatLevel.newest())
        parts += [SECTION.pack(len(about), body.tell()), about, body.getvalue()]
    return b"".join(parts)


def unpack(payload: bytes) -> list[Entry]:
    """The entries of one frame's payload."""
    (count,), at, entries = struct.unpack_from("<H", payload), 2, []
    for _ in range(count):
        about_length, body_length = SECTION.unpack_from(payload, at)
        at += SECTION.size
        facts = json.loads(payload[at : at + about_length])
        at += about_length
        rows = pl.read_ipc_stream(io.BytesIO(payload[at : at + body_length]))
        at += body_length
        entries.append(Entry(facts.pop("table"), rows, facts))
    return entries


def frames(raw: bytes) -> Iterator[tuple[int, int | None, bytes]]:
    """(offset, seq, payload) of each whole frame; last (offset where good data ends, None, b"")."""
    at = 0
    while at + HEADER.size <= len(raw):
        magic, length, crc, seq = HEADER.unpack_from(raw, at)
        end = at + HEADER.size + length
        if magic != MAGIC or end > len(raw):
            break
        payload = raw[at + HEADER.size : end]
        if zlib.crc32(payload, seq & 0xFFFFFFFF) != crc:
            break
        yield at, seq, payload
        at = end
    yield at, None, b""


def segments(folder: Path) -> list[Path]:
    """The segment files in order."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def sync_folder(folder: Path) -> None:
    """Make renames and new files in the folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def number(path: Path) -> int:
    """The sequence number of the first frame that a segment may hold."""
    return int(path.name.removesuffix(SUFFIX))


def rotten(segment: Path, seq: int) -> Rot:
    """The error for a sealed segment that ends in a bad frame after `seq`."""
    return Rot(
        f"{segment.name} in {segment.parent} is damaged after row group {seq}. "
        "The disk may be failing: run `python app.py doctor`, then restore the last backup."
    )


class Journal:
    """The one writer of a journal folder, held by flock for as long as it lives."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES, at_least: int = 0) -> None:
        """Open the folder, cut a torn tail off the last segment, and be ready to append after frame `at_least`.

        Raises StoreError when another process writes here, Rot when a sealed segment is damaged.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._limit = folder, segment_bytes
        self.torn_bytes = 0
        self.seq = 0
        self._closed = False
        self._handle: int | None = None
        self._end = 0
        self._lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise StoreError(
                f"{folder} is already written by another Townboard. Stop that one first, or use another town folder."
            ) from error
        present = segments(folder)
        if present:
            self._resume(present)
        if self.seq < at_least:
            # The segments were lost but Parquet holds their frames: a number given twice would hide new rows.
            self.seq = at_least
            self._let_go()
        if self._handle is None:
            self._begin()

    def _resume(self, present: list[Path]) -> None:
        last = present[-1]
        self.seq = number(last) - 1
        end = 0
        for offset, seq, _ in frames(last.read_bytes()):
            end = offset
            self.seq = seq or self.seq
        self.torn_bytes = last.stat().st_size - end
        self._handle = os.open(last, os.O_WRONLY | os.O_APPEND)
        if self.torn_bytes:
            os.ftruncate(self._handle, end)
            os.fsync(self._handle)
        self._end = end

    def _begin(self) -> None:
        path = self.folder / f"{self.seq + 1:016d}{SUFFIX}"
        # A segment of this name can only hold what a failed write left: its first frame was never kept.
        path.unlink(missing_ok=True)
        self._handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_EXCL, 0o640)
        sync_folder(self.folder)
        self._end = 0

    def append(self, entries: Sequence[Entry]) -> int:
        """Write one frame and make it durable; only when this returns may anybody be told that the rows are safe.

        Raises OSError when nothing was kept (disk full, device gone): the journal is as before.
        """
        seq = self.seq + 1
        payload = pack(entries)
        frame = HEADER.pack(MAGIC, len(payload), zlib.crc32(payload, seq & 0xFFFFFFFF), seq) + payload
        handle = self._ready()
        try:
            written = os.write(handle, frame)
            if written != len(frame):
                raise OSError(28, "the disk took only a part of the rows")
        except OSError:
            self._cut(handle)
            raise
        try:
            os.fdatasync(handle)
        except OSError:
            # After a failed fsync the kernel may have dropped the pages: nobody may trust this descriptor again.
            # A reader may have seen the frame already, so its number is never given to another one.
            self._cut(handle)
            self._let_go()
            self.seq = seq
            raise
        self.seq, self._end = seq, self._end + len(frame)
        return seq

    def _ready(self) -> int:
        """The descriptor to append to, of a new segment when the last one is full or was given up."""
        if self._closed:
            raise OSError(errno.EBADF, "the journal is closed; whoever holds its folder now is the only one to write")
        if self._end >= self._limit:
            self._let_go()
        if self._handle is None:
            self._begin()
        assert self._handle is not None
        return self._handle

    def _cut(self, handle: int) -> None:
        """Take back what was written behind the last good frame; where even that fails, write there no more."""
        try:
            os.ftruncate(handle, self._end)
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
        self._handle, self._end = None, 0

    def drop_before(self, seq: int) -> int:
        """Delete segments whose frames are all at or below `seq`; returns how many."""
        present, dropped = segments(self.folder), 0
        for path, following in pairwise(present):
            if number(following) - 1 <= seq:
                path.unlink()
                dropped += 1
        return dropped

    def close(self) -> None:
        """Let go of the folder."""
        self._closed = True
        self._let_go()
        os.close(self._lock)


class Tail:
    """Reads a journal while another process writes it: each call gives the frames that came since the last one."""

    def __init__(self, folder: Path, after: int) -> None:
        self.folder, self.seq = folder, after
        self._segment: Path | None = None
        self._offset = 0

    def poll(self) -> list[tuple[int, list[Entry]]]:
        """(seq, entries) of each new whole frame, in order.

        Raises Rot when a segment that is followed by another ends in a bad frame or frames are missing,
        Withdrawn when the writer took back what was read: open the store again.
        """
        found: list[tuple[int, list[Entry]]] = []
        while True:
            if self._segment is None and not self._seek():
                return found
            assert self._segment is not None
            later = [path for path in segments(self.folder) if path > self._segment]
            raw = self._read(self._segment)
            if raw is None:
                self._segment = None
                continue
            end = 0
            for offset, seq, payload in frames(raw):
                end = offset
                if seq is not None and seq > self.seq:
                    found.append((seq, unpack(payload)))
                    self.seq = seq
            self._offset += end
            if not later:
                return found
            if end < len(raw) and number(later[0]) > self.seq + 1:
                raise rotten(self._segment, self.seq)
            self._segment, self._offset = later[0], 0

    def _read(self, segment: Path) -> bytes | None:
        """What was added since the last look; None when the segment is not needed any more and gone."""
        try:
            with segment.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    raise Withdrawn(str(segment))
                file.seek(self._offset)
                return file.read()
        except FileNotFoundError:
            return None

    def _seek(self) -> bool:
        present = segments(self.folder)
        candidates = [path for path in present if number(path) <= self.seq + 1]
        if present and not candidates:
            raise rotten(present[0], self.seq)
        if candidates:
            self._segment, self._offset = candidates[-1], 0
        return bool(candidates)
