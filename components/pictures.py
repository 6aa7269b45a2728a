"""Pictures by themselves, for pages that stand open: asked for again while they are in view."""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial

from components import glass, plain, visitor
from components.address import View
from components.asgi import Answer, App, Headers, Receive, Scope, Send, answer, encoding, header, query, squeezed
from components.picture import markup
from components.security import policy
from pipelines.engine.model import Domain
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.picture import Picture

NOT_CHANGED, FORBIDDEN = 304, 403


class Pictures:
    """One address for each declared picture."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            f"pictures/{domain.name}/{picture.id}": plain.read_only(partial(_serve, domain, picture))
            for domain in glass.town().domains
            for picture in domain.pictures
        }


async def _serve(domain: Domain, picture: Picture, scope: Scope, receive: Receive, send: Send) -> None:
    await give(scope, send, await _made(domain, picture, scope))


async def give(scope: Scope, send: Send, made: Answer) -> None:
    """A picture that was made; 304 when the page has what stands."""
    tag = made.header(b"etag")
    if tag and header(scope, b"if-none-match") == tag:
        unchanged = [(name, value) for name, value in made.headers if not name.startswith(b"content-")]
        return await answer(scope, send, NOT_CHANGED, b"", unchanged)
    return await answer(scope, send, made.status, made.body, made.headers)


def unconditional(scope: Scope) -> Scope:
    """The request without what the page has already: its answer is for everybody."""
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"if-none-match"]}


async def _made(domain: Domain, picture: Picture, scope: Scope) -> Answer:
    view = View.read(query(scope))
    try:
        body = await asyncio.to_thread(_body, domain, picture, view)
    except Forbidden as refused:
        plain_text: Headers = [*policy(), (b"content-type", b"text/plain; charset=utf-8")]
        return Answer(FORBIDDEN, plain_text, refused.words.encode())
    how = encoding(scope)
    tag = b'W/"%s"' % hashlib.sha1(body, usedforsecurity=False).hexdigest()[:16].encode()
    headers: Headers = [
        *policy(), (b"content-type", b"text/html; charset=utf-8"), (b"etag", tag),
        (b"cache-control", b"private, no-cache" if picture.guarded else b"no-cache"),
        (b"vary", b"accept-encoding, accept-language, cookie"),
        *([] if how == b"identity" else [(b"content-encoding", how)]),
    ]  # fmt: skip
    return Answer(200, headers, await asyncio.to_thread(squeezed, body, how))


def _body(domain: Domain, picture: Picture, view: View) -> bytes:
    shown = glass.town().pictures.show(
        domain.name, picture.id, ward=view.ward, days=view.days, actor=visitor.current().actor
    )
    return markup(domain, shown, view).encode()
