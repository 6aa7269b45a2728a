"""Pages that are whole HTML from the server, in the board's frame: they work without scripts and lose no typed word."""

import asyncio
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from components import dressing, first_paint, glass, shell, tongue, wording
from components.asgi import App, Headers, Receive, Scope, Send, answer, encoding, squeezed
from components.security import THEME_SCRIPT, WITHOUT_SCRIPT
from components.visitor import current
from components.words_page import failed

ROOT = Path(__file__).resolve().parent
ASSETS = ROOT.parent / "assets"
SCRIPTS = ("drawing.js", "format.js", "page.js", "paint.js", "paint_lists.js", "wire.js")


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(ROOT / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals |= {"href": glass.href, "wording": wording, "_": tongue._, "n_": tongue.n_, "translated": tongue.said}
    made.globals |= {"rest": Markup(first_paint.REST)}
    return made


def content(template: str, **more: Any) -> Markup:
    """A template filled in; every value is escaped."""
    return Markup(_templates().get_template(template).render(visit=current(), town=glass.town(), **more))


def document(title: str, body: Any, *, kept: Mapping[str, Any] | None = None, extra: tuple[str, ...] = ()) -> bytes:
    """The whole page: head, frame, body, the board's scripts with some more.

    The frame is what stands first, unless the body says how much of it does.
    """
    content = first_paint.to_html(body)
    content = content if first_paint.REST in content else first_paint.REST + content
    return bare(title, first_paint.to_html(shell.frame(glass.state(), Markup(content), kept)), extra=extra)


def bare(title: str, framed: str, *, extra: tuple[str, ...] = (), style: str = "") -> bytes:
    """A whole page without the board's frame, with its scripts and some more; `style` stands in its head."""
    spoken = tongue.current()
    head = {
        "html": Markup(dressing.html_tag(spoken)), "head": Markup(dressing.head(spoken)),
        "words": Markup(dressing.words(spoken)),
        "title": f"{title} · {glass.town().name}", "theme": Markup(THEME_SCRIPT),
        "without": Markup(WITHOUT_SCRIPT), "icon": glass.href("assets/icon.svg"),
        "own": Markup(style), "sheet": asset("townboard.css"),
        "scripts": [asset(name) for name in (*SCRIPTS, *extra)],
    }  # fmt: skip
    return dressing.dressed(_templates().get_template("document.html").render(**head).encode(), framed.encode())


def asset(name: str) -> str:
    """The address of a file in assets/, named by its age so that it may be kept for ever."""
    return glass.href(f"assets/{name}", m=int((ASSETS / name).stat().st_mtime))


async def give(scope: Scope, send: Send, body: bytes, status: int = 200, more: Headers | None = None) -> None:
    """Answer with a page that is for nobody else and kept nowhere."""
    how = encoding(scope)
    kind = (b"content-type", b"text/html; charset=utf-8")
    headers = [*dressing.guard(), kind, (b"cache-control", b"no-store")]
    headers += more or []
    if how != b"identity":
        body = await asyncio.to_thread(squeezed, body, how)
        headers += [(b"content-encoding", how), (b"vary", b"accept-encoding")]
    await answer(scope, send, status, body, headers)


def guarded(app: App) -> App:
    """The app, with words instead of a blank page when it fails."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as error:
            body = await asyncio.to_thread(document, tongue._("This page could not be drawn"), failed(error))
            await give(scope, send, body, 500)

    return answered


def read_only(app: App) -> App:
    """The app, for those who only read: whoever sends something is told that nothing is taken here (405)."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            return await answer(scope, send, 405, b"", [(b"allow", b"GET, HEAD")])
        await app(scope, receive, send)

    return answered


def by_method(get: App, post: App) -> App:
    """One address that is looked at and sent to."""

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] in ("GET", "HEAD"):
            return await get(scope, receive, send)
        if scope["method"] == "POST":
            return await post(scope, receive, send)
        return await answer(scope, send, 405, b"", [(b"allow", b"GET, HEAD, POST")])

    return answered
