"""What a clerk edits, nearly right: town.toml, the registers and the map are refused in words or read, never a crash."""

import random
import tempfile
import time
from pathlib import Path

from pipelines.engine import registers
from pipelines.engine.errors import SettingsError
from tests.engine import small_town
from tests.torture.fuzz import PATIENCE_S, mutated


class Clerk:
    """A town whose files are spoiled one at a time and put right again."""

    def __init__(self, folder: Path) -> None:
        self.folder = small_town.make(folder)
        self.files = sorted(path for path in folder.rglob("*") if path.is_file())
        self._whole = {path: path.read_bytes() for path in self.files}
        self.refused = self.read = 0

    def try_seed(self, seed: int) -> list[str]:
        """What is wrong with how the files of this seed are read; nothing, as it must be."""
        chance = random.Random(seed)
        path, other = chance.choice(self.files), chance.choice(self.files)
        body = mutated(chance, self._whole[path], self._whole[other])
        path.write_bytes(body)
        began = time.monotonic()
        words = self._started()
        path.write_bytes(self._whole[path])
        took = time.monotonic() - began
        words += [f"took {took:.0f} s"] if took > PATIENCE_S else []
        return [f"seed {seed}, {path.name} ({len(body)} bytes): {text}" for text in words]

    def _started(self) -> list[str]:
        try:
            registers.load(small_town.read(self.folder))
        except SettingsError as error:
            self.refused += 1
            return [] if error.mistakes and all(error.mistakes) else ["refused without a word"]
        except Exception as error:
            return [f"it broke the start: {type(error).__name__}: {str(error)[:300]}"]
        self.read += 1
        return []


def run(seed: int | None, seconds: float) -> bool:
    """Spoiled files for so many seconds, or the one of a seed; whether all were taken as they must be."""
    with tempfile.TemporaryDirectory(prefix="townboard-clerk-") as place:
        clerk, end, failed = Clerk(Path(place) / "town"), time.monotonic() + seconds, 0
        number = first = int(time.time()) * 1000 if seed is None else seed
        while True:
            for words in clerk.try_seed(number):
                failed += 1
                print(f"FAILED {words}\n  replay: .venv/bin/python -m tests.torture clerk --seed {number}", flush=True)
            if seed is not None or time.monotonic() > end or failed > 20:
                break
            number += 1
    print(
        f"{number - first + 1} spoiled settings and registers: {clerk.refused} refused, {clerk.read} read; {failed} faults"
    )
    return not failed
