"""The door to the wall: open where the town says so, else for who is signed in and for screens with a token."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import httpx

from pipelines.engine.asking import Misasked
from pipelines.engine.people.accounts import digest
from pipelines.engine.people.patience import Patience
from pipelines.engine.people.roles import Actor
from pipelines.engine.tokens import WALL, Keyring, Token, path_of

if TYPE_CHECKING:
    from pipelines.engine.line_client import LineClient
    from pipelines.engine.settings import Settings

MADE_WITH = f"python app.py token add NAME --scope {WALL}"
ENTER, OPEN = "/wall?token=...", "open_wall = true"
CLOSED = (
    f"This screen is not known. Open the wall once with a token of its own ({ENTER}); whoever looks after "
    f"Townboard makes one: {MADE_WITH}. Or sign in, or write `{OPEN}` under [town] in town.toml."
)
AGAIN = f"A new one is made with: {MADE_WITH}."


class WallDoor:
    """Looks at what a screen shows at the door; one per web process."""

    def __init__(self, settings: "Settings", line: "LineClient", clock: Callable[[], datetime]) -> None:
        path = path_of(settings.store)
        self.open = settings.open_wall
        # Browsers send cookies to every port of a machine: the token of one town must not reach another.
        self.cookie = f"townboard-wall-{digest(str(path.resolve()))[:8]}"
        self._keys, self._line, self._clock, self._wrong = Keyring(path), line, clock, Patience(clock)

    def secret_in(self, cookies: str) -> str:
        """The token among the cookies of a request, empty when there is none."""
        found = (part.strip().partition("=") for part in cookies.split(";"))
        return next((value for name, _, value in found if name == self.cookie), "")

    def admitted(self, actor: Actor, secret: str, peer: str) -> Token | None:
        """Nothing, or the token that opens the door.

        Raises Misasked with words when the door stays closed, StoreError when nobody can look.
        """
        if self.open or actor.may("read"):
            return None
        if not secret:
            raise Misasked(CLOSED, 403)
        return self.right(secret, peer)

    def right(self, secret: str, peer: str) -> Token:
        """The token of this secret, when it is good for the wall.

        Raises Misasked, StoreError.
        """
        token = self._keys.find(secret)
        if token is not None and token.state(self._clock()) == "in use" and token.may(WALL):
            return token
        if wait_s := self._wrong.noted(peer):
            raise Misasked(f"Too many wrong tokens came from this address. Try again in {wait_s} s.", 429)
        words = "This token is none of this town's, or it is not whole."
        if token is not None and token.revoked_at is not None:
            words = f"The token `{token.name}` was revoked."
        elif token is not None and token.may(WALL):
            words = f"The token `{token.name}` ended at {token.expires_at:%Y-%m-%d %H:%M} UTC."
        elif token is not None:
            words = f"The token `{token.name}` is not for the wall."
        raise Misasked(f"{words} {AGAIN}", 403)

    async def note_use(self, token: Token) -> None:
        """Have it written down that a screen is on; not knowing it harms nobody."""
        if self._keys.unnoted(token, self._clock()):
            with contextlib.suppress(httpx.TransportError):
                await self._line.note_use(token.name)
