"""Exports of the depot as HTTP answers: they leave while they grow, and go on from any byte."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from pipelines.engine.api.problems import problem
from pipelines.engine.depot import FAILED, READY, RUNNING, Making
from pipelines.engine.errors import StoreError
from pipelines.engine.forms import MEDIA, WRITERS

BLOCK = 1 << 18
LOOK_S = 0.05
# How long a manifest is waited for; after that its answer says how far the export is.
PATIENCE_S = 10.0
WAIT = re.compile(r"\bwait=(\d{1,6})\b")
RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
GONE = "This export was let go, or broke off. Ask for it once more at the address it came from."


@dataclass(frozen=True)
class Slice:
    """The bytes from `start` up to and without `end`."""

    start: int
    end: int

    def headers(self, size: int) -> dict[str, str]:
        """What an answer with these bytes of so many says."""
        return {
            "Content-Range": f"bytes {self.start}-{self.end - 1}/{size}",
            "Content-Length": str(self.end - self.start),
        }


class Unsatisfiable(Exception):
    """The bytes that were asked for lie beyond the end."""


def wants_part(request: Request, tag: str) -> bool:
    """Whether a part of exactly these bytes is asked for; a part of others is answered with the whole."""
    return bool(RANGE.match(request.headers.get("range", ""))) and request.headers.get("if-range", tag) == tag


def part(request: Request, tag: str, size: int) -> Slice | None:
    """The bytes asked for; None when that is all of them.

    Raises Unsatisfiable.
    """
    if not wants_part(request, tag):
        return None
    found = RANGE.match(request.headers["range"])
    assert found is not None
    first, last = found[1], found[2]
    if not first and not last:
        return None
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    if start >= end:
        raise Unsatisfiable
    return Slice(start, end)


def beyond(size: int) -> Response:
    """The answer to a part that lies beyond the end."""
    words = f"There are {size} bytes, so nothing begins there. What you have is whole, or belongs to another export."
    return problem(416, words, {"Content-Range": f"bytes */{size}"})


class Standing(Response):
    """An export of the depot: whole files once they are ready, streamed forms while they grow."""

    def __init__(self, making: Making, request: Request, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._making, self._request, self._known = making, request, dict(headers)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        making = self._making
        if making.form in WRITERS or wants_part(self._request, making.tag):
            await ended(making)
        await self._answer()(scope, receive, send)

    def _answer(self) -> Response:
        making = self._making
        if making.state == FAILED:
            return problem(503, making.words, {"Retry-After": "10"})
        if not making.path.exists():
            return problem(404, GONE)
        headers = {**self._known, **named(making, self._request.scope)}
        if making.state == RUNNING:
            return StreamingResponse(blocks(making, 0, None), headers=headers, media_type=MEDIA[making.form])
        headers |= {"X-Row-Count": str(making.rows), "Content-Length": str(making.size)}
        try:
            wanted = part(self._request, making.tag, making.size)
        except Unsatisfiable:
            return beyond(making.size)
        if wanted is None:
            return StreamingResponse(blocks(making, 0, making.size), headers=headers, media_type=MEDIA[making.form])
        headers |= wanted.headers(making.size)
        return StreamingResponse(blocks(making, wanted.start, wanted.end), 206, headers, MEDIA[making.form])


class Told(Response):
    """The manifest of an export, waited for a while; 202 says that it is still being made."""

    def __init__(self, making: Making) -> None:
        super().__init__()
        self._making = making

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(ended(self._making), _patience(Request(scope)))
        await manifest_of(self._making, scope)(scope, receive, send)


def _patience(request: Request) -> float:
    """How long its asker waits (RFC 7240: `Prefer: wait=0`), at most PATIENCE_S."""
    wanted = WAIT.search(request.headers.get("prefer", ""))
    return min(float(wanted[1]), PATIENCE_S) if wanted else PATIENCE_S


def manifest_of(making: Making, scope: Mapping[str, Any]) -> Response:
    """What is known of an export now."""
    place = address(making, scope)
    body = {**making.shown(), "href": place}
    raw = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if making.state == RUNNING:
        headers |= {"Retry-After": "2", "Location": f"{place}/manifest"}
    return Response(raw, 202 if making.state == RUNNING else 200, headers, MEDIA["json"])


def address(making: Making, scope: Mapping[str, Any]) -> str:
    """Where these bytes stand for a while, as the asker of this request can ask for them."""
    return f"{scope.get('board_prefix', '/')}api/v1/exports/{making.id}"


def named(making: Making, scope: Mapping[str, Any]) -> dict[str, str]:
    """What the head of an answer says of its export: its mark, where it stands, and where its manifest does."""
    place = address(making, scope)
    link = f'<{place}/manifest>; rel="describedby"; type="application/json"'
    return {"ETag": making.tag, "Accept-Ranges": "bytes", "Content-Location": place, "Link": link}


async def ended(making: Making) -> None:
    """Return when the export is ready or has failed."""
    while making.look() == RUNNING:
        await asyncio.sleep(LOOK_S)


async def blocks(making: Making, start: int, end: int | None) -> AsyncIterator[bytes]:
    """The bytes from `start` on, as they come, to the end or to `end`."""
    with making.path.open("rb") as file:
        file.seek(start)
        while end is None or start < end:
            # The state first: what was written before it was ready is counted then.
            state, size = making.look(), making.size if end is None else end
            if start < size:
                block = await asyncio.to_thread(file.read, min(BLOCK, size - start))
                start += len(block)
                yield block
            elif state == READY:
                return
            elif state == FAILED:
                raise StoreError("an export broke off, its reader sees an incomplete answer")
            else:
                await asyncio.sleep(LOOK_S)
