"""Steps of a level: found when they stay, once, a few days after they came; on recorded inflows with a real leak's flow."""

import random
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.engine.level_shifts import STAYS_DAYS, level_shifts

FIRST = date(2026, 1, 1)
L_S_OF_P523 = 28.15 / 3.6


def nights(*values: float | None, series: str = "A") -> pl.DataFrame:
    rows = [(series, FIRST + timedelta(days=number), value) for number, value in enumerate(values)]
    return pl.DataFrame(rows, schema={"series": pl.String, "day": pl.Date, "value": pl.Float64}, orient="row")


def noisy(count: int, level: float = 10.0, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [level + chance.gauss(0, 0.2) for _ in range(count)]


def test_a_step_up_is_found_on_the_third_night_and_told_once() -> None:
    found = level_shifts(nights(*noisy(40), *noisy(40, 14.0, 2)))
    assert found["came"].to_list() == [FIRST + timedelta(days=40)]
    assert found["found"].to_list() == [FIRST + timedelta(days=42)]
    assert found.row(0)[3:] == (pytest.approx(10, abs=0.2), pytest.approx(14, abs=0.3))


def test_a_repair_is_a_step_down() -> None:
    found = level_shifts(nights(*noisy(40, 14.0), *noisy(30, 10.0, 2)))
    assert found["before"][0] > found["after"][0]


@pytest.mark.parametrize("count", [1, STAYS_DAYS - 1])
def test_a_party_of_one_or_two_nights_is_no_step(count: int) -> None:
    assert level_shifts(nights(*noisy(40), *([30.0] * count), *noisy(20, 10.0, 3))).is_empty()


def test_noise_alone_is_no_step() -> None:
    assert level_shifts(nights(*noisy(365))).is_empty()


def test_a_small_step_of_a_steady_level_is_none_below_a_tenth() -> None:
    assert level_shifts(nights(*([10.0] * 40), *([10.9] * 20))).is_empty()
    assert level_shifts(nights(*([10.0] * 40), *([11.1] * 20))).height == 1


def test_unknown_nights_are_passed_over() -> None:
    found = level_shifts(nights(*noisy(40), None, 14.0, None, 14.1, 14.0))
    assert found["came"].to_list() == [FIRST + timedelta(days=41)]


def test_first_days_are_no_step() -> None:
    assert level_shifts(nights(*noisy(5), *noisy(5, 20.0))).is_empty()


# recorded ---------------------------------------------------------------------------------------------------------


def recorded_nights(folder: Path) -> pl.DataFrame:
    """The lowest hour between two and five of ten metered areas of a town in Italy, in L/s."""
    whole = pl.read_excel(
        folder / "water" / "bwdf_Inflow_Data_1.xlsx", sheet_name="InflowData", infer_schema_length=0
    )  # fmt: skip
    rows = whole.unpivot(index=whole.columns[0], variable_name="area").with_columns(
        series=pl.col("area").str.slice(4, 1),
        at=pl.col(whole.columns[0]).str.to_datetime("%d/%m/%Y %H:%M"),
        value=pl.col("value").cast(pl.Float64, strict=False),
    )
    dark = rows.filter(pl.col("at").dt.hour().is_between(2, 4) & pl.col("value").is_not_null())
    return dark.group_by("series", day=pl.col("at").dt.date()).agg(pl.col("value").min()).sort("series", "day")


@pytest.fixture(scope="module")
def areas(recorded: Path) -> pl.DataFrame:
    return recorded_nights(recorded)


@pytest.mark.parametrize("start", [date(2021, 5, 10), date(2021, 11, 8)])
def test_flow_of_a_burst_is_found_in_nearly_every_recorded_area(areas: pl.DataFrame, start: date) -> None:
    """The flow of leak p523 of BattLeDIM 2019 (28 m3/h for 17 days, simulated) upon the recorded night flows."""
    leaking = pl.col("day").is_between(start, start + timedelta(days=16))
    burst = areas.with_columns(value=pl.col("value") + pl.when(leaking).then(L_S_OF_P523).otherwise(0.0))
    found = level_shifts(burst).filter(pl.col("after") > pl.col("before"))
    near = found.filter(pl.col("came").is_between(start - timedelta(days=1), start + timedelta(days=3)))
    assert near["series"].n_unique() >= 9
    assert (near["found"] - near["came"]).max() <= timedelta(days=4)


def test_steps_of_the_recorded_areas_themselves_are_few(areas: pl.DataFrame) -> None:
    """Nobody labelled them; ten areas over a year and a half change their level now and then, not every month."""
    found = level_shifts(areas)
    assert 1 <= found.height <= 20
    assert found["series"].n_unique() >= 3
