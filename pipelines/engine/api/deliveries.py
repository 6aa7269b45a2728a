"""Messages over HTTP: what was sent to whom, a test of a channel, and the public warnings as CAP 1.2."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response, Security

from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import Wish, answer, give
from pipelines.engine.api.hand_over import told
from pipelines.engine.api.params import FORMAT, Bom, Cursor, Form, Limit, only_known
from pipelines.engine.api.schemas import Responses, listed, refusals
from pipelines.engine.asking import Misasked
from pipelines.engine.delivery.room import COLUMNS
from pipelines.engine.spans import of_frame
from pipelines.engine.town import Town

NO_LINE = "The line does not run, so nothing was sent. Whoever looks after Townboard starts it: python app.py serve"
NO_ANSWER = "The line gave no answer. Look whether the message came before you send another."
JsonFirst = Annotated[Form, Query(alias="format", description=FORMAT)]
WANTED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["channel"],
    "properties": {
        "channel": {"type": "string", "description": "Channel in town.toml [delivery.channels]."},
        "address": {"type": "string", "maxLength": 200, "description": "Number or mail address, where it needs one."},
    },
}
SENT: Responses = {
    200: {
        "description": "The channel has taken the test message.",
        "content": {"application/json": {"schema": {"type": "object", "properties": {"sent": {"type": "boolean"}}}}},
    },
    **refusals(401, 403, 404, 429),
}
XML: Responses = {200: {"description": "XML", "content": {"application/xml": {}}}, **refusals(404)}


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses below /api/v1/deliveries and /cap."""
    router = APIRouter(dependencies=[Depends(only_known)])
    asked = Security(door.needs("operate"), scopes=["operate"])
    _sent(router, town, asked)
    _tried(router, town, asked)
    _warnings(router, town)
    return router


def _sent(router: APIRouter, town: Town, asked: Any) -> None:
    answers = {**listed("deliveries", COLUMNS), **refusals(401, 403, 429)}

    @router.get("/api/v1/deliveries", summary="Messages about alarms: sent, waiting and failed", responses=answers)
    def sent(
        request: Request,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = asked,
    ) -> Response:
        found = of_frame("deliveries", town.post.messages(grant.actor), COLUMNS)
        return give(found, Wish(request, form, "deliveries", bom == "1", limit, cursor))


def _tried(router: APIRouter, town: Town, asked: Any) -> None:
    body = {"requestBody": {"required": True, "content": {"application/json": {"schema": WANTED}}}}

    @router.post(
        "/api/v1/deliveries/test", summary="Send a test message by a channel", responses=SENT, openapi_extra=body
    )
    async def tried(wanted: Annotated[Any, Body()] = None, grant: Grant = asked) -> Response:
        channel, address = _wanted(wanted)
        return answer(await told(town.post.try_channel(channel, address, grant.actor), NO_ANSWER, NO_LINE))


def _wanted(wanted: Any) -> tuple[str, str]:
    known = wanted if isinstance(wanted, dict) else {}
    channel, address = known.get("channel"), known.get("address", "")
    if not isinstance(channel, str) or not isinstance(address, str) or set(known) - {"channel", "address"}:
        raise Misasked('Name the channel and, where it needs one, the address: {"channel": "sms", "address": "+91"}.')
    return channel, address[:200]


def _warnings(router: APIRouter, town: Town) -> None:
    @router.get("/cap/feed.xml", summary="Public warnings as an Atom feed of CAP 1.2 messages", responses=XML)
    def feed(request: Request) -> Response:
        base = str(request.url_for("feed")).removesuffix("feed.xml")
        return _xml(town.post.feed(_alarms(town), base, town.now()), "application/atom+xml")

    @router.get("/cap/{identifier}.xml", summary="One public warning as CAP 1.2", responses=XML)
    def warning(identifier: Annotated[str, Path(max_length=64)]) -> Response:
        return _xml(town.post.warning(_alarms(town), identifier), "application/cap+xml")


def _alarms(town: Town) -> list[dict[str, Any]]:
    board = town.board()
    return board.state["alarms"] if board else []


def _xml(body: bytes, media: str) -> Response:
    return Response(body, media_type=media, headers={"Cache-Control": "max-age=15"})
