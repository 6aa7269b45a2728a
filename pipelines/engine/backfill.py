"""`app.py import`: files landed by hand through a feed, by the running line or, without one, by one opened for it."""

import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path

from pipelines.engine import flow, registers
from pipelines.engine.errors import SettingsError
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.line import Line
from pipelines.engine.line_client import alive
from pipelines.engine.local import hand_over
from pipelines.engine.settings import Feed, Settings
from pipelines.engine.sources.drop_folder import report

WIDTH = 30


def import_files(settings: Settings, name: str, files: Sequence[Path], clock: Callable[[], datetime]) -> int:
    """Land files through a feed; prints what became of each. Doing it again changes nothing.

    Raises SettingsError when the feed or a file does not exist.
    """
    feed = _feed(settings, name)
    missing = [path for path in files if not path.is_file()]
    if missing:
        raise SettingsError([f"{path} does not exist." for path in missing])
    if alive(settings):
        return _report(files, (_handed(settings, feed, path) for path in files))
    line = Line(settings, registers.load(settings), clock())
    try:
        status = _report(files, (land(line, feed, path.read_bytes(), clock()) for path in files))
        evaluate_all(line, clock)
    finally:
        line.close()
    return status


def land(line: Line, feed: Feed, payload: bytes, now: datetime) -> Receipt:
    """One recorded payload through the line, as a back-fill."""
    (receipt,) = flow.take(line, [RawMessage(feed, payload, now, backfill=True)], now)
    return receipt


def evaluate_all(line: Line, clock: Callable[[], datetime]) -> None:
    """Judge all that came, and beat until every window that the new rows touched has been computed."""
    line.judge(clock(), all_due=True)
    flow.beat(line, clock())
    while not line.kpis.settled:
        flow.beat(line, clock())


def _handed(settings: Settings, feed: Feed, path: Path) -> Receipt:
    receipt = hand_over(settings, feed.name, path.read_bytes())
    if receipt is None:
        raise OSError(111, "the line stopped while the files were handed to it; run the command again")
    return receipt


def _feed(settings: Settings, name: str) -> Feed:
    if name not in settings.feeds:
        raise SettingsError(
            [f"There is no feed `{name}` in town.toml. Known are: {', '.join(sorted(settings.feeds))}."]
        )
    return settings.feeds[name]


def _report(files: Sequence[Path], receipts: Iterable[Receipt]) -> int:
    """Print progress and what became of each file; 1 when a file was refused."""
    status, total = 0, Receipt()
    for number, (path, receipt) in enumerate(zip(files, receipts, strict=True), 1):
        if sys.stderr.isatty():
            done = WIDTH * number // len(files)
            print(f"\r[{'#' * done}{'.' * (WIDTH - done)}] {number}/{len(files)}", end="", file=sys.stderr, flush=True)
        if receipt.refused_words is not None:
            status = 1
            print(f"{path.name}: {receipt.refused_words}")
        elif receipt.quarantined:
            print(report(path.name, receipt), end="")
        total = Receipt(
            total.decoded + receipt.decoded,
            total.stored + receipt.stored,
            total.duplicate + receipt.duplicate,
            total.corrected + receipt.corrected,
            total.quarantined + receipt.quarantined,
        )
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(
        f"{len(files)} file{'s' if len(files) != 1 else ''}: {total.decoded} rows read, {total.stored} taken in, "
        f"{total.duplicate} known already, {total.quarantined} set aside."
    )
    return status
