"""Replay: recorded payloads sent again at their own pace, or faster, on an injected clock."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

EPOCH_IN_NAME = re.compile(r"(?<!\d)(1[0-9]{9})(?!\d)")
STAMP_IN_NAME = re.compile(r"(20\d{2})-?([01]\d)-?([0-3]\d)[T_]?([0-2]\d)[:-]?([0-5]\d)[:-]?([0-5]\d)Z?")


def recorded_at(path: Path) -> datetime:
    """When a payload was received: a Unix time or a stamp like 20260113T030852Z in its name, else its file time."""
    epoch = EPOCH_IN_NAME.search(path.name)
    if epoch:
        return datetime.fromtimestamp(int(epoch[1]), UTC)
    stamp = STAMP_IN_NAME.search(path.name)
    if stamp:
        year, month, day, hour, minute, second = map(int, stamp.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


class Replay:
    """Files in order of recording; the first is due when the replay starts, the others after their own gaps / speed."""

    def __init__(self, files: Sequence[Path], started_at: datetime, speed: float = 1.0) -> None:
        self._waiting = sorted((recorded_at(path), path) for path in files)
        self._started_at, self._speed = started_at, speed
        self._origin = self._waiting[0][0] if self._waiting else started_at

    @property
    def over(self) -> bool:
        """Whether everything has been sent."""
        return not self._waiting

    def due(self, now: datetime) -> Iterator[tuple[datetime, bytes]]:
        """(recorded at, payload) of everything whose time has come."""
        reached = self._origin + (now - self._started_at) * self._speed
        while self._waiting and self._waiting[0][0] <= reached:
            at, path = self._waiting.pop(0)
            yield at, path.read_bytes()
