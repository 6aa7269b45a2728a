"""A wall clock that can be turned from outside (libfaketime); the product has no seam for it."""

from pathlib import Path

LIBRARIES = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib64/faketime/libfaketimeMT.so.1")


class WallClock:
    """The clock of processes started with `environment`; without the library it is the machine's own and never jumps."""

    def __init__(self, file: Path) -> None:
        self._file = file
        found = [path for pattern in LIBRARIES for path in Path("/").glob(pattern.lstrip("/"))]
        self.can_jump = bool(found)
        self.jump(0)
        self.environment = {} if not found else {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": "1",
            # Only the wall clock jumps; what counts time-outs goes on, and files keep the times the disk gave them.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }  # fmt: skip

    def jump(self, seconds: int) -> None:
        """From now on the clock is so far from the true time."""
        self._file.write_text(f"{seconds:+d}\n")
