"""What is usual in a town: told over the API, kept for alarms, and only where it is better than the days before."""

import csv
import io
import math
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from pipelines.engine import compaction, usual
from tests.engine import api_town, small_town
from tests.engine.api_town import NOW, Asker
from tests.engine.small_town import ZONE

DAYS = 45
READ = {"from": "2026-03-09T18:30:00Z", "to": "2026-03-11T18:30:00Z"}


def inflow(at: datetime, chance: random.Random) -> float:
    """A town's water: much in the morning, less at night, never quite the same."""
    hour = at.astimezone(ZoneInfo(ZONE)).hour
    return round(40 + 25 * math.sin((hour - 3) / 24 * 2 * math.pi) + chance.gauss(0, 3), 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with six weeks of hourly inflow, and of a pressure that walks at random."""
    folder: Path = small_town.make(tmp_path_factory.mktemp("usual") / "town")
    line, chance = small_town.open_line(folder, NOW, frozenset()), random.Random(5)
    times = [NOW - timedelta(hours=number) for number in range(DAYS * 24, 0, -1)]
    level, rows = 30.0, []
    for at in times:
        level += chance.gauss(0, 1.0)
        rows += [("D1.in", at, inflow(at, chance)), ("P1.p", at, round(30 + 20 * math.sin(level), 2))]
    small_town.send(line, "network", small_town.csv_of(rows), NOW)
    compaction.compact(
        line.settings.store, line.store.tables.values(), line.settings.zone, sensors=line.registers.sensors
    )
    line.close()
    return folder


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Asker]:
    with api_town.asked(folder) as (asker, _):
        yield asker


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_band_of_a_sensor_reaches_to_the_end_of_tomorrow_and_holds_what_came(ask: Asker) -> None:
    rows = rows_of(ask.get("/api/v1/expected", sensor="D1.in", **READ).text)
    assert len(rows) == 48
    came = [row for row in rows if row["value"]]
    assert len(came) >= 11
    assert sum(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in came) >= len(came) - 2
    ahead = [row for row in rows if row["observed_at"] > "2026-03-10T07:00:00Z"]
    assert all(row["expected"] and not row["value"] for row in ahead)
    assert rows[0]["words"].startswith("The band is what past weeks make usual")


def test_sensor_of_which_yesterday_says_as_much_has_no_band_and_is_told_why(ask: Asker) -> None:
    rows = rows_of(ask.get("/api/v1/expected", sensor="P1.p", **READ).text)
    assert {(row["expected"], row["low"], row["high"]) for row in rows} == {("", "", "")}
    assert "What is usual is not shown" in rows[0]["words"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"sensor": "T1.level"}, "is not looked for"),
        ({"kpi": "pressure_compliance"}, "is not looked for"),
        ({"sensor": "P2.p"}, "not yet three weeks"),
    ],
)
def test_what_has_no_habits_or_history_is_told_in_words(ask: Asker, query: dict[str, str], words: str) -> None:
    (row,) = rows_of(ask.get("/api/v1/expected", **query).text)
    assert words in row["words"]
    assert row["expected"] == ""


@pytest.mark.parametrize(
    ("query", "status"),
    [({}, 422), ({"sensor": "D1.in", "kpi": "x"}, 422), ({"sensor": "X"}, 404), ({"kpi": "x"}, 404)],
)
def test_what_nobody_knows_is_refused(ask: Asker, query: dict[str, str], status: int) -> None:
    assert ask.get("/api/v1/expected", **query).status_code == status


def test_bands_for_alarms_are_those_shown_and_no_others(folder: Path, ask: Asker) -> None:
    with api_town.asked(folder) as (_, town):
        assert usual.keep(town, NOW)
        band = usual.band_at(town.settings.store, NOW)
        scores = usual.scores(town.settings.store)
    assert band["sensor"].to_list() == ["D1.in"]
    assert dict(scores.select("series", "beats_naive").iter_rows()) == {"D1.in": True, "P1.p": False}
    shown = rows_of(ask.get("/api/v1/expected", sensor="D1.in", **READ).text)
    hour = next(row for row in shown if row["observed_at"] == "2026-03-10T06:30:00Z")
    assert band.row(0, named=True)["low"] == pytest.approx(float(hour["low"]))
    told = rows_of(ask.get("/api/v1/expected/scores").text)
    assert [row["sensor"] for row in told] == ["D1.in", "P1.p"]
    assert all(row["words"] for row in told)


def test_bands_are_made_anew_when_they_are_old_and_not_before(folder: Path) -> None:
    with api_town.asked(folder) as (_, town):
        usual.keep(town, NOW)
        made = town.settings.store / "expected" / "scores.parquet"
        os.utime(made, (NOW.timestamp(), NOW.timestamp()))
        assert not usual.keep(town, NOW + usual.EVERY / 2)
        assert usual.keep(town, NOW + usual.EVERY)


def test_no_bands_are_known_where_none_were_made_or_the_file_is_damaged(tmp_path: Path) -> None:
    assert usual.band_at(tmp_path, NOW).is_empty()
    (tmp_path / "expected").mkdir()
    (tmp_path / "expected" / "bands.parquet").write_bytes(b"half a fi")
    assert usual.band_at(tmp_path, NOW).schema == usual.BANDS


def test_steps_of_the_night_flow_are_told_by_area(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flows = [10.0 + number % 3 * 0.1 for number in range(30)] + [15.0] * 5
    first = datetime(2026, 2, 1, tzinfo=ZoneInfo(ZONE)).astimezone(UTC)
    windows = [first + timedelta(days=number) for number in range(35)]
    published = pl.DataFrame({"window": windows, "area": ["asset:D1"] * 35, "value": flows})
    with api_town.asked(folder) as (ask, town):
        monkeypatch.setattr(town, "history", lambda kpi, areas, start, end: published)
        (row,) = rows_of(ask.get("/api/v1/kpis/minimum_night_flow/steps").text)
        assert ask.get("/api/v1/kpis/pressure_compliance/steps").status_code == 404
    assert (row["area"], row["came"], row["found"]) == ("asset:D1", "2026-03-03", "2026-03-05")
    assert (float(row["before"]), float(row["after"])) == (pytest.approx(10.1), 15.0)


def test_days_of_the_register_of_holidays_go_like_sundays(tmp_path: Path) -> None:
    folder = small_town.make(tmp_path / "town")
    (folder / "reference" / "holidays.csv").write_text("day,name\n2026-01-26,Republic Day\n2026-03-04,Holi\n", "utf-8")
    with api_town.asked(folder) as (_, town):
        season = usual.season_of(town, "hour")
    local = [datetime(2026, 3, day, 12, tzinfo=ZoneInfo(ZONE)).astimezone(UTC) for day in (1, 3, 4)]
    rows = pl.DataFrame({"observed_at": local}).with_columns(pl.col("observed_at").dt.cast_time_unit("us"))
    assert season.marked(rows)["_kind"].to_list() == [7, 2, 7]
