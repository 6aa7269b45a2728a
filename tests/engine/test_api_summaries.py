"""Summaries of readings over HTTP: by sensor, ward and town, and exact percentiles, against the readings themselves."""

import csv
import io
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine import api_town, small_town
from tests.engine.api_town import Asker

ONE_DAY = {"from": "2026-03-08T18:30:00Z", "to": "2026-03-09T18:30:00Z"}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asker]:
    folder: Path = small_town.make(tmp_path_factory.mktemp("summed") / "town", api_town.TOML.format(
        zone=small_town.ZONE, domains='["water", "grievances"]'
    ))  # fmt: skip
    line = api_town.filled(folder)
    with api_town.asked(folder) as (asker, _):
        yield asker
    line.close()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def values(ask: Asker, **query: Any) -> list[float]:
    """The readings themselves."""
    return [float(row["value"]) for row in rows_of(ask.get("/api/v1/readings", **query).text)]


@pytest.mark.parametrize(("step", "count"), [("quarter_hour", 96), ("hour", 24), ("day", 1)])
def test_a_step_holds_mean_and_extremes_of_its_readings(ask: Asker, step: str, count: int) -> None:
    rows = rows_of(ask.get("/api/v1/readings", sensor="P1.p", step=step, **ONE_DAY).text)
    whole = values(ask, sensor="P1.p", **ONE_DAY)
    assert len(rows) == count
    assert sum(int(row["n"]) for row in rows) == len(whole)
    assert min(float(row["lowest"]) for row in rows) == min(whole)
    assert max(float(row["highest"]) for row in rows) == max(whole)
    weighed = sum(float(row["value"]) * int(row["n"]) for row in rows)
    assert weighed == pytest.approx(sum(whole))


def test_pages_of_steps_repeat_and_skip_nothing(ask: Asker) -> None:
    whole = ask.get("/api/v1/readings", step="hour", format="json").json()["readings"]
    found, cursor = [], None
    while cursor or not found:
        more = {"cursor": cursor} if cursor else {}
        page = ask.get("/api/v1/readings", step="hour", format="json", limit=7, **more).json()
        found, cursor = [*found, *page["readings"]], page["next"]
    assert found == whole
    assert len({(row["window"], row["sensor"]) for row in whole}) == len(whole)


def test_wards_and_town_are_sums_over_their_sensors(ask: Asker) -> None:
    wards = rows_of(ask.get("/api/v1/readings", quantity="pressure_m", by="ward", step="month").text)
    town = rows_of(ask.get("/api/v1/readings", quantity="pressure_m", by="town", step="month").text)
    for row, sensor in zip(wards, ("P1.p", "P2.p"), strict=True):
        assert float(row["value"]) == pytest.approx(statistics.fmean(values(ask, sensor=sensor)))
    assert [row["area"] for row in wards] == ["ward:W1", "ward:W2"]
    assert (town[0]["area"], town[0]["sensors"]) == ("town", "2")
    assert int(town[0]["n"]) == sum(int(row["n"]) for row in wards) == 386


def test_percentiles_are_exact(ask: Asker) -> None:
    rows = rows_of(ask.get("/api/v1/quantities/pressure_m/percentiles", percentiles="10,50,99.5", **ONE_DAY).text)
    whole = values(ask, quantity="pressure_m", **ONE_DAY)
    assert [float(row["value"]) for row in rows] == pytest.approx(list(np.percentile(whole, [10, 50, 99.5])))


@pytest.mark.parametrize(
    ("address", "query", "words"),
    [
        ("readings", {"by": "ward", "step": "hour"}, "name it, for example quantity="),
        ("readings", {"by": "town", "quantity": "pressure_m"}, "step=hour"),
        ("readings", {"by": "town", "quantity": "pressure_m", "step": "quarter_hour"}, "step=hour"),
        ("readings", {"by": "town", "quantity": "pressure_m", "step": "day", "sensor": "P1.p"}, "leave `sensor` out"),
        ("quantities/pressure_m/percentiles", {"percentiles": "half"}, "from 0 to 100"),
        ("quantities/pressure_m/percentiles", {"percentiles": "101"}, "from 0 to 100"),
    ],
)
def test_what_does_not_go_together_is_refused_with_what_does(
    ask: Asker, address: str, query: dict[str, str], words: str
) -> None:
    answer = ask.get(f"/api/v1/{address}", **query)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_quantity_that_nobody_measures_is_not_found(ask: Asker) -> None:
    assert ask.get("/api/v1/quantities/noise/percentiles").status_code == 404
