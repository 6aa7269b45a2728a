"""Reading all of one moment: what a long export reads must not change under it."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.engine.depot import Depot
from pipelines.engine.store import Store

# A compaction publishes its manifest before it deletes what that replaces; a reader sees it within half a second.
AGAIN_S = 0.1


class Pinning:
    """The moments that threads of this process hold; each thread its own."""

    def __init__(self, depot: Depot, follow: Callable[[], Store]) -> None:
        self._depot, self._follow = depot, follow
        self._local, self._patience = threading.local(), threading.Event()

    @property
    def store(self) -> Store | None:
        """The store as this thread holds it; None when it holds none."""
        return getattr(self._local, "store", None)

    @contextmanager
    def held(self) -> Iterator[int]:
        """Within it this thread reads all of one moment; gives the journal's frame up to which that is."""
        with tempfile.TemporaryDirectory(dir=self._depot.place(), prefix="pinned-") as folder:
            pinned = self._local.store = self._pinned(Path(folder))
            try:
                yield pinned.seq
            finally:
                self._local.store = None

    def _pinned(self, folder: Path) -> Store:
        while True:
            try:
                return self._follow().pinned(Path(tempfile.mkdtemp(dir=folder)))
            except FileNotFoundError:
                # A compaction has replaced files that were to be held.
                self._patience.wait(AGAIN_S)
