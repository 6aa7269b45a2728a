"""How long a stock lasts: by hand-made draws, and in a town whose outflow is usual."""

import csv
import io
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipelines.engine.api import usual as addresses
from pipelines.engine.model import INSTANT
from pipelines.engine.running_down import hours_left, project
from pipelines.engine.usual import Usual
from pipelines.water.quality import KPIS as QUALITY_KPIS
from pipelines.water.tanks import KPIS
from tests.engine.small_town import NOON

TANK = KPIS[0]


@pytest.mark.parametrize(
    ("stock", "draws", "first_h", "expected"),
    [
        (10.0, [4.0, 4.0, 4.0], 1.0, 2.5),
        (10.0, [4.0, 4.0, 4.0], 0.5, 2.5),
        (10.0, [20.0], 1.0, 0.5),
        (10.0, [1.0, 1.0], 1.0, None),
        (10.0, [-5.0, 10.0], 1.0, 2.0),
        (0.0, [1.0], 1.0, 0.0),
        (0.0, [-1.0, 0.0], 1.0, None),
        (10.0, [], 1.0, None),
    ],
)
def test_stock_is_used_up_in_the_hour_that_draws_the_last_of_it(
    stock: float, draws: list[float], first_h: float, expected: float | None
) -> None:
    assert hours_left(stock, draws, first_h) == expected


def town(row: dict[str, Any] | None, **draws: float) -> Any:
    """A town with one tank: its row on the board, and the usual draw of each sensor; of those not named none is told."""
    start = NOON.replace(minute=0)
    hours = [start + timedelta(hours=number) for number in range(30)]

    def of_sensor(sensor: str, low: object, high: object) -> Usual:
        value = draws.get(sensor)
        rows = pl.DataFrame(
            {"observed_at": hours, "expected": value}, schema={"observed_at": INSTANT, "expected": pl.Float64}
        )
        return Usual(rows, "", value is not None)

    sensors = pl.DataFrame({
        "sensor": ["out", "in", "level"], "asset": ["T1"] * 3,
        "quantity": ["tank_outflow_m3_h", "tank_inflow_m3_h", "tank_level_m"],
    })  # fmt: skip
    state = {"kpis": {} if row is None else {"tank_autonomy|asset:T1": row}}
    return SimpleNamespace(
        zone="UTC", board=lambda: SimpleNamespace(state=state), sensors=lambda: sensors,
        expectations=SimpleNamespace(of_sensor=of_sensor),
    )  # fmt: skip


def test_usual_hours_are_those_of_outflow_less_inflow() -> None:
    found = project(town({"numerator": 100.0, "denominator": 50.0}, out=14.0, **{"in": 4.0}), TANK, "asset:T1", NOON)
    assert (found.present_h, found.usual_h) == (2.0, pytest.approx(10.0))
    assert found.words == "2.0 hours at the present draw; as these hours usually go, 10.0 hours."
    # Half an hour of the first hour is left at half past six.
    assert found.course["stock"].to_list()[:2] == [95.0, 85.0]
    assert found.course["stock"][-1] == 0.0


def test_tank_that_fills_at_present_still_says_how_it_usually_goes() -> None:
    found = project(town({"numerator": 100.0, "denominator": None}, out=2.0, **{"in": 2.0}), TANK, "asset:T1", NOON)
    assert (found.present_h, found.usual_h) == (None, None)
    assert "lasts beyond tomorrow" in found.words


def test_draw_that_is_not_usual_leaves_the_present_one() -> None:
    found = project(town({"numerator": 100.0, "denominator": 50.0}, out=14.0), TANK, "asset:T1", NOON)
    assert (found.present_h, found.usual_h, found.course.height) == (2.0, None, 0)
    assert "not known well enough" in found.words


@pytest.mark.parametrize("row", [None, {"numerator": None, "denominator": None, "reason": "stale"}])
def test_unknown_stock_is_told_and_nothing_else(row: dict[str, Any] | None) -> None:
    found = project(town(row, out=1.0, **{"in": 0.0}), TANK, "asset:T1", NOON)
    assert (found.present_h, found.usual_h) == (None, None)
    assert ("stale" if row else "no data") in found.words


def test_kpi_that_is_no_stock_has_no_projection() -> None:
    with pytest.raises(ValueError, match="no stock"):
        project(town(None), QUALITY_KPIS[0], "asset:T1", NOON)


def test_columns_of_the_answer_are_all_described() -> None:
    assert {column.name for column in addresses.PROJECTED} == {"at", "draw", "stock", "present_h", "usual_h", "words"}


def test_answer_has_a_row_even_without_a_course(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.engine import api_town, small_town

    folder = small_town.make(tmp_path_factory.mktemp("stock") / "town")
    line = small_town.open_line(folder, NOON)
    with api_town.asked(folder) as (ask, _):
        (row,) = csv.DictReader(io.StringIO(ask.get("/api/v1/kpis/tank_autonomy/projection", area="asset:T1").text))
        assert ask.get("/api/v1/kpis/tank_autonomy/projection", area="asset:none").status_code == 404
        assert ask.get("/api/v1/kpis/pressure_compliance/projection", area="asset:T1").status_code == 404
    line.close()
    assert "not known" in row["words"]
