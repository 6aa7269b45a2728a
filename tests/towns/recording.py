"""A town folder of this directory, opened on a clock of its own, with recorded files landed in it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipelines import available
from pipelines.engine import backfill, registers, settings
from pipelines.engine.flow import Receipt
from pipelines.engine.line import Line
from pipelines.engine.settings import Settings
from pipelines.engine.town import Town

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def at(text: str) -> datetime:
    """An instant written in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def folder_of(name: str, target: Path) -> Path:
    """A copy of the town folder, so that its store is not written into the repository."""
    return Path(shutil.copytree(HERE / name, target / name))


@dataclass
class Clock:
    """The time, which stands until a test moves it."""

    at: datetime

    def __call__(self) -> datetime:
        """Now."""
        return self.at


@dataclass
class Recording:
    """One town whose line runs in this test: `land` files, `evaluate`, then read through `town`."""

    settings: Settings
    line: Line
    clock: Clock

    def land(self, feed: str, *payloads: bytes) -> list[Receipt]:
        """What became of each payload."""
        return [backfill.land(self.line, self.settings.feeds[feed], payload, self.clock()) for payload in payloads]

    def evaluate(self) -> None:
        """Compute every window that the landed rows touched."""
        backfill.evaluate_all(self.line, self.clock)
        assert self.line.kpis.faults == {}

    @property
    def town(self) -> Town:
        """A reader of what the line has written."""
        return Town(self.settings, self.clock)


@contextmanager
def opened(folder: Path, now: datetime, kpis: Sequence[str] | None = None) -> Iterator[Recording]:
    """The town in `folder` with its line open; with `kpis`, only those are computed."""
    read = settings.load(folder, available)
    chosen = read if kpis is None else replace(read, domains=tuple(_only(d, set(kpis)) for d in read.domains))
    with closing(Line(chosen, registers.load(chosen), now)) as line:
        yield Recording(chosen, line, Clock(now))


def _only(domain, kpis: set[str]):
    kept = tuple(kpi for kpi in domain.kpis if kpi.id in kpis)
    watchable = kpis | {quantity.name for quantity in domain.quantities}
    drawable = tuple(picture for picture in domain.pictures if kpis.issuperset(picture.history))
    watched = tuple(a for a in domain.alarms if a.watches in watchable)
    return replace(domain, kpis=kept, alarms=watched, pictures=drawable)


def command(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`python app.py --town FOLDER ...` as a clerk gives it."""
    return subprocess.run(
        [sys.executable, str(ROOT / "app.py"), "--town", str(folder), *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
        env={**os.environ, "POLARS_MAX_THREADS": "2"},
    )  # fmt: skip


Open = Callable[..., Recording]
