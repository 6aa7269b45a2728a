"""Forms with files that a browser posts: read within limits of size, time and room, from pages of this board only."""

import asyncio

from components.asgi import Receive, Scope, header
from components.bounds import Cut
from components.forms import FOREIGN, check_own, foreign
from components.tongue import _
from pipelines.engine.api.bodies import Hold, Room
from pipelines.engine.api.problems import NotNow
from pipelines.engine.asking import Misasked
from pipelines.engine.filing import posted
from pipelines.engine.filing.posted import Posted

# A picture of a phone over a poor connection takes this long.
PATIENCE_S = 180.0
ROOM = Room()


async def read(scope: Scope, receive: Receive, hold: Hold) -> Posted:
    """The fields and files that were posted, while `hold` has room for them.

    Raises Misasked: it comes from elsewhere, is no form, too large, too slow, or too much comes at once.
    """
    if foreign(scope):
        raise Misasked(FOREIGN, 403)
    try:
        async with asyncio.timeout(PATIENCE_S):
            body = await _body(receive, hold)
    except TimeoutError as error:
        raise Misasked(_("The form did not arrive in time. Try again."), 408) from error
    except Cut as cut:
        raise Misasked(_(cut.detail), cut.status_code) from cut
    except NotNow as full:
        raise Misasked(full.words, 429) from full
    return await asyncio.to_thread(posted.read, header(scope, b"content-type").decode("latin-1"), body)


async def read_own(scope: Scope, receive: Receive, hold: Hold) -> Posted:
    """The same from somebody who is signed in, made for this very session.

    Raises Misasked also when it was not.
    """
    sent = await read(scope, receive, hold)
    check_own(scope, sent.one("form_token"))
    return sent


async def _body(receive: Receive, hold: Hold) -> bytes:
    parts, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Misasked(_("The form did not arrive whole."), 400)
        part = message.get("body", b"")
        if len(parts) + len(part) > posted.MOST_BYTES:
            raise Misasked(_("That is too large. Send smaller pictures, or none."), 413)
        hold.grow(len(part))
        parts += part
        more = message.get("more_body", False)
    return bytes(parts)
