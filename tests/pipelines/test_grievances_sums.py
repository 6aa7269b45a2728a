"""What must add up in grievances: wards to the town, ages to the backlog, one window's end to the next one's start."""

import random
from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest

from pipelines.engine.model import INSTANT
from pipelines.grievances import backlog, people, settling
from pipelines.grievances.tables import SERVICE_REQUESTS, SERVICES
from tests.oracles.grievances_data import START, request
from tests.oracles.plain import DAY

WARDS = pl.DataFrame(
    {"ward": ["W1", "W2", "W3"], "name": [""] * 3, "population": [2000, 4000, 1500], "households": [1] * 3}
)
LIMITS = pl.DataFrame([{"service_code": "B", "service_name": "b", "limit_h": 60.0}], schema=SERVICES.schema)


def table(seed: int) -> pl.DataFrame:
    """Dirty requests, each in a ward."""
    dice = random.Random(seed)
    rows = [request(dice, number) for number in range(300)]
    return pl.DataFrame([{**r, "ward": r["ward"] or "W1"} for r in rows], schema=SERVICE_REQUESTS.schema)


def spans(*lengths: tuple[int, int]) -> pl.DataFrame:
    rows = [(START + a * DAY, START + b * DAY, START + b * DAY) for a, b in lengths]
    return pl.DataFrame(rows, schema={"window": INSTANT, "end": INSTANT, "as_of": INSTANT}, orient="row")


def computed(function: Callable[..., pl.DataFrame], requests: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    have = {
        "service_requests": requests,
        "services": LIMITS,
        "wards": WARDS,
        "windows": windows,
        "zone": "Asia/Kolkata",
    }
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return function(*[have[name] for name in names])


@pytest.mark.parametrize(
    "function",
    [
        settling.sla_compliance,
        settling.redressal_within_24h,
        people.satisfaction,
        backlog.clearance_rate,
        backlog.disposal_rate,
    ],
)
def test_wards_add_up_to_the_town_as_ratio_of_sums(function: Callable[..., pl.DataFrame]) -> None:
    out = computed(function, table(9), spans((5, 20), (20, 35)))
    sums = pl.col("numerator", "denominator").sum()
    wards = out.filter(pl.col("area").str.starts_with("ward:")).group_by("window").agg(sums).sort("window")
    assert wards.rows() == out.filter(pl.col("area") == "town").select(wards.columns).sort("window").rows()
    assert wards["denominator"].sum() > 0


def test_backlog_of_the_wards_and_of_the_ages_adds_up_to_the_town() -> None:
    out = computed(backlog.backlog, table(11), spans(*((n, n + 1) for n in range(60))))
    level = out.with_columns(level=pl.col("area").str.split(":").list.first())
    sums = level.group_by("window", "level").agg(pl.col("value").sum()).pivot("level", index="window", values="value")
    assert sums.filter((pl.col("ward") != pl.col("town")) | (pl.col("age") != pl.col("town"))).height == 0
    assert sums["town"].max() > 20


def test_loads_balance_from_window_to_window() -> None:
    requests, windows = table(13), spans(*((n, n + 10) for n in range(0, 60, 10)))
    moved = backlog.loads(requests, WARDS, windows).sort("area", "window")
    left = computed(backlog.backlog, requests, windows).join(moved, on=["window", "area"])
    assert left.filter(pl.col("value") != pl.col("closing")).height == 0
    before = moved.with_columns(before=pl.col("closing").shift(1).over("area"))
    assert before.filter(pl.col("before") != pl.col("opening")).height == 0
    assert left.height > 20
    assert windows["end"][0] - windows["window"][0] == timedelta(days=10)
