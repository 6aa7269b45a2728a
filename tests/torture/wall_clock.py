"""A wall clock that can be turned from outside: a small library preloaded into the processes, no seam in the product."""

import os
import shutil
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class WallClock:
    """The clock of processes that are started with `environment`; where there is no C compiler it never jumps."""

    def __init__(self, place: Path) -> None:
        self._file, library = place / "clock", place / "wall_clock.so"
        compiler = shutil.which("cc")
        made = compiler and subprocess.run(
            [compiler, "-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=False, capture_output=True
        )
        self.can_jump = bool(made) and made.returncode == 0
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(self._file)} if self.can_jump else {}

    def jump(self, seconds: int) -> None:
        """From now on the clock is so far from the true time."""
        handle = os.open(self._file, os.O_WRONLY)
        os.pwrite(handle, struct.pack("=q", seconds), 0)
        os.close(handle)
