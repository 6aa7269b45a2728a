"""What answers look like, for /openapi.json."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from pipelines.engine.api.problems import MEDIA as PROBLEM_MEDIA
from pipelines.engine.forms import MEDIA
from pipelines.engine.model import KINDS, Column

PROBLEM = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What was wrong and what to do, in words."},
    },
}
Responses = dict[int | str, dict[str, Any]]


def refusals(*statuses: int) -> Responses:
    """Problem answers for these statuses."""
    content = {PROBLEM_MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": WORDS[status], "content": content} for status in statuses}


WORDS = {
    401: "A token is missing, or is none of this town's, revoked or expired; WWW-Authenticate says so.",
    403: "The token has not this scope, or is not for this feed.",
    404: "There is no such thing; the detail lists near names.",
    408: "The body did not arrive in time.",
    409: "Not possible in the state it is in; `legal` names what is.",
    416: "The bytes asked for lie beyond the end of the export.",
    413: "Too large; send it in pieces.",
    415: "This content type or encoding is not read here.",
    422: "Asked for or sent in a way that cannot be answered; the detail says how to.",
    429: "Too much is waiting or asked, or too many wrong tokens came; come again after Retry-After.",
    500: "A fault in Townboard.",
    503: "Not now: the line does not run, or the board or store cannot be read. Retry-After says when to come again.",
}
EVERY = refusals(408, 413, 422, 429, 500, 503)


def kind_of(dtype: Any) -> dict[str, Any]:
    """The JSON schema of a cell."""
    if isinstance(dtype, pl.List):
        return {"type": ["array", "null"], "items": kind_of(dtype.inner)}
    if isinstance(dtype, pl.Struct):
        return {"type": ["object", "null"], "properties": {field.name: kind_of(field.dtype) for field in dtype.fields}}
    if isinstance(dtype, pl.Datetime):
        return {"type": ["string", "null"], "format": "date-time"}
    if dtype.is_integer():
        return {"type": ["integer", "null"]}
    if dtype.is_float():
        return {"type": ["number", "null"]}
    return {"type": ["boolean" if dtype == pl.Boolean else "string", "null"]}


RUNS = {"application/json": {"schema": {"type": "object", "required": ["export", "state", "rows", "bytes"]}}}


def rows_of(key: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a list answer."""
    following = {"type": ["string", "null"], "description": "Cursor of the next page; null when this is all."}
    return {
        "type": "object",
        "required": [key, "count", "next"],
        "properties": {key: {"type": "array", "items": dict(item)}, "count": {"type": "integer"}, "next": following},
    }


def listed(key: str, columns: Iterable[Column], nested: Mapping[str, Any] | None = None) -> Responses:
    """The answers of an address that gives rows of these columns."""
    properties = {
        c.name: kind_of((nested or {}).get(c.name, KINDS[c.kind])) | {"description": c.meaning} for c in columns
    }
    content = _forms(rows_of(key, {"type": "object", "properties": properties}))
    return {200: {"description": "The rows.", "content": content}, **parts(content)}


def parts(content: Mapping[str, Any]) -> Responses:
    """The answers to somebody who has some of the bytes, or all of them."""
    binary = {media: {"schema": {"type": "string", "format": "binary"}} for media in content}
    return {
        206: {"description": "The bytes that `Range` asked for.", "content": binary},
        304: {"description": "What you have (`If-None-Match`) is what there is."},
        **refusals(416),
    }


def exported(key: str) -> Responses:
    """The answers of an address whose columns depend on the table (or its manifest)."""
    manifest = {"type": "object", "required": ["table", "rows", "columns"], "properties": {"rows": {"type": "integer"}}}
    either = {"anyOf": [rows_of(key, {"type": "object"}), manifest]}
    content = _forms(either)
    return {
        200: {"description": "The rows, or their manifest.", "content": content},
        202: {"description": "`manifest=1`: the export is being made; `Location` says how far.", "content": RUNS},
        **parts(content),
        **refusals(404),
    }


def _forms(schema: Mapping[str, Any]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    others = {
        media.split(";")[0]: binary if form in ("parquet", "xlsx") else {"schema": {"type": "string"}}
        for form, media in MEDIA.items()
        if form != "json"
    }
    return {"application/json": {"schema": dict(schema)}, **others}
