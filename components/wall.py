"""The wall's addresses: the page itself, entering with a token, and who is on shift."""

import asyncio
from collections.abc import Mapping
from http.cookies import SimpleCookie

import orjson

from components import glass, plain, wall_page
from components.asgi import App, Headers, Receive, Scope, Send, answer, header, query
from components.forms import redirect
from components.tongue import N_, _, hung, said, speak
from components.visitor import current, peer
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError

# Browsers keep no cookie longer; a token that ends sooner opens nothing from then on.
KEPT_S = 400 * 86_400
NO_TOKENS = N_("The tokens cannot be read at the moment; this screen tries again by itself.")


class Wall:
    """A page for screens that hang on a wall."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            "wall": plain.read_only(self._wall),
            "wall/shift": plain.read_only(self._shift),
        }

    async def _wall(self, scope: Scope, receive: Receive, send: Send) -> None:
        speak(hung(scope))
        typed = query(scope).get("token", "")
        try:
            if typed:
                return await self._enter(scope, send, typed)
            await admit(scope)
        except (Misasked, StoreError) as error:
            status, words = (error.status, said(error.words)) if isinstance(error, Misasked) else (503, _(NO_TOKENS))
            body = await asyncio.to_thread(wall_page.closed, words)
            again = (b"refresh", f"60; url={glass.href('wall')}".encode())
            return await plain.give(scope, send, body, status, [again])
        return await plain.give(scope, send, await asyncio.to_thread(wall_page.page))

    async def _enter(self, scope: Scope, send: Send, typed: str) -> None:
        """The token goes into a cookie for this page alone, so that it stands in no address that others see."""
        await asyncio.to_thread(glass.town().wall_door.right, typed, peer(scope))
        await answer(scope, send, 303, b"", [*redirect(glass.href("wall")), cookie(scope, typed)])

    async def _shift(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Who is on shift; a screen that may no longer look learns it here."""
        speak(hung(scope))
        kept: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        try:
            await admit(scope)
            words = await asyncio.to_thread(wall_page.on_shift)
        except Misasked as error:
            return await answer(scope, send, error.status, orjson.dumps({"words": said(error.words)}), kept)
        except StoreError:
            return await answer(scope, send, 503, orjson.dumps({"words": _(NO_TOKENS)}), kept)
        return await answer(scope, send, 200, orjson.dumps({"words": words}), kept)


async def admit(scope: Scope) -> None:
    """Nothing, when whoever asks may look at the wall.

    Raises Misasked, StoreError.
    """
    door = glass.town().wall_door
    secret = door.secret_in(header(scope, b"cookie").decode("latin-1"))
    token = await asyncio.to_thread(door.admitted, current().actor, secret, peer(scope))
    if token is not None:
        await door.note_use(token)


def cookie(scope: Scope, secret: str) -> tuple[bytes, bytes]:
    """The header that lets this browser come back, also after a power cut."""
    made: SimpleCookie = SimpleCookie()
    name = glass.town().wall_door.cookie
    made[name] = secret
    made[name] |= {"path": glass.href("wall"), "max-age": KEPT_S, "httponly": True, "samesite": "Lax"}
    if scope.get("scheme") == "https":
        made[name]["secure"] = True
    return b"set-cookie", made[name].OutputString().encode()
