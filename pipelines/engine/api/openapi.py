"""The description of the whole interface, with the two addresses that the live wire answers itself."""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pipelines.engine.api.schemas import PROBLEM

WIRE: dict[str, Any] = {
    "/api/v1/snapshot": {
        "get": {
            "summary": "The state that every screen shows",
            "operationId": "snapshot",
            "description": "With ETag; If-None-Match answers 304 when nothing is newer.",
            "responses": {
                "200": {
                    "description": "The newest board.",
                    "content": {"application/json": {"schema": {"type": "object"}}},
                },
                "304": {"description": "What you have is the newest."},
                "503": {"description": "No board was published yet."},
            },
        }
    },
    "/api/v1/stream": {
        "get": {
            "summary": "Its live push, as server-sent events",
            "operationId": "stream",
            "description": "Event `full` with the whole board first, then `delta` with what changed, and a heartbeat.",
            "responses": {
                "200": {
                    "description": "An endless stream.",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}},
                }
            },
        }
    },
}


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is replaced by: built once, on the first question."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            found["paths"].update(WIRE)
            found["paths"] = dict(sorted(found["paths"].items()))
            found.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM
            app.openapi_schema = found
        return app.openapi_schema

    return openapi
