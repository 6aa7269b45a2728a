"""Refusals as RFC 9457 problem details whose `detail` says what to do."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.people.roles import Forbidden

log = logging.getLogger("townboard")
MEDIA = "application/problem+json"
REALM = 'Bearer realm="townboard"'


class NotNow(Exception):
    """The town cannot answer at the moment; the sender comes again after `retry_s` seconds."""

    def __init__(self, words: str, retry_s: int = 5, status: int = 503) -> None:
        super().__init__(words)
        self.words, self.retry_s, self.status = words, retry_s, status


class Refusing(Exception):
    """What is asked for is refused; `headers` say how to ask (RFC 6750) or when to come again."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str]) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, headers


def problem(status: int, words: str, headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """A problem answer; `more` are extension members."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": words, **more}
    kept = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(orjson.dumps(body), status, kept, MEDIA)


def install(app: FastAPI) -> None:
    """Make every refusal of this app a problem answer."""
    app.add_exception_handler(Misasked, _misasked)
    app.add_exception_handler(NotNow, _not_now)
    app.add_exception_handler(Refusing, _refusing)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _misasked(request: Request, error: Any) -> Response:
    return problem(error.status, error.words)


def _not_now(request: Request, error: Any) -> Response:
    return problem(error.status, error.words, {"Retry-After": str(error.retry_s)})


def _refusing(request: Request, error: Any) -> Response:
    return problem(error.status, error.words, error.headers)


def _forbidden(request: Request, error: Any) -> Response:
    return problem(403, error.words) if error.known else problem(401, error.words, {"WWW-Authenticate": REALM})


def _store(request: Request, error: Exception) -> Response:
    return problem(503, f"The store cannot be read at the moment: {error}", {"Retry-After": "10"})


def _invalid(request: Request, error: Any) -> Response:
    faults = [f"`{'.'.join(str(part) for part in fault['loc'][1:])}`: {fault['msg']}" for fault in error.errors()]
    return problem(422, f"{'; '.join(faults)}. What each parameter may be stands in /openapi.json.")


def _http(request: Request, error: Any) -> Response:
    path, words = request.url.path, str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND:
        words = f"There is nothing at {path[:120]}. All addresses stand in /openapi.json."
    elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _allowed(request)
        words = f"{request.method} is not possible at {path[:120]}; possible is {allowed}."
        return problem(error.status_code, words, {"Allow": allowed})
    return problem(error.status_code, words, error.headers)


def _allowed(request: Request) -> str:
    """What this address can be asked, over all routes that answer it."""
    routes = [route for route in request.app.state.addresses if route.path_regex.match(request.url.path)]
    methods = {method for route in routes for method in route.methods} or {"GET"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _unexpected(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(
        500, "This is a fault in Townboard, not in what you asked. It is written in the log of the web process."
    )
