"""Alarms over HTTP: the list, what happened to them, and what people with the scope `operate` do to them."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response, Security

from pipelines.engine.alarms.desk import FIELDS, MOST_AT_ONCE, NEEDED, Deed
from pipelines.engine.alarms.room import COLUMNS
from pipelines.engine.api import board
from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import Wish, answer, give
from pipelines.engine.api.hand_over import told
from pipelines.engine.api.params import FORMAT, Bom, Cursor, DomainName, End, Form, Limit, Start, Ward, only_known
from pipelines.engine.api.problems import problem
from pipelines.engine.api.schemas import Responses, listed, refusals, rows_of
from pipelines.engine.asking import Misasked, one_of, span
from pipelines.engine.model import PRIORITIES
from pipelines.engine.spans import of_frame
from pipelines.engine.town import Town

STATES = (*board.ALARM_GROUPS, *board.ALARM_STATES)
JsonFirst = Annotated[Form, Query(alias="format", description=FORMAT)]
AlarmId = Annotated[str, Path(description="`id` of the alarm, as in the list; | written as %7C.")]
NO_ANSWER = "The line gave no answer. Look at the alarm before you try again: it may have been done."
TEXT = {"type": "string", "maxLength": 1_000}
PROPERTIES: dict[str, dict[str, Any]] = {
    "reason": {**TEXT, "description": "Why, in a sentence."},
    "comment": {**TEXT, "description": "What is to be remembered."},
    "owner": {**TEXT, "description": "Who sees to it."},
    "until": {"type": "string", "format": "date-time", "description": "When it ends by itself."},
    "review_at": {"type": "string", "format": "date-time", "description": "When it calls again if it still stands."},
}
ROW = {"type": "object", "properties": {"id": {"type": "string"}, "state": {"type": "string"}}}
REFUSED = {"type": "object", "properties": {"id": {"type": "string"}, "status": {"type": "integer"},
           "detail": {"type": "string"}, "state": {"type": ["string", "null"]},
           "legal": {"type": "array", "items": {"type": "string"}}}}  # fmt: skip
DONE: Responses = {
    200: {"description": "The alarm as it stands now.", "content": {"application/json": {"schema": ROW}}},
    **refusals(401, 403, 404, 409, 429),
}
EACH: Responses = {
    200: {
        "description": "Each alarm was done or refused by itself.",
        "content": {"application/json": {"schema": {"type": "object", "properties": {
            "done": {"type": "array", "items": ROW}, "refused": {"type": "array", "items": REFUSED}}}}},
    },
    **refusals(401, 403, 404, 429),
}  # fmt: skip


LISTED = {**listed("alarms", board.ALARM_COLUMNS), **refusals(401, 429)}
LOGGED = {**listed("transitions", COLUMNS), **refusals(401, 403, 429)}


LATELY, LONGEST = timedelta(days=30), timedelta(days=400)
INCIDENT = {"type": "object", "required": ["id", "title", "started_at", "timeline", "answer"]}
GATHERED: Responses = {
    200: {"description": "The incidents, newest first.",
          "content": {"application/json": {"schema": rows_of("incidents", INCIDENT)}}},
    **refusals(401, 403, 429),
}  # fmt: skip
JUDGED: Responses = {
    200: {"description": "The whole span, each shift, and how many alarms have stood for over a day.",
          "content": {"application/json": {"schema": {"type": "object", "required": ["whole", "shifts", "stale"]}}}},
    **refusals(401, 403, 429),
}  # fmt: skip


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses below /api/v1/alarms."""
    router = APIRouter(prefix="/api/v1/alarms", dependencies=[Depends(only_known)])
    _list(router, town, Depends(door.whoever))
    _history(router, town, Security(door.needs("read"), scopes=["read"]))
    _judgement(router, town, Security(door.needs("read"), scopes=["read"]))
    _actions(router, town, Security(door.needs("operate"), scopes=["operate"]))
    return router


def _list(router: APIRouter, town: Town, whoever: Any) -> None:
    domains = [domain.name for domain in town.domains]

    @router.get("", summary="The alarm list", responses=LISTED)
    def alarms(
        request: Request,
        state: Annotated[str | None, Query(description=", ".join(STATES))] = None,
        priority: Annotated[str | None, Query(description=", ".join(PRIORITIES))] = None,
        domain: DomainName = None,
        ward: Ward = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = whoever,
    ) -> Response:
        one_of("state", state, STATES)
        one_of("priority", priority, PRIORITIES)
        one_of("domain", domain, domains)
        one_of("ward", ward, town.wards()["ward"])
        found = board.alarms(town, grant.actor, state, priority=priority, domain=domain, ward=ward)
        return give(found, Wish(request, form, "alarms", bom == "1", limit, cursor))


def _history(router: APIRouter, town: Town, asked: Any) -> None:
    def given(request: Request, form: str, bom: str, rows: pl.DataFrame, page: tuple[int | None, str | None]) -> Any:
        found = of_frame("alarm_transitions", rows, COLUMNS)
        return give(found, Wish(request, form, "transitions", bom == "1", *page))

    @router.get("/history", summary="What happened to alarms, and who did it", responses=LOGGED)
    def everything(
        request: Request,
        start: Start = None,
        end: End = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = asked,
    ) -> Response:
        asked_for = span(start, end)
        rows = town.alarms.history(grant.actor, None, asked_for.start, asked_for.end)
        return given(request, form, bom, rows, (limit, cursor))

    @router.get("/{id:path}/history", summary="What happened to one alarm", responses=LOGGED)
    def one(
        request: Request,
        id: AlarmId,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = asked,
    ) -> Response:
        return given(request, form, bom, town.alarms.history(grant.actor, id), (limit, cursor))


def _judgement(router: APIRouter, town: Town, asked: Any) -> None:
    @router.get("/performance", summary="How the alarm system does, by ISA-18.2", responses=JUDGED)
    def judged(
        start: Start = None,
        end: End = None,
        operators: Annotated[int, Query(ge=1, le=100, description="How many people watch at a time.")] = 1,
        grant: Grant = asked,
    ) -> Response:
        return answer(town.alarms.performance(grant.actor, *_lately(town, start, end), operators))

    @router.get("/incidents", summary="Alarms of one cause with the complaints about it", responses=GATHERED)
    def gathered(start: Start = None, end: End = None, grant: Grant = asked) -> Response:
        rows = town.alarms.incidents(grant.actor, *_lately(town, start, end))
        return answer({"incidents": rows, "count": len(rows), "next": None})


def _lately(town: Town, start: str | None, end: str | None) -> tuple[datetime, datetime]:
    """The span that somebody asks for; the last 30 days of it where nothing is said."""
    asked, now = span(start, end), town.now()
    last = asked.end or now
    first = asked.start or last - LATELY
    if last - first > LONGEST:
        raise Misasked(f"At most {LONGEST.days} days at once; ask for a shorter span.")
    if first >= last:
        raise Misasked("`from` lies ahead: nothing has happened since then.")
    return first, last


def _actions(router: APIRouter, town: Town, asked: Any) -> None:
    for action in FIELDS:
        _bulk(router, town, asked, action)
        _single(router, town, asked, action)


def _single(router: APIRouter, town: Town, asked: Any, action: str) -> None:
    @router.post(f"/{{id:path}}/{action}", summary=f"{_spoken(action)} one alarm", responses=DONE,
                 openapi_extra=_body(action, many=False), operation_id=f"{_name(action)}_alarm")  # fmt: skip
    async def act(id: AlarmId, wanted: Annotated[Any, Body()] = None, grant: Grant = asked) -> Response:
        Deed.of(action, "", wanted, town.now())
        outcome = await told(town.alarms.act([id], action, wanted, grant.actor), NO_ANSWER)
        if outcome["refused"]:
            refused = outcome["refused"][0]
            return problem(refused["status"], refused["detail"], state=refused["state"], legal=refused["legal"])
        return answer(outcome["done"][0])


def _bulk(router: APIRouter, town: Town, asked: Any, action: str) -> None:
    @router.post(f"/{action}", summary=f"{_spoken(action)} several alarms", responses=EACH,
                 openapi_extra=_body(action, many=True), operation_id=f"{_name(action)}_alarms")  # fmt: skip
    async def act(wanted: Annotated[Any, Body()] = None, grant: Grant = asked) -> Response:
        ids = wanted.get("ids") if isinstance(wanted, dict) else None
        if not isinstance(ids, list) or not ids or not all(isinstance(id, str) for id in ids):
            raise Misasked('Name the alarms: {"ids": ["tank_low|T1.level"], ...}.')
        if len(ids) > MOST_AT_ONCE:
            raise Misasked(f"At most {MOST_AT_ONCE} alarms at once; these are {len(ids)}.", 413)
        rest = {name: value for name, value in wanted.items() if name != "ids"}
        Deed.of(action, "", rest, town.now())
        return answer(await told(town.alarms.act(ids, action, rest, grant.actor), NO_ANSWER))


def _body(action: str, *, many: bool) -> dict[str, Any]:
    ids = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_AT_ONCE}
    needed = [*(["ids"] if many else []), *NEEDED.get(action, ())]
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {**({"ids": ids} if many else {}), **{name: PROPERTIES[name] for name in FIELDS[action]}},
        **({"required": needed} if needed else {}),
    }
    return {"requestBody": {"required": bool(needed), "content": {"application/json": {"schema": schema}}}}


def _spoken(action: str) -> str:
    return action.replace("-", " ").capitalize()


def _name(action: str) -> str:
    return action.replace("-", "_")
