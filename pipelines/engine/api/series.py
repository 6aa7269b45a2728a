"""The exports over time: readings, tables, and the history of a KPI."""

from datetime import datetime
from typing import Annotated, Any, Literal

import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from pipelines.engine import summed
from pipelines.engine.api import composite
from pipelines.engine.api.access import Doorkeeper, Grant
from pipelines.engine.api.answers import Wish, answer, give
from pipelines.engine.api.params import (
    FORMAT,
    INSTANT,
    AsKnownAt,
    Bom,
    Cursor,
    DomainName,
    End,
    Limit,
    ManifestForm,
    Start,
    Ward,
    only_known,
)
from pipelines.engine.api.schemas import exported, refusals
from pipelines.engine.asking import Misasked, maybe_instant, one_of, span
from pipelines.engine.explaining import explanation
from pipelines.engine.extracts import Extract, extract, history, names, of_frame, readings
from pipelines.engine.left_out import of_area
from pipelines.engine.model import Column
from pipelines.engine.town import Town

CsvFirst = Annotated[ManifestForm, Query(alias="format", description=f"{FORMAT} manifest: columns and number of rows.")]
WindowEnd = Annotated[
    str | None,
    Query(description="End of the window, RFC 3339; the current one when left out.", json_schema_extra=INSTANT),
]
Area = Annotated[str | None, Query(description="town, ward:<id> ..., commas between; all areas when left out.")]
ReadingStep = Literal["reading", "quarter_hour", "hour", "day", "month"]
By = Literal["sensor", "ward", "town"] | None
Step = Literal["window", "hour", "day", "week", "month", "year"]
STEPS = {"hour": "1h", "day": "1d", "week": "1w", "month": "1mo", "year": "1y"}
STEPPED_COLUMNS = (
    Column(name="window", kind="instant", meaning="Start of the step."),
    Column(name="area", meaning="Area."),
    Column(name="value", kind="number", meaning="Mean of the published values in the step."),
    Column(name="lowest", kind="number", meaning="Lowest published value in it."),
    Column(name="highest", kind="number", meaning="Highest published value in it."),
    Column(name="last", kind="number", meaning="Last published value in it."),
    Column(name="windows", kind="integer", meaning="Windows in it."),
    Column(name="known", kind="integer", meaning="Windows in it that have a value."),
    Column(name="reason", meaning="Why there is no mean: too few windows have a value."),
)


def routes(town: Town, door: Doorkeeper) -> APIRouter:
    """The addresses of exports over time."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    _of_rows(router, town, Depends(door.whoever))
    _of_kpis(router, town)
    return router


def _of_rows(router: APIRouter, town: Town, whoever: Any) -> None:
    @router.get("/readings", summary="Readings, oldest first", responses=exported("readings"))
    def read_readings(
        request: Request,
        sensor: Annotated[str | None, Query(description="Sensor ids, commas between; all when left out.")] = None,
        asset: Annotated[str | None, Query(description="Sensors of this asset.")] = None,
        quantity: Annotated[str | None, Query(description="Sensors of this quantity.")] = None,
        domain: DomainName = None,
        ward: Ward = None,
        area: Annotated[
            str | None, Query(description="Sensors of town, ward:<id>, or asset:<id> with all that are part of it.")
        ] = None,
        start: Start = None,
        end: End = None,
        step: Annotated[ReadingStep, Query(description="reading: as measured; else a summary per step.")] = "reading",
        by: Annotated[By, Query(description="A row per sensor; or, with `quantity`, per ward or for the town.")] = None,
        form: CsvFirst = "csv",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        chosen = _sensors(town, sensor, _place(town, area), asset=asset, quantity=quantity, domain=domain, ward=ward)
        if by in ("ward", "town"):
            _alone("by", by, step=step, sensor=sensor, asset=asset, ward=ward, area=area)
            found = summed.by_area(town, quantity, span(start, end), step, by=by)
        elif step == "reading":
            found = readings(town, chosen, span(start, end), ward)
        else:
            found = summed.by_sensor(town, chosen, span(start, end), step)
        return give(found, Wish(request, form, "readings", bom == "1", limit, cursor))

    quantities = sorted(town.registers.quantities)

    @router.get(
        "/quantities/{quantity}/percentiles",
        summary="Exact percentiles of all good readings of a quantity, whole local days",
        responses=exported("percentiles"),
    )
    def read_percentiles(
        request: Request,
        quantity: Annotated[
            str, Path(description="A quantity that is measured.", json_schema_extra={"enum": quantities})
        ],
        percentiles: Annotated[str, Query(description="Numbers from 0 to 100, commas between.")] = "5,25,50,75,95",
        start: Start = None,
        end: End = None,
        form: CsvFirst = "csv",
        bom: Bom = "0",
    ) -> Response:
        found = summed.percentiles(town, quantity, span(start, end), percentiles)
        return give(found, Wish(request, form, "percentiles", bom == "1"))

    tables = names(town)

    @router.get("/tables/{table}", summary="Rows of a table or register, oldest first",
                responses={**exported("rows"), **refusals(401, 403, 429)})  # fmt: skip
    def read_table(
        request: Request,
        table: Annotated[str, Path(description="A table of the data dictionary.", json_schema_extra={"enum": tables})],
        start: Start = None,
        end: End = None,
        ward: Ward = None,
        as_known_at: AsKnownAt = None,
        form: CsvFirst = "csv",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
        grant: Grant = whoever,
    ) -> Response:
        key = "readings" if table == "readings" else "rows"
        at = maybe_instant(as_known_at, "as_known_at")
        found = extract(town, table, span(start, end), ward, at, actor=grant.actor)
        return give(found, Wish(request, form, key, bom == "1", limit, cursor))


def _of_kpis(router: APIRouter, town: Town) -> None:
    own = [declared.id for declared in town.settings.kpis]
    known = [*own, *composite.IDS]
    Id = Annotated[str, Path(description="A KPI id.", json_schema_extra={"enum": known})]
    Own = Annotated[str, Path(description="A KPI of a domain.", json_schema_extra={"enum": own})]

    @router.get("/kpis/{kpi}/wards", summary="The wards side by side, and the gap between them", responses=COMPARED)
    def compare(kpi: Own) -> Response:
        one_of("KPI", kpi, own, 404)
        return composite.wards(town, town.kpi(kpi))

    @router.get("/kpis/{kpi}/history", summary="The published values of a KPI", responses=exported("history"))
    def read_history(
        request: Request,
        kpi: Id,
        area: Area = None,
        ward: Ward = None,
        start: Start = None,
        end: End = None,
        step: Annotated[Step, Query(description="window: as published; else a summary per step.")] = "window",
        as_known_at: AsKnownAt = None,
        form: CsvFirst = "csv",
        bom: Bom = "0",
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        one_of("KPI", kpi, known, 404)
        asked, at = span(start, end), maybe_instant(as_known_at, "as_known_at")
        if kpi in composite.IDS:
            _made_anew(kpi, at)
            found = composite.history(town, kpi, _areas(town, area, ward), asked)
        else:
            found = history(town, kpi, _areas(town, area, ward), asked, at)
        found = found if step == "window" else _stepped(found, step, _needed(town, kpi), town.zone)
        return give(found, Wish(request, form, "history", bom == "1", limit, cursor))

    @router.get("/kpis/{kpi}/explain", summary="All that is known about one value", responses=EXPLAINED)
    def explain(
        kpi: Id,
        area: Annotated[str, Query(description="town, ward:<id>, asset:<id>; kpi:<id> for the gap.")] = "town",
        window_end: WindowEnd = None,
        as_known_at: AsKnownAt = None,
    ) -> Response:
        one_of("KPI", kpi, known, 404)
        ended, at = maybe_instant(window_end, "window_end"), maybe_instant(as_known_at, "as_known_at")
        if kpi in composite.IDS:
            _made_anew(kpi, at)
            return composite.explained(town, kpi, area)
        return answer(explanation(town, town.kpi(kpi), area, ended, at))


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


def _sensors(town: Town, sensor: str | None, area: str, **wanted: str | None) -> list[str]:
    """Ids of the sensors asked for.

    Raises Misasked when a name is unknown.
    """
    rows = of_area(town.sensors(), area)
    if sensor is not None:
        ids = [name.strip() for name in sensor.split(",") if name.strip()]
        every = set(town.sensors()["sensor"])
        for name in ids:
            if name not in every:
                one_of("sensor", name, town.sensors()["sensor"])
        rows = rows.filter(pl.col("sensor").is_in(ids))
    one_of("ward", wanted["ward"], town.wards()["ward"])
    for column, value in wanted.items():
        if value is not None:
            if column != "ward":
                one_of(column, value, town.sensors()[column].unique().sort())
            rows = rows.filter(pl.col(column) == value)
    return rows["sensor"].to_list()


def _alone(name: str, value: str, *, step: str, **others: str | None) -> None:
    """Refuse what does not go together with rows per ward or town."""
    for other, given in others.items():
        if given is not None:
            raise Misasked(f"`{name}={value}` takes all sensors of a quantity: leave `{other}` out.")
    if step == "reading":
        raise Misasked(f"`{name}={value}` needs a step: write step=hour, step=day or step=month.")


def _place(town: Town, area: str | None) -> str:
    """The one area whose sensors are asked for.

    Raises Misasked: several, or one of a level that sensors do not have.
    """
    areas = _areas(town, area, None) or ["town"]
    if len(areas) > 1 or areas[0].partition(":")[0] not in ("town", "ward", "asset"):
        raise Misasked(f"`area={area}`: sensors belong to town, ward:<id> or asset:<id>; name one of these.")
    return areas[0]


def _areas(town: Town, area: str | None, ward: str | None) -> list[str] | None:
    one_of("ward", ward, town.wards()["ward"])
    if ward is not None and area is not None:
        raise Misasked("Give either `area` or `ward`; a ward's area is written `area=ward:<id>`.")
    if ward is not None:
        return [f"ward:{ward}"]
    areas = [name.strip() for name in (area or "").split(",") if name.strip()]
    for name in areas:
        if name.startswith("ward:"):
            one_of("ward", name.removeprefix("ward:"), town.wards()["ward"])
        elif name != "town" and ":" not in name:
            raise Misasked(f"`{name[:60]}` is no area. Write town, ward:<id> or asset:<id>, for example area=town.")
    return areas or None


def _stepped(found: Extract, step: str, needed: float, zone: str) -> Extract:
    """A summary of published values per step of the town's calendar: mean, lowest, highest, last.

    A step of which too few windows are known has no mean: the rest would speak for all of it.
    """
    frames = list(found.frames())
    rows = pl.concat(frames) if frames else found.empty()
    value = pl.col("value")
    start = pl.col("window").dt.convert_time_zone(zone).dt.truncate(STEPS[step]).dt.convert_time_zone("UTC")
    summary = (
        rows.group_by(start.alias("window"), "area")
        .agg(
            value=value.mean(),
            lowest=value.min(),
            highest=value.max(),
            last=value.drop_nulls().last(),
            windows=pl.len().cast(pl.Int64),
            known=value.count().cast(pl.Int64),
        )
        .with_columns(
            value=pl.when(pl.col("known") >= pl.col("windows") * needed).then("value"),
            reason=pl.when(pl.col("known") < pl.col("windows") * needed).then(pl.lit("insufficient_data")),
        )
        .sort("window", "area")
    )
    return of_frame(f"{found.name}_by_{step}", summary, STEPPED_COLUMNS)
