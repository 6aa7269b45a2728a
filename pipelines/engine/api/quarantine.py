"""Rows that were set aside: listed, counted, given back byte for byte, and taken in once more."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Query, Request, Response, Security

from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import Wish, answer, give
from pipelines.engine.api.hand_over import told
from pipelines.engine.api.params import FORMAT, Bom, Cursor, Form, Limit, only_known
from pipelines.engine.api.schemas import Responses, listed, refusals
from pipelines.engine.asking import Misasked, instant, one_of
from pipelines.engine.extracts import QUARANTINE_COLUMNS, quarantine
from pipelines.engine.model import Column
from pipelines.engine.set_aside import MOST_REPLAYED
from pipelines.engine.spans import of_frame
from pipelines.engine.town import Town

NO_ANSWER = "The line gave no answer. Ask again: what has healed stays healed, never twice."
FeedName = Annotated[str | None, Query(description="Feed it came by.")]
Reason = Annotated[str | None, Query(description="Short reason.")]
JsonFirst = Annotated[Form, Query(alias="format", description=FORMAT)]
States = Literal["waiting", "healed", "all"]
COUNT_COLUMNS = (
    Column(name="feed", meaning="Feed."),
    Column(name="reason", meaning="Short reason."),
    Column(name="rows", kind="integer", meaning="Rows that wait."),
    Column(name="healed", kind="integer", meaning="Rows that were taken in by a replay."),
    Column(name="newest", kind="instant", meaning="When the newest came."),
)
SELECTION = ("feed", "reason", "since", "limit")
SELECTED: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "description": "Which rows: those that wait and agree with all that is named; without any, all that wait.",
    "properties": {
        "feed": {"type": "string", "description": "Feed they came by."},
        "reason": {"type": "string", "description": "Short reason."},
        "since": {"type": "string", "format": "date-time", "description": "Those that came from then on."},
        "limit": {"type": "integer", "minimum": 1, "maximum": MOST_REPLAYED},
    },
}
NUMBERS = ("tried", "healed", "stored", "duplicate", "left")
OUTCOME = {
    "type": "object",
    "required": [*NUMBERS, "refused"],
    "properties": {
        **{name: {"type": "integer"} for name in NUMBERS},
        "refused": {"type": "object", "additionalProperties": {"type": "integer"}},
    },
}
ROWS = {**listed("quarantine", QUARANTINE_COLUMNS), **refusals(401, 403, 429)}
COUNTS = listed("counts", COUNT_COLUMNS)
REPLAYED: Responses = {
    200: {
        "description": "tried = healed + refused (by reason). stored and duplicate count the rows that came out of "
        "those healed. left: rows that fit and were not tried this time.",
        "content": {"application/json": {"schema": OUTCOME}},
    },
    **refusals(401, 403, 429),
}
BYTES: Responses = {
    200: {
        "description": "The row, or the payload that could not be read, as it came.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    **refusals(401, 403, 404, 429),
}


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses below /api/v1/quarantine."""
    router = APIRouter(prefix="/api/v1/quarantine", dependencies=[Depends(only_known)])
    _lists(router, town, Security(door.needs("read"), scopes=["read"]))
    _work(router, town, Security(door.needs("operate"), scopes=["operate"]))
    return router


def _lists(router: APIRouter, town: Town, asked: Any) -> None:
    @router.get("", summary="Rows that were set aside, newest first", responses=ROWS)
    def set_aside(
        request: Request,
        feed: FeedName = None,
        reason: Reason = None,
        state: Annotated[States, Query(description="waiting, healed by a replay, or all.")] = "waiting",
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = asked,
    ) -> Response:
        _known(town, feed)
        found = quarantine(town, feed, reason, state, actor=grant.actor)
        return give(found, Wish(request, form, "quarantine", bom == "1", limit, cursor).by(grant.actor))

    @router.get("/counts", summary="How many rows are set aside, by feed and reason",
                responses=COUNTS)  # fmt: skip
    def counts(
        request: Request, feed: FeedName = None, form: JsonFirst = "json", bom: Bom = "0", limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:  # fmt: skip
        _known(town, feed)
        rows = town.quarantine_counts()
        rows = rows.filter(feed=feed) if feed is not None else rows
        return give(of_frame("counts", rows, COUNT_COLUMNS), Wish(request, form, "counts", bom == "1", limit, cursor))


def _work(router: APIRouter, town: Town, asked: Any) -> None:
    @router.get("/{id}/original", summary="The bytes of a row as they came", responses=BYTES)
    def original(id: str, grant: Grant = asked) -> Response:
        found = town.original(id, grant.actor)
        if found is None:
            raise Misasked(f"No row `{id[:60]}` is set aside; `id` stands in /api/v1/quarantine.", 404)
        feed, raw = found
        grant.for_feed(feed)
        name = f'attachment; filename="{feed}-{id}.bin"'
        headers = {"Content-Disposition": name, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(raw, headers=headers, media_type="application/octet-stream")

    @router.post("/replay", summary="Take rows in once more, by the mapping of today", responses=REPLAYED,
                 openapi_extra={"requestBody": {"content": {"application/json": {"schema": SELECTED}}}})  # fmt: skip
    async def replay(wanted: Annotated[Any, Body()] = None, grant: Grant = asked) -> Response:
        wish = _wish(town, {} if wanted is None else wanted)
        if grant.token is not None and grant.token.feeds and wish["feed"] is None:
            raise Misasked(f"This token is for {', '.join(grant.token.feeds)}. Name one of them as `feed`.")
        if wish["feed"] is not None:
            grant.for_feed(wish["feed"])
        return answer(await told(town.replay(wish, grant.actor), NO_ANSWER))


def _wish(town: Town, wanted: Any) -> dict[str, Any]:
    """The rows that somebody wants replayed, as the line is told.

    Raises Misasked.
    """
    if not isinstance(wanted, dict):
        raise Misasked('Send a JSON object, for example {"feed": "scada", "reason": "unknown_sensor"}.')
    for name in wanted:
        one_of("field", name, SELECTION)
    texts = {name: wanted.get(name) for name in ("feed", "reason", "since")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise Misasked(f"`{name}` must be a text.")
    _known(town, texts["feed"])
    most = wanted.get("limit", MOST_REPLAYED)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_REPLAYED:
        raise Misasked(f"`limit` must be a whole number from 1 to {MOST_REPLAYED}.")
    since = instant(texts["since"], "since").isoformat() if texts["since"] else None
    return {"feed": texts["feed"], "reason": texts["reason"], "since": since, "most": most}


def _known(town: Town, feed: str | None) -> None:
    if feed is not None and feed not in town.settings.feeds:
        one_of("feed", feed, {*town.settings.feeds, *town.quarantine_counts()["feed"]})
