"""What is new since an administrator last looked: shown after an upgrade until it was read."""

import asyncio
from collections.abc import Mapping

from dash import html

from components import glass, plain
from components.asgi import App, Receive, Scope, Send, answer
from components.forms import read_own, redirect
from components.props import props
from components.tongue import _
from components.visitor import current
from pipelines.engine import news
from pipelines.engine.asking import Misasked
from pipelines.engine.people.roles import Forbidden


class NewsPage:
    """The address of what is new."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"news": plain.by_method(self._show, self._read)}

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        await plain.give(scope, send, await asyncio.to_thread(page))

    async def _read(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read_own(scope, receive)
            current().actor.check("admin")
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await plain.give(scope, send, await asyncio.to_thread(page), status)
        await asyncio.to_thread(news.read, glass.town().settings.store, current().actor.name)
        return await answer(scope, send, 303, b"", redirect(glass.href("")))


def page() -> bytes:
    """The whole page; who does not look after the board is told so."""
    if not current().actor.may("admin"):
        return plain.document(_("What is new"), plain.content("people_closed.html", title=_("What is new")))
    found = news.unseen(glass.town().settings.store, current().actor.name)
    return plain.document(_("What is new"), plain.content("news.html", sections=found))


def link() -> html.A | None:
    """The way there, for administrators to whom something is new."""
    actor = current().actor
    if not (actor.may("admin") and actor.kind == "person"):
        return None
    if not news.unseen(glass.town().settings.store, actor.name):
        return None
    look = {"data-nav": "away", "id": "shell-news"}
    return html.A(_("What is new"), href=glass.href("news"), className="btn btn-sm btn-quiet", **props(look))
