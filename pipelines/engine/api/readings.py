"""The exports of readings: as measured, summed up by step and place, and percentiles."""

from dataclasses import dataclass
from typing import Annotated, Literal

import polars as pl
from fastapi import APIRouter, Depends, Path, Query, Response

from pipelines.engine import summed
from pipelines.engine.api.answers import give
from pipelines.engine.api.areas import area_of_sensors
from pipelines.engine.api.params import DomainName, Paged, Times, Ward, Whole, only_known
from pipelines.engine.api.schemas import exported
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.extracts import readings
from pipelines.engine.left_out import of_area
from pipelines.engine.town import Town

Step = Annotated[
    Literal["reading", "quarter_hour", "hour", "day", "month"],
    Query(description="reading: as measured; else a summary per step."),
]
By = Annotated[
    Literal["sensor", "ward", "town"] | None,
    Query(description="A row per sensor; or, with `quantity`, per ward or for the town."),
]


@dataclass(frozen=True)
class Which:
    """Which sensors somebody asks for; what is left out is not asked of them."""

    sensor: str | None
    asset: str | None
    quantity: str | None
    domain: str | None
    ward: str | None
    area: str | None


async def _which(
    sensor: Annotated[str | None, Query(description="Sensor ids, commas between; all when left out.")] = None,
    asset: Annotated[str | None, Query(description="Sensors of this asset.")] = None,
    quantity: Annotated[str | None, Query(description="Sensors of this quantity.")] = None,
    domain: DomainName = None,
    ward: Ward = None,
    area: Annotated[
        str | None, Query(description="Sensors of town, ward:<id>, or asset:<id> with all that are part of it.")
    ] = None,
) -> Which:
    return Which(sensor, asset, quantity, domain, ward, area)


def routes(town: Town) -> APIRouter:
    """The addresses of readings."""
    router = APIRouter(prefix="/api/v1", dependencies=[Depends(only_known)])
    _readings(router, town)
    _percentiles(router, town)
    return router


def _readings(router: APIRouter, town: Town) -> None:
    @router.get("/readings", summary="Readings, oldest first", responses=exported("readings"))
    def read_readings(
        which: Annotated[Which, Depends(_which)], asked: Times, wish: Paged, step: Step = "reading", by: By = None
    ) -> Response:
        sensors = _sensors(town, which)
        if by in ("ward", "town"):
            _alone("by", by, step, which)
            found = summed.by_area(town, which.quantity, asked, step, by=by)
        elif step == "reading":
            found = readings(town, sensors, asked, which.ward)
        else:
            found = summed.by_sensor(town, sensors, asked, step)
        return give(found, wish.of("readings"))


def _percentiles(router: APIRouter, town: Town) -> None:
    known = sorted(town.registers.quantities)
    Quantity = Annotated[str, Path(description="A quantity that is measured.", json_schema_extra={"enum": known})]

    @router.get(
        "/quantities/{quantity}/percentiles",
        summary="Exact percentiles of all good readings of a quantity, whole local days",
        responses=exported("percentiles"),
    )
    def read_percentiles(
        quantity: Quantity,
        asked: Times,
        wish: Whole,
        percentiles: Annotated[str, Query(description="Numbers from 0 to 100, commas between.")] = "5,25,50,75,95",
    ) -> Response:
        return give(summed.percentiles(town, quantity, asked, percentiles), wish.of("percentiles"))


def _sensors(town: Town, which: Which) -> list[str]:
    """Ids of the sensors asked for.

    Raises Misasked when a name is unknown.
    """
    every = town.sensors()
    rows = of_area(every, area_of_sensors(town, which.area))
    if which.sensor is not None:
        ids = [name.strip() for name in which.sensor.split(",") if name.strip()]
        known = set(every["sensor"])
        for name in ids:
            if name not in known:
                one_of("sensor", name, every["sensor"])
        rows = rows.filter(pl.col("sensor").is_in(ids))
    one_of("ward", which.ward, town.wards()["ward"])
    for column in ("asset", "quantity", "domain", "ward"):
        value = getattr(which, column)
        if value is not None:
            if column != "ward":
                one_of(column, value, every[column].unique().sort())
            rows = rows.filter(pl.col(column) == value)
    return rows["sensor"].to_list()


def _alone(name: str, value: str, step: str, which: Which) -> None:
    """Refuse what does not go together with rows per ward or town."""
    for other in ("sensor", "asset", "ward", "area"):
        if getattr(which, other) is not None:
            raise Misasked(f"`{name}={value}` takes all sensors of a quantity: leave `{other}` out.")
    if step in ("reading", "quarter_hour"):
        raise Misasked(f"`{name}={value}` needs a longer step: write step=hour, step=day or step=month.")
