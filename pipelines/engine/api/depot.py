"""Large exports where they stand for a while: their bytes, and their manifests."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import HEADERS
from pipelines.engine.api.params import only_known
from pipelines.engine.api.schemas import RUNS, exported, parts, refusals
from pipelines.engine.api.standing import GONE, Standing, manifest_of
from pipelines.engine.asking import Misasked
from pipelines.engine.depot import Making
from pipelines.engine.town import Town

Name = Annotated[str, Path(description="The export, as `Content-Location` and its manifest name it.")]
TOLD: dict[int | str, dict[str, Any]] = {
    200: {"description": "Its manifest: rows, bytes, SHA-256, moment, definitions, columns.", "content": RUNS},
    202: {"description": "It is still being made: rows and bytes so far.", "content": RUNS},
    **refusals(401, 403, 404, 429),
}


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses below /api/v1/exports."""
    router = APIRouter(prefix="/api/v1/exports", dependencies=[Depends(only_known)])
    whoever = Depends(door.whoever)
    bytes_of = exported("rows")[200]
    answers = {200: bytes_of, **parts(bytes_of["content"]), **refusals(401, 403, 404, 429)}

    @router.get("/{export}", summary="The bytes of a large export, from any byte on", responses=answers)
    def read_export(request: Request, export: Name, grant: Grant = whoever) -> Response:
        making = _known(town, export, grant)
        name = f'attachment; filename="{making.facts.get("table", "export")}.{making.form}"'
        return Standing(making, request, {**HEADERS, "Content-Disposition": name})

    @router.get("/{export}/manifest", summary="What an export holds, or how far it is", responses=TOLD)
    def read_manifest(request: Request, export: Name, grant: Grant = whoever) -> Response:
        return manifest_of(_known(town, export, grant), request.scope)

    return router


def _known(town: Town, export: str, grant: Grant) -> Making:
    """The export of this name.

    Raises Misasked (404) when there is none, or it was made for somebody else: nobody learns which.
    """
    making = town.depot.find(export)
    if making is None or making.owner not in ("", grant.actor.signature):
        raise Misasked(GONE, 404)
    return making
