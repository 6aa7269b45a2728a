"""The HTTP interface of a town: reads, exports, ingest, health and metrics, described in /openapi.json."""

from fastapi import FastAPI

from pipelines.engine.api import (
    alarms,
    audit,
    deliveries,
    depot,
    health,
    ingest,
    lists,
    metrics,
    open311,
    pictures,
    problems,
    quarantine,
    readings,
    rules,
    series,
    usual,
)
from pipelines.engine.api.access import Doorkeeper
from pipelines.engine.api.head import Head
from pipelines.engine.api.openapi import describe
from pipelines.engine.api.schemas import EVERY
from pipelines.engine.town import Town
from pipelines.engine.version import VERSION

WORDS = (
    "Errors are RFC 9457 problem details whose `detail` says what to do. Times are RFC 3339; naive times are refused. "
    "Lists give all rows, or pages with `limit` and `cursor`."
)


def build(town: Town, *, local: bool = True) -> FastAPI:
    """The API of this town; /api/v1/stream and /api/v1/snapshot are answered by the live wire in front of it.

    `local`: the process listens to this machine only, where a town that has no tokens yet takes rows without one.
    """
    app = FastAPI(
        title=f"Townboard of {town.name}",
        version=VERSION,
        description=WORDS,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        responses=EVERY,
    )
    app.state.town = town
    door = Doorkeeper(town, local=local)
    routers = [part.routes(town) for part in (lists, metrics, readings, usual)]
    routers += [
        part.routes(town, door)
        for part in (series, depot, pictures, alarms, rules, deliveries, ingest, quarantine, audit, health, open311)
    ]
    for router in routers:
        app.include_router(router)
    app.state.addresses = [route for router in routers for route in router.routes]
    app.add_middleware(Head)
    problems.install(app)
    app.openapi = describe(app)  # type: ignore[method-assign]
    return app
