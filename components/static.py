"""Scripts and styles: each compressed once, kept in memory, named by its content, never compressed per request."""

import asyncio
import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import brotli

from components.asgi import App, Headers, Receive, Scope, Send, answer, ask, encoding, header

VENDOR = Path(__file__).resolve().parent.parent / "assets" / "vendor"
PLOTLY_URL = "_dash-component-suites/plotly/package_data/plotly.min.js"
SLIM_PLOTLY = "plotly-basic.min.js"
ALREADY_PACKED = (b"image/png", b"font/woff2", b"image/jpeg")
FOREVER = b"public, max-age=31536000, immutable"
FINGERPRINT = re.compile(r"\.v\d[\w.]*m\d+")


@dataclass(frozen=True)
class File:
    """One file with its bytes ready to send."""

    raw: bytes
    gz: bytes | None
    br: bytes | None
    kind: bytes
    tag: bytes

    @classmethod
    @lru_cache(maxsize=128)
    def pack(cls, raw: bytes, kind: bytes) -> "File":
        """Compress a file well; slow, so once per content and in a thread."""
        tag = b'"%s"' % hashlib.sha1(raw, usedforsecurity=False).hexdigest()[:16].encode()
        if kind.split(b";")[0] in ALREADY_PACKED or len(raw) < 500:
            return cls(raw, None, None, kind, tag)
        return cls(
            raw,
            gzip.compress(raw, 9, mtime=0),
            brotli.compress(raw, quality=9 if len(raw) > 300_000 else 11),
            kind,
            tag,
        )


class Static:
    """The files of Dash and of assets/, fetched from the inner app once and answered from memory."""

    def __init__(self, inner: App, prefix: str) -> None:
        self.inner, self.prefix = inner, prefix
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
                self.files[path] = await asyncio.to_thread(File.pack, raw, kind)
            return self.files[path]

    async def _raw(self, path: str) -> tuple[bytes | None, bytes]:
        slim = VENDOR / SLIM_PLOTLY
        if path == self.prefix + PLOTLY_URL and slim.exists():
            return await asyncio.to_thread(slim.read_bytes), b"text/javascript"
        got = await ask(self.inner, path)
        return (got.body if got.status == 200 else None), got.header(b"content-type") or b"application/octet-stream"

    async def warm(self, page: str) -> None:
        """Pack every file that this page names, before the port opens."""
        urls = [u.split("?")[0] for u in re.findall(r'(?:src|href)="([^"]+)"', page) if u.startswith(self.prefix)]
        urls += [u.replace("dash_core_components.v", "async-graph.v") for u in urls if "dash_core_components.v" in u]
        for url in dict.fromkeys(urls):
            if self.owns(url):
                await self.file(url)
