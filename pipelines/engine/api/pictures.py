"""The pictures of the domains: which there are, and the rows that each draws, as the pages show them."""

from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import Wish, give
from pipelines.engine.api.lists import JsonFirst
from pipelines.engine.api.params import Bom, Cursor, Limit, Paged, Ward, only_known
from pipelines.engine.api.schemas import exported, listed, refusals
from pipelines.engine.asking import one_of
from pipelines.engine.gallery import Shown
from pipelines.engine.model import Column
from pipelines.engine.picture import STATE, STATES
from pipelines.engine.spans import Extract, of_frame
from pipelines.engine.town import Town

LIST = tuple(
    Column(name=name, meaning=meaning)
    for name, meaning in {
        "domain": "Domain.", "picture": "Picture id.", "title": "Its title.", "plain": "What it shows.",
        "source": "Method, standard or feed behind it.", "form": "How it is drawn.",
    }.items()
)  # fmt: skip
STATE_COLUMN = Column(name=STATE, meaning=f"One of: {', '.join(STATES)}.")
Days = Annotated[
    Literal["1", "7", "30", "365"] | None, Query(description="How many days back; the picture's own span left out.")
]


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses of pictures."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    _list(router, town)
    _one(router, town, Depends(door.whoever))
    return router


def _list(router: APIRouter, town: Town) -> None:
    @router.get("/pictures", summary="What the domains draw", responses=listed("pictures", LIST))
    def pictures(
        request: Request, form: JsonFirst = "json", bom: Bom = "0", limit: Limit = None, cursor: Cursor = None
    ) -> Response:
        rows = [
            {
                "domain": domain.name, "picture": one.id, "title": one.title, "plain": one.plain, "source": one.source,
                "form": type(one.form).__name__.lower(),
            }
            for domain in town.domains
            for one in domain.pictures
        ]  # fmt: skip
        frame = pl.DataFrame(rows, schema={column.name: pl.String for column in LIST})
        return give(of_frame("pictures", frame, LIST), Wish(request, form, "pictures", bom == "1", limit, cursor))


def _one(router: APIRouter, town: Town, whoever: Any) -> None:
    domains = [domain.name for domain in town.domains]
    known = [one.id for domain in town.domains for one in domain.pictures]
    Of = Annotated[str, Path(description="A domain that is on.", json_schema_extra={"enum": domains})]
    Id = Annotated[str, Path(description="A picture of the domain.", json_schema_extra={"enum": known or [""]})]

    @router.get("/pictures/{domain}/{picture}", summary="The rows that a picture draws",
                responses={**exported("rows"), **refusals(401, 403, 404, 429)})  # fmt: skip
    def read_picture(
        domain: Of, picture: Id, wish: Paged, ward: Ward = None, days: Days = None, grant: Grant = whoever
    ) -> Response:
        one_of("domain", domain, domains, 404)
        one_of("picture", picture, [one.id for one in town.domain(domain).pictures], 404)
        one_of("ward", ward, town.wards()["ward"])
        shown = town.pictures.show(
            domain, picture, ward=ward, days=int(days) if days else None, actor=grant.actor
        )  # fmt: skip
        return give(extract_of(shown), wish.of("rows"))


def extract_of(shown: Shown) -> Extract:
    """The rows of a picture, exactly those that are drawn."""
    extra = (STATE_COLUMN,) if STATE in shown.rows.columns and STATE not in shown.picture.names else ()
    return of_frame(shown.picture.id, shown.rows, (*shown.picture.columns, *extra))
