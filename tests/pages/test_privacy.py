"""Personal data is planted in a town and looked for wherever anything leaves it."""

import io
import json
import logging
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pypdf
import pytest

import app
from components import glass
from components.reports.period import asked
from components.reports.writing import KINDS, paper, table
from components.tongue import Tongue, speak
from components.web import build
from pipelines.engine import analysts, api, backup, compaction
from pipelines.engine.exports import export_file
from pipelines.engine.extracts import names
from pipelines.engine.forms import FORMS
from pipelines.engine.tables import ENGINE_TABLES
from pipelines.engine.town import Town
from tests.engine import small_town
from tests.engine.api_town import NOW, TOML, Asker, reader, sent

# One person: in Latin, Devanagari and Urdu digits, with a paper's number, a mail address, a house and its place.
PHONES = ("+91 98765 43210", "९८७६५-४३२१०", "۹۸۷۶۵۴۳۲۱۰")
PAPERS, MAIL, PERSON = "2345 6789 0123", "ramprasad.v@mail.example", "Ramprasad Vishwakarma"
LAT, LON = 0.51234567, 0.59876543
WRITTEN = f"{PERSON}, house 14 behind the mill, {' or '.join(PHONES)}, {PAPERS}, {MAIL}"
NOTES = f"called back {PHONES[0]}, wrote to {MAIL}; {PHONES[1]} and {PHONES[2]} do not answer, card {PAPERS}"
PICTURE = "https://pictures.example/9876543210/house14.jpg"
# What must stand nowhere, as `plain` writes it. Names have no form that could be found in the office's notes.
NEEDLES = ("9876543210", "234567890123", "ramprasad", "vishwakarma", "house14", "51234567", "59876543")


def plain(text: str) -> str:
    """Small letters and digits alone, those of every script as 0 to 9."""
    digits = (unicodedata.digit(one, None) for one in text)
    kept = (one if digit is None else str(digit) for one, digit in zip(text, digits, strict=True))
    return "".join(one for one in "".join(kept).lower() if one.isalnum())


def texts(content: bytes, name: str) -> str:
    """All that can be read in an answer or a file."""
    if content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            return "\n".join(packed.read(one).decode("utf-8", "replace") for one in packed.namelist())
    if content[:4] == b"PAR1":
        return pl.read_parquet(io.BytesIO(content)).write_json()
    if content[:4] == b"%PDF":
        found = pypdf.PdfReader(io.BytesIO(content))
        return "\n".join(page.extract_text() for page in found.pages) + str(found.metadata)
    return content.decode("utf-8", "replace") + name


def leaks(content: bytes, name: str) -> list[str]:
    """Which of the needles stand in it."""
    shown = plain(texts(content, name))
    return [f"{name}: {needle}" for needle in NEEDLES if needle in shown]


def planted(folder: Path) -> Any:
    """A line that holds a person's data in every place where it can come to lie."""
    line = small_town.open_line(folder, NOW)
    rows = [
        {"service_request_id": f"R{n}", "status": "open", "status_notes": NOTES, "service_code": "leak", "service_name": "Leak",
         "description": WRITTEN, "address": WRITTEN, "requested_datetime": (NOW - timedelta(hours=n)).isoformat(),
         "lat": LAT, "lon": LON, "ward": "W1", "media_url": PICTURE, "state": "received"}
        for n in range(1, 4)
    ]  # fmt: skip
    sent(line, "service_requests", rows[:2])
    compaction.compact(line.settings.store, line.store.tables.values(), line.settings.zone)
    line.adopt(NOW)
    sent(line, "service_requests", rows[2:])
    # Set aside: a state that is none, a place outside the world, no time; a file that nobody can read; a wrong sensor.
    wrong = [{**rows[0], "service_request_id": f"B{n}", **bad} for n, bad in enumerate(
        ({"state": WRITTEN}, {"lat": 951.234567}, {"requested_datetime": WRITTEN}, {"rating": WRITTEN}, {"lat": WRITTEN})
    )]  # fmt: skip
    sent(line, "service_requests", wrong)
    small_town.send(line, "book", f"no,heads\n{WRITTEN},1\n".encode(), NOW)
    small_town.send(line, "network", small_town.csv_of([("P1.p", NOW - timedelta(minutes=5), 1.0)]), NOW)
    small_town.beat(line, NOW)
    return line


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Path]]:
    folder = tmp_path_factory.mktemp("privacy") / "town"
    line = planted(small_town.make(folder, TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')))
    found = Town(small_town.read(folder), lambda: NOW)
    build(found, api.build(found))
    yield found, folder
    line.close()


def test_the_needles_are_in_what_was_planted_and_found_in_every_form(tmp_path: Path) -> None:
    """The search itself: a form that it cannot read would pass everything."""
    from pipelines.engine import forms
    from pipelines.engine.model import Column
    from pipelines.engine.spans import of_frame

    columns = (Column(name="text", meaning="."), Column(name="lat", kind="number", meaning="."))
    rows = pl.DataFrame({"text": [f"{WRITTEN} {PICTURE} {LON}"], "lat": [LAT]})
    wanted = of_frame("rows", rows, columns)
    for form in FORMS:
        path = tmp_path / form
        if form in forms.WRITERS:
            forms.WRITERS[form](wanted, wanted.frames(), path)
        else:
            path.write_bytes(b"".join(forms.streamed(wanted, wanted.frames(), form)))
        assert len(leaks(path.read_bytes(), "")) == len(NEEDLES), form
    for phone in PHONES:
        assert NEEDLES[0] in plain(phone)


def asked_for(application: Any) -> list[str]:
    """Every address that is asked with GET, with what its path can name."""
    asker, found = Asker(application), []
    document = asker.get("/openapi.json").json()
    asker.close()
    for path, methods in document["paths"].items():
        if "get" not in methods or path == "/api/v1/stream":
            continue
        wild = [one for one in methods["get"].get("parameters", []) if one["in"] == "path"]
        if not wild:
            found.append(path)
        elif len(wild) == 1 and (values := wild[0]["schema"].get("enum")):
            found += [path.replace(f"{{{wild[0]['name']}}}", str(value)) for value in values]
    return found


@pytest.mark.parametrize("who", ["visitor", "read"])
def test_no_address_of_the_api_gives_it_away(town: tuple[Town, Path], who: str) -> None:
    found, _ = town
    application = api.build(found)
    headers = {"Authorization": f"Bearer {reader(found)}"} if who == "read" else None
    asker, wrong, seen = Asker(application, headers), [], 0
    requests = [f"/open311/v2/requests{one}.{form}" for one in ("", "/R1", "/R3") for form in ("json", "xml")]
    for address in requests:
        assert asker.get(address).status_code == 200, address
    for address in (*asked_for(application), *requests):
        answer = asker.get(address)
        seen += answer.status_code == 200
        wrong += leaks(answer.content, address)
    assert wrong == []
    assert seen > 40
    for form in FORMS:
        for name in ("service_requests", "quarantine", "arrivals"):
            answer = asker.get(f"/api/v1/tables/{name}", format=form)
            assert (answer.status_code == 200) == (who == "read" or name != "quarantine")
            wrong += leaks(answer.content, f"{name} as {form}")
    rows = asker.get("/api/v1/tables/service_requests", format="json").json()["rows"]
    assert [row["service_request_id"] for row in rows] == ["R3", "R2", "R1"]
    assert "called back" in rows[0]["status_notes"]
    wrong += leaks(asker.get("/api/v1/quarantine", state="all").content, "quarantine")
    asker.close(found)
    assert wrong == []


def test_no_page_gives_it_away(town: tuple[Town, Path]) -> None:
    found, _ = town
    outer = build(found, api.build(found))
    asker, wrong, seen = Asker(outer), [], 0
    asker.wait_for(_started(outer))
    dashed = [page["path"] for page in __import__("dash").page_registry.values() if not page.get("path_template")]
    more = ("public?ward=W1", "public/request?number=R1", "council?ward=W1", "grievances?ward=W1", "feeds?feed=book")
    for address in (*dashed, *(f"/{path}" for path in (*outer.plain, *more)), "/api/v1/snapshot"):
        if "report" in address:
            continue
        answer = asker.get(address)
        seen += answer.status_code == 200
        wrong += leaks(answer.content, address)
    asker.close(found)
    assert wrong == []
    assert seen > 15


async def _started(outer: Any) -> None:
    from tests.pages.conftest import Lifespan

    life = Lifespan(outer)
    await life.start()
    await life.stop()


def test_no_file_gives_it_away(town: tuple[Town, Path], tmp_path: Path) -> None:
    found, _ = town
    for name in [*names(found), "kpis"]:
        export_file(found, name, None, None, None, "csv", tmp_path / f"{name}.csv")
    analysts.build(found.settings.store, (*ENGINE_TABLES, *found.tables), found.registers, NOW)
    wrong = []
    with duckdb.connect(str(found.settings.store / analysts.NAME), read_only=True) as db:
        for (name,) in db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            wrong += leaks(str(db.execute(f'SELECT * FROM "{name}"').fetchall()).encode(), f"view {name}")
    for path in sorted(tmp_path.iterdir()):
        wrong += leaks(path.read_bytes(), path.name)
    assert wrong == []


@pytest.mark.parametrize(("kind", "label"), [("council", "2026-03"), ("operations", "2026-03-10")])
def test_no_report_gives_it_away(town: tuple[Town, Path], kind: str, label: str) -> None:
    found, _ = town
    glass.bind(found, "/")
    speak(Tongue("en"))
    period = asked("month" if kind == "council" else "day", label, found.now(), found.zone)
    said = json.dumps(KINDS[kind].says(period, ""), default=str).encode()
    made = {"said": said, "pdf": paper(kind, period, "", Tongue("en")), "csv": table(KINDS[kind], period, "")}
    assert [leak for name, content in made.items() for leak in leaks(content, f"{kind} {name}")] == []


def test_no_log_and_no_listing_gives_it_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = small_town.make(tmp_path / "town", TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]'))
    with caplog.at_level(logging.DEBUG):
        planted(folder).close()
        backup.make(folder, tmp_path / "town.tar", NOW)
        assert app.main(["--town", str(folder), "check"]) == 0
        app.main(["--town", str(folder), "doctor"])
    with tarfile.open(tmp_path / "town.tar") as packed:
        listing = "\n".join(packed.getnames())
    said = capsys.readouterr()
    for name, content in (("log", caplog.text), ("listing", listing), ("out", said.out), ("err", said.err)):
        assert leaks(content.encode(), name) == []
    assert "journal" in listing


def test_few_cases_are_told_as_few_on_every_exit(town: tuple[Town, Path]) -> None:
    """Three complaints: no share of them, and no count from which the share would follow."""
    found, _ = town
    few = {kpi.id: kpi.floor for kpi in found.settings.kpis if kpi.floor > 3}
    assert few
    rows = found.rows("kpi_values").filter(pl.col("kpi").is_in(list(few)))
    board = found.board()
    assert board is not None
    shown = [row for row in board.state["kpis"].values() if row["kpi"] in few and (row["denominator"] or 0) > 0]
    assert shown
    for row in (*shown, *rows.filter(pl.col("denominator") > 0).iter_rows(named=True)):
        if row["denominator"] < few[row["kpi"]]:
            assert (row["value"], row["numerator"]) == (None, None), row
