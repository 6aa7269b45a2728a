"""The outermost ASGI app: who answers which path, security headers, first paint, true 404s, a start that may fail."""

import asyncio
import contextvars
import functools
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs

import dash
from dash import Dash

from components import accounts_page, dressing, first_paint, glass, menu, shell, tokens_page, tongue
from components.address import KEPT
from components.asgi import (
    Answer,
    App,
    Headers,
    Receive,
    Scope,
    Send,
    answer,
    ask,
    encoding,
    header,
    squeezed,
    whole,
)
from components.behind import Behind
from components.bounds import TOO_OFTEN, Pace, bounded, refuse
from components.cases import Cases
from components.console import Console
from components.council import Council
from components.export_views import ExportViews
from components.filing import Filing
from components.forms import FOREIGN, foreign
from components.kept_pages import KeptPages
from components.live import Wire
from components.messages_page import MessagesPage
from components.news_page import NewsPage
from components.openid_door import OpenIdDoor
from components.pictures import Pictures, unconditional
from components.pictures import give as give_picture
from components.plain import guarded
from components.public import Public
from components.reports.addresses import Reports
from components.rules_page import RulesPage
from components.second_step import SecondStep
from components.security import completed, policy
from components.settled import named, settled
from components.shift_page import ShiftPage
from components.signing_in import SigningIn
from components.static import Static
from components.visitor import current, welcome
from components.wall import Wall
from components.words_page import failed
from pipelines.engine.api.problems import problem
from pipelines.engine.line_client import run_folder

API_TREES = ("api/", "cap/", "open311/")
API_FILES = ("openapi.json", "healthz", "readyz", "metrics")
# Pages that are written at a time; more would only take the processor from each other.
MAKERS = 4
# What a page's script posts when the menu is followed, and how long it may be to be looked at.
MENU, MOST_ASKED = b'"_pages_content"', 4096
HEAD, WORDS = b"<!--tongue-->", b"<!--words-->"


Make = Callable[[], Awaitable[Answer]]


class StartFailed(RuntimeError):
    """Dash could not set itself up; the port stays closed rather than serving a board that is half there."""


class Outer:
    """Routes by path; everything that Dash 4.4.1 gets wrong about HTTP is put right here."""

    def __init__(self, app: Dash, api: App, prefix: str, behind: Behind | None = None) -> None:
        """`behind`: the process that makes pages and tables; without one this process makes them itself."""
        self.dash, self.api, self.prefix, self.behind = app, api, prefix, behind
        self.inner: App = app.server
        self.static = Static(self.inner, prefix, run_folder(glass.town().settings) / "packed")
        self.wire = Wire(glass.town().board, "starting")
        glass.town().viewers = lambda: self.wire.viewers
        self.wired: dict[str, App] = {
            "api/v1/stream": self.wire.serve_stream,
            "api/v1/snapshot": self.wire.serve_snapshot,
        }
        self.wired |= {f"words/{spoken.code}.js": dressing.serve_words for spoken in tongue.offered()}
        council, pictures = Council(), Pictures()
        makers = (
            SigningIn(prefix), SecondStep(prefix), OpenIdDoor(prefix), accounts_page.PAGE, tokens_page.PAGE, Console(),
            ShiftPage(), RulesPage(), MessagesPage(), Wall(), council, Public(), pictures, Reports(), ExportViews(),
            Filing(), Cases(), NewsPage(),
        )  # fmt: skip
        # Pages without Dash that a process behind makes.
        self.made = dict.fromkeys(council.addresses, self._council) | dict.fromkeys(pictures.addresses, self._picture)
        pages = {path: app for maker in makers for path, app in maker.addresses.items()}
        self.plain = {path: guarded(app) for path, app in pages.items()}
        self.pace = Pace(glass.town().now, glass.town().porter.access.requests_per_minute)
        self._policy: Headers = []
        self._pages: KeptPages[Answer] = KeptPages()
        self._makers = ThreadPoolExecutor(MAKERS, "page")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(scope, receive, send)
        if scope["type"] != "http":
            return await self.inner(scope, receive, send)
        path, send = scope["path"], safely(scope, send)
        here = path[len(self.prefix) :] if path.startswith(self.prefix) else ""
        if wait_s := self.pace.wait_s(scope, here):
            return await self._slow_down(scope, receive, send, wait_s)
        await welcome(scope)
        tongue.speak(tongue.chosen(scope))
        app = self._answerer(path, scope["method"])
        app = app if scope["method"] in ("GET", "HEAD") else bounded(app, here)
        await app(scope, receive, remembering(scope, send))
        return None

    def _answerer(self, path: str, method: str) -> App:
        here = path[len(self.prefix) :] if path.startswith(self.prefix) else None
        if here is None:
            return self._page
        if here in self.wired:
            return self.wired[here]
        if here in self.plain:
            return self.made.get(here, self.plain[here]) if method == "GET" else self.plain[here]
        if here.startswith(API_TREES) or here in API_FILES:
            return self._api_call
        if method in ("GET", "HEAD") and self.static.owns(path):
            return self.static.serve
        return self._page if method in ("GET", "HEAD") and not here.startswith("_") else self._dash_call

    async def _council(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.behind is None or not await self.behind.serve(scope, receive, send):
            await self.plain[scope["path"][len(self.prefix) :]](scope, receive, send)

    async def _picture(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A picture by itself; one making serves everybody who looks at the same, but those who are signed in."""
        asked, drawn = unconditional(scope), self.plain[scope["path"][len(self.prefix) :]]
        made = await self._for_all(
            scope, scope.get("query_string", b""), lambda: self._behind(asked, b"", lambda: whole(drawn, asked))
        )
        await give_picture(scope, send, made)

    async def _for_all(self, scope: Scope, asked: bytes, make: Make) -> Answer:
        """What is made for everybody, kept so that a crowd costs one making; what bears a name is kept by nobody."""
        if current().session is not None:
            return await make()
        key = (scope["path"], asked, encoding(scope), tongue.current().code)
        return await self._pages.of(key, self.wire.snapshot.seq if self.wire.snapshot else 0, make)

    async def _behind(self, scope: Scope, body: bytes, make: Make) -> Answer:
        """What the process behind answers or, where nobody is there, what is made here."""
        got = await self.behind.whole(scope, body) if self.behind is not None else None
        return got if got is not None else await make()

    async def _api_call(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = scope["method"] != "GET" or scope["path"][len(self.prefix) :] in API_FILES
        if not own and self.behind is not None and await self.behind.serve(scope, receive, send):
            return
        cut = len(self.prefix) - 1
        raw = scope.get("raw_path") or scope["path"].encode()
        here = {"path": scope["path"][cut:], "raw_path": raw[cut:], "board_prefix": self.prefix}
        await self.api({**scope, **here}, receive, send)

    async def _slow_down(self, scope: Scope, receive: Receive, send: Send, wait_s: int) -> None:
        """To a program as the API refuses, to people in words."""
        words = tongue._(TOO_OFTEN, n=wait_s)
        if scope["path"].startswith(tuple(self.prefix + tree for tree in API_TREES)):
            return await problem(429, words, {"Retry-After": str(wait_s)})(scope, receive, send)
        return await refuse(scope, send, 429, words, [(b"retry-after", b"%d" % wait_s)])

    # starting

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def relay(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "lifespan.startup.complete":
                try:
                    await self._set_up()
                except Exception as error:
                    return await send(
                        {"type": "lifespan.startup.failed", "message": f"the board cannot start: {error}"}
                    )
            if message["type"] == "lifespan.shutdown.complete":
                self.wire.stop()
            await send(message)

        await self.inner(scope, receive, relay)

    async def _set_up(self) -> None:
        """Dash sets itself up on its first request and is half there when that fails: do it before the port opens."""
        for path in ("_dash-dependencies", "_dash-layout"):
            got = await ask(self.inner, self.prefix + path)
            if got.status != 200:
                raise StartFailed(f"{path} answered {got.status}: {got.body[:400].decode(errors='replace')}")
        self._policy = policy(tuple(self.dash.csp_hashes()), tuple(map(dressing.sheet_within, tongue.offered())))
        index = await ask(self.inner, self.prefix)
        heads = "".join(map(dressing.head, tongue.offered()))
        await self.static.warm(index.body.decode() + heads)
        tags = (self.static.files[name].tag for name in sorted(self.static.files))
        content = b"".join((*tags, dressing.tags(), heads.encode(), index.body))
        self.wire.build = hashlib.sha1(content, usedforsecurity=False).hexdigest()[:12]
        self.wire.start()

    # pages

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page with its first figures written in."""
        if scope["path"] == self.prefix[:-1]:
            return await answer(scope, send, 308, b"", [(b"location", self.prefix.encode())])
        asked = scope.get("query_string", b"")
        made = await self._for_all(scope, asked, lambda: self._behind(scope, b"", lambda: self._written(scope)))
        return await give(scope, send, made)

    async def _written(self, scope: Scope) -> Answer:
        """A page with its first figures, compressed."""
        how, kept = encoding(scope), b"no-cache" if current().session is None else b"private, no-cache"
        status, body = await self._render(scope["path"], scope.get("query_string", b"").decode("latin-1"))
        headers = [
            *self._policy,
            (b"content-type", b"text/html; charset=utf-8"),
            (b"cache-control", kept),
            (b"vary", b"accept-encoding, accept-language, cookie"),
            *([] if how == b"identity" else [(b"content-encoding", how)]),
        ]
        return Answer(status, headers, await asyncio.to_thread(squeezed, body, how))

    async def _render(self, path: str, query: str) -> tuple[int, bytes]:
        index = await ask(self.inner, self.prefix)
        asked: dict[str, Any] = {k: v[0] for k, v in parse_qs(query).items()}
        status, title, first = 200, self.dash.title, b""
        try:
            title, content = await self._content(path, query)
            kept: dict[str, Any] = {k: asked[k] for k in KEPT if k in asked}
            first = await asyncio.to_thread(
                lambda: first_paint.to_html(shell.frame(glass.state(), content, kept)).encode()
            )
            status = 404 if getattr(content, "className", "") == "page missing" else 200
        except Exception as error:
            status, first = 500, first_paint.to_html(failed(error)).encode()
        spoken = tongue.current()
        body = index.body.replace(b"<html>", dressing.html_tag(spoken).encode(), 1)
        body = body.replace(HEAD, dressing.head(spoken).encode(), 1)
        body = dressing.dressed(body, first)
        body = body.replace(WORDS, dressing.words(spoken).encode(), 1)
        return status, re.sub(rb"<title>.*?</title>", f"<title>{_text(title)}</title>".encode(), body, count=1)

    def _find(self, path: str) -> tuple[dict[str, Any] | None, dict[str, str]]:
        here = path if path == "/" else path.rstrip("/")
        for page in dash.page_registry.values():
            if page["path"] == here and not page.get("path_template"):
                return page, {}
            template = page.get("path_template")
            if template:
                pattern = re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", template)
                match = re.fullmatch(pattern, here)
                if match:
                    return page, match.groupdict()
        return None, {}

    async def _dash_call(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dash's own calls: one body each, compressed here, with the security headers."""
        if foreign(scope):
            return await answer(scope, send, 403, FOREIGN.encode(), [*self._policy, (b"content-type", b"text/plain")])
        asked = await read_ahead(scope, receive)
        if asked is None:
            return await give(scope, send, await self._asked_of_dash(scope, receive))

        async def make() -> Answer:
            return await self._behind(scope, asked, lambda: self._beside(scope, asked))

        same_for_all = MENU in asked or scope["path"] == f"{self.prefix}_dash-layout"
        return await give(scope, send, await (self._for_all(scope, asked, make) if same_for_all else make()))

    async def _beside(self, scope: Scope, asked: bytes) -> Answer:
        """What Dash answers, worked out on a loop of its own in a thread.

        Dash 4.4.1 writes JSON with plotly's encoder, which takes a tenth of a second for a page; on our loop everybody
        would wait for it, devices that send readings among them.
        """
        followed = menu.asked(asked) if scope["path"] == f"{self.prefix}_dash-update-component" else None
        if followed is not None:
            return await self._followed(scope, *followed)
        here = contextvars.copy_context()
        work = functools.partial(here.run, asyncio.run, self._asked_of_dash(scope, replaying(asked)))
        return await asyncio.get_running_loop().run_in_executor(self._makers, work)

    async def _followed(self, scope: Scope, path: str, search: str) -> Answer:
        """A page by the menu."""
        page, content = await self._content(path, search)
        how, needed = encoding(scope), named(self.dash.callback_map)
        body = await asyncio.to_thread(lambda: squeezed(menu.answer(settled(content, needed), page), how))
        packed = [] if how == b"identity" else [(b"content-encoding", how), (b"vary", b"accept-encoding")]
        return Answer(200, [*menu.HEADERS, *self._policy, *packed], body)

    async def _content(self, path: str, query: str) -> tuple[str, Any]:
        """Title and content of a page.

        Raises what its layout raises.
        """
        page, variables = self._find("/" + path[len(self.prefix) :] if path.startswith(self.prefix) else "/404")
        asked: dict[str, Any] = {k: v[0] for k, v in parse_qs(query).items()}
        found = page or dash.page_registry["pages.not_found_404"]
        content = await found["layout"](**{**asked, **variables})
        return str(found["title"](**variables) if callable(found["title"]) else found["title"]), content

    async def _asked_of_dash(self, scope: Scope, receive: Receive) -> Answer:
        """What Dash answers, whole and compressed."""
        how, got = encoding(scope), await whole(self.inner, scope, receive)
        got.headers += self._policy
        if len(got.body) > 900 and got.status == 200 and how != b"identity":
            got.body = await asyncio.to_thread(squeezed, got.body, how)
            got.headers += [(b"content-encoding", how), (b"vary", b"accept-encoding")]
        return got


async def give(scope: Scope, send: Send, got: Answer) -> None:
    """An answer that was made, sent."""
    await answer(scope, send, got.status, got.body, got.headers)


async def read_ahead(scope: Scope, receive: Receive) -> bytes | None:
    """The body of a short request, empty where it has none; of a long one nothing is read."""
    if scope["method"] in ("GET", "HEAD"):
        return b""
    if int(header(scope, b"content-length") or MOST_ASKED + 1) > MOST_ASKED:
        return None
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = bool(message.get("more_body"))
    return body


def replaying(body: bytes) -> Receive:
    """A body that was read, to be received once more; behind it nothing comes."""
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> MutableMapping[str, Any]:
        return next(given, None) or {"type": "http.disconnect"}

    return receive


def safely(scope: Scope, send: Send) -> Send:
    """The way out, on which every answer gets the headers of safety that it does not bring itself."""

    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = completed(scope, list(message.get("headers", ())))
        await send(message)

    return told


def remembering(scope: Scope, send: Send) -> Send:
    """The way out of a request whose address names a language: the browser is told to remember it."""
    wanted = tongue.asked(scope)
    if wanted is None:
        return send

    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), tongue.cookie(scope, wanted)]
        await send(message)

    return told


def _text(title: object) -> str:
    return str(title).replace("&", "&amp;").replace("<", "&lt;")
