"""The disk under the journal: room kept back for the day it is full, and what it refuses said in plain words."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

BALLAST_BYTES = 4 << 20
# The alarm rings below a twentieth of the disk, or a gigabyte where that is less.
LOW_SHARE = 0.05
LOW_BYTES = 1 << 30
WORDS = {
    errno.ENOSPC: "the disk is full. Delete what is not needed there, or put in a larger one",
    errno.EDQUOT: "the disk quota of this user is used up. Delete what is not needed, or raise it",
    errno.EROFS: "the disk cannot be written: it was made read-only, as Linux does when it fails. Look after the disk",
    errno.EIO: "the disk reports errors. Have a backup at hand and replace it",
    errno.EACCES: "this user may not write there. Give the folder back to the user that runs Townboard",
}


def in_words(error: OSError) -> str:
    """What the disk refused, for the clerk, without a full stop."""
    return WORDS.get(error.errno or 0) or error.strerror or str(error)


def room(folder: Path) -> tuple[int, int]:
    """Bytes free for us and bytes in all on the disk that holds a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def low(folder: Path) -> str | None:
    """The words for a disk that will be full soon; None while there is room."""
    free, whole = room(folder)
    enough = max(8 * BALLAST_BYTES, min(LOW_BYTES, int(whole * LOW_SHARE)))
    if free >= enough:
        return None
    return (
        f"Only {free / 2**20:,.0f} MB are free on the disk that holds {folder}. When it is full, nothing more can be "
        "taken in: senders keep their readings. Delete what is not needed there, or put in a larger disk."
    )


def troubles(folder: Path, refused: OSError | None, damaged: Mapping[str, str]) -> dict[str, str]:
    """What ails a store, in words: disk_refuses (the last write failed), disk_low, files_damaged."""
    found = {}
    if refused is not None:
        found["disk_refuses"] = (
            f"Nothing is taken in: {in_words(refused)}. Senders keep their readings and send them again by themselves; "
            "nothing needs restarting here."
        )
    elif words := low(folder):
        found["disk_low"] = words
    if damaged:
        found["files_damaged"] = (
            f"{'; '.join(list(damaged.values())[:5])}. Everything else is shown. "
            "Restore the last backup into an empty folder: python app.py restore FILE"
        )
    return found


class Ballast:
    """A file that only takes up room: let go when the disk is full, so that the board and the state can be kept.

    While it is gone nothing may be written to the journal; it is taken up again as soon as there is room for it.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._held = not size or (path.is_file() and path.stat().st_size == size)

    def hold(self) -> None:
        """Have the room kept back.

        Raises OSError when there is none: whoever would write now must not.
        """
        if self._held:
            return
        if room(self._path.parent)[0] < 2 * self._size:
            raise OSError(errno.ENOSPC, WORDS[errno.ENOSPC])
        handle = os.open(self._path, os.O_CREAT | os.O_WRONLY, 0o640)
        try:
            os.posix_fallocate(handle, 0, self._size)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)
        self._held = True

    def release(self) -> None:
        """Give the room to those who must say that the disk is full."""
        if self._size:
            self._held = False
            self._path.unlink(missing_ok=True)
