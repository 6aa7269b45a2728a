"""The audit log over HTTP, for those who look after accounts: what people did, and whether the log fits together."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response, Security

from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import Wish, answer, give
from pipelines.engine.api.params import FORMAT, Bom, Cursor, End, Form, Limit, Start, only_known
from pipelines.engine.api.schemas import Responses, listed, refusals
from pipelines.engine.asking import span
from pipelines.engine.extracts import audit_log
from pipelines.engine.people import audit
from pipelines.engine.town import Town

JsonFirst = Annotated[Form, Query(alias="format", description=FORMAT)]
LOGGED = {**listed("audit", audit.COLUMNS), **refusals(401, 403, 429)}
FOUND = {
    "type": "object",
    "required": ["sound", "words", "entries", "last_hash"],
    "properties": {
        "sound": {"type": "boolean"},
        "words": {"type": "string", "description": "Which entry was changed or is missing, in plain words."},
        "entries": {"type": "integer"},
        "last_hash": {"type": ["string", "null"], "description": "To be held against a backup's."},
    },
}
CHECKED: Responses = {
    200: {"description": "What was found.", "content": {"application/json": {"schema": FOUND}}},
    **refusals(401, 403, 429),
}


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """/api/v1/audit and /api/v1/audit/check."""
    router = APIRouter(prefix="/api/v1/audit", dependencies=[Depends(only_known)])
    asked: Any = Security(door.needs("admin"), scopes=["admin"])

    @router.get("", summary="What people did, oldest first, each entry chained to the one before", responses=LOGGED)
    def entries(
        request: Request,
        start: Start = None,
        end: End = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = asked,
    ) -> Response:
        found = audit_log(town, span(start, end), grant.actor)
        return give(found, Wish(request, form, "audit", bom == "1", limit, cursor))

    @router.get("/check", summary="Whether the audit log fits together", responses=CHECKED)
    def check(grant: Grant = asked) -> Response:
        return answer(audit.judged(town.porter.audit_log(grant.actor)))

    return router
