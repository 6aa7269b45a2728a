"""The short lists: KPIs now, feeds, assets, runs, and the data dictionary."""

from typing import Annotated, Literal

import polars as pl
from fastapi import APIRouter, Depends, Query, Request, Response

from pipelines.engine.api import board, composite
from pipelines.engine.api.answers import Wish, give
from pipelines.engine.api.params import (
    FORMAT,
    AsKnownAt,
    Bom,
    Cursor,
    DomainName,
    End,
    Form,
    Limit,
    Start,
    Ward,
    only_known,
)
from pipelines.engine.api.schemas import listed, refusals
from pipelines.engine.asking import maybe_instant, one_of, span
from pipelines.engine.extracts import corrections as corrections_of
from pipelines.engine.extracts import names
from pipelines.engine.model import Column
from pipelines.engine.spans import of_frame
from pipelines.engine.tables import KPI_CORRECTIONS
from pipelines.engine.town import Town

JsonFirst = Annotated[Form, Query(alias="format", description=FORMAT)]
DICTIONARY = tuple(Column(name=name, meaning=name) for name in ("table", "column", "type", "unit", "meaning", "source"))
RUN_COLUMNS = tuple(
    Column(name=name, kind="integer" if name == "rows" else "text", meaning=name)
    for name in ("job", "started_at", "ended_at", "rows", "outcome", "words")
)
EVERY_RUN = 1_000_000
KPIS = {**listed("kpis", board.KPI_COLUMNS), **refusals(404)}
CORRECTIONS = listed("corrections", KPI_CORRECTIONS.columns)
FEEDS = listed("feeds", board.FEED_COLUMNS, board.FEED_LISTS)
ASSETS = listed("assets", board.ASSET_COLUMNS, {"latest": board.LATEST})


def routes(town: Town) -> APIRouter:
    """The addresses of the short lists."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    _kpis(router, town)
    _corrections(router, town)
    _feeds(router, town)
    _assets(router, town)
    _of_the_engine(router, town)
    return router


def _kpis(router: APIRouter, town: Town) -> None:
    domains = [domain.name for domain in town.domains]

    @router.get("/kpis", summary="Current value of each KPI and area", responses=KPIS)
    def kpis(
        request: Request,
        domain: DomainName = None,
        ward: Ward = None,
        status: Annotated[str | None, Query(description=", ".join(board.STATUSES))] = None,
        kpi: Annotated[str | None, Query(description="One KPI in all its areas.")] = None,
        area: Annotated[str | None, Query(description="town, ward:<id>, asset:<id>; kpi:<id> for gaps.")] = None,
        as_known_at: AsKnownAt = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        one_of("domain", domain, domains)
        one_of("ward", ward, town.wards()["ward"])
        one_of("status", status, board.STATUSES)
        one_of("KPI", kpi, [*(declared.id for declared in town.settings.kpis), *composite.IDS])
        at = maybe_instant(as_known_at, "as_known_at")
        found = board.kpis(town, at, domain=domain, ward=ward, status=status, kpi=kpi, area=area)
        return give(found, Wish(request, form, "kpis", bom == "1", limit, cursor))


def _corrections(router: APIRouter, town: Town) -> None:
    domains = [domain.name for domain in town.domains]

    @router.get("/corrections", summary="Published values that were corrected, oldest first", responses=CORRECTIONS)
    def corrections(
        request: Request,
        kpi: Annotated[str | None, Query(description="One KPI.")] = None,
        domain: DomainName = None,
        ward: Ward = None,
        area: Annotated[str | None, Query(description="town, ward:<id>, asset:<id>.")] = None,
        start: Start = None,
        end: End = None,
        as_known_at: AsKnownAt = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        one_of("KPI", kpi, [declared.id for declared in town.settings.kpis])
        one_of("domain", domain, domains)
        one_of("ward", ward, town.wards()["ward"])
        area = f"ward:{ward}" if ward and area is None else area
        told, at = span(start, end), maybe_instant(as_known_at, "as_known_at")
        found = corrections_of(town, told, domain=domain, as_known_at=at, kpi=kpi, area=area)
        return give(found, Wish(request, form, "corrections", bom == "1", limit, cursor))


def _feeds(router: APIRouter, town: Town) -> None:
    domains = [domain.name for domain in town.domains]

    @router.get("/feeds", summary="Every feed and how it does", responses=FEEDS)
    def feeds(
        request: Request,
        domain: DomainName = None,
        state: Annotated[str | None, Query(description=", ".join(board.FEED_STATES))] = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        one_of("domain", domain, domains)
        one_of("state", state, board.FEED_STATES)
        return give(board.feeds(town, domain, state), Wish(request, form, "feeds", bom == "1", limit, cursor))


def _assets(router: APIRouter, town: Town) -> None:
    domains = [domain.name for domain in town.domains]

    @router.get("/assets", summary="Assets and their newest readings", responses=ASSETS)
    def assets(
        request: Request,
        domain: DomainName = None,
        ward: Ward = None,
        kind: Annotated[str | None, Query(description="tank, feeder, air_station ...")] = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        one_of("domain", domain, domains)
        one_of("ward", ward, town.wards()["ward"])
        one_of("kind", kind, town.assets()["kind"].unique().sort())
        return give(board.assets(town, domain, ward, kind), Wish(request, form, "assets", bom == "1", limit, cursor))


def _of_the_engine(router: APIRouter, town: Town) -> None:
    @router.get("/runs", summary="Runs of scheduled jobs, newest first", responses=listed("runs", RUN_COLUMNS))
    def runs(
        request: Request,
        job: Annotated[str | None, Query(description="One job.")] = None,
        outcome: Annotated[Literal["done", "failed", "nothing to do"] | None, Query()] = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        rows = town.runs(EVERY_RUN)
        for name, value in (("job", job), ("outcome", outcome)):
            rows = rows.filter(pl.col(name) == value) if value is not None else rows
        return give(of_frame("runs", rows, RUN_COLUMNS), Wish(request, form, "runs", bom == "1", limit, cursor))

    @router.get("/tables", summary="Data dictionary", responses=listed("tables", DICTIONARY))
    def tables(
        request: Request,
        table: Annotated[str | None, Query(description="One table.")] = None,
        form: JsonFirst = "json",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        one_of("table", table, names(town))
        rows = town.dictionary().rename({"kind": "type"})
        rows = rows.filter(pl.col("table") == table) if table else rows
        return give(of_frame("tables", rows, DICTIONARY), Wish(request, form, "tables", bom == "1", limit, cursor))
