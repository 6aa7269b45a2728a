"""The residents' addresses: plain HTML without a script, small, the same for everybody, kept by caches for a minute."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from components import dressing, plain, public_page
from components.asgi import App, Headers, Receive, Scope, Send, answer, encoding, header, query, squeezed
from components.lately import Lately
from components.tongue import current

FRESH_S = 20.0
MOST_KEPT = 200
CACHED = b"public, max-age=60"


@dataclass
class Kept:
    """A page as it was written a moment ago, with what it is in each encoding."""

    body: bytes
    tag: bytes
    packed: dict[bytes, bytes] = field(default_factory=dict)


class Public:
    """Pages for residents; one writing serves everybody who asks for the same in the next seconds."""

    def __init__(self) -> None:
        pages = {"public": self._ward, "public/data": self._data, "public/request": self._request}
        self.addresses: Mapping[str, App] = {path: plain.read_only(page) for path, page in pages.items()}
        self._pages: Lately[Kept] = Lately(FRESH_S, MOST_KEPT)

    async def _ward(self, scope: Scope, receive: Receive, send: Send) -> None:
        ward = public_page.known_ward(query(scope).get("ward", ""))
        await self._cached(scope, send, f"{current().code} ward {ward}", lambda: public_page.ward_page(ward))

    async def _data(self, scope: Scope, receive: Receive, send: Send) -> None:
        table = public_page.known_table(query(scope).get("table", ""))
        await self._cached(scope, send, f"{current().code} data {table}", lambda: public_page.data_page(table))

    async def _request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Where one request stands; what one person asks for is kept by nobody."""
        status, body = await asyncio.to_thread(public_page.request_page, query(scope).get("number", ""))
        return await plain.give(scope, send, body, status)

    async def _cached(self, scope: Scope, send: Send, key: str, write: Callable[[], bytes]) -> None:
        kept = self._pages.known(key)
        if kept is None:
            body = await asyncio.to_thread(write)
            tag = b'W/"%s"' % hashlib.sha1(body, usedforsecurity=False).hexdigest()[:16].encode()
            kept = self._pages.keep(key, Kept(body, tag))
        return await _give(scope, send, kept)


async def _give(scope: Scope, send: Send, kept: Kept) -> None:
    headers: Headers = [
        *dressing.guard(),
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", CACHED),
        (b"etag", kept.tag),
        (b"vary", b"accept-encoding, accept-language, cookie"),
    ]
    if header(scope, b"if-none-match") == kept.tag:
        return await answer(scope, send, 304, b"", headers)
    how = encoding(scope)
    if how not in kept.packed:
        kept.packed[how] = await asyncio.to_thread(squeezed, kept.body, how)
    extra = [] if how == b"identity" else [(b"content-encoding", how)]
    return await answer(scope, send, 200, kept.packed[how], [*headers, *extra])
