"""A sixth domain costs one declaration, one sample and one word in town.toml: everything else follows by itself."""

import asyncio
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dash
import httpx
import polars as pl
import pytest

import pipelines
from components.web import build
from pipelines import available
from pipelines.engine import api, flow, registers, settings
from pipelines.engine.exports import export_file
from pipelines.engine.flow import RawMessage
from pipelines.engine.line import Line
from pipelines.engine.local import pushed
from pipelines.engine.service import Service
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.small_town import NOON

ROOT = Path(__file__).resolve().parents[1]
DECLARATION = '''"""Waste: bins and their emptying."""

from datetime import timedelta

import polars as pl

from pipelines.engine.measures import KEYS, by_area, in_windows, share
from pipelines.engine.model import AlarmRule, Column, Domain, Kpi, Quantity, Source, Table, every
from pipelines.engine.picture import Bars, Drawn, Picture, say

BIN_FILL = Quantity(name="bin_fill_pct", unit="percent", meaning="How full a bin is", low=0, high=110)
EMPTYINGS = Table(
    name="bin_emptyings",
    meaning="Planned emptyings of bins and when they were done",
    key=("emptying",),
    time="planned_at",
    columns=(
        Column(name="emptying", meaning="Number", required=True),
        Column(name="ward", meaning="Ward"),
        Column(name="planned_at", kind="instant", meaning="When planned", required=True),
        Column(name="done_at", kind="instant", meaning="When done"),
        Column(name="crew", meaning="Who did it", personal=True),
    ),
)
SAMPLE = Source(
    name="bin_emptyings",
    format="csv",
    every=timedelta(hours=1),
    meaning="The crews' list of emptyings",
    mapping={"table": "bin_emptyings"},
    sample="waste/bin_emptyings.csv",
)


def bins_overflowing(bin_fill_pct: pl.DataFrame, windows: pl.DataFrame, *, full_pct: float = 90.0) -> pl.DataFrame:
    """Share of bin readings above full, per window and area."""
    rows = in_windows(bin_fill_pct, windows)
    return by_area(rows, ["town", "ward", "asset"]).group_by(KEYS).agg(**share(pl.col("value") > full_pct))


def emptied_on_time(bin_emptyings: pl.DataFrame, windows: pl.DataFrame) -> pl.DataFrame:
    """Share of planned emptyings done within two hours, per window and area."""
    rows = in_windows(bin_emptyings, windows, "planned_at")
    on_time = (pl.col("done_at") - pl.col("planned_at") <= timedelta(hours=2)).fill_null(False)
    return by_area(rows, ["town", "ward"]).group_by(KEYS).agg(**share(on_time))


def bins_by_ward(bin_emptyings: pl.DataFrame, board: pl.DataFrame) -> Drawn:
    """Emptyings planned and done per ward, with the ward's KPI as it stands."""
    stands = board.filter(kpi="emptied_on_time", level="ward").select("state", ward="key", on_time_pct="value")
    counted = bin_emptyings.group_by("ward").agg(planned=pl.len().cast(pl.Int64), done=pl.col("done_at").count())
    rows = counted.join(stands, on="ward", how="left").sort("ward")
    return Drawn(rows, (say("{done} of {planned} bins were emptied.", done=rows["done"].sum(), planned=rows["planned"].sum()),))


DOMAIN = Domain(
    name="waste",
    title="Waste",
    meaning="Bins in the streets and how they are emptied",
    quantities=(BIN_FILL,),
    tables=(EMPTYINGS,),
    sources=(SAMPLE,),
    kpis=(
        Kpi(
            function=bins_overflowing, catalogue="WS-01", title="Bins overflowing", plain="How often bins are too full.",
            formula="readings above full / readings", standard="house rule", unit="percent", window=every("day"),
            levels=("town", "ward", "asset"), better="lower", target=5.0, scale=100, min_coverage=0.0, headline=True,
        ),
        Kpi(
            function=emptied_on_time, catalogue="WS-02", title="Emptied on time", plain="How many emptyings were done in time.",
            formula="done within 2 h / planned", standard="house rule", unit="percent", window=every("day"),
            levels=("town", "ward"), better="higher", target=95.0, scale=100, min_coverage=0.0,
        ),
    ),
    pictures=(
        Picture(
            function=bins_by_ward, title="Bins by ward", plain="Which wards have their bins emptied.", source="crews",
            form=Bars(label="ward", value="on_time_pct", full=100.0), every=None, span=timedelta(days=1),
            columns=(
                Column(name="ward", meaning="Ward"), Column(name="planned", kind="integer", meaning="Planned"),
                Column(name="done", kind="integer", meaning="Done"),
                Column(name="on_time_pct", kind="number", unit="percent", meaning="On time"),
            ),
        ),
    ),
    alarms=(
        AlarmRule(
            name="bin_full", title="Bin full", watches="bin_fill_pct", above=95.0, deadband=20.0, priority="low",
            instruction="Send the nearest crew to empty this bin today.",
        ),
    ),
)
'''
SAMPLE = (
    "emptying,ward,planned_at,done_at,crew\n"
    "E1,W1,2026-03-10T03:00:00Z,2026-03-10T03:40:00Z,Rao\n"
    "E2,W1,2026-03-10T03:00:00Z,2026-03-10T06:00:00Z,Rao\n"
    "E3,W2,2026-03-10T04:00:00Z,2026-03-10T04:10:00Z,Iyer\n"
    "E4,W2,2026-03-10T04:00:00Z,,Iyer\n"
)


@pytest.fixture
def waste(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The new domain beside the others, and a town that has it on."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "waste.py").write_text(DECLARATION, "utf-8")
    monkeypatch.setattr(pipelines, "__path__", [*pipelines.__path__, str(code)])
    importlib.invalidate_caches()
    folder = small_town.make(tmp_path / "town", domains=("water", "grievances", "waste"))
    for name, row in (
        ("assets", "B1,waste,bin,Market bin,W2,0.5,1.5,\n"),
        ("sensors", "B1.fill,B1,bin_fill_pct,%,15 min,,\n"),
    ):
        with (folder / "reference" / f"{name}.csv").open("a") as file:
            file.write(row)
    yield folder
    sys.modules.pop("pipelines.waste", None)
    if hasattr(pipelines, "waste"):
        del pipelines.waste


@pytest.fixture
def line(waste: Path) -> Iterator[Line]:
    found = settings.load(waste, available)
    opened = Line(found, registers.load(found), NOON)
    yield opened
    opened.close()


def push(line: Line, value: float, minutes: int) -> None:
    now = NOON + timedelta(minutes=minutes)
    body = f'{{"readings":[{{"sensor":"B1.fill","observed_at":"{now.isoformat()}","value":{value}}}]}}'.encode()
    flow.take(line, [RawMessage(pushed(line.settings.feeds["push"], "json", "readings"), body, now)], now)


def fill(line: Line) -> dict[str, Any]:
    """The sample by the drop folder, readings by push; the board after it."""
    moment = [NOON]
    service = Service(line, lambda: moment[0], [])
    drop = line.settings.drop / "bin_emptyings" / "list.csv"
    drop.write_text(SAMPLE)
    os.utime(drop, (NOON.timestamp(), NOON.timestamp()))
    service.intake.start()
    for job in [job for name, job in service.schedule._jobs.items() if name.startswith(("drop", "look"))]:
        for seconds in (3, 6):
            moment[0] = NOON + timedelta(seconds=seconds)
            job.work()
    service.intake.stop()
    assert (drop.parent / "done" / "list.csv").is_file()
    for minutes, value in ((0, 50.0), (15, 96.0), (30, 97.0), (45, 80.0)):
        push(line, value, minutes)
        small_town.beat(line, NOON + timedelta(minutes=minutes))
    return small_town.beat(line, NOON + timedelta(minutes=46))


def test_new_domain_is_found_beside_the_others(waste: Path) -> None:
    assert set(available()) >= {"waste", "water", "energy"}
    assert available()["waste"].title == "Waste"


def test_rows_that_come_by_drop_folder_and_push_become_kpis_alarms_and_board_rows(line: Line) -> None:
    board = fill(line)
    kpis = board["kpis"]
    # Readings 50, 96, 97, 80: two of four above 90; emptyings: two of four within two hours.
    assert {key: row["value"] for key, row in kpis.items() if key.startswith("bins_")} == {
        "bins_overflowing|town": 50.0, "bins_overflowing|ward:W1": None, "bins_overflowing|ward:W2": 50.0, "bins_overflowing|asset:B1": 50.0,
    }  # fmt: skip
    assert [kpis[f"emptied_on_time|{area}"]["value"] for area in ("town", "ward:W1", "ward:W2")] == [50.0, 50.0, 50.0]
    assert kpis["bins_overflowing|town"]["status"] == "breach"
    assert kpis["bins_overflowing|town"]["domain"] == "waste"
    (alarm,) = [a for a in board["alarms"] if a["rule"] == "bin_full"]
    assert (alarm["state"], alarm["asset"], alarm["domain"]) == ("unacknowledged", "B1", "waste")
    assert board["assets"]["B1"]["alarm"] == "low"
    push(line, 40.0, 60)
    again = small_town.beat(line, NOON + timedelta(minutes=61))
    assert [a["state"] for a in again["alarms"] if a["rule"] == "bin_full"] == ["returned_unacknowledged"]


def test_town_may_tune_the_new_domain(waste: Path) -> None:
    with (waste / "town.toml").open("a") as file:
        file.write("[waste.kpis.bins_overflowing]\ntarget = 10\nfull_pct = 99\n[waste.alarms.bin_full]\nabove = 90\n")
    found = settings.load(waste, available)
    domain = next(domain for domain in found.domains if domain.name == "waste")
    assert (domain.kpis[0].target, domain.alarms[0].above, found.tuning["bins_overflowing"]) == (
        10.0,
        90.0,
        {"full_pct": 99.0},
    )


def test_dictionary_exports_and_api_know_it_without_its_personal_columns(line: Line, tmp_path: Path) -> None:
    fill(line)
    town = Town(line.settings, lambda: NOON + timedelta(hours=1))
    entries = town.dictionary().filter(table="bin_emptyings")
    assert entries["column"].to_list() == ["emptying", "ward", "planned_at", "done_at"]
    output = tmp_path / "out.csv"
    assert export_file(town, "bin_emptyings", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z", None, "csv", output) == 4
    text = output.read_text("utf-8-sig")
    assert "E4" in text
    assert "Iyer" not in text

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(api.build(town))
        async with httpx.AsyncClient(transport=transport, base_url="http://town") as client:
            return [
                await client.get("/openapi.json"),
                await client.get("/api/v1/tables/bin_emptyings?from=2026-03-01T00:00:00Z&to=2026-04-01T00:00:00Z"),
                await client.get("/api/v1/pictures/waste/bins_by_ward?ward=W2"),
            ]

    described, rows, picture = asyncio.run(ask())
    assert picture.text.splitlines() == ["ward,planned,done,on_time_pct,state", "W2,2,1,50.0,breach"]
    assert "bin_emptyings" in described.text
    assert rows.status_code == 200, rows.text
    assert "E4" in rows.text
    assert "Iyer" not in rows.text


def test_page_of_its_own_is_registered_and_shows_its_figures(line: Line) -> None:
    fill(line)
    town = Town(line.settings, lambda: NOON + timedelta(hours=1))
    try:
        application = build(town, api.build(town))
        titles = {page["path"]: page["title"] for page in dash.page_registry.values()}
        assert titles["/waste"]() == "Waste · Testville"

        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://town") as client:
                return await client.get("/waste")

        answer = asyncio.run(ask())
    finally:
        dash.page_registry.clear()
    assert answer.status_code == 200
    assert "Bins overflowing" in answer.text
    assert "Emptied on time" in answer.text
    assert "3 of 4 bins were emptied." in answer.text


def test_sample_keeps_the_contract_of_every_domain(line: Line) -> None:
    source = line.settings.feeds["bin_emptyings"]
    (receipt,) = flow.take(
        line, [RawMessage(source, SAMPLE.encode(), NOON + timedelta(days=1))], NOON + timedelta(days=1)
    )
    assert (receipt.decoded, receipt.stored, receipt.quarantined) == (4, 4, 0)
    assert line.store.rows("bin_emptyings").schema["planned_at"] == pl.Datetime("us", "UTC")


def test_no_file_of_the_product_speaks_of_the_new_domain() -> None:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no git working copy")
    for word in ("bin_fill_pct", "bin_emptyings", "bins_overflowing"):
        looked = [
            git,
            "grep",
            "-l",
            "--untracked",
            word,
            "--",
            "app.py",
            "pipelines",
            "components",
            "pages",
            "assets",
            "data",
        ]
        assert subprocess.run(looked, cwd=ROOT, capture_output=True, text=True, check=False).stdout == ""
