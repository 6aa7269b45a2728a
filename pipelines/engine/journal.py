"""The journal: append-only, checksummed frames, fsynced before anything is acknowledged; the recent past's truth."""

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

from pipelines.engine.disk import Ballast
from pipelines.engine.errors import StoreError
from pipelines.engine.journal_frames import Entry, frame, frames, pack, unpack

__all__ = ["Entry", "Journal", "Rot", "Tail", "Withdrawn", "frames", "number", "pack", "rotten", "segments", "unpack"]

SEGMENT_BYTES = 64 << 20
SUFFIX = ".journal"


class Rot(StoreError):
    """A frame in a sealed segment does not match its checksum: the disk has changed what was written."""


class Withdrawn(Exception):
    """A frame that was read before it was durable has been taken back; the reader begins again from the manifest."""


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

    def __init__(
        self, folder: Path, segment_bytes: int = SEGMENT_BYTES, at_least: int = 0, ballast_bytes: int = 0
    ) -> None:
        """Open the folder, cut a torn tail off the last segment, and be ready to append after frame `at_least`.

        Raises StoreError when another process writes here.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._limit = folder, segment_bytes
        self.torn_bytes = 0
        self.seq = 0
        self.refused: OSError | None = None
        self._closed = False
        self._handle: int | None = None
        self._end = 0
        # A segment that may hold more than was acknowledged, and where it has to end.
        self._uncut: tuple[Path, int] | None = None
        self._lock = _locked(folder)
        self._ballast = Ballast(folder / "ballast", ballast_bytes)
        present = segments(folder)
        if present:
            self._resume(present)
        if self.seq < at_least:
            # The segments were lost but Parquet holds their frames: a number given twice would hide new rows.
            self.seq = at_least
            self._let_go()
        if self._handle is None and self._uncut is None:
            # A full disk may refuse even this: the line comes up all the same and says so.
            with suppress(OSError):
                self._begin()

    def _resume(self, present: list[Path]) -> None:
        last = present[-1]
        self.seq = number(last) - 1
        end = 0
        for offset, seq, _ in frames(last.read_bytes()):
            end = offset
            self.seq = seq or self.seq
        self.torn_bytes = last.stat().st_size - end
        if self.torn_bytes:
            self._uncut = (last, end)
            # A disk that refuses this now is asked again before the first append.
            with suppress(OSError):
                self._mend()
        else:
            self._handle, self._end = os.open(last, os.O_WRONLY | os.O_APPEND), end

    def _begin(self) -> None:
        path = self.folder / f"{self.seq + 1:016d}{SUFFIX}"
        # A segment of this name can only hold what a failed write left: its first frame was never kept.
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_EXCL, 0o640)
        try:
            sync_folder(self.folder)
        except OSError:
            os.close(handle)
            raise
        self._handle, self._end = handle, 0

    def append(self, entries: Sequence[Entry]) -> int:
        """Write one frame and make it durable; only when this returns may anybody be told that the rows are safe.

        Raises OSError when nothing was kept (disk full, device gone): the journal is as before, and the next append
        tries again.
        """
        try:
            seq = self._append(entries)
        except OSError as error:
            self.refused = error
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                with suppress(OSError):
                    self._ballast.release()
            raise
        self.refused = None
        return seq

    def _append(self, entries: Sequence[Entry]) -> int:
        handle, seq = self._ready(), self.seq + 1
        whole = frame(seq, entries)
        try:
            if os.write(handle, whole) != len(whole):
                raise OSError(errno.ENOSPC, "the disk took only a part of the rows: it is full")
        except OSError:
            self._cut(handle)
            raise
        try:
            os.fdatasync(handle)
        except OSError:
            # After a failed fsync the kernel may have dropped the pages: nobody may trust this descriptor again.
            # A reader may have seen the frame already, so its number is never given to another one.
            self.seq = seq
            self._give_up()
            raise
        self.seq, self._end = seq, self._end + len(whole)
        return seq

    def _ready(self) -> int:
        """The descriptor to append to, of a new segment when the last one is full or was given up."""
        if self._closed:
            raise OSError(errno.EBADF, "the journal is closed; whoever holds its folder now is the only one to write")
        self._ballast.hold()
        if self._uncut is not None:
            self._mend()
        if self._end >= self._limit:
            self._let_go()
        if self._handle is None:
            self._begin()
        assert self._handle is not None
        return self._handle

    def _cut(self, handle: int) -> None:
        """Take back what was written behind the last good frame; where even that fails, begin anew behind it."""
        try:
            os.ftruncate(handle, self._end)
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        """Trust this descriptor no more: the segment ends behind its last good frame, which a new one has to see to."""
        last = segments(self.folder)[-1]
        self._uncut = (last, self._end)
        self._let_go()
        with suppress(OSError, StoreError):
            self._mend()

    def _mend(self) -> None:
        """Cut what was never acknowledged off a segment given up, and look on the disk that the rest stands there.

        Raises OSError while the disk refuses, Rot when frames are gone that were durable.
        """
        assert self._uncut is not None
        path, end = self._uncut
        handle = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(handle, end)
            os.fsync(handle)
            # What is read next must come from the disk and not from the memory that the failed fsync left behind.
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            stands = [offset for offset, _, _ in frames(path.read_bytes())][-1]
        finally:
            os.close(handle)
        if stands != end:
            raise rotten(path, self.seq)
        self._uncut = None

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


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """No line opens the folder meanwhile.

    Raises StoreError when one writes there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder)
    try:
        yield
    finally:
        os.close(lock)


def _locked(folder: Path) -> int:
    """The lock of a journal's folder, held.

    Raises StoreError when another process holds it.
    """
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o640)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise StoreError(
            f"{folder} is already written by another Townboard. Stop that one first, or use another town folder."
        ) from error
    return lock


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
