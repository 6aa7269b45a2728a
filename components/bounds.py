"""What one request may take: bytes and time of its body, and how many one address may make in a minute."""

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from datetime import datetime
from typing import Any

from starlette.exceptions import HTTPException

from components import visitor
from components.asgi import App, Headers, Receive, Scope, Send, answer, header
from components.security import closed
from components.tongue import N_, _
from pipelines.engine.api.access import loopback
from pipelines.engine.people.patience import Patience

log = logging.getLogger("townboard")
KIB, MIB = 1 << 10, 1 << 20
# What a body may weigh at most, by what stands first in the address; each address may ask for less by itself.
MOST_BYTES = (
    ("_dash", MIB), ("api/v1/", 8 * MIB + 64 * KIB), ("open311/", 16 * MIB), ("public/file", 16 * MIB),
    ("cases/new", 16 * MIB),
)  # fmt: skip
USUAL_BYTES = MIB
# A body goes on at least so often, and is whole after so long: a modem at 40 kbit/s sends 1.4 MB in that time.
PIECE_S, WHOLE_S = 20.0, 300.0
# Rows that devices send are slowed down by what the line can take, not by how often they come.
SENT = ("api/v1/readings", "api/v1/tables/", "api/v1/feeds/")
WORDS = {
    413: N_("This is larger than what is taken here."),
    408: N_("This did not arrive in time. Try again."),
}
CLOSE = (b"connection", b"close")
TOO_OFTEN = N_("Too much is asked from your address. Go on in {n} s.")


class Cut(HTTPException):
    """A body was refused while it came; the API answers it as it answers every refusal."""


class Pace:
    """How often one address may ask; this machine itself as often as it likes, and so a proxy that stands on it."""

    def __init__(self, clock: Callable[[], datetime], most: int) -> None:
        self._asked = Patience(clock, most)

    def wait_s(self, scope: Scope, here: str) -> int:
        """Seconds that whoever asks has to wait; 0 when this is answered."""
        peer = visitor.peer(scope)
        sends = scope["method"] == "POST" and here.startswith(SENT) and bool(header(scope, b"authorization"))
        if not peer or loopback(peer) or sends:
            return 0
        waits = self._asked.noted(peer)
        if not waits and (soon := self._asked.left(peer)):
            log.warning("%s asks too often: what it asks in the next %s s is refused", peer, soon)
        return waits


class Bounded:
    """A body while it comes in; `cut` is the status with which it was refused, 0 while it is not."""

    def __init__(self, receive: Receive, most: int, said: bytes) -> None:
        self._receive, self._left = receive, most
        self._until = asyncio.get_running_loop().time() + WHOLE_S
        self._whole = False
        self.cut = 413 if said.isdigit() and int(said) > most else 0

    async def receive(self) -> MutableMapping[str, Any]:
        """The next piece.

        Raises Cut when it is too large or does not come.
        """
        if self.cut:
            raise Cut(self.cut, WORDS[self.cut])
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(min(PIECE_S, max(0.0, self._until - asyncio.get_running_loop().time()))):
                message = await self._receive()
        except TimeoutError as error:
            self.cut = 408
            raise Cut(408, WORDS[408]) from error
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            self.cut = 413
            raise Cut(413, WORDS[413])
        return message


def bounded(app: App, here: str) -> App:
    """The app, with a body that is neither too large nor too slow; `here`: the address below the prefix."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        most = next((size for tree, size in MOST_BYTES if here.startswith(tree)), USUAL_BYTES)
        body, begun = Bounded(receive, most, header(scope, b"content-length")), False

        async def told(message: MutableMapping[str, Any]) -> None:
            nonlocal begun
            starts = message["type"] == "http.response.start"
            if body.cut and not begun and not (starts and message["status"] == body.cut):
                return
            begun = True
            await send({**message, "headers": [*message["headers"], CLOSE]} if starts and body.cut else message)

        try:
            await app(scope, body.receive, told)
        except Cut:
            if begun:
                raise
        if body.cut:
            _note(scope, body.cut)
        if body.cut and not begun:
            await refuse(scope, send, body.cut, _(WORDS[body.cut]))

    return answered


async def refuse(scope: Scope, send: Send, status: int, words: str, more: Headers | None = None) -> None:
    """A refusal in words, after which nothing more is read from the sender."""
    kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await answer(scope, send, status, words.encode(), [*kind, CLOSE, *closed(), *(more or [])])


def _note(scope: Scope, status: int) -> None:
    log.warning(
        "%s %s from %s was refused: %s", scope["method"], scope["path"][:120], visitor.peer(scope), WORDS[status]
    )
