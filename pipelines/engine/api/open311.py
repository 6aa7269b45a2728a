"""Open311 GeoReport v2: services, definitions, requests and tokens below /open311/v2, in XML and JSON."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.exceptions import HTTPException

from pipelines.engine.api import open311_words as words
from pipelines.engine.api.access import Doorkeeper
from pipelines.engine.api.bodies import Room, whole
from pipelines.engine.api.open311_asked import asked, reported
from pipelines.engine.api.problems import NotNow, Refusing
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.filing import georeport, posted
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.outside import Asked
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.settings.filing import FEED
from pipelines.engine.town import Town

# What clients are told by its number in the specification; what we tell with others it calls a general error.
AS_GENERAL = (405, 413, 415, 422)
TOO_LARGE = "That is too large. Send smaller pictures, or none."
Form = Annotated[
    str, Path(alias="format", description="How it is written.", json_schema_extra={"enum": ["xml", "json"]})
]
Jurisdiction = Annotated[str, Query(alias="jurisdiction_id", description=words.JURISDICTION)]
Answering = Callable[[], Awaitable[tuple[str, Any]]]
Many = Annotated[str, Query(description="One or several, separated by commas.")]
Instant: Any = Query(description=words.DATES, json_schema_extra={"format": "date-time"})


class _GeoReport:
    """What the addresses have in common."""

    def __init__(self, town: Town) -> None:
        self.town, self.room = town, Room()

    async def answer(self, form: str, jurisdiction: str, root: str, work: Answering) -> Response:
        """What the work gives as a document; every refusal as the specification's list of errors."""
        try:
            own = self.town.settings.filing.jurisdiction
            if form not in georeport.MEDIA:
                raise Misasked(f"There is no format {form[:20]} here. Ask for .xml or .json.", 404)
            if own and jurisdiction and jurisdiction != own:
                raise Misasked(f"jurisdiction_id {jurisdiction[:80]} was not found. Here is {own}.", 404)
            link, document = await work()
        except (Misasked, Refusing, NotNow, Forbidden, StoreError, HTTPException) as error:
            return _refused(form, error)
        return _document(form, root, document, 200, {"Link": link} if link else {})

    def services(self) -> list[dict[str, Any]]:
        """The town's list of what may be asked for."""
        metadata = bool(self.town.wards().height)
        return [
            {
                "service_code": row["service_code"], "service_name": row["service_name"],
                "description": row["description"], "metadata": metadata, "type": "realtime",
                "keywords": row["group"], "group": row["group"],
            }
            for row in self.town.filing.services().values()
        ]  # fmt: skip

    def definition(self, code: str) -> dict[str, Any]:
        """What else may be said of a request for this service: its ward.

        Raises Misasked when there is no such service.
        """
        if code not in self.town.filing.services():
            raise Misasked(f"service_code {code[:80]} was not found. All stand in the list of services.", 404)
        wards = [
            {"key": ward, "name": name or ward} for ward, name in self.town.wards().select("ward", "name").iter_rows()
        ]
        attribute = {
            "variable": True, "code": "ward", "datatype": "singlevaluelist", "required": False,
            "datatype_description": "One of the wards of the town.", "order": 1,
            "description": "The ward it lies in, where no position is given.", "values": wards,
        }  # fmt: skip
        return {"service_code": code, "attributes": [attribute] if wards else []}

    async def listed(self, wanted: Asked, actor: Any, request: Request) -> tuple[str, list[dict[str, Any]]]:
        """Requests with the link to the page that follows."""
        if self.town.filing.table is None:
            return "", []
        found, more = await asyncio.to_thread(self.town.filing.requests, wanted, actor)
        following = request.url.include_query_params(page=wanted.page + 1) if more and not wanted.numbers else None
        return f'<?{following.query}>; rel="next"' if following else "", found


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """Discovery, services, definitions, requests (list, get, post) and tokens."""
    router, server = APIRouter(), _GeoReport(town)
    _reading(router, server)
    _requests(router, server, door)
    _one(router, server, door)
    _filing(router, server, door)
    return router


def _reading(router: APIRouter, server: _GeoReport) -> None:
    @router.get(
        "/open311/discovery.{format}", summary="Open311 service discovery", responses=words.answers("discovery", 404)
    )
    @router.get(
        "/open311/v2/discovery.{format}", summary="The same, where some clients look for it",
        responses=words.answers("discovery", 404), operation_id="discovery_of_v2",
    )  # fmt: skip
    async def discovery(request: Request, form: Form) -> Response:
        async def work() -> tuple[str, Any]:
            return "", words.discovery(request, server.town)

        return await server.answer(form, "", "discovery", work)

    @router.get(
        "/open311/v2/services.{format}", summary="What may be asked for", responses=words.answers("services", 404)
    )
    async def services(form: Form, jurisdiction: Jurisdiction = "") -> Response:
        async def work() -> tuple[str, Any]:
            return "", server.services()

        return await server.answer(form, jurisdiction, "services", work)

    @router.get(
        "/open311/v2/services/{service_code}.{format}", summary="What else may be said of a request for a service",
        responses=words.answers("service_definition", 404),
    )  # fmt: skip
    async def definition(service_code: str, form: Form, jurisdiction: Jurisdiction = "") -> Response:
        async def work() -> tuple[str, Any]:
            return "", server.definition(service_code)

        return await server.answer(form, jurisdiction, "service_definition", work)


def _requests(router: APIRouter, server: _GeoReport, door: Doorkeeper) -> None:
    @router.get(
        "/open311/v2/requests.{format}", summary="Requests, the newest first",
        responses=words.answers("service_requests", 400, 401, 404, 429, 503),
    )  # fmt: skip
    async def requests(
        request: Request, form: Form, service_request_id: Many = "", service_code: Many = "", status: Many = "",
        start_date: Annotated[str, Instant] = "", end_date: Annotated[str, Instant] = "", page: words.Page = "",
        page_size: words.PageSize = "", extensions: words.Extensions = "", jurisdiction: Jurisdiction = "",
    ) -> Response:  # fmt: skip
        async def work() -> tuple[str, Any]:
            grant = await door.whoever(request)
            wanted = asked(
                {
                    "service_request_id": service_request_id, "service_code": service_code, "status": status,
                    "start_date": start_date, "end_date": end_date, "page": page, "page_size": page_size,
                    "extensions": extensions,
                },
                server.town.now(),
            )  # fmt: skip
            return await server.listed(wanted, grant.actor, request)

        return await server.answer(form, jurisdiction, "service_requests", work)


def _one(router: APIRouter, server: _GeoReport, door: Doorkeeper) -> None:
    @router.get(
        "/open311/v2/requests/{service_request_id}.{format}", summary="One request",
        responses=words.answers("service_requests", 400, 401, 404, 429, 503),
    )  # fmt: skip
    async def one_request(
        request: Request, service_request_id: str, form: Form, extensions: words.Extensions = "",
        jurisdiction: Jurisdiction = "",
    ) -> Response:  # fmt: skip
        async def work() -> tuple[str, Any]:
            grant = await door.whoever(request)
            wanted = Asked(numbers=(service_request_id,), extended=extensions == "true")
            link, found = await server.listed(wanted, grant.actor, request)
            if not found:
                raise Misasked(f"service_request_id {service_request_id[:80]} was not found.", 404)
            return link, found

        return await server.answer(form, jurisdiction, "service_requests", work)

    @router.get(
        "/open311/v2/tokens/{token}.{format}", summary="The number of a request by its token, which is the same here",
        responses=words.answers("tokens", 404, 503),
    )  # fmt: skip
    async def by_token(request: Request, token: str, form: Form, jurisdiction: Jurisdiction = "") -> Response:
        async def work() -> tuple[str, Any]:
            _, found = await server.listed(Asked(numbers=(token,)), words.NOBODY, request)
            if not found:
                raise Misasked(f"token {token[:80]} was not found. Requests get their number at once here.", 404)
            return "", [{"service_request_id": token, "token": token}]

        return await server.answer(form, jurisdiction, "service_requests", work)


def _filing(router: APIRouter, server: _GeoReport, door: Doorkeeper) -> None:
    @router.post(
        "/open311/v2/requests.{format}", summary="File a request", openapi_extra=words.FORM,
        responses=words.answers("posted", 400, 403, 404, 408, 413, 429, 503),
    )  # fmt: skip
    async def file(request: Request, form: Form) -> Response:
        with server.room.hold() as hold:
            sent = posted.Posted()

            async def work() -> tuple[str, Any]:
                nonlocal sent
                body = await whole(request, hold, posted.MOST_BYTES, TOO_LARGE)
                sent = posted.read(request.headers.get("content-type", ""), body)
                grant = await door.by_key(request, sent.one("api_key"), "ingest")
                grant.for_feed(FEED)
                report = reported(sent, server.town)
                key = request.headers.get("idempotency-key", "")[:200]
                made = await server.town.filing.file(report, key=f"open311 {key}" if key else "", files=sent.files)
                service = server.town.filing.services()[report.service]
                return "", [words.filed(made["number"], service)]

            return await server.answer(form, "", "service_requests", work)


def _refused(form: str, error: Exception) -> Response:
    """The specification's list of errors; its code is the status."""
    headers: dict[str, str] = {}
    told, status = str(error), 503
    if isinstance(error, Misasked):
        told, status = error.words, error.status
        if isinstance(error, Faulty):
            told = f"{words.FIELDS.get(error.field, error.field)}: {error.words}"
    elif isinstance(error, Refusing):
        told, status, headers = error.words, error.status, dict(error.headers)
    elif isinstance(error, NotNow):
        told, status, headers = error.words, error.status, {"Retry-After": str(error.retry_s)}
    elif isinstance(error, Forbidden):
        told, status = error.words, 403
    if isinstance(error, HTTPException):
        # A body that was cut off while it came: whoever cut it waits for this very status.
        told, status = str(error.detail), error.status_code
    elif status in AS_GENERAL:
        status = 400
    if status in (429, 503):
        headers.setdefault("Retry-After", "30")
    return _document(form, "errors", [{"code": status, "description": told}], status, headers)


def _document(form: str, root: str, document: Any, status: int, headers: dict[str, str]) -> Response:
    written = form if form in georeport.MEDIA else "xml"
    kept = {
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Vary": "authorization, cookie",
        **headers,
    }
    body = georeport.written(root, document, written)
    return Response(body, status, kept, georeport.MEDIA[written])
