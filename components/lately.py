"""What was worked out a moment ago is given again: a crowd that asks the same costs one reading."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lately(Generic[T]):
    """Answers by what was asked, each for so many seconds, the newest so many of them."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._working: dict[Hashable, threading.RLock] = {}

    def known(self, asked: Hashable) -> T | None:
        """The answer, unless it is too old."""
        kept = self._kept.get(asked)
        return kept[1] if kept is not None and time.monotonic() - kept[0] <= self._seconds else None

    def keep(self, asked: Hashable, answer: T) -> T:
        """The answer, kept from now on."""
        self._kept[asked] = (time.monotonic(), answer)
        self._kept.move_to_end(asked)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return answer

    def of(self, asked: Hashable, work: Callable[[], T]) -> T:
        """The answer, worked out only when it is not known: by one for all who ask at the same time."""
        known = self.known(asked)
        if known is not None:
            return known
        with self._working.setdefault(asked, threading.RLock()):
            known = self.known(asked)
            try:
                return self.keep(asked, work()) if known is None else known
            finally:
                self._working.pop(asked, None)
