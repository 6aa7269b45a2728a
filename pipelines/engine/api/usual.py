"""What is usual of a sensor or a KPI with its band, how well it was told, and steps of a level that stayed."""

from datetime import timedelta
from typing import Annotated

import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Response

from pipelines.engine import usual
from pipelines.engine.api.answers import give
from pipelines.engine.api.params import Paged, Times, Whole, only_known
from pipelines.engine.api.schemas import exported
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.expectation import SCORE, verdict
from pipelines.engine.model import Column
from pipelines.engine.running_down import project
from pipelines.engine.spans import Extract, of_frame
from pipelines.engine.town import Town
from pipelines.engine.usual import Usual

COLUMNS = (
    Column(name="observed_at", kind="instant", meaning="Start of the hour or window."),
    Column(name="value", kind="number", meaning="What was measured; empty = not yet, or unknown."),
    Column(name="expected", kind="number", meaning="What past weeks made usual; empty where it is not shown."),
    Column(name="low", kind="number", meaning="Lower edge of the band that held 95 % of the last four weeks."),
    Column(name="high", kind="number", meaning="Its upper edge."),
    Column(name="day_before", kind="number", meaning="The value a day before: the naive forecast."),
    Column(name="week_before", kind="number", meaning="The value a week before: the other naive forecast."),
    Column(name="words", meaning="Why it is shown, or not."),
)
SCORES = (
    Column(name="sensor", meaning="Sensor id."),
    Column(name="n", kind="integer", meaning="Hours of the last four weeks that were judged."),
    Column(name="error", kind="number", meaning="Mean absolute error of what was expected."),
    Column(name="naive_error", kind="number", meaning="That of the better one of the values a day and a week before."),
    Column(name="inside", kind="number", meaning="Share of the values within the band."),
    Column(name="beats_naive", kind="flag", meaning="Whether it is shown."),
    Column(name="words", meaning="The same in a sentence."),
)
STEPS = (
    Column(name="area", meaning="Area of the KPI."),
    Column(name="came", kind="day", meaning="First day of the new level."),
    Column(name="found", kind="day", meaning="Day on which it could be told."),
    Column(name="before", kind="number", meaning="Median of the days before."),
    Column(name="after", kind="number", meaning="Median of the first days after."),
)
PROJECTED = (
    Column(name="at", kind="instant", meaning="Start of the hour."),
    Column(name="draw", kind="number", meaning="Usual net draw in it; below zero it fills."),
    Column(name="stock", kind="number", meaning="What is left at its end, never counted fuller than now."),
    Column(name="present_h", kind="number", meaning="Hours that the stock of now lasts at the present draw."),
    Column(name="usual_h", kind="number", meaning="Hours it lasts as the coming hours usually go; empty = longer."),
    Column(name="words", meaning="The same in a sentence."),
)
USUAL_PAST = timedelta(days=2)


def routes(town: Town) -> APIRouter:
    """The addresses of what is usual."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    _expected(router, town)
    _steps(router, town)
    _projection(router, town)
    return router


def _expected(router: APIRouter, town: Town) -> None:
    @router.get("/expected", summary="What is usual, with its band", responses=exported("expected"))
    def read_expected(
        asked: Times,
        wish: Whole,
        sensor: Annotated[str | None, Query(description="A sensor, by hour; or else:")] = None,
        kpi: Annotated[str | None, Query(description="A KPI, by its windows.")] = None,
        area: Annotated[str, Query(description="Of the KPI: town, ward:<id>, asset:<id>.")] = "town",
    ) -> Response:
        ends = (asked.start or town.now() - USUAL_PAST, asked.end or town.now() + USUAL_PAST)
        if (sensor is None) == (kpi is None):
            raise Misasked("Give either `sensor` or `kpi`, for example sensor=P1.p.")
        if sensor is not None:
            one_of("sensor", sensor, town.sensors()["sensor"], 404)
            found = town.expectations.of_sensor(sensor, *ends)
        else:
            one_of("KPI", kpi, [declared.id for declared in town.settings.kpis], 404)
            found = town.expectations.of_kpi(town.kpi(str(kpi)), area, *ends)
        return give(_told(sensor or str(kpi), found), wish.of("expected"))

    @router.get("/expected/scores", summary="How well it was told, by sensor", responses=exported("scores"))
    def read_scores(wish: Paged) -> Response:
        rows = usual.scores(town.settings.store).sort("series")
        words = [verdict(rows, name) for name in rows["series"]]
        named = (
            rows.select(list(SCORE)).rename({"series": "sensor"}).with_columns(words=pl.Series(words, dtype=pl.String))
        )
        return give(of_frame("expected_scores", named, SCORES), wish.of("scores"))


def _told(name: str, found: Usual) -> Extract:
    rows = found.rows.with_columns(words=pl.lit(found.words))
    if rows.is_empty():
        # The reason is told also where there is no row to tell it with.
        rows = pl.DataFrame([{"words": found.words}], schema=rows.schema)
    return of_frame(f"expected_{name}", rows, COLUMNS)


def _steps(router: APIRouter, town: Town) -> None:
    sought = [declared.id for declared in town.settings.kpis if declared.level_shifts]

    @router.get("/kpis/{kpi}/steps", summary="Steps of a KPI's level that stayed", responses=exported("steps"))
    def read_steps(
        kpi: Annotated[str, Path(description="A KPI whose level matters.", json_schema_extra={"enum": sought})],
        wish: Whole,
        area: Annotated[str | None, Query(description="One area; all when left out.")] = None,
    ) -> Response:
        one_of("KPI whose steps are sought", kpi, sought, 404)
        rows = town.expectations.shifts(town.kpi(kpi), [area] if area else None, town.now())
        return give(of_frame(f"{kpi}_steps", rows.rename({"series": "area"}), STEPS), wish.of("steps"))


def _projection(router: APIRouter, town: Town) -> None:
    stocks = [declared.id for declared in town.settings.kpis if declared.runs_down]

    @router.get("/kpis/{kpi}/projection", summary="When a stock is used up", responses=exported("projection"))
    def read_projection(
        wish: Whole,
        kpi: Annotated[str, Path(description="A KPI that is a stock over a draw.", json_schema_extra={"enum": stocks})],
        area: Annotated[str, Query(description="asset:<id>")],
    ) -> Response:
        one_of("KPI that is a stock over a draw", kpi, stocks, 404)
        one_of("asset", area.removeprefix("asset:"), town.assets()["asset"], 404)
        found = project(town, town.kpi(kpi), f"asset:{area.removeprefix('asset:')}", town.now())
        # Without a course there is still something to tell.
        course = found.course if found.course.height else found.course.clear(1)
        told = {"present_h": found.present_h, "usual_h": found.usual_h}
        numbers = {name: pl.lit(value, pl.Float64) for name, value in told.items()}
        rows = course.with_columns(**numbers, words=pl.lit(found.words))
        return give(of_frame(f"{kpi}_projection", rows, PROJECTED), wish.of("projection"))
