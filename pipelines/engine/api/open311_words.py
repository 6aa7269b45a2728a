"""How the Open311 addresses are described in /openapi.json, what discovery tells, and what a filed request is told."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query, Request

from pipelines.engine.api.schemas import Responses
from pipelines.engine.filing.posted import MULTIPART, URLENCODED
from pipelines.engine.people.roles import VISITOR
from pipelines.engine.town import Town

NOBODY = VISITOR
SPECIFICATION = "http://wiki.open311.org/GeoReport_v2"
# When what this server offers was last changed.
CHANGED = "2026-11-28T00:00:00Z"
JURISDICTION = "Only one town is served here; another one's is not found."
DATES = "W3C's form with zone, for example 2026-11-23T00:00:00Z; at most 90 days between the two."
Page = Annotated[str, Query(description="Which page, from 1 on.", json_schema_extra={"pattern": "^[0-9]*$"})]
PageSize = Annotated[
    str, Query(description="Requests a page, at most 1000.", json_schema_extra={"pattern": "^[0-9]*$"})
]
Extensions = Annotated[
    str, Query(description="`true` adds extended_attributes: ward, the office's own state and its times.")
]
# What a field of a report is called by the specification.
FIELDS = {"service": "service_code", "place": "lat, long or address_string", "ward": "attribute[ward]",
          "picture": "media"}  # fmt: skip
WORDS = {
    400: "Something is missing or cannot be read; the description says what.",
    401: "The token is none of this town's.",
    403: "The API key is missing, none of this town's, or not for this.",
    404: "No such jurisdiction_id, service_code, service_request_id or format.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    429: "Too much at once; come again after Retry-After.",
    503: "Not now; come again after Retry-After.",
}
TEXT: dict[str, Any] = {"type": ["string", "null"]}
NUMBER: dict[str, Any] = {"type": ["number", "null"]}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _list(item: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": dict(item)}


ERRORS = _list(_object(("code", "description"), code={"type": "integer"}, description={"type": "string"}))
REQUEST = _object(
    ("service_request_id", "status", "requested_datetime"),
    **dict.fromkeys(
        ("service_request_id", "status", "status_notes", "service_name", "service_code", "description",
         "agency_responsible", "service_notice", "requested_datetime", "updated_datetime", "expected_datetime",
         "address", "address_id", "zipcode", "media_url"), TEXT,
    ),
    **dict.fromkeys(("lat", "long"), NUMBER),
    extended_attributes={"type": "object"},
)  # fmt: skip
DOCUMENTS: Mapping[str, dict[str, Any]] = {
    "discovery": _object(("endpoints",), endpoints=_list({"type": "object"})),
    "services": _list(_object(("service_code", "service_name", "metadata", "type"), metadata={"type": "boolean"})),
    "service_definition": _object(("service_code", "attributes"), attributes=_list({"type": "object"})),
    "service_requests": _list(REQUEST),
    "tokens": _list(_object(("service_request_id", "token"))),
    "posted": _list(_object(("service_request_id", "service_notice", "account_id"))),
}


def answers(document: str, *refusals: int) -> Responses:
    """The answers of an address: its document, and lists of errors."""
    found: Responses = {200: {"description": "As GeoReport v2 writes it.", "content": _content(DOCUMENTS[document])}}
    return found | {status: {"description": WORDS[status], "content": _content(ERRORS)} for status in refusals}


def _content(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": dict(schema)}, "text/xml": {"schema": {"type": "string"}}}


SENT = (
    "api_key", "jurisdiction_id", "service_code", "lat", "long", "address_string", "attribute[ward]", "description",
    "first_name", "last_name", "email", "phone", "media_url",
)  # fmt: skip
FILED = _object(("service_code",), **{name: {"type": "string"} for name in SENT})
MEDIA = {**FILED, "properties": {**FILED["properties"], "media": _list({"type": "string", "format": "binary"})}}
FORM: dict[str, Any] = {
    "requestBody": {"required": True, "content": {URLENCODED: {"schema": FILED}, MULTIPART: {"schema": MEDIA}}}
}


def discovery(request: Request, town: Town) -> dict[str, Any]:
    """The discovery document, with the address that it was asked at."""
    place = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('board_prefix', '/')}open311/v2"
    key = "python app.py token add NAME --scope ingest --feed filing, on the town's machine"
    endpoint = {
        "specification": SPECIFICATION, "url": place, "changeset": CHANGED, "type": "production",
        "formats": ["text/xml", "application/json"],
    }  # fmt: skip
    contact = town.settings.filing.contact or town.name
    return {"changeset": CHANGED, "contact": contact, "key_service": key, "endpoints": [endpoint]}


def filed(number: str, service: Mapping[str, Any]) -> dict[str, Any]:
    """What whoever has filed a request is told."""
    hours = service["limit_h"]
    notice = (
        f"Keep this number. The town promises to settle it within {hours:g} hours." if hours else "Keep this number."
    )
    return {"service_request_id": number, "service_notice": notice, "account_id": None}
