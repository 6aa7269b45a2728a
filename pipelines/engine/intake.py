"""The intake: a bounded queue between the sources and the line; a sender is answered only when its rows are durable."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

from pipelines.engine import flow
from pipelines.engine.decode import together
from pipelines.engine.disk import in_words
from pipelines.engine.flow import Opened, RawMessage, Receipt
from pipelines.engine.line import Line

log = logging.getLogger("townboard")
Waiting = tuple[RawMessage, "Future[Receipt]"]
MOST_WAITING = 4096
MOST_WAITING_BYTES = 96 << 20
MOST_AT_ONCE = 64
# Small messages that are decoded together cost little each: so many count as one.
SMALL_AS_ONE = 16
# When little comes, one frame for all that comes within the window: a sync of the disk costs more than the rows.
WINDOW_S = 0.1
PAGE_BYTES = 4096
# Waiting was in vain when nobody came later than this; then so many batches are taken without.
AT_ONCE_S = 0.01
PAUSE = 256
# From this size on opening a payload takes longer than the other hand needs to be told of it.
LARGE_BYTES = 1 << 16
# A batch is decoded whole, which takes many times its size: a few large payloads are a batch already.
MOST_BYTES_AT_ONCE = 8 << 20


# Senders try again within seconds: a failure that nobody met for so long is over.
TROUBLE_LASTS = timedelta(minutes=1)


class Busy(Exception):
    """The queue is full: the sender keeps its rows and comes again."""


class Intake:
    """Two hands take batches through the line, hand over hand: while one keeps a batch, the other may open the next.

    What came first is opened first and kept first. What waits meanwhile becomes the next batch.
    """

    def __init__(self, line: Line, clock: Callable[[], datetime]) -> None:
        self.line, self._clock = line, clock
        self._queue: queue.Queue[tuple[RawMessage, Future[Receipt]] | None] = queue.Queue(MOST_WAITING)
        self._bytes = 0
        self._ending = False
        # So many batches of several messages are taken without waiting before it is tried (again) whether that pays:
        # who sends alone and waits for each answer is never kept waiting.
        self._pause = 1
        self._trouble: tuple[str, datetime] | None = None
        self._lock = threading.Lock()
        self._opening, self._keeping = threading.Lock(), threading.Lock()
        self._hands = [threading.Thread(target=self._work, name=f"intake {n}", daemon=True) for n in range(2)]

    def start(self) -> None:
        """Begin to work."""
        for hand in self._hands:
            hand.start()

    def submit(self, message: RawMessage) -> "Future[Receipt]":
        """Queue a message; its future is done when the rows are durable.

        Raises Busy when too much waits already or the line is stopping.
        """
        size = len(message.payload)
        with self._lock:
            if self._ending:
                raise Busy("the line is being stopped; send it again in a moment")
            if self._bytes and self._bytes + size > MOST_WAITING_BYTES:
                raise Busy("too much is waiting to be written; send it again in a moment")
            self._bytes += size
        future: Future[Receipt] = Future()
        # From here on nobody can cancel it: a client that goes away must not break the batch of the others.
        future.set_running_or_notify_cancel()
        try:
            self._queue.put_nowait((message, future))
        except queue.Full:
            with self._lock:
                self._bytes -= size
            raise Busy("too much is waiting to be written; send it again in a moment") from None
        return future

    @property
    def is_pressed(self) -> bool:
        """Whether senders wait for the answer to something large."""
        return self._bytes >= LARGE_BYTES

    def shown(self) -> dict[str, Any]:
        """What waits, the newest durable frame, why the last batch could not be written (empty when it was), beats."""
        words, at = self._trouble or ("", self._clock())
        return {
            "waiting": self._queue.qsize(),
            "waiting_bytes": self._bytes,
            "seq": self.line.journal.seq,
            "trouble": words if self._clock() - at < TROUBLE_LASTS else "",
            "beats": {
                "number": self.line.beats,
                "seconds": self.line.beat_s,
                "last": self.line.last_beat_s,
                "waiting": sum(bool(work.due) for work in tuple(self.line.kpis.works.values())),
            },
        }

    def stop(self) -> None:
        """Finish what waits and end."""
        with self._lock:
            self._ending = True
        self._queue.put(None)
        for hand in self._hands:
            hand.join(timeout=30)

    def _work(self) -> None:
        while (opened := self._next()) is not None:
            try:
                self._keep(*opened)
            finally:
                self._keeping.release()

    def _next(self) -> tuple[list[Waiting], list[Opened]] | None:
        """The next batch, opened, with the right to keep it; None at the end."""
        with self._opening:
            first = self._queue.get()
            if first is None:
                self._queue.put(None)
                return None
            # Ahead of its turn only what is large: small messages are better gathered than opened early.
            ahead = len(first[0].payload) >= LARGE_BYTES
            if not ahead:
                self._keeping.acquire()
            batch = self._gathered(first)
            opened = self._open(batch)
            if ahead:
                self._keeping.acquire()
            return batch, opened

    def _gathered(self, first: Waiting) -> list[Waiting]:
        """The first message with those that wait, or come within the window, behind it."""
        batch, began, last = [first], time.monotonic(), 0.0
        window = 0.0 if self._pause else WINDOW_S
        share, size = _share(first[0]), len(first[0].payload)
        while share < MOST_AT_ONCE and size < MOST_BYTES_AT_ONCE:
            # What fills a page of the disk gains nothing by waiting for more.
            patience = window - (time.monotonic() - began) if size < PAGE_BYTES else 0.0
            try:
                following = self._queue.get(timeout=patience) if patience > 0 else self._queue.get_nowait()
            except queue.Empty:
                self._learn(len(batch), last, waited=window > 0 and size < PAGE_BYTES)
                break
            if following is None:
                self._queue.put(None)
                break
            batch.append(following)
            last = time.monotonic() - began
            share, size = share + _share(following[0]), size + len(following[0].payload)
        return batch

    def _learn(self, count: int, last: float, *, waited: bool) -> None:
        """Whether waiting pays: not when all wait for their answers and nobody came but at once."""
        if waited and last < AT_ONCE_S:
            self._pause = PAUSE
        elif not waited and count > 1:
            self._pause = max(0, self._pause - 1)

    def _open(self, batch: list[Waiting]) -> list[Opened]:
        """The batch decoded and checked; nothing when that is not possible, of which its senders are told."""
        try:
            return flow.open_all(self.line, [message for message, _ in batch])
        except Exception as error:
            self._failed(batch, error)
            return []

    def _keep(self, batch: list[Waiting], opened: list[Opened]) -> None:
        """Make a batch durable and tell its senders."""

        def told(receipts: Mapping[int, Receipt]) -> None:
            self._let_go([batch[place] for place in receipts])
            for place, receipt in receipts.items():
                batch[place][1].set_result(receipt)

        try:
            if opened:
                flow.keep_all(self.line, opened, self._clock(), told)
                self._trouble = None
        except Exception as error:
            self._failed(batch, error)

    def _failed(self, batch: list[Waiting], error: Exception) -> None:
        """Whoever was not answered keeps what was sent."""
        log.error("a batch could not be written; those of its senders who were not answered keep it", exc_info=error)
        words = in_words(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        self._trouble = words, self._clock()
        left = [waiting for waiting in batch if not waiting[1].done()]
        self._let_go(left)
        for _, future in left:
            future.set_exception(error)

    def _let_go(self, batch: list[Waiting]) -> None:
        with self._lock:
            self._bytes -= sum(len(message.payload) for message, _ in batch)


def _share(message: RawMessage) -> float:
    """How much of a batch a message takes."""
    return 1 / SMALL_AS_ONE if together(message.feed.format) else 1.0
