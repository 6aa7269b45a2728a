"""Ingest over HTTP: readings and event rows, handed to the line and answered when they are durable on disk."""

import asyncio
import logging
import zlib
from collections.abc import Mapping
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from pipelines.engine.api.answers import answer
from pipelines.engine.api.params import only_known
from pipelines.engine.api.problems import NotNow, problem
from pipelines.engine.api.schemas import Responses, refusals
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.decode import fills
from pipelines.engine.settings import Feed
from pipelines.engine.town import Town

log = logging.getLogger("townboard")
MOST_BYTES = 8 << 20
MOST_REASONS = 1_000
GZIP_WINDOW = 31
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
TOO_LARGE = "That is more than 8 MB (unpacked). Nothing was stored. Send it in smaller pieces."
FeedName = Annotated[str, Query(description="A feed of the town that is pushed by HTTP; its own mapping applies.")]


def routes(town: Town) -> APIRouter:
    """POST /api/v1/readings and POST /api/v1/tables/{table}."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    tables = [table.name for domain in town.domains for table in domain.tables]

    @router.post("/readings", summary="Send readings", responses=RESPONSES, openapi_extra=_body("readings", READING))
    async def push_readings(request: Request, feed: FeedName = "push") -> Response:
        return await _push(town, request, feed, "readings")

    @router.post(
        "/tables/{table}", summary="Send rows of an event table", responses=RESPONSES, openapi_extra=_body("rows", ROW)
    )
    async def push_rows(
        request: Request,
        table: Annotated[str, Path(description="An event table of a domain.", json_schema_extra={"enum": tables})],
        feed: FeedName = "push",
    ) -> Response:
        one_of("table", table, tables, 404)
        return await _push(town, request, feed, table)

    return router


async def _push(town: Town, request: Request, feed: str, table: str) -> Response:
    declared = _feed(town, feed, table)
    own = declared.format not in CONTENT.values()
    form = None if own else _form(request)
    payload = await _payload(request)
    try:
        status, told, headers = await town.line.take(feed, payload, form, table if form else None)
    except httpx.ConnectError as error:
        raise NotNow(NO_LINE) from error
    except (httpx.TransportError, ValueError) as error:
        log.warning("the line gave no usable answer to a push: %r", error)
        raise NotNow(NO_ANSWER) from error
    return _answered(status, told, headers)


def _answered(status: int, told: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    if status != httpx.codes.OK:
        retry = {"Retry-After": headers["retry-after"]} if "retry-after" in headers else None
        return problem(status, str(told.get("detail", "The line refused this.")), retry)
    if told["refused_words"]:
        return problem(422, f"{told['refused_words']} Nothing of it was stored; it is kept in quarantine as it came.")
    reasons = [{"row": row, "reason": reason, "detail": detail} for row, reason, detail in told["reasons"]]
    counts = {name: told[counted] for name, counted in COUNTS.items()}
    left_out = max(0, len(reasons) - MOST_REASONS)
    return answer({**counts, "reasons": reasons[:MOST_REASONS], "reasons_left_out": left_out})


def _feed(town: Town, name: str, table: str) -> Feed:
    """The feed to push by.

    Raises Misasked when it is none, or fills another table.
    """
    pushed = {feed.name: feed for feed in town.settings.feeds.values() if feed.origin == "http_push"}
    one_of("feed that is pushed by HTTP", name, pushed)
    feed = pushed[name]
    filled = fills(feed.format, feed.table)
    if name != "push" and table not in filled:
        address = "/api/v1/readings" if filled[0] == "readings" else f"/api/v1/tables/{filled[0]}"
        raise Misasked(f"The feed {name} fills {', '.join(filled)}, not {table}. Send it to {address}?feed={name}.")
    return feed


def _form(request: Request) -> str:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in CONTENT:
        raise Misasked(f"The content type is {said or 'missing'}. Send one of {', '.join(CONTENT)}.", 415)
    return CONTENT[said]


async def _payload(request: Request) -> bytes:
    """The body, unpacked.

    Raises Misasked: too large (413), packed in a way that is not read (415), broken (422).
    """
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "x-gzip", ""):
        raise Misasked(f"The content encoding {packing[:40]} is not read here. Send it plain or with gzip.", 415)
    said = request.headers.get("content-length", "")
    if said.isdigit() and int(said) > MOST_BYTES:
        raise Misasked(TOO_LARGE, 413)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Misasked(TOO_LARGE, 413)
    return bytes(body) if packing in ("identity", "") else await asyncio.to_thread(unpacked, bytes(body))


def unpacked(packed: bytes) -> bytes:
    """A gzip body, all its members.

    Raises Misasked: never unpacks more than is allowed.
    """
    body, rest = bytearray(), packed
    try:
        while rest:
            member = zlib.decompressobj(GZIP_WINDOW)
            body += member.decompress(rest, MOST_BYTES + 1 - len(body))
            if len(body) > MOST_BYTES:
                raise Misasked(TOO_LARGE, 413)
            if not member.eof:
                raise Misasked("The gzip body breaks off. Nothing was stored. Send it again.")
            rest = member.unused_data
    except zlib.error as error:
        raise Misasked(f"The body says it is gzip, but is not ({error}). Nothing was stored.") from error
    return bytes(body)


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
    **refusals(404, 413, 415, 429),
}


def _body(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """The request body as /openapi.json describes it."""
    rows = {"type": "object", "required": [key], "properties": {key: {"type": "array", "items": dict(item)}}}
    text = {"schema": {"type": "string"}}
    content = {"application/json": {"schema": rows}, "application/x-ndjson": text, "text/csv": text}
    return {"requestBody": {"required": True, "content": content}}
