"""Many town-weeks, one per seed, on all cores; a seed that fails prints the command that replays it."""

import logging
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture import week

ROOM = 1 << 30
REPLAY = "replay: .venv/bin/python -m tests.torture weeks --seed {seed}"


@dataclass
class Tally:
    """What came of the weeks."""

    weeks: int = 0
    sent: int = 0
    cuts: int = 0
    tails: int = 0
    refusals: int = 0
    compactions: int = 0
    poisoned: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)

    def add(self, seed: int, words: list[str], told: week.Ledger) -> None:
        """Count one week in."""
        self.weeks += 1
        self.poisoned += len(told.poisoned)
        for name in ("sent", "cuts", "tails", "refusals", "compactions"):
            setattr(self, name, getattr(self, name) + getattr(told, name))
        if words:
            self.failed[seed] = words

    def __str__(self) -> str:
        return (
            f"{self.weeks} town-weeks: {self.sent} payloads sent, {self.cuts} cuts ({self.tails} with a torn, zeroed or "
            f"garbled tail), {self.refusals} writes refused by the disk, {self.compactions} compactions, "
            f"{self.poisoned} poisoned rows or payloads; {len(self.failed)} weeks ended otherwise than the undisturbed one"
        )


def told(seed: int, words: list[str]) -> str:
    """A failed seed in words."""
    return "\n  ".join([f"FAILED seed {seed}", *words, REPLAY.format(seed=seed)])


def run(seeds: Iterable[int], seconds: float, workers: int) -> Tally:
    """Run these weeks, or as many as fit into the time; failures are printed as they come."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    tally, end = Tally(), time.monotonic() + seconds
    # What a week's cuts leave is decided here, not by a disk: in memory a thousand syncs cost nothing.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > ROOM else None
    with tempfile.TemporaryDirectory(prefix="townboard-weeks-", dir=memory) as place:
        calm = week.undisturbed(Path(place) / "calm")
        # Spawned, never forked: Polars and DuckDB have threads of their own.
        with multiprocessing.get_context("spawn").Pool(workers, _begin, (place, calm)) as pool:
            weeks = pool.imap_unordered(_one, seeds)
            # A worker that cannot even start is replaced by another that cannot: the time ends that too.
            with suppress(StopIteration, multiprocessing.TimeoutError):
                while (left := end - time.monotonic()) > 0:
                    seed, words, ledger = weeks.next(left)
                    tally.add(seed, words, ledger)
                    if words:
                        print(told(seed, words), flush=True)
            pool.terminate()
    return tally


def _begin(place: str, calm: week.Outcome) -> None:
    # A full disk and a lost manifest are what the weeks are made of: nobody needs to read of each.
    logging.disable(logging.WARNING)
    _KNOWN["place"], _KNOWN["calm"] = Path(place), calm


def _one(seed: int) -> tuple[int, list[str], week.Ledger]:
    """One week; one that breaks off has failed too."""
    try:
        return seed, *week.disturbed(_KNOWN["place"] / f"seed{seed}", seed, _KNOWN["calm"])
    except Exception as error:
        return seed, [f"the week broke off: {type(error).__name__}: {error}"], week.Ledger()


_KNOWN: dict = {}
