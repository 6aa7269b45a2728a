"""Reports on paper say what the pages say: the same sentences, the same figures, in every language."""

import asyncio
import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pypdf
import pytest

import app
from components import council, glass
from components.reports import addresses, council_pack, operations_sheet
from components.reports.period import Period, asked
from components.reports.writing import Wanted, paper, write
from components.tongue import Tongue, speak
from components.web import build
from pipelines.engine import outgoing
from pipelines.engine.asking import Misasked
from pipelines.engine.calendar import last_whole
from pipelines.engine.people import audit
from pipelines.engine.people.shift import NOTE
from pipelines.engine.settings import Outgoing
from pipelines.engine.tokens import path_of
from pipelines.engine.town import Town
from tests.conftest import ROOT
from tests.engine import small_town
from tests.engine.api_town import TOML, Asker
from tests.glass.serve import plain_api

NOW = small_town.NOON
# The end of February in the town; half a minute before it the board was noted.
MARCH = datetime(2026, 2, 28, 18, 30, tzinfo=UTC)
VENDOR = ROOT / "assets" / "vendor"
with_fonts = pytest.mark.skipif(not list(VENDOR.glob("*.woff2")), reason="the fonts are not here: make glass")
HOURLY = 24 * 69


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Ten weeks of hourly pressures, P1 low every fifth hour; a night in February is corrected in March."""
    text = TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]').replace(
        'domains =', 'languages = ["en", "hi", "ur"]\ndomains =', 1
    )  # fmt: skip
    folder = small_town.make(tmp_path_factory.mktemp("reports") / "town", text.replace('"15 min"', '"1 h"'))
    sensors = folder / "reference" / "sensors.csv"
    sensors.write_text(sensors.read_text("utf-8").replace("15 min", "1 h"), "utf-8")
    line = small_town.open_line(folder, MARCH, frozenset({"pressure_compliance", "supply_continuity"}))
    rows = [
        (sensor, NOW - timedelta(hours=hour), low if hour % 5 == 0 else high)
        for hour in reversed(range(HOURLY))
        for sensor, low, high in (("P1.p", 8.0, 18.0), ("P2.p", 13.0, 20.0))
    ]
    before = MARCH - timedelta(seconds=30)
    small_town.send(line, "network", small_town.csv_of([row for row in rows if row[1] < before]), before)
    small_town.beat(line, before)
    small_town.send(line, "network", small_town.csv_of([row for row in rows if row[1] >= before]), NOW)
    small_town.beat(line, NOW)
    late = [("P1.p", at, 2.0) for sensor, at, _ in rows if sensor == "P1.p" and (MARCH - at).days == 9]
    small_town.send(line, "network", small_town.csv_of(late), NOW + timedelta(minutes=5))
    small_town.beat(line, NOW + timedelta(minutes=5))
    audit.noted(path_of(line.settings.store), NOW, "asha", NOTE, {"words": "pump 2 hums, caller +91 98765 43210"})
    line.close()
    found = Town(small_town.read(folder), lambda: NOW + timedelta(minutes=6))
    build(found, plain_api)
    yield found


@pytest.fixture(autouse=True)
def english(town: Town) -> None:
    glass.bind(town, "/")
    speak(Tongue("en"))


def month(town: Town, label: str) -> Period:
    return asked("month", label, town.now(), town.zone)


def words(markup: str) -> str:
    """The text of a page, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", markup).replace("&#39;", "'"))


@pytest.mark.parametrize("ward", ["", "W1"])
def test_pack_of_the_running_month_says_what_the_page_says(town: Town, ward: str) -> None:
    page, pack = words(council.content(ward)), council_pack.pack(month(town, "2026-03"), ward)
    assert pack["running"] and pack["place"] == ({"": "", "W1": "North"}[ward])
    sentences = [pack["short"], *pack["against"], *(said for part in pack["parts"] for said in part["said"])]
    tight = page.replace(" ", "")
    assert len(sentences) > 5
    for sentence in sentences:
        assert sentence.replace(" ", "") in tight, sentence
    for row in pack["months"]["rows"]:
        for cell in row["cells"]:
            assert cell["figure"].replace(" ", "") in tight, row
    for one in pack["promises"]:
        assert one["figure"].split(" (")[0].replace(" ", "") in tight, one


def test_figures_of_a_month_that_is_over_are_those_that_the_board_said_and_the_history_holds(town: Town) -> None:
    from pipelines.engine import api

    asker = Asker(api.build(town))
    said = asker.get("/api/v1/kpis", as_known_at="2026-02-28T18:30:00Z").json()["kpis"]
    at_the_end = {(row["kpi"], row["area"]): row["value"] for row in said}
    span = {"from": "2026-01-31T18:30:00Z", "to": "2026-02-28T18:30:00Z"}
    seen = 0
    for row in council_pack.figures(month(town, "2026-02"), "").iter_rows(named=True):
        assert row["at_the_end"] == at_the_end.get((row["kpi"], row["area"])), row
        answer = asker.get(f"/api/v1/kpis/{row['kpi']}/history", area=row["area"], step="month", format="json", **span)
        (history,) = answer.json()["history"] or [{"value": None}]
        assert row["value"] == history["value"], row
        seen += row["value"] is not None and row["at_the_end"] is not None
    asker.close(town)
    assert seen >= 4


def test_shares_of_hand_counted_hours_stand_on_the_paper(town: Town) -> None:
    """P1 (ward W1) is low in every fifth hour: of 24 hours a day 4 or 5, so 79 to 84 % are kept over the month."""
    rows = {(r["kpi"], r["area"]): r for r in council_pack.figures(month(town, "2026-02"), "").iter_rows(named=True)}
    north = rows["pressure_compliance", "ward:W1"]
    # A day of the 28 was corrected to nothing.
    assert north["value"] == pytest.approx(80.0 * 27 / 28, abs=0.6)
    assert rows["pressure_compliance", "ward:W2"]["value"] == 100.0
    assert (north["promise"], rows["pressure_compliance", "ward:W2"]["promise"]) == ("missed", "kept")


def test_corrections_are_those_that_were_told_in_the_month(town: Town) -> None:
    start, end = MARCH, NOW + timedelta(minutes=6)
    told = town.corrections(start, end)
    pack = council_pack.pack(month(town, "2026-03"), "W1")
    assert len(pack["corrections"]["said"]) == told.filter(area="ward:W1").height > 0
    assert council_pack.pack(month(town, "2026-02"), "")["corrections"]["said"] == []
    whole = council_pack.figures(month(town, "2026-03"), "")
    assert whole["corrections"].sum() == told.filter(pl.col("area").str.contains("^(town|ward:)")).height


def test_month_whose_end_nobody_noted_says_so_and_tells_what_was_published(town: Town) -> None:
    pack = council_pack.pack(month(town, "2026-01"), "")
    assert "not on record" in pack["short"]
    assert (pack["promises"], pack["bars"]) == ([], [])
    assert any("%" in row["cells"][0]["figure"] for row in pack["months"]["rows"])


def read(made: bytes) -> tuple[pypdf.PdfReader, str]:
    found = pypdf.PdfReader(io.BytesIO(made))
    return found, re.sub(r"\s+", " ", " ".join(page.extract_text() for page in found.pages))


def fonts_of(found: pypdf.PdfReader) -> str:
    return " ".join(str(font) for page in found.pages for font in page["/Resources"]["/Font"].values() for font in [font.get_object()["/BaseFont"]])  # fmt: skip


def test_paper_holds_the_words_is_tagged_and_the_same_words_give_the_same_bytes(town: Town) -> None:
    period = month(town, "2026-02")
    made = paper("council", period, "", Tongue("en"))
    found, text = read(made)
    pack = council_pack.pack(period, "")
    for sentence in (pack["short"], *pack["against"], pack["heads"]["days"], pack["period"], town.definitions):
        assert re.sub(r"\s+", "", sentence) in text.replace(" ", ""), sentence
    root = found.trailer["/Root"]
    assert (str(root["/Lang"])[:2], bool(root["/MarkInfo"]["/Marked"])) == ("en", True)
    assert made == paper("council", period, "", Tongue("en"))
    # Charts are paths, no pictures.
    assert not [name for page in found.pages for name in page.images]


@with_fonts
@pytest.mark.parametrize(
    ("code", "font", "word"), [("hi", "NotoSansDevanagari", "परिषद रिपोर्ट"), ("ur", "NotoNaskhArabic", "کونسل رپورٹ")]
)
def test_paper_is_set_in_the_script_of_its_language(town: Town, code: str, font: str, word: str) -> None:
    found, text = read(paper("council", month(town, "2026-02"), "W1", Tongue(code)))
    assert str(found.trailer["/Root"]["/Lang"])[:2] == code
    assert font in fonts_of(found)
    assert found.metadata is not None and str(found.metadata.title).startswith(word)
    # Nothing was left for want of a letter.
    assert ".notdef" not in text and "\ufffd" not in text
    direction = found.trailer["/Root"].get("/ViewerPreferences", {}).get("/Direction", "/L2R")
    assert direction == ("/R2L" if code == "ur" else "/L2R")


def test_command_writes_town_and_wards_and_their_figures(town: Town, tmp_path: Path) -> None:
    files = write(town, Wanted("council", "2026-02", ("en",), wards=True), tmp_path / "pack.pdf")
    assert [file.name for file in files] == [
        "pack.csv", "pack.pdf", "pack_W1.csv", "pack_W1.pdf", "pack_W2.csv", "pack_W2.pdf"
    ]  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((tmp_path / "pack_W1.csv").read_text("utf-8-sig"))))
    assert {row["area"] for row in rows} == {"ward:W1"}
    assert {row["month"] for row in rows} == {"2026-02"}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("council", "2026-13"), "Write it like 2026-10"),
        (Wanted("council", "2026-02-01"), "is no month"),
        (Wanted("operations", "2026-02-30"), "is no day"),
        (Wanted("council", "2031-01"), "has not begun"),
        (Wanted("council", "2026-02", ("fr",)), "en, hi, ur"),
        (Wanted("council", "2026-02", (), "W9"), "W1, W2"),
        (Wanted("weekly", "2026-02"), "council, operations"),
    ],
)
def test_what_cannot_be_reported_is_refused_in_words(town: Town, tmp_path: Path, wanted: Wanted, said: str) -> None:
    with pytest.raises(Misasked, match=said):
        write(town, wanted, tmp_path / "pack.pdf")
    assert list(tmp_path.iterdir()) == []


def test_operations_sheet_tells_the_day_and_no_numbers_of_people(town: Town) -> None:
    period = asked("day", "2026-03-10", town.now(), town.zone)
    sheet = operations_sheet.sheet(period, "")
    assert [note["words"].partition("caller")[0] for note in sheet["notes"]] == ["pump 2 hums, "]
    rang = town.alarms.history(operations_sheet.ITSELF, None, period.start, period.until)
    counted = sum(int(one["n"]) for one in sheet["counts"])
    assert counted == rang.filter(annunciated=True).height
    (network,) = [row for row in sheet["feeds"] if row[0] == "Network"]
    arrivals = town.rows("arrivals", period.start, period.until).filter(feed="network")
    assert network[1:4] == [f"{n:,}" for n in (arrivals.height, arrivals["decoded"].sum(), arrivals["stored"].sum())]
    _, text = read(paper("operations", period, "", Tongue("en")))
    assert "98765" not in text and "pump 2 hums" in text


def test_scheduled_report_is_written_by_the_command_of_the_same_words(town: Town, tmp_path: Path) -> None:
    plan = Outgoing(
        name="monthly", kind="council", period="month", to=tmp_path, keep=2, languages=("en",), wards=True
    )  # fmt: skip
    line: Any = type("L", (), {"settings": town.settings})()
    writing = outgoing.Writing(line, plan, None, lambda arguments: None)
    start, end = last_whole("month", NOW, town.zone)
    (arguments,) = writing._arguments(start, end, "2026-02")
    assert app.main(["--town", str(town.settings.folder), *arguments]) == 0
    assert sorted(path.name for path in tmp_path.iterdir())[:2] == ["monthly_2026-02.csv", "monthly_2026-02.pdf"]
    assert len(list(tmp_path.iterdir())) == 6


def test_address_gives_the_report_made_once_and_sends_on_to_the_last_month(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    async def make(kind: str, period: Period, ward: str, output: Path) -> bool:
        made.append(output.name)
        output.write_bytes(b"%PDF")
        return True

    monkeypatch.setattr(addresses, "_make", make)
    # The files are of this moment, the town's clock is not.
    monkeypatch.setattr(town, "now", lambda: datetime.now(UTC))
    outer = build(town, plain_api)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=outer)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://board") as client:
            asks = (
                "of=2026-02&ward=W1",
                "of=2026-02&ward=W1",
                "of=2026-02&lang=ur",
                "of=Feb",
                "of=2026-02&ward=W9",
                "",
            )
            return [await client.get(f"/council/report?{query}") for query in asks]

    first, again, urdu, wrong, nowhere, bare = asyncio.run(ask())
    assert (first.content, again.content, first.headers["content-type"]) == (b"%PDF", b"%PDF", "application/pdf")
    assert made == ["council_2026-02_W1_en.pdf", "council_2026-02_ur.pdf"]
    assert [one.status_code for one in (urdu, wrong, nowhere, bare)] == [200, 422, 404, 303]
    last, _ = last_whole("month", datetime.now(UTC), town.zone)
    assert "of=" in bare.headers["location"] and f"{last + timedelta(days=2):%Y-%m}" in bare.headers["location"]
