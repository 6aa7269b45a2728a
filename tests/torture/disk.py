"""A small disk of its own for the town: it can be full and read-only. Needs root; without, it says so and is none."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SIZE_MB = 192


class Disk:
    """A file system in memory, mounted at a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self.mounted = _mount("-t", "tmpfs", "-o", f"size={SIZE_MB}m", "townboard-torture", str(folder))

    @contextmanager
    def full(self) -> Iterator[bool]:
        """Not one byte is free meanwhile; gives whether that could be brought about."""
        hog = self._folder / "hog"
        if self.mounted:
            free = os.statvfs(self._folder)
            with hog.open("wb") as file, suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
        try:
            yield self.mounted
        finally:
            hog.unlink(missing_ok=True)

    @contextmanager
    def read_only(self) -> Iterator[bool]:
        """Nothing can be written meanwhile; gives whether that could be brought about."""
        # Busy while a sender writes a file; so it is tried some times.
        could = self.mounted and any(_mount("-o", "remount,ro", str(self._folder)) for _ in range(20))
        try:
            yield could
        finally:
            if could:
                _mount("-o", "remount,rw", str(self._folder))

    def close(self) -> None:
        """Give the disk back."""
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self._folder)], check=False, capture_output=True)


def _mount(*words: str) -> bool:
    """Whether the mount was permitted."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["mount", *words], check=False, capture_output=True).returncode == 0
