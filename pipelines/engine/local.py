"""The local socket between the web process and the line: whatever changes the town goes through it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipelines.engine.alarms.desk import Deed
from pipelines.engine.asking import Misasked
from pipelines.engine.delivery.desk import Delivery
from pipelines.engine.disk import in_words
from pipelines.engine.errors import SourceDown, StoreError
from pipelines.engine.filing.desk import Desk
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.flow import RawMessage, Receipt
from pipelines.engine.healing import Outcome, Wish, heal
from pipelines.engine.intake import Busy, Intake
from pipelines.engine.line_client import LONGEST_REPLAY_S, ask, socket_path
from pipelines.engine.people.audit import noted
from pipelines.engine.people.deeds import do
from pipelines.engine.pushes import pushed
from pipelines.engine.settings import Settings
from pipelines.engine.tokens import note_use, path_of

log = logging.getLogger("townboard")
RETRY_S = 2


class LocalServer:
    """Answers the web process: takes payloads in and tells what became of them."""

    def __init__(
        self, settings: Settings, intake: Intake, clock: Callable[[], datetime], delivery: Delivery | None = None,
        desk: Desk | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._intake, self._clock, self._delivery = settings, intake, clock, delivery
        self._desk = desk
        asked = (
            ("/take", self._take), ("/replay", self._replay), ("/used", self._used), ("/people", self._people),
            ("/alarms", self._alarms), ("/rules", self._rules), ("/channel", self._channel),
            ("/filing", self._filing),
        )  # fmt: skip
        routes = [Route(path, answer, methods=["POST"]) for path, answer in asked]
        app = Starlette(routes=[*routes, Route("/alive", self._alive)], exception_handlers={ClientDisconnect: _gone})
        self._replaying = threading.Lock()
        path = self._path = socket_path(settings)
        path.unlink(missing_ok=True)
        config = uvicorn.Config(
            app, uds=str(path), log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
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
        self._path.unlink(missing_ok=True)

    async def _alive(self, request: Request) -> JSONResponse:
        return JSONResponse({"alive": True, **self._intake.shown()})

    async def _used(self, request: Request) -> JSONResponse:
        await asyncio.to_thread(note_use, path_of(self._settings.store), request.query_params["token"], self._clock())
        return JSONResponse({})

    async def _people(self, request: Request) -> JSONResponse:
        """Write down what happened with accounts and sessions."""
        told = await request.json()
        path, now = path_of(self._settings.store), self._clock()
        try:
            gave = await asyncio.to_thread(do, path, now, told["deed"], told["facts"])
        except Misasked as mistake:
            return JSONResponse({"detail": mistake.words}, mistake.status)
        except StoreError as error:
            return JSONResponse({"detail": str(error)}, 503)
        return JSONResponse({"gave": gave})

    async def _alarms(self, request: Request) -> JSONResponse:
        """Do something to alarms; answered when it is on disk."""
        asked, now = await request.json(), self._clock()
        try:
            deed = Deed.of(asked["action"], asked["who"], asked["wanted"], now)
            outcome = await asyncio.to_thread(self._intake.line.alarms.act, asked["ids"], deed, now)
        except Misasked as error:
            return JSONResponse({"detail": error.words}, error.status)
        except OSError as error:
            words = f"nothing was done: {in_words(error)}. Try again later."
            return JSONResponse({"detail": words}, 503, {"Retry-After": "30"})
        await asyncio.to_thread(self._audit, deed, [row["id"] for row in outcome["done"]], now)
        return JSONResponse(outcome)

    def _audit(self, deed: Deed, ids: list[str], now: datetime) -> None:
        """Put on record what somebody did to alarms; it is done already, so a disk that refuses this undoes nothing."""
        facts = {name: str(value) for name, value in asdict(deed).items() if value and name not in ("who", "action")}
        try:
            if ids:
                noted(path_of(self._settings.store), now, deed.who, f"alarm: {deed.action}", {"alarms": ids, **facts})
        except StoreError as error:
            log.warning("what %s did to alarms is not in the audit log: %s", deed.who, error)

    async def _channel(self, request: Request) -> JSONResponse:
        """Send a test message by one channel; answered when the channel has taken it."""
        asked = await request.json()
        if self._delivery is None or asked["channel"] not in self._delivery.plan.channels:
            return JSONResponse({"detail": f"there is no channel `{asked['channel']}` in town.toml."}, 404)
        try:
            await asyncio.to_thread(self._delivery.test, asked["channel"], asked["address"], self._clock())
        except SourceDown as down:
            return JSONResponse({"detail": str(down)}, 503, {"Retry-After": "30"})
        return JSONResponse({"sent": True})

    async def _filing(self, request: Request) -> JSONResponse:
        """Keep, change or forget a request of somebody; answered when it is on disk."""
        told = await request.json()
        if self._desk is None:
            return JSONResponse({"detail": "this town takes no requests: none of its domains does."}, 404)
        try:
            return JSONResponse(await asyncio.to_thread(self._desk.do, told["deed"], told["facts"]))
        except Faulty as fault:
            return JSONResponse({"detail": fault.words, "field": fault.field, "fault": fault.fault}, fault.status)
        except Busy as busy:
            return JSONResponse({"detail": str(busy)}, 429, {"Retry-After": str(RETRY_S)})
        except (StoreError, OSError, TimeoutError) as error:
            words = in_words(error) if isinstance(error, OSError) else str(error)
            return JSONResponse({"detail": f"nothing was kept: {words} Try again later."}, 503, {"Retry-After": "30"})

    async def _rules(self, request: Request) -> JSONResponse:
        """Keep an alarm rule that somebody set, or end it; answered when it is on disk."""
        asked = await request.json()
        try:
            await asyncio.to_thread(self._intake.line.alarms.set_rule, asked["id"], asked["facts"])
        except OSError as error:
            words = f"nothing was kept: {in_words(error)}. Try again later."
            return JSONResponse({"detail": words}, 503, {"Retry-After": "30"})
        return JSONResponse({})

    async def _replay(self, request: Request) -> JSONResponse:
        """Take quarantined rows in once more, one such call at a time; what arrives meanwhile goes between."""
        if not self._replaying.acquire(blocking=False):
            words = "rows are being replayed already; ask again when that is done."
            return JSONResponse({"detail": words}, 429, {"Retry-After": str(RETRY_S)})
        try:
            wish = Wish.of(await request.json())
            outcome = await asyncio.to_thread(heal, self._intake.line, wish, self._clock)
        except OSError as error:
            words = f"nothing more was stored: {in_words(error)}. The rows stay in quarantine; replay them later."
            return JSONResponse({"detail": words}, 503, {"Retry-After": "30"})
        finally:
            self._replaying.release()
        return JSONResponse(asdict(outcome))

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


def replayed(settings: Settings, wish: Wish) -> Outcome | None:
    """Have a line that runs take quarantined rows in once more; None when none runs.

    Raises OSError with the line's words when it could not.
    """
    try:
        answer = ask(settings, "POST", "/replay", LONGEST_REPLAY_S, json=wish.told())
    except httpx.ConnectError:
        return None
    if answer is None:
        return None
    if answer.status_code != httpx.codes.OK:
        raise OSError(5, answer.json().get("detail", "the line refused"))
    return Outcome(**answer.json())


async def _gone(request: Request, error: Exception) -> JSONResponse:
    """Whoever asked is not there any more: nothing was taken, and there is nobody to tell."""
    return JSONResponse({"detail": "it was cut off; nothing was stored."}, 400)


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
