"""Ingest over HTTP: readings and event rows, handed to the line and answered when they are durable on disk."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response, Security

from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import answer
from pipelines.engine.api.bodies import Hold, Room, body_of
from pipelines.engine.api.hand_over import told
from pipelines.engine.api.params import only_known
from pipelines.engine.api.problems import problem
from pipelines.engine.api.schemas import Responses, refusals
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.decode import fills
from pipelines.engine.settings import Feed
from pipelines.engine.town import Town

MOST_REASONS = 1_000
CONTENT = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
}
NO_LINE = (
    "The line does not run, so nothing was stored. Keep the rows and send them again later; "
    "whoever looks after Townboard starts it with: python app.py serve"
)
NO_ANSWER = (
    "The line gave no answer. Send the same rows again: those that were stored count as duplicates, never twice."
)
COUNTS = {"accepted": "stored", "duplicate": "duplicate", "corrected": "corrected", "quarantined": "quarantined"}
Event = Annotated[
    str | None, Query(description="What ChirpStack adds to its webhook's address; the message itself says as much.")
]
FeedName = Annotated[str, Query(description="A feed of the town that is pushed by HTTP; its own mapping applies.")]


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """POST /api/v1/readings, POST /api/v1/tables/{table} and POST /api/v1/feeds/{feed}."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    tables = [table.name for domain in town.domains for table in domain.tables]
    asked, room = Security(door.needs("ingest"), scopes=["ingest"]), Room()

    @router.post("/readings", summary="Send readings", responses=RESPONSES, openapi_extra=_body("readings", READING))
    async def push_readings(request: Request, feed: FeedName = "push", grant: Grant = asked) -> Response:
        with room.hold() as hold:
            return await _push(town, request, _feed(town, grant, feed, "readings"), "readings", hold)

    @router.post(
        "/tables/{table}", summary="Send rows of an event table", responses=RESPONSES, openapi_extra=_body("rows", ROW)
    )
    async def push_rows(
        request: Request,
        table: Annotated[str, Path(description="An event table of a domain.", json_schema_extra={"enum": tables})],
        feed: FeedName = "push",
        grant: Grant = asked,
    ) -> Response:
        one_of("table", table, tables, 404)
        with room.hold() as hold:
            return await _push(town, request, _feed(town, grant, feed, table), table, hold)

    names = sorted(_pushed(town))

    @router.post(
        "/feeds/{feed}", summary="Send a message in a feed's own format", responses=RESPONSES, openapi_extra=MESSAGE
    )
    async def push_message(
        request: Request,
        feed: Annotated[str, Path(description="A feed that is pushed by HTTP.", json_schema_extra={"enum": names})],
        event: Event = None,
        grant: Grant = asked,
    ) -> Response:
        one_of("feed that is pushed by HTTP", feed, names, 404)
        with room.hold() as hold:
            return await _push(town, request, _feed(town, grant, feed), None, hold)

    return router


async def _push(town: Town, request: Request, feed: Feed, table: str | None, hold: Hold) -> Response:
    """Hand the body to the line; without a table it is read as the feed says, whatever its content type."""
    form = _form(request) if table and feed.format in CONTENT.values() else None
    payload = await body_of(request, hold)
    asked = town.line.take(feed.name, payload, form, table if form else None)
    return _answered(await told(asked, NO_ANSWER, NO_LINE))


def _answered(receipt: Mapping[str, Any]) -> Response:
    if receipt["refused_words"]:
        words = f"{receipt['refused_words']} Nothing of it was stored; it is kept in quarantine as it came."
        return problem(422, words)
    reasons = [{"row": row, "reason": reason, "detail": detail} for row, reason, detail in receipt["reasons"]]
    counts = {name: receipt[counted] for name, counted in COUNTS.items()}
    left_out = max(0, len(reasons) - MOST_REASONS)
    return answer({**counts, "reasons": reasons[:MOST_REASONS], "reasons_left_out": left_out})


def _pushed(town: Town) -> dict[str, Feed]:
    return {feed.name: feed for feed in town.settings.feeds.values() if feed.origin == "http_push"}


def _feed(town: Town, grant: Grant, name: str, table: str | None = None) -> Feed:
    """The feed to push by.

    Raises Misasked when it is none or fills another table, Refusing when the token is not for it.
    """
    pushed = _pushed(town)
    one_of("feed that is pushed by HTTP", name, pushed)
    grant.for_feed(name)
    feed = pushed[name]
    filled = fills(feed.format, feed.table)
    if table and name != "push" and table not in filled:
        address = "/api/v1/readings" if filled[0] == "readings" else f"/api/v1/tables/{filled[0]}"
        raise Misasked(f"The feed {name} fills {', '.join(filled)}, not {table}. Send it to {address}?feed={name}.")
    return feed


def _form(request: Request) -> str:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in CONTENT:
        raise Misasked(f"The content type is {said or 'missing'}. Send one of {', '.join(CONTENT)}.", 415)
    return CONTENT[said]


ROW: dict[str, Any] = {"type": "object", "description": "Columns as in the data dictionary."}
READING: dict[str, Any] = {
    "type": "object",
    "required": ["sensor", "observed_at", "value"],
    "properties": {
        "sensor": {"type": "string"},
        "observed_at": {"type": "string", "format": "date-time"},
        "value": {"type": ["number", "null"]},
        "unit": {"type": "string", "description": "When it differs from the register's."},
    },
}
REASON = {"row": {"type": "integer"}, "reason": {"type": "string"}, "detail": {"type": "string"}}
RECEIPT = {
    "type": "object",
    "required": ["accepted", "duplicate", "quarantined", "reasons"],
    "properties": {
        **{name: {"type": "integer"} for name in (*COUNTS, "reasons_left_out")},
        "reasons": {"type": "array", "items": {"type": "object", "properties": REASON}},
    },
}
RESPONSES: Responses = {
    200: {
        "description": "Durable on disk. accepted (with corrected) + duplicate + quarantined = rows sent.",
        "content": {"application/json": {"schema": RECEIPT}},
    },
    **refusals(401, 403, 404, 413, 415, 429),
}


# Webhooks of network servers (ChirpStack, The Things Stack) and whatever else sends whole messages.
MESSAGE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


def _body(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """The request body as /openapi.json describes it."""
    rows = {"type": "object", "required": [key], "properties": {key: {"type": "array", "items": dict(item)}}}
    text = {"schema": {"type": "string"}}
    content = {"application/json": {"schema": rows}, "application/x-ndjson": text, "text/csv": text}
    return {"requestBody": {"required": True, "content": content}}
