"""Small things for speaking ASGI without a framework: answers, encodings, and asking an app in-process."""

import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import brotli

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes:
    """A request header, empty when it is missing."""
    return next((value for key, value in scope["headers"] if key == name), b"")


def query(scope: Scope) -> dict[str, str]:
    """What the address asks for, by name; of a name that comes several times the last."""
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return {name: values[-1] for name, values in asked.items()}


def encoding(scope: Scope) -> bytes:
    """The best of br, gzip and identity that the client accepts."""
    accepted = {
        part.split(b";")[0].strip()
        for part in header(scope, b"accept-encoding").split(b",")
        if b"q=0" not in part.replace(b"q=0.", b"")
    }
    return b"br" if b"br" in accepted else b"gzip" if b"gzip" in accepted else b"identity"


async def answer(scope: Scope, send: Send, status: int, body: bytes, headers: Headers) -> None:
    """One whole answer; HEAD and 304 carry no body."""
    bodyless = status == 304
    sized = headers if bodyless else [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": sized})
    empty = bodyless or scope.get("method") == "HEAD"
    await send({"type": "http.response.body", "body": b"" if empty else body})


def squeezed(body: bytes, how: bytes) -> bytes:
    """The body in this encoding, quickly; slow enough for a thread when it is a page."""
    if how == b"br":
        return brotli.compress(body, quality=4)
    return gzip.compress(body, 5) if how == b"gzip" else body


@dataclass
class Answer:
    """What an app answered when asked in-process."""

    status: int = 500
    headers: Headers = field(default_factory=list)
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        """An answer's header, empty when it is missing."""
        return next((value for key, value in self.headers if key.lower() == name), b"")


async def nothing_sent() -> MutableMapping[str, Any]:
    """A request without a body."""
    return {"type": "http.request", "body": b"", "more_body": False}


async def whole(app: App, scope: Scope, receive: Receive = nothing_sent) -> Answer:
    """What the app answers, gathered; its length is told by whoever sends it."""
    got = Answer()

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            got.status, got.headers = message["status"], list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            got.body += message.get("body", b"")

    await app(scope, receive, send)
    got.headers = [(name, value) for name, value in got.headers if name.lower() != b"content-length"]
    return got


async def ask(app: App, path: str) -> Answer:
    """What the app answers to GET `path`.

    The scope says spec_version 2.4: Starlette's FileResponse otherwise spins on a receive that returns at once.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    return await whole(app, scope)
