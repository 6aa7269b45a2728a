"""The drop folder: whole files only; moved to done/ or refused/ with the reason beside them."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.engine.flow import Receipt
from pipelines.engine.settings import Feed

# A file that nobody has touched for this long is taken as whole.
QUIET = timedelta(seconds=2)
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".new")
MOST_REASONS = 1000


class DropFolder:
    """One feed's folder. `look` gives the files that have stopped growing since the last look."""

    def __init__(self, feed: Feed, folder: Path) -> None:
        self.feed, self.folder = feed, folder
        self._sizes: dict[Path, tuple[int, int]] = {}
        for name in ("done", "refused"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def look(self, now: datetime) -> list[Path]:
        """Files that are whole: same size and time as at the last look, and quiet for two seconds; oldest first."""
        seen: dict[Path, tuple[int, int]] = {}
        ready = []
        for path in self.folder.iterdir():
            if path.name.startswith((".", "~")) or path.name.lower().endswith(UNFINISHED) or not path.is_file():
                continue
            stat = path.stat()
            mark = (stat.st_size, stat.st_mtime_ns)
            seen[path] = mark
            # A time that is still to come was given before the clock was set back: it says nothing about quiet.
            quiet = not 0 <= now.timestamp() - stat.st_mtime < QUIET.total_seconds()
            if self._sizes.get(path) == mark and quiet:
                ready.append((stat.st_mtime_ns, path))
        self._sizes = seen
        return [path for _, path in sorted(ready)]

    def too_large(self, path: Path) -> str | None:
        """Words when the file is larger than the feed allows."""
        size = path.stat().st_size
        if size > self.feed.max_mb * 1e6:
            return (
                f"{path.name} has {size / 1e6:,.0f} MB, more than the {self.feed.max_mb:g} MB that this feed takes. "
                "Split it, or raise max_mb in town.toml."
            )
        return None

    def done(self, path: Path, receipt: Receipt) -> None:
        """Move a file away after its rows are durable; rows that were set aside are listed beside it."""
        if receipt.refused_words is not None:
            self.refuse(path, receipt.refused_words)
            return
        target = _free(self.folder / "done" / path.name)
        path.rename(target)
        if receipt.quarantined:
            _write(target.with_name(target.name + ".report.txt"), report(path.name, receipt))

    def refuse(self, path: Path, words: str) -> None:
        """Move a file away that could not be read, with the reason beside it."""
        target = _free(self.folder / "refused" / path.name)
        path.rename(target)
        _write(target.with_name(target.name + ".reason.txt"), words + "\n")


def report(name: str, receipt: Receipt) -> str:
    """What became of a file, for the clerk."""
    lines = [
        f"{name}: {receipt.decoded} rows read, {receipt.stored} taken in, {receipt.duplicate} known already, "
        f"{receipt.quarantined} set aside. The rows set aside are kept and shown on the page Feeds.",
        *(f"line {row}: {detail}" for row, _, detail in receipt.reasons[:MOST_REASONS]),
    ]
    return "\n".join(lines) + "\n"


def _free(path: Path) -> Path:
    """This path, or the first like it that does not exist yet."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
