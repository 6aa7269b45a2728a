"""The local socket between the web process and the line: whatever changes the town goes through it."""

import asyncio
import hashlib
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipelines.engine.disk import in_words
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.intake import Busy, Intake
from pipelines.engine.settings import Feed, Settings

LONGEST_PATH = 100
RETRY_S = 2


def socket_path(settings: Settings) -> Path:
    """The socket of a town; a short one in the temporary folder where the town's path is too long for a socket."""
    path = (settings.store / "run" / "line.sock").resolve()
    if len(str(path)) <= LONGEST_PATH:
        return path
    mark = hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"townboard-{mark}.sock"


def pushed(feed: Feed, form: str, table: str) -> Feed:
    """The feed as a push of this format into this table: its own mapping, or columns named as in the dictionary."""
    if feed.origin == "http_push" and feed.mapping and feed.format == form:
        return feed
    mapping: dict[str, Any] = {}
    if form == "json":
        mapping["records"] = "readings" if table == "readings" else "rows"
    return replace(feed, format=form, table=table, mapping=mapping, zone="" if feed.zone_assumed else feed.zone)


class LocalServer:
    """Answers the web process: takes payloads in and tells what became of them."""

    def __init__(self, settings: Settings, intake: Intake, clock: Callable[[], datetime]) -> None:
        self._settings, self._intake, self._clock = settings, intake, clock
        app = Starlette(routes=[Route("/take", self._take, methods=["POST"]), Route("/alive", self._alive)])
        path = self._path = socket_path(settings)
        path.unlink(missing_ok=True)
        config = uvicorn.Config(
            app, uds=str(path), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, name="local", daemon=True)

    def start(self) -> None:
        """Begin to answer; only the user who runs the town may knock."""
        self._thread.start()
        while self._thread.is_alive() and not self._server.started:
            self._thread.join(0.01)
        if self._server.started:
            self._path.chmod(0o600)

    def stop(self) -> None:
        """Stop answering."""
        self._server.should_exit = True
        self._thread.join(timeout=5)

    async def _alive(self, request: Request) -> JSONResponse:
        return JSONResponse({"alive": True})

    async def _take(self, request: Request) -> JSONResponse:
        query = request.query_params
        feed = self._settings.feeds.get(query["feed"])
        if feed is None:
            known = ", ".join(sorted(self._settings.feeds))
            return JSONResponse({"detail": f"there is no feed `{query['feed']}`; known are {known}."}, 404)
        form, table = query.get("format"), query.get("table")
        if form and table:
            feed = pushed(feed, form, table)
        message = RawMessage(feed, await request.body(), self._clock(), backfill=query.get("backfill") == "1")
        try:
            receipt = await asyncio.wrap_future(self._intake.submit(message))
        except Busy as busy:
            return JSONResponse({"detail": str(busy)}, 429, {"Retry-After": str(RETRY_S)})
        except OSError as error:
            words = f"nothing was stored: {in_words(error)}. Keep the rows and send them again later."
            return JSONResponse({"detail": words}, 503, {"Retry-After": "30"})
        return JSONResponse(asdict(receipt))


class LineClient:
    """How another process of the same town hands payloads to the line."""

    def __init__(self, settings: Settings) -> None:
        self._path = str(socket_path(settings))
        self._client: httpx.AsyncClient | None = None

    async def take(
        self, feed: str, payload: bytes, form: str | None = None, table: str | None = None
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Status, answer and headers of the line.

        Raises httpx.TransportError when the line does not run.
        """
        if self._client is None:
            self._client = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=self._path), timeout=60)
        query = {"feed": feed, **({"format": form} if form else {}), **({"table": table} if table else {})}
        answer = await self._client.post("http://line/take", params=query, content=payload)
        return answer.status_code, answer.json(), answer.headers


def alive(settings: Settings) -> bool:
    """Whether a line runs for this town."""
    if not socket_path(settings).exists():
        return False
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path(settings))), timeout=5) as client:
            return client.get("http://line/alive").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def hand_over(settings: Settings, feed: str, payload: bytes) -> Receipt | None:
    """Give a back-fill payload to a line that runs; None when none does."""
    if not socket_path(settings).exists():
        return None
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path(settings))), timeout=600) as client:
            answer = client.post("http://line/take", params={"feed": feed, "backfill": "1"}, content=payload)
    except httpx.TransportError:
        return None
    if answer.status_code != httpx.codes.OK:
        raise OSError(5, answer.json().get("detail", "the line refused the file"))
    raw = answer.json()
    raw["reasons"] = tuple(tuple(reason) for reason in raw["reasons"])
    return Receipt(**raw)
