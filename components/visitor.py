"""Who asks for the page that is being drawn: set once per request from its session cookie."""

import asyncio
from contextvars import ContextVar

from components import glass
from components.asgi import Scope, header
from pipelines.engine.people.sessions import LONGEST, Visit

_current: ContextVar[Visit | None] = ContextVar("visit", default=None)
_noting: set[asyncio.Task[None]] = set()


def current() -> Visit:
    """The visit that this page is drawn for."""
    return _current.get() or Visit()


async def welcome(scope: Scope) -> Visit:
    """The visit of a request; from now on `current` in everything done for it."""
    porter, secret = glass.town().porter, secret_in(scope)
    visit = await asyncio.to_thread(porter.visit, secret) if secret else Visit()
    _current.set(visit)
    if visit.session is not None:
        # Nobody waits for the line to write down that somebody is still here.
        task = asyncio.create_task(porter.note_seen(visit))
        _noting.add(task)
        task.add_done_callback(_noting.discard)
    return visit


def secret_in(scope: Scope) -> str:
    """The session secret that a request carries, empty when it has none."""
    return glass.town().porter.secret_in(header(scope, b"cookie").decode("latin-1"))


def peer(scope: Scope) -> str:
    """The address that asks."""
    return str((scope.get("client") or ("",))[0])


def agent(scope: Scope) -> str:
    """What the browser says it is."""
    return header(scope, b"user-agent").decode("latin-1")[:200]


def cookie(scope: Scope, secret: str) -> tuple[bytes, bytes]:
    """The header that gives a browser its session, or (without a secret) takes it away."""
    seconds = int(LONGEST.total_seconds()) if secret else 0
    parts = [
        f"{glass.town().porter.cookie}={secret}", f"Path={glass.href('')}", f"Max-Age={seconds}", "HttpOnly",
        "SameSite=Lax", *(["Secure"] if scope.get("scheme") == "https" else []),
    ]  # fmt: skip
    return b"set-cookie", "; ".join(parts).encode()
