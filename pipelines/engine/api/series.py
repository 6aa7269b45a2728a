"""The exports over time of tables and of KPIs, and all that is known about one value."""

from datetime import datetime
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Response

from pipelines.engine.api import composite
from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import answer, give
from pipelines.engine.api.areas import areas_of
from pipelines.engine.api.params import INSTANT, AsKnownAt, Paged, Times, Ward, only_known
from pipelines.engine.api.schemas import exported, refusals
from pipelines.engine.asking import Misasked, Span, maybe_instant, one_of
from pipelines.engine.explaining import explanation
from pipelines.engine.extracts import extract, history, names
from pipelines.engine.spans import Extract, of_frame
from pipelines.engine.stepped import COLUMNS, by_step
from pipelines.engine.town import Town

WindowEnd = Annotated[
    str | None,
    Query(description="End of the window, RFC 3339; the current one when left out.", json_schema_extra=INSTANT),
]
Area = Annotated[str | None, Query(description="town, ward:<id> ..., commas between; all areas when left out.")]
Step = Annotated[
    Literal["window", "hour", "day", "week", "month", "year"],
    Query(description="window: as published; else a summary per step."),
]
Of = Annotated[str, Query(description="town, ward:<id>, asset:<id>; kpi:<id> for the gap.")]


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses of exports over time."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    _tables(router, town, Depends(door.whoever))
    _wards(router, town)
    _history(router, town)
    _explain(router, town)
    return router


def _tables(router: APIRouter, town: Town, whoever: Any) -> None:
    tables = names(town)
    Name = Annotated[str, Path(description="A table of the data dictionary.", json_schema_extra={"enum": tables})]

    @router.get("/tables/{table}", summary="Rows of a table or register, oldest first",
                responses={**exported("rows"), **refusals(401, 403, 429)})  # fmt: skip
    def read_table(
        table: Name, asked: Times, wish: Paged, ward: Ward = None, as_known_at: AsKnownAt = None, grant: Grant = whoever
    ) -> Response:
        at = maybe_instant(as_known_at, "as_known_at")
        found = extract(town, table, asked, ward, at, actor=grant.actor)
        return give(found, wish.of("readings" if table == "readings" else "rows").by(grant.actor))


def _wards(router: APIRouter, town: Town) -> None:
    own = [declared.id for declared in town.settings.kpis]
    Own = Annotated[str, Path(description="A KPI of a domain.", json_schema_extra={"enum": own})]

    @router.get("/kpis/{kpi}/wards", summary="The wards side by side, and the gap between them", responses=COMPARED)
    def compare(kpi: Own) -> Response:
        one_of("KPI", kpi, own, 404)
        return composite.wards(town, town.kpi(kpi))


def _history(router: APIRouter, town: Town) -> None:
    known = _known(town)
    Id = Annotated[str, Path(description="A KPI id.", json_schema_extra={"enum": known})]

    @router.get("/kpis/{kpi}/history", summary="The published values of a KPI", responses=exported("history"))
    def read_history(
        kpi: Id,
        asked: Times,
        wish: Paged,
        area: Area = None,
        ward: Ward = None,
        step: Step = "window",
        as_known_at: AsKnownAt = None,
    ) -> Response:
        one_of("KPI", kpi, known, 404)
        found = _published(town, kpi, areas_of(town, area, ward), asked, maybe_instant(as_known_at, "as_known_at"))
        found = found if step == "window" else _stepped(found, step, _needed(town, kpi), town.zone)
        return give(found, wish.of("history"))


def _published(town: Town, kpi: str, areas: list[str] | None, asked: Span, at: datetime | None) -> Extract:
    """The published values of a KPI, or those of a composite, which are made of others' as they are known today."""
    if kpi in composite.IDS:
        _made_anew(kpi, at)
        return composite.history(town, kpi, areas, asked)
    return history(town, kpi, areas, asked, at)


def _explain(router: APIRouter, town: Town) -> None:
    known = _known(town)
    Id = Annotated[str, Path(description="A KPI id.", json_schema_extra={"enum": known})]

    @router.get("/kpis/{kpi}/explain", summary="All that is known about one value", responses=EXPLAINED)
    def explain(kpi: Id, area: Of = "town", window_end: WindowEnd = None, as_known_at: AsKnownAt = None) -> Response:
        one_of("KPI", kpi, known, 404)
        ended, at = maybe_instant(window_end, "window_end"), maybe_instant(as_known_at, "as_known_at")
        if kpi in composite.IDS:
            _made_anew(kpi, at)
            return composite.explained(town, kpi, area)
        return answer(explanation(town, town.kpi(kpi), area, ended, at))


def _known(town: Town) -> list[str]:
    return [*(declared.id for declared in town.settings.kpis), *composite.IDS]


def _made_anew(composite: str, as_known_at: datetime | None) -> None:
    """Refuse to tell what a composite was: it is made of other KPIs' values as they are known today."""
    if as_known_at is not None:
        raise Misasked(f"{composite} is made of other KPIs; ask for these with `as_known_at`.")


def _needed(town: Town, kpi: str) -> float:
    """The share of a step's windows that must be known for a mean over it."""
    return 0.0 if kpi in composite.IDS else town.kpi(kpi).min_coverage


COMPARED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Value, interval, method and tier of each ward, from the worst tier; gap, ratio, worst, best.",
        "content": {"application/json": {"schema": {"type": "object", "required": ["kpi", "gap", "told", "wards"]}}},
    },
    **refusals(404),
}
EXPLAINS = ["kpi", "formula", "area", "value", "revisions", "inputs", "tunables"]
EXPLAINED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Formula, inputs, value, revisions, rows set aside, and links to the rows.",
        "content": {"application/json": {"schema": {"type": "object", "required": EXPLAINS}}},
    },
    **refusals(404),
}


def _stepped(found: Extract, step: str, needed: float, zone: str) -> Extract:
    """A summary of published values per step of the town's calendar: mean, lowest, highest, last."""
    frames = list(found.frames())
    rows = pl.concat(frames) if frames else found.empty()
    return of_frame(f"{found.name}_by_{step}", by_step(rows, step, needed, zone), COLUMNS)
