"""Scripts and styles: each packed once, kept in memory, named by its content, never compressed per request."""

import asyncio
import re
from pathlib import Path

import plotly

from components.asgi import App, Headers, Receive, Scope, Send, answer, ask, encoding, header
from components.packed import File, pack, sweep

VENDOR = Path(__file__).resolve().parent.parent / "assets" / "vendor"
PLOTLY_URL = "_dash-component-suites/plotly/package_data/plotly.min.js"
SLIM_PLOTLY = "plotly-basic.min.js"
# Every thread that once worked keeps memory of its own.
PACKED_AT_ONCE = 2
FOREVER = b"public, max-age=31536000, immutable"
FINGERPRINT = re.compile(r"\.v\d[\w.]*m\d+")


def plotly_tag() -> str:
    """What changes when Plotly's script does."""
    slim = VENDOR / SLIM_PLOTLY
    return str(int(slim.stat().st_mtime)) if slim.exists() else plotly.__version__


class Static:
    """The files of Dash and of assets/, fetched from the inner app once and answered from memory.

    `shelf` is the folder that keeps them compressed between starts.
    """

    def __init__(self, inner: App, prefix: str, shelf: Path) -> None:
        self.inner, self.prefix, self.shelf = inner, prefix, shelf
        self.files: dict[str, File] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def owns(self, path: str) -> bool:
        """Whether this path is a script, a style or another asset."""
        here = path.removeprefix(self.prefix)
        return here.startswith(("_dash-component-suites/", "assets/")) or here == "_favicon.ico"

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one file in the best encoding, or as the inner app answers when there is none."""
        file = await self.file(scope["path"])
        if file is None:
            return await answer(scope, send, 404, b"There is no such file.", [(b"content-type", b"text/plain")])
        named = b"m=" in scope.get("query_string", b"") or FINGERPRINT.search(scope["path"])
        headers: Headers = [
            (b"etag", file.tag),
            (b"vary", b"accept-encoding"),
            (b"content-type", file.kind),
            (b"x-content-type-options", b"nosniff"),
            (b"cache-control", FOREVER if named else b"no-cache"),
        ]
        if header(scope, b"if-none-match") == file.tag:
            return await answer(scope, send, 304, b"", headers)
        how = encoding(scope)
        body = {b"br": file.br, b"gzip": file.gz}.get(how)
        if body is None:
            return await answer(scope, send, 200, file.raw, headers)
        return await answer(scope, send, 200, body, [*headers, (b"content-encoding", how)])

    async def file(self, path: str) -> File | None:
        """The file at this path, packed on first use; None when the inner app has none."""
        found = self.files.get(path)
        if found:
            return found
        async with self._locks.setdefault(path, asyncio.Lock()):
            if path not in self.files:
                raw, kind = await self._raw(path)
                if raw is None:
                    self._locks.pop(path, None)
                    return None
                self.files[path] = await asyncio.to_thread(pack, raw, kind, self.shelf)
            return self.files[path]

    async def _raw(self, path: str) -> tuple[bytes | None, bytes]:
        slim = VENDOR / SLIM_PLOTLY
        if path == self.prefix + PLOTLY_URL and slim.exists():
            return await asyncio.to_thread(slim.read_bytes), b"text/javascript"
        got = await ask(self.inner, path)
        return (got.body if got.status == 200 else None), got.header(b"content-type") or b"application/octet-stream"

    async def warm(self, page: str) -> None:
        """Pack every file that this page names, before the port opens."""
        urls = [
            u.split("?")[0] for u in re.findall(r'(?:src|href|content)="([^"]+)"', page) if u.startswith(self.prefix)
        ]
        turn = asyncio.Semaphore(PACKED_AT_ONCE)

        async def packed(url: str) -> None:
            async with turn:
                await self.file(url)

        await asyncio.gather(*(packed(url) for url in dict.fromkeys(urls) if self.owns(url)))
        await asyncio.to_thread(sweep, self.shelf)
