"""Pictures by themselves, for pages that stand open: asked for again while they are in view."""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial

from components import glass, plain, visitor
from components.address import View
from components.asgi import App, Headers, Receive, Scope, Send, answer, encoding, header, query, squeezed
from components.picture import markup
from components.security import policy
from pipelines.engine.model import Domain
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.picture import Picture

NOT_CHANGED, FORBIDDEN = 304, 403


class Pictures:
    """One address for each declared picture; 304 when the page has what stands."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            f"pictures/{domain.name}/{picture.id}": plain.read_only(partial(_serve, domain, picture))
            for domain in glass.town().domains
            for picture in domain.pictures
        }


async def _serve(domain: Domain, picture: Picture, scope: Scope, receive: Receive, send: Send) -> None:
    view = View.read(query(scope))
    try:
        body = await asyncio.to_thread(_body, domain, picture, view)
    except Forbidden as refused:
        words = refused.words.encode()
        return await answer(scope, send, FORBIDDEN, words, [*policy(), (b"content-type", b"text/plain; charset=utf-8")])
    tag = b'W/"%s"' % hashlib.sha1(body, usedforsecurity=False).hexdigest()[:16].encode()
    kept = b"private, no-cache" if picture.guarded else b"no-cache"
    headers: Headers = [
        *policy(), (b"content-type", b"text/html; charset=utf-8"), (b"cache-control", kept), (b"etag", tag),
        (b"vary", b"accept-encoding, accept-language, cookie"),
    ]  # fmt: skip
    if header(scope, b"if-none-match") == tag:
        return await answer(scope, send, NOT_CHANGED, b"", headers)
    how = encoding(scope)
    packed = await asyncio.to_thread(squeezed, body, how)
    extra = [] if how == b"identity" else [(b"content-encoding", how)]
    return await answer(scope, send, 200, packed, [*headers, *extra])


def _body(domain: Domain, picture: Picture, view: View) -> bytes:
    shown = glass.town().pictures.show(
        domain.name, picture.id, ward=view.ward, days=view.days, actor=visitor.current().actor
    )
    return markup(domain, shown, view).encode()
