"""Who may do what: a token with the right scope or a session, asked for before a body is read; wrong ones wait."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated

import httpx
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from pipelines.engine.api.problems import REALM, NotNow, Refusing
from pipelines.engine.people.patience import Patience
from pipelines.engine.people.roles import VISITOR, Actor, program
from pipelines.engine.people.sessions import Visit
from pipelines.engine.tokens import SCOPES, Keyring, Token, path_of
from pipelines.engine.town import Town

BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description=f"A token with one of the scopes {', '.join(SCOPES)}. Pages of the board send their session instead.",
)
Sent = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]
SAFE = ("GET", "HEAD")
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True)
class Grant:
    """What somebody may do: a program by its token, a person by the session of the board, or (without either) a
    program on this machine that pushes.
    """

    token: Token | None = None
    person: Actor | None = None

    @property
    def actor(self) -> Actor:
        """Whose name stands under what is done by it."""
        if self.token is None:
            return self.person or VISITOR
        return program(self.token.name, frozenset(scope for scope in SCOPES if self.token.may(scope)))

    def for_feed(self, feed: str) -> None:
        """Nothing, when this feed is among those of the token.

        Raises Refusing.
        """
        if self.token is not None and not self.token.serves(feed):
            raise Refusing(
                403,
                f"The token `{self.token.name}` is for {', '.join(self.token.feeds)} and not for {feed}. Name its feed "
                f"(?feed=...), or have one made: python app.py token add NAME --scope ingest --feed {feed}",
                {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"'},
            )


class Doorkeeper:
    """Checks tokens for one web process. `local`: it listens to this machine only."""

    def __init__(self, town: Town, *, local: bool) -> None:
        self._town, self._local = town, local
        self.keys = Keyring(path_of(town.settings.store))
        self._wrong = Patience(town.now)

    def needs(self, scope: str) -> Callable[..., Awaitable[Grant]]:
        """The dependency of an address that needs this scope."""

        async def checked(request: Request, sent: Sent) -> Grant:
            if sent is None:
                return await self._of_session(request, scope) or self._without(request, scope)
            token = self._right(request, sent.credentials)
            if not token.may(scope):
                raise Refusing(
                    403,
                    f"The token `{token.name}` has the scope {', '.join(token.scopes)}; this needs {scope}. Have one "
                    f"made: python app.py token add NAME --scope {scope}",
                    {"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'},
                )
            await self._note(token)
            return Grant(token)

        return checked

    async def whoever(self, request: Request) -> Grant:
        """The dependency of an address that is for everybody, but shows some more than others."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return await self._of_session(request, None) or Grant()
        token = self._right(request, secret.strip())
        await self._note(token)
        return Grant(token)

    async def by_key(self, request: Request, key: str, scope: str) -> Grant:
        """What somebody may do who sends a token among the fields of a form, as Open311's `api_key`, or as usual.

        Always asked for: any page in a browser on this machine can post a form.
        Raises Refusing (403 where it is missing, wrong, or has not the scope), NotNow.
        """
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        sent = key or (secret.strip() if scheme.lower() == "bearer" else "")
        if not sent:
            raise Refusing(403, "api_key is missing. Whoever looks after Townboard makes one.", {})
        try:
            token = self._right(request, sent)
        except Refusing as refused:
            raise Refusing(403, f"api_key is not valid. {refused.words}", {}) from refused
        if not token.may(scope):
            raise Refusing(403, f"api_key is not for this: `{token.name}` has not the scope {scope}.", {})
        await self._note(token)
        return Grant(token)

    async def _of_session(self, request: Request, right: str | None) -> Grant | None:
        """What somebody who is signed in on the board may do here; None for everybody else.

        Raises Refusing when a page of another site may have sent this, Forbidden when their role does not reach.
        """
        porter = self._town.porter
        secret = porter.secret_in(request.headers.get("cookie", ""))
        visit = await asyncio.to_thread(porter.visit, secret) if secret else Visit()
        if visit.session is None:
            return None
        if request.method not in SAFE and not visit.sent(request.headers.get("x-form-token", "")):
            raise Refusing(403, "Send the form token of your session as X-Form-Token, or use a token of your own.", {})
        if right is not None:
            visit.actor.check(right)
        return Grant(person=visit.actor)

    @property
    def words(self) -> str:
        """Who may push at the moment, in a sentence."""
        if self.keys.closed:
            return "Rows are taken from holders of a token."
        if self._local:
            return (
                "No token was made yet: programs on this machine may push rows without one. The first token ends that: "
                "python app.py token add NAME --scope ingest --feed FEED"
            )
        return "No token was made yet, so nobody may push rows: python app.py token add NAME --scope ingest --feed FEED"

    def _without(self, request: Request, scope: str) -> Grant:
        if scope == "ingest" and self._local and from_here(request) and not self.keys.closed:
            return Grant()
        raise Refusing(
            401,
            f"This needs a token with the scope {scope}, sent as `Authorization: Bearer TOKEN`. Whoever looks after "
            f"Townboard makes one: python app.py token add NAME --scope {scope}",
            {"WWW-Authenticate": REALM},
        )

    def _right(self, request: Request, secret: str) -> Token:
        token, now = self.keys.find(secret), self._town.now()
        if token is not None and token.state(now) == "in use":
            return token
        peer = request.client.host if request.client else ""
        wait_s = self._wrong.noted(peer)
        if wait_s:
            raise NotNow(
                "Too many wrong tokens came from this address. Check the token before the next try.", wait_s, 429
            )
        words = "This token is none of this town's. Check that it is whole."
        if token is not None and token.revoked_at is not None:
            words = f"The token `{token.name}` was revoked."
        elif token is not None:
            words = f"The token `{token.name}` ended at {token.expires_at:%Y-%m-%d %H:%M} UTC."
        raise Refusing(
            401,
            f"{words} A new one is made with: python app.py token add",
            {"WWW-Authenticate": f'{REALM}, error="invalid_token"'},
        )

    async def _note(self, token: Token) -> None:
        """Have the line write down that the token was used; not knowing it harms nobody."""
        if self.keys.unnoted(token, self._town.now()):
            with contextlib.suppress(httpx.TransportError):
                await self._town.line.note_use(token.name)


def from_here(request: Request) -> bool:
    """Whether a program on this machine asks, itself and not for somebody else.

    The name asked for must be this machine's: a web page whose name was pointed here sends its own.
    """
    if request.client is None or not loopback(request.client.host):
        return False
    return loopback(request.url.hostname or "") and not any(name in request.headers for name in FORWARDED)


def loopback(host: str) -> bool:
    """Whether an address reaches nobody but this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
