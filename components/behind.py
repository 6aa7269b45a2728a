"""What takes time is made by a process behind this one: neither devices nor screens wait for pages and tables.

The supervisor starts it when a crowd asks for them; until it is there, and for a few who ask, this process makes them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx

from components.asgi import Answer, Headers, Receive, Scope, Send
from components.visitor import peer

# A page of a crowd is made in well under a second; an export of years goes on for as long as somebody takes it.
LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16)
PATIENCE = httpx.Timeout(120.0, connect=2.0)
# A cookie is one visitor's: none that an answer sets may go out with the question of another.
NOBODYS = DefaultCookiePolicy(allowed_domains=[])
# Headers of one connection, not of what is said over it.
HOPS = {b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"}
# So many pages and tables asked for within so long are a crowd; how often it is said that it is there.
CROWD, WITHIN_S = 20, 10.0
SAID_EVERY_S = 5.0


class Crowd:
    """Tells the supervisor, by the time of a file, that many ask for pages."""

    def __init__(self, mark: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._mark, self._clock = mark, clock
        self._came: deque[float] = deque(maxlen=CROWD)
        self._said_at = -SAID_EVERY_S

    def one_more(self) -> None:
        """Somebody asks."""
        now = self._clock()
        self._came.append(now)
        crowded = len(self._came) == CROWD and now - self._came[0] <= WITHIN_S
        if crowded and now - self._said_at >= SAID_EVERY_S:
            self._said_at = now
            # A disk that is full has other bells; pages are made here then.
            with suppress(OSError):
                self._mark.touch()


class Behind:
    """Another web process of the same town, asked over its socket."""

    def __init__(self, socket: Path, crowd: Crowd) -> None:
        self._socket, self._crowd = socket, crowd
        self._client: httpx.AsyncClient | None = None

    async def whole(self, scope: Scope, body: bytes) -> Answer | None:
        """The whole answer to a request whose body was read; None where nobody is there."""
        self._crowd.one_more()
        method = "POST" if scope["method"] == "POST" else "GET"
        request = self._asked().build_request(method, _url(scope), headers=_headers(scope), content=body or None)
        try:
            answer = await self._asked().send(request, stream=True)
            pieces = [piece async for piece in answer.aiter_raw()]
        except httpx.TransportError:
            # It is starting, or was just killed.
            return None
        return Answer(answer.status_code, _kept(answer.headers.raw, b"content-length"), b"".join(pieces))

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Have a GET answered there, piece by piece; False where nobody is there, and nothing was sent yet."""
        self._crowd.one_more()
        request = self._asked().build_request("GET", _url(scope), headers=_headers(scope))
        try:
            answer = await self._asked().send(request, stream=True)
        except httpx.TransportError:
            return False
        gone = asyncio.create_task(_until_gone(receive))
        try:
            head = {"type": "http.response.start", "status": answer.status_code, "headers": _kept(answer.headers.raw)}
            await send(head)
            async for piece in answer.aiter_raw():
                if gone.done():
                    return True
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            await answer.aclose()
        return True

    async def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _asked(self) -> httpx.AsyncClient:
        if self._client is None:
            transport = httpx.AsyncHTTPTransport(uds=str(self._socket), limits=LIMITS)
            self._client = httpx.AsyncClient(transport=transport, timeout=PATIENCE, cookies=CookieJar(NOBODYS))
        return self._client


def _url(scope: Scope) -> str:
    raw = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"http://pages{raw}" + (f"?{query}" if query else "")


def _headers(scope: Scope) -> list[tuple[bytes, bytes]]:
    """The headers as they came, with who asks; nobody else may say that."""
    own = {b"x-forwarded-for", b"x-forwarded-proto", b"content-length", *HOPS}
    kept = [(k, v) for k, v in scope["headers"] if k not in own]
    return [
        *kept,
        (b"x-forwarded-for", peer(scope).encode()),
        (b"x-forwarded-proto", str(scope.get("scheme", "http")).encode()),
    ]


def _kept(headers: Sequence[tuple[bytes, bytes]], *left_out: bytes) -> Headers:
    return [(k.lower(), v) for k, v in headers if k.lower() not in HOPS and k.lower() not in left_out]


async def _until_gone(receive: Receive) -> None:
    with suppress(Exception):
        while (await receive())["type"] != "http.disconnect":
            pass
