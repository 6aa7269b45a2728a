"""The live wire: the same bytes to every screen, as a stream of server-sent events or as one snapshot on request."""

import asyncio
import time
import zlib
from collections.abc import Callable

from components.asgi import Receive, Scope, Send, answer, encoding, header
from pipelines.engine.snapshot import GZIP_STREAM_HEAD, Snapshot, block

NOTHING_YET = (
    b'{"type":"about:blank","title":"No figures yet","status":503,'
    b'"detail":"The line has published nothing yet; ask again in a few seconds."}'
)
LOOK_EVERY_S = 0.05
HEARTBEAT_S = 5.0
MOST_STREAMS = 4000
AT_A_TIME = 16
STREAM_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


def unblock(body: bytes) -> bytes:
    """The plain text of a pre-compressed block, for a client that takes no gzip."""
    return zlib.decompressobj(-15).decompress(body)


class Wire:
    """One look-out per process; every stream waits on its own event and always takes the newest snapshot."""

    def __init__(self, look: Callable[[], Snapshot | None], build: str) -> None:
        self.look, self.build = look, build
        self.snapshot: Snapshot | None = None
        self.before = -1
        self.waiting: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look; harmless when it already does."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            newest = await asyncio.to_thread(self.look)
            if newest is not None and (self.snapshot is None or newest.seq != self.snapshot.seq):
                self.snapshot, self.before = newest, previous(newest)
                await self._wake()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _wake(self) -> None:
        """Tell every stream, a few at a time: whoever sends readings meanwhile is answered between them."""
        for number, waiter in enumerate(tuple(self.waiting), 1):
            waiter.set()
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)

    def greeting(self) -> bytes:
        """The first event: which build serves and what time it is here, so that ages need no right clock over there."""
        return b'retry: 3000\nevent: hello\ndata: {"build":"%s","now":%d}\n\n' % (
            self.build.encode(),
            time.time() * 1000,
        )

    async def serve_stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """GET /api/v1/stream: whole state, then changes, and a heartbeat when there are none."""
        self.start()
        if len(self.waiting) >= MOST_STREAMS:
            full = b"too many screens are connected; the page asks for snapshots instead"
            return await answer(scope, send, 503, full, [(b"retry-after", b"30"), (b"content-type", b"text/plain")])
        zipped = b"gzip" in header(scope, b"accept-encoding")
        headers = [*STREAM_HEADERS, (b"content-encoding", b"gzip")] if zipped else STREAM_HEADERS
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            return await send({"type": "http.response.body", "body": b""})
        waiter = asyncio.Event()
        self.waiting.add(waiter)
        gone = asyncio.create_task(_until_gone(receive, waiter))
        try:
            await self._pour(send, waiter, gone, zipped=zipped)
        except OSError:
            pass
        finally:
            self.waiting.discard(waiter)
            gone.cancel()
        return None

    async def _pour(self, send: Send, waiter: asyncio.Event, gone: asyncio.Task[None], *, zipped: bool) -> None:
        shown = self.snapshot
        first = (GZIP_STREAM_HEAD + block(self.greeting())) if zipped else self.greeting()
        await _write(send, first + (_whole(shown, zipped=zipped) if shown else b""))
        while not gone.done():
            try:
                await asyncio.wait_for(waiter.wait(), HEARTBEAT_S)
            except TimeoutError:
                beat = b'event: beat\ndata: {"now":%d}\n\n' % (time.time() * 1000)
                await _write(send, block(beat) if zipped else beat)
                continue
            waiter.clear()
            newest = self.snapshot
            if newest is None or gone.done() or (shown is not None and newest.seq == shown.seq):
                continue
            await _write(send, self._next(shown, newest, zipped=zipped))
            shown = newest

    def _next(self, shown: Snapshot | None, newest: Snapshot, *, zipped: bool) -> bytes:
        """Changes for whoever has the one before, the whole state for a screen that skipped one."""
        if shown is None or self.before != shown.seq:
            return _whole(newest, zipped=zipped)
        return newest.stream_delta if zipped else unblock(newest.stream_delta)

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


def previous(snapshot: Snapshot) -> int:
    """The number of the snapshot that this one's changes apply to; read from the first bytes of the changes."""
    head = unblock(snapshot.stream_delta)
    at = head.find(b'"prev":')
    digits = head[at + 7 : at + 27]
    return int(digits.split(b",")[0].split(b"}")[0]) if at >= 0 else -1


def _whole(snapshot: Snapshot, *, zipped: bool) -> bytes:
    return snapshot.stream_full if zipped else unblock(snapshot.stream_full)


async def _until_gone(receive: Receive, waiter: asyncio.Event) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    waiter.set()


async def _write(send: Send, body: bytes) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": True})
