"""Pages made for everybody are kept: fresh for a few who ask, a few seconds old at most for a crowd.

A page is made anew when the board has a newer number, one maker for all who wait for it. While pages are being made,
and for some time after, a kept one is given instead, so that a crowd on many pages leaves the processor to others; the
live wire brings every page up to date as soon as it is shown.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
# Nothing older is given, however many ask.
LONGEST_S = 10.0
# How long making rests, in times of what it took: at most a third of the time goes into pages that are known.
RESTS = 2.0
MOST = 200


@dataclass(frozen=True)
class _Kept(Generic[T]):
    seq: int
    at: float
    answer: T


class KeptPages(Generic[T]):
    """What was answered to what was asked, by the number of the board; used on one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept[T]] = OrderedDict()
        self._making: dict[Hashable, asyncio.Task[T]] = {}
        self._rests_until = 0.0

    async def of(self, asked: Hashable, seq: int, make: Callable[[], Awaitable[T]]) -> T:
        """The answer: the kept one where it is of this board or good enough for a crowd, else a new one."""
        kept = self._kept.get(asked)
        if kept is not None and (kept.seq == seq or self._will_do(kept)):
            return kept.answer
        task = self._making.get(asked)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._made(asked, seq, make))
            self._making[asked] = task
        # Whoever goes away must not take the page from the others who wait for it.
        return await asyncio.shield(task)

    def _will_do(self, kept: _Kept[T]) -> bool:
        now = self._clock()
        return now - kept.at < LONGEST_S and (bool(self._making) or now < self._rests_until)

    async def _made(self, asked: Hashable, seq: int, make: Callable[[], Awaitable[T]]) -> T:
        began = self._clock()
        try:
            answer = await make()
        finally:
            del self._making[asked]
            ended = self._clock()
            self._rests_until = ended + RESTS * (ended - began)
        self._kept[asked] = _Kept(seq, began, answer)
        self._kept.move_to_end(asked)
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return answer
