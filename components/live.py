"""The live wire: the same bytes to every screen, as a stream of server-sent events or as one snapshot on request."""

import asyncio
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import orjson

from components.asgi import Receive, Scope, Send, answer, encoding, header
from pipelines.engine.snapshot import GZIP_STREAM_HEAD, Snapshot, block, changes, event

NOTHING_YET = (
    b'{"type":"about:blank","title":"No figures yet","status":503,'
    b'"detail":"The line has published nothing yet; ask again in a few seconds."}'
)
LOOK_EVERY_S = 0.05
HEARTBEAT_S = 5.0
MOST_STREAMS = 12_000
# Streams are told in so many turns.
TURNS = 256
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


def unblock(body: bytes) -> bytes:
    """The plain text of a pre-compressed block, for a client that takes no gzip."""
    return zlib.decompressobj(-15).decompress(body)


@dataclass
class Turn:
    """Some streams that are told together."""

    has_come: asyncio.Event = field(default_factory=asyncio.Event)
    streams: int = 0


class Wire:
    """One look-out per process, which writes each event once; every stream takes the newest in its turn."""

    def __init__(self, look: Callable[[], Snapshot | None], build: str) -> None:
        self.look, self.build = look, build
        self.snapshot: Snapshot | None = None
        # The number of the snapshot that `delta` changes, and how often anything was told.
        self.before, self.told = -1, 0
        self.delta = self.beat = b""
        self._turns: list[Turn] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look; harmless when it already does."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What streams wait for belongs to the loop that they run on.
            self._loop, self._turns = loop, [Turn() for _ in range(TURNS)]
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._watch())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        told_at = time.monotonic()
        while True:
            newest, began = await asyncio.to_thread(self.look), time.monotonic()
            if newest is not None and (self.snapshot is None or newest.seq != self.snapshot.seq):
                self.delta, self.before = await asyncio.to_thread(self._since, newest)
                self.snapshot = newest
                await self._wake()
                told_at = began
            elif began - told_at >= HEARTBEAT_S:
                self.beat = block(b'event: beat\ndata: {"now":%d}\n\n' % (time.time() * 1000))
                await self._wake()
                told_at = began
            # With thousands of screens at most half of the time goes into telling them; what comes meanwhile is told
            # in one.
            await asyncio.sleep(max(LOOK_EVERY_S, time.monotonic() - began))

    def _since(self, newest: Snapshot) -> tuple[bytes, int]:
        """What has changed since the snapshot that was told last, and its number: also over some that were not told."""
        before, shown = previous(newest), self.snapshot
        if shown is None or before == shown.seq or not self.viewers:
            return newest.stream_delta, before
        told = orjson.dumps(changes(shown.state, newest.state), option=orjson.OPT_NAIVE_UTC)
        return event("delta", newest.seq, block(told)), shown.seq

    async def _wake(self) -> None:
        """Tell every stream, some at a time: whoever sends readings meanwhile is answered between them."""
        self.told += 1
        for turn in self._turns:
            if turn.streams:
                turn.has_come.set()
                turn.has_come.clear()
                await asyncio.sleep(0)

    @property
    def viewers(self) -> int:
        """How many streams are open."""
        return sum(turn.streams for turn in self._turns)

    def greeting(self) -> bytes:
        """The first event: which build serves and what time it is here, so that ages need no right clock over there."""
        return b'retry: 3000\nevent: hello\ndata: {"build":"%s","now":%d}\n\n' % (
            self.build.encode(),
            time.time() * 1000,
        )

    async def serve_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /api/v1/stream: whole state, then changes, and a heartbeat when there are none."""
        self.start()
        if self.viewers >= MOST_STREAMS:
            full = b"too many screens are connected; the page asks for snapshots instead"
            return await answer(scope, send, 503, full, [(b"retry-after", b"30"), (b"content-type", b"text/plain")])
        zipped = b"gzip" in header(scope, b"accept-encoding")
        headers = [*STREAM_HEADERS, (b"content-encoding", b"gzip")] if zipped else STREAM_HEADERS
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            return await send({"type": "http.response.body", "body": b""})
        turn = min(self._turns, key=lambda turn: turn.streams)
        turn.streams += 1
        pouring = asyncio.create_task(self._pour(send, turn, zipped=zipped))
        pouring.add_done_callback(partial(_end_with, asyncio.current_task()))
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except asyncio.CancelledError:
            # Told to the server, which hangs up: a screen that hears nothing more opens the stream anew.
            if error := failure(pouring):
                raise error from None
            raise
        finally:
            turn.streams -= 1
            pouring.cancel()
        return None

    async def _pour(self, send: Send, turn: Turn, *, zipped: bool) -> None:
        told, shown = self.told, self.snapshot
        first = (GZIP_STREAM_HEAD + block(self.greeting())) if zipped else self.greeting()
        # A client that is gone is told by its `receive`.
        with suppress(OSError):
            await _write(send, first + (_whole(shown, zipped=zipped) if shown else b""))
            while True:
                if self.told == told:
                    await turn.has_come.wait()
                    continue
                body, told, shown = self._next(shown), self.told, self.snapshot
                await _write(send, body if zipped else unblock(body))

    def _next(self, shown: Snapshot | None) -> bytes:
        """Changes for whoever has the one before, the whole state for a screen that skipped one, or a heartbeat."""
        newest = self.snapshot
        if newest is None or (shown is not None and shown.seq == newest.seq):
            return self.beat
        return self.delta if shown is not None and self.before == shown.seq else newest.stream_full

    async def serve_snapshot(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /api/v1/snapshot: the whole state, 304 when the client has it."""
        self.start()
        shown = self.snapshot or await asyncio.to_thread(self.look)
        if shown is None:
            return await answer(
                scope, send, 503, NOTHING_YET, [(b"retry-after", b"2"), (b"content-type", b"application/problem+json")]
            )
        tag = b'"%s-%d"' % (self.build.encode(), shown.seq)
        headers = [
            (b"etag", tag),
            (b"cache-control", b"no-cache"),
            (b"vary", b"accept-encoding"),
            (b"x-content-type-options", b"nosniff"),
            (b"x-now", b"%d" % (time.time() * 1000)),
            (b"x-build", self.build.encode()),
        ]
        if header(scope, b"if-none-match") == tag:
            return await answer(scope, send, 304, b"", headers)
        packed = {b"br": shown.br, b"gzip": shown.gz, b"identity": shown.json}
        how = encoding(scope)
        extra = [] if how == b"identity" else [(b"content-encoding", how)]
        return await answer(scope, send, 200, packed[how], [*headers, *extra, (b"content-type", b"application/json")])


def failure(done: "asyncio.Task[None]") -> BaseException | None:
    """What a task ended with that nobody had foreseen."""
    return done.exception() if done.done() and not done.cancelled() else None


def _end_with(request: "asyncio.Task[None] | None", pouring: "asyncio.Task[None]") -> None:
    """A request whose stream can be written no more waits for nothing."""
    if request is not None and failure(pouring):
        request.cancel()


def previous(snapshot: Snapshot) -> int:
    """The number of the snapshot that this one's changes apply to; read from the first bytes of the changes."""
    head = unblock(snapshot.stream_delta)
    at = head.find(b'"prev":')
    digits = head[at + 7 : at + 27]
    return int(digits.split(b",")[0].split(b"}")[0]) if at >= 0 else -1


def _whole(snapshot: Snapshot, *, zipped: bool) -> bytes:
    return snapshot.stream_full if zipped else unblock(snapshot.stream_full)


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
