"""The body of a push: taken in under a bound for this process, unpacked under one of its own."""

import asyncio
import zlib
from types import TracebackType
from typing import Self

from fastapi import Request
from starlette.requests import ClientDisconnect

from pipelines.engine.api.problems import NotNow
from pipelines.engine.asking import Misasked

MOST_BYTES = 8 << 20
# What all pushes that are being read or wait for the line may take together; the next is told to come again.
MOST_HELD_BYTES = 64 << 20
RETRY_S = 2
GZIP_WINDOW = 31
TOO_LARGE = "That is more than 8 MB (unpacked). Nothing was stored. Send it in smaller pieces."
CUT_OFF = "The sender hung up before all of it had come. Nothing of this was stored. Send it again."
TOO_MUCH = "Too much is being sent at once. Nothing of this was stored. Send it again in a moment."


class Room:
    """The bytes that the pushes of one process hold together."""

    def __init__(self, most: int = MOST_HELD_BYTES) -> None:
        self.most, self.held, self.peak = most, 0, 0

    def hold(self) -> "Hold":
        """A share of the room for one push."""
        return Hold(self)


class Hold:
    """The share of one push, given back when it is answered."""

    def __init__(self, room: Room) -> None:
        self._room, self.size = room, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._room.held -= self.size
        self.size = 0

    def grow(self, size: int) -> None:
        """Take so many bytes more.

        Raises NotNow (429) when the room is full.
        """
        room = self._room
        if room.held + size > room.most:
            raise NotNow(TOO_MUCH, RETRY_S, 429)
        room.held += size
        self.size += size
        room.peak = max(room.peak, room.held)


async def body_of(request: Request, hold: Hold) -> bytes:
    """The body, unpacked.

    Raises Misasked: too large (413), packed in a way that is not read (415), broken (422); NotNow: no room (429).
    """
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", ""):
        raise Misasked(f"The content encoding {packing[:40]} is not read here. Send it plain or with gzip.", 415)
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > MOST_BYTES:
        raise Misasked(TOO_LARGE, 413)
    body = await whole(request, hold, MOST_BYTES, TOO_LARGE)
    if packing in ("identity", ""):
        return body
    plain = await asyncio.to_thread(unpacked, body)
    hold.grow(len(plain))
    return plain


async def whole(request: Request, hold: Hold, most: int, too_large: str) -> bytes:
    """All bytes of a body as they came.

    Raises Misasked: more than `most`, said in the words given (413), or cut off (400); NotNow: no room (429).
    """
    body = bytearray()
    try:
        async for chunk in request.stream():
            if len(body) + len(chunk) > most:
                raise Misasked(too_large, 413)
            hold.grow(len(chunk))
            body += chunk
    except ClientDisconnect:
        raise Misasked(CUT_OFF, 400) from None
    return bytes(body)


def unpacked(packed: bytes) -> bytes:
    """A gzip body, all its members.

    Raises Misasked: never unpacks more than is allowed.
    """
    body, rest = bytearray(), packed
    try:
        while rest:
            member = zlib.decompressobj(GZIP_WINDOW)
            body += member.decompress(rest, MOST_BYTES + 1 - len(body))
            if len(body) > MOST_BYTES:
                raise Misasked(TOO_LARGE, 413)
            if not member.eof:
                raise Misasked("The gzip body breaks off. Nothing was stored. Send it again.")
            rest = member.unused_data
    except zlib.error as error:
        raise Misasked(f"The body says it is gzip, but is not ({error}). Nothing was stored.") from error
    return bytes(body)
