"""Alarm rules that people set, over HTTP: listed, tried on the last 30 days, set, ended."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Response, Security

from pipelines.engine.alarms.own_rules import LONGEST_MINUTES, LONGEST_TEXT
from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import answer
from pipelines.engine.api.hand_over import told
from pipelines.engine.api.params import only_known
from pipelines.engine.api.schemas import Responses, refusals, rows_of
from pipelines.engine.model import PRIORITIES
from pipelines.engine.town import Town

NO_ANSWER = "The line gave no answer. Look at the list of rules before you try again."
TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
FIELDS: dict[str, dict[str, Any]] = {
    "name": {**TEXT, "description": "What people call it."},
    "watches": {**TEXT, "description": "A quantity or a KPI."},
    "area": {"type": "string", "description": "ward:<id> or asset:<id>; empty: everywhere."},
    "side": {"enum": ["above", "below"]},
    "limit": {"type": "number"},
    "minutes": {"type": "number", "minimum": 0, "maximum": LONGEST_MINUTES},
    "priority": {"enum": list(PRIORITIES)},
    "tell": {"type": "string", "description": "A receiver of town.toml; empty: whom the routes tell anyhow."},
    "instruction": {**TEXT, "description": "What is to be done."},
    "reason": {"type": "string", "description": "Why it must be, although the room gets more than its budget."},
}
RULE = {"type": "object", "additionalProperties": False, "properties": FIELDS,
        "required": ["name", "watches", "side", "limit", "instruction"]}  # fmt: skip
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": RULE}}}}
TRIED = {"type": "object", "required": ["rule", "report", "words"]}


def _given(schema: dict[str, Any], *statuses: int) -> Responses:
    content = {"application/json": {"schema": schema}}
    return {200: {"description": "As asked for.", "content": content}, **refusals(401, 403, 429, *statuses)}


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses below /api/v1/rules."""
    router = APIRouter(prefix="/api/v1/rules", dependencies=[Depends(only_known)])
    _list(router, town, Security(door.needs("read"), scopes=["read"]))
    _work(router, town, Security(door.needs("operate"), scopes=["operate"]))
    return router


def _list(router: APIRouter, town: Town, asked: Any) -> None:
    @router.get("", summary="The alarm rules that people set", responses=_given(rows_of("rules", {"type": "object"})))
    def rules(grant: Grant = asked) -> Response:
        rows = town.rules.rules(grant.actor)
        return answer({"rules": rows, "count": len(rows), "next": None})


def _work(router: APIRouter, town: Town, asked: Any) -> None:
    @router.post("/backtest", summary="What a rule would have rung in the last 30 days", responses=_given(TRIED),
                 openapi_extra=BODY)  # fmt: skip
    def backtest(wanted: Annotated[Any, Body()] = None, grant: Grant = asked) -> Response:
        return answer(town.rules.backtest(wanted, grant.actor))

    @router.post("", summary="Set a rule; refused above the room's budget unless a reason is given",
                 responses=_given(TRIED, 409), openapi_extra=BODY)  # fmt: skip
    async def keep(wanted: Annotated[Any, Body()] = None, grant: Grant = asked) -> Response:
        tried = await asyncio.to_thread(town.rules.backtest, wanted, grant.actor)
        await told(town.rules.set(wanted, tried, grant.actor), NO_ANSWER)
        return answer(tried)

    @router.delete("/{id}", summary="End a rule", responses=_given({"type": "object"}, 404))
    async def end(id: Annotated[str, Path(description="`id` of the rule.")], grant: Grant = asked) -> Response:
        await told(town.rules.end(id, grant.actor), NO_ANSWER)
        return answer({"id": id})
