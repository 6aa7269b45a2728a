"""A KPI under its minimum data capture is unknown at every exit: neither good nor bad, never a target reached."""

import asyncio
import csv
import io
import math
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from components import shell
from components.web import build
from pipelines.engine import api, flow
from pipelines.engine.completing import complete
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.small_town import NOON, csv_of, make, open_line, send
from tests.pages.conftest import Lifespan

KPI = "pressure_compliance"
TODAY = NOON - timedelta(hours=12)
DAY_BEFORE = TODAY - timedelta(days=1)


def thin_and_full() -> list[tuple[str, Any, float]]:
    """Two days of perfect pressures: at P1 (North) two of five arrived, at P2 (South) all."""
    times = [DAY_BEFORE + timedelta(minutes=15 * n) for n in range(36 * 4)]
    return [("P2.p", at, 30.0) for at in times] + [("P1.p", at, 30.0) for n, at in enumerate(times) if n % 5 < 2]


class Asked:
    """Answers of the town's web process to a few addresses, asked in this process."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self._app = build(town, api.build(town), "/")

    def __call__(self, *addresses: str) -> list[httpx.Response]:
        async def ask() -> list[httpx.Response]:
            life = Lifespan(self._app)
            await life.start()
            transport = httpx.ASGITransport(app=self._app)  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=transport, base_url="http://board") as client:
                found = [await client.get(address) for address in addresses]
            await life.stop()
            await self.town.line.close()
            return found

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = make(tmp_path_factory.mktemp("veto") / "town")
    line = open_line(folder, NOON, frozenset({KPI}))
    send(line, "network", csv_of(thin_and_full()), NOON)
    small_town.beat(line, NOON)
    line.close()
    yield Town(small_town.read(folder), lambda: NOON)


def row_of(town: Town, area: str) -> dict[str, Any]:
    board = town.board()
    assert board is not None
    return dict(board.state["kpis"][f"{KPI}|{area}"])


def test_the_board_says_how_much_is_missing_and_gives_no_state(town: Town) -> None:
    thin, full = row_of(town, "ward:W1"), row_of(town, "ward:W2")
    assert (thin["value"], thin["status"]) == (None, "no data")
    assert re.fullmatch(r"only 4\d% of what is expected has arrived; 75% is needed", thin["reason"])
    assert (full["value"], full["status"]) == (100.0, "good")


def test_no_address_of_the_api_gives_the_value_away(town: Town) -> None:
    listed, past, whole, ended, wards = Asked(town)(
        f"/api/v1/kpis?kpi={KPI}&ward=W1&format=csv",
        f"/api/v1/kpis/{KPI}/history?area=ward:W1&format=csv",
        f"/api/v1/kpis/{KPI}/explain?area=ward:W1",
        f"/api/v1/kpis/{KPI}/explain?area=ward:W1&window_end={TODAY:%Y-%m-%dT%H:%M:%SZ}",
        f"/api/v1/kpis/{KPI}/wards",
    )
    (now,) = csv.DictReader(io.StringIO(listed.text))
    assert (now["value"], now["status"]) == ("", "no data")
    closed = [row for row in csv.DictReader(io.StringIO(past.text)) if row["window"].startswith(f"{DAY_BEFORE:%F}")]
    assert [(row["value"], row["reason"]) for row in closed] == [("", "insufficient_data")]
    assert [(body.json()["value"], body.json()["status"]) for body in (whole, ended)] == [(None, "no data")] * 2
    assert {side["ward"]: side["value"] for side in wards.json()["wards"]} == {"W1": None, "W2": 100.0}


def test_tile_page_map_and_comparison_show_unknown_and_say_why(town: Town) -> None:
    for page in Asked(town)(f"/water?ward=W1&kpi={KPI}", f"/kpi/{KPI}?area=ward:W1"):
        drawn = page.text.split('id="react-entry-point"')[0]
        tile = next(part for part in drawn.split("<article")[1:] if f'data-kpi="{KPI}|ward:W1"' in part)
        tile = tile.split("</article>")[0]
        assert re.search(r'data-f="value">–<', tile)
        assert 'data-state="no data"' in tile and "75% is needed" in tile
        assert 'data-state="good"' not in tile
        assert f'aria-label="{"Pressure"}' not in tile or "no value" in tile
    drawn = Asked(town)(f"/water?kpi={KPI}")[0].text
    bar = next(part for part in drawn.split("<li")[1:] if f'data-kpi="{KPI}|ward:W1"' in part).split("</li>")[0]
    assert ">–<" in bar and 'data-state="no data"' in bar
    ward = re.search(r'<[^>]*data-ward="W1"[^>]*>', drawn)
    assert ward and 'data-state="no data"' in ward[0]


def test_a_domain_with_an_unknown_headline_does_not_stand_as_good() -> None:
    from tests.glass.fake_domains import FIVE

    domain = next(d for d in FIVE if d.name == "water")
    rows = {f"{k.id}|town": {"status": "good"} for k in domain.kpis if k.headline}
    state: dict[str, Any] = {"kpis": rows, "alarms": []}
    assert shell.standing(state, domain) == "good"
    rows[next(iter(rows))] = {"status": "no data"}
    assert shell.standing(state, domain) == "no data"


def judged(**cells: Any) -> tuple[float | None, str | None]:
    """Value and reason of one row, completed for a KPI that needs three quarters and a denominator of 10."""
    given: dict[str, Any] = {"numerator": 95.0, "denominator": 100.0, "n": 75, "n_expected": 100, **cells}
    rows = pl.DataFrame([{"kpi": "k", "window": TODAY, "end": NOON, "area": "town", **given}])
    empty = {"value": pl.Float64, "coverage": pl.Float64, "reason": pl.String, "detail": pl.String,
             "_coverage": pl.Float64, "_n": pl.Int64, "_n_expected": pl.Int64}  # fmt: skip
    instants = dict.fromkeys(("as_of", "_as_of", "_as_of_area"), pl.Datetime("us", "UTC"))
    more = [pl.lit(None, kind).alias(name) for name, kind in (empty | instants).items() if name not in rows.columns]
    rule = pl.DataFrame(
        {
            "kpi": ["k"],
            "scale": [100.0],
            "floor": [10.0],
            "min_coverage": [0.75],
            "counts": [False],
            "of_people": [True],
        }
    )
    done = complete(rows.with_columns(more), rule)
    return done["value"][0], done["reason"][0]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, (95.0, None)),
        ({"n": 74}, (None, "insufficient_data")),
        ({"coverage": 0.5}, (None, "insufficient_data")),
        ({"value": 99.0, "coverage": 0.74}, (None, "insufficient_data")),
        ({"numerator": 9.0, "denominator": 9.0}, (None, "insufficient_data")),
        ({"value": math.inf}, (None, "no_data")),
        ({"value": math.nan}, (None, "no_data")),
    ],
)
def test_too_little_data_takes_the_value_away_before_any_exit(
    cells: dict[str, Any], expected: tuple[float | None, str | None]
) -> None:
    assert judged(**cells) == expected


def test_an_unknown_kpi_neither_rings_nor_clears(tmp_path: Path) -> None:
    line = open_line(make(tmp_path / "town"), NOON, frozenset({"tank_autonomy"}))
    flow.beat(line, NOON)
    work = line.kpis.works["tank_autonomy"]
    minute = timedelta(minutes=1)

    def ringing(value: float | None, minutes: int) -> bool:
        """Whether the alarm is active after this value stood for an hour."""
        for n in range(minutes, minutes + 60, 5):
            row = {"window": NOON, "end": NOON, "area": "asset:T1", "value": value, "as_of": NOON + n * minute,
                   "coverage": 0.2 if value is None else 1.0, "reason": "insufficient_data" if value is None else None}  # fmt: skip
            work.current = pl.DataFrame([row], schema=work.current.schema)
            line.alarms.watch(line.drain_samples(), line.kpis, line.feed_states(NOON), NOON + n * minute)
        return any(a["rule"] == "tank_runs_out" and a["active"] for a in line.alarms.listed())

    assert not ringing(None, 0)
    assert ringing(2.0, 60)
    assert ringing(None, 120)
    assert not ringing(9.0, 180)
    line.close()
