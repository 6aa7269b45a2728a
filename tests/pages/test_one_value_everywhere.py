"""One value everywhere: each KPI of a town read from every surface there is, at the same snapshot, is the same.

A new surface joins by one line in BOARD (what stands now) or CLOSED (a window that is over).
"""

import asyncio
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import openpyxl
import polars as pl
import pytest

from components import wording
from components.drawn.sheet import decimals_of
from components.live import unblock
from components.web import build
from pipelines.engine import api
from pipelines.engine.asking import Span
from pipelines.engine.exports import write
from pipelines.engine.extracts import extract
from pipelines.engine.town import Town
from pipelines.water.pictures import JUDGED
from tests.engine import api_town, small_town
from tests.pages.conftest import Lifespan

Figure = float | str | None
# (KPI, area) -> the number as it travels, or the figure as it is written for people.
Figures = dict[tuple[str, str], Figure]
TILE = re.compile(r'data-kpi="(\w+)\|([^"]+)"(?:(?!data-kpi=).)*?data-f="value"[^>]*>([^<]+)<', re.S)
BIG = re.compile(r'class="figure"><span class="value"[^>]*>([^<]+)<')


class Glass:
    """The town's web process, asked without a network."""

    def __init__(self, town: Town, scratch: Path) -> None:
        self.town, self.scratch = town, scratch
        self._runner = asyncio.Runner()
        app = build(town, api.build(town), "/")
        self._life = Lifespan(app)
        self._runner.run(self._life.start())
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://board")  # type: ignore[arg-type]

    def get(self, address: str, **query: str) -> httpx.Response:
        """What GET answers; anything but 200 is a failure."""
        answer = self._runner.run(self._client.get(f"{address}?{urlencode(query)}" if query else address))
        assert answer.status_code == 200, (address, answer.text[:400])
        return answer

    def close(self) -> None:
        """Stop as a server does."""
        self._runner.run(self._client.aclose())
        self._runner.run(self._life.stop())
        self._runner.run(self.town.line.close())
        self._runner.close()

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Every KPI and area of the board."""
        board = self.town.board()
        assert board is not None
        return [(row["kpi"], row["area"]) for row in board.state["kpis"].values()]


@pytest.fixture(scope="module")
def glass(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Glass]:
    place = tmp_path_factory.mktemp("everywhere")
    toml = api_town.TOML.format(zone=small_town.ZONE, domains='["water", "grievances"]')
    folder = small_town.make(place / "town", toml.replace("[town]", "[town]\nopen_wall = true", 1))
    api_town.filled(folder).close()
    found = Glass(Town(small_town.read(folder), lambda: api_town.NOW), place)
    yield found
    found.close()


def keyed(rows: Any) -> Figures:
    """Rows with kpi, area and value; what is made of KPIs anew has no place on the board."""
    return {(row["kpi"], row["area"]): _number(row["value"]) for row in rows}


def _number(cell: Any) -> Figure:
    return None if cell in (None, "") else float(cell)


def _excel(content: bytes) -> list[dict[str, Any]]:
    head, *rows = openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(values_only=True)  # type: ignore[union-attr]
    return [dict(zip(head, row, strict=True)) for row in rows]


def _csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _stream(glass: Glass) -> Figures:
    board = glass.town.board()
    assert board is not None
    event = unblock(board.stream_full).decode()
    return keyed(json.loads(event.split("data: ", 1)[1])["kpis"].values())


def _tiles(*pages: str) -> Callable[[Glass], Figures]:
    def read(glass: Glass) -> Figures:
        found: Figures = {}
        for page in pages:
            drawn = glass.get(page).text.split('id="react-entry-point"')[0]
            for kpi, area, text in TILE.findall(drawn):
                written = unescape(text)
                assert found.setdefault((kpi, area), written) == written, (page, kpi, area)
        return found

    return read


def _each(address: str, read: Callable[[httpx.Response], Figure]) -> Callable[[Glass], Figures]:
    """A surface that is asked for one KPI and area at a time: some of each level."""

    def all_of(glass: Glass) -> Figures:
        shown = [key for key in glass.keys if key[1] in ("town", "ward:W1", "asset:D1")]
        return {key: read(glass.get(address.format(kpi=key[0]), area=key[1])) for key in shown}

    return all_of


def _big(answer: httpx.Response) -> str:
    found = BIG.search(answer.text)
    assert found, answer.text[:2000]
    return unescape(found[1])


def _pictures(glass: Glass) -> Figures:
    """The rows of pictures that draw KPIs by ward, as their files have them."""
    hours = _csv(glass.get("/api/v1/pictures/water/supply_hours").text)
    found: Figures = {("supply_continuity", f"ward:{row['ward']}"): _number(row["hours"]) for row in hours}
    tests = {title: kpi for kpi, title in JUDGED.items()}
    for row in _csv(glass.get("/api/v1/pictures/water/water_compliance").text):
        found[(tests[row["test"]], f"ward:{row['ward']}")] = _number(row["share_pct"])
    return found


NOW = api_town.NOW.isoformat().replace("+00:00", "Z")
DOMAINS = ("/water", "/grievances", "/water?ward=W1", "/grievances?ward=W2")
BOARD: Mapping[str, Callable[[Glass], Figures]] = {
    "snapshot": lambda g: keyed(g.get("/api/v1/snapshot").json()["kpis"].values()),
    "stream": _stream,
    "kpis in JSON": lambda g: keyed(g.get("/api/v1/kpis").json()["kpis"]),
    "kpis in CSV": lambda g: keyed(_csv(g.get("/api/v1/kpis", format="csv").text)),
    "kpis in Excel": lambda g: keyed(_excel(g.get("/api/v1/kpis", format="xlsx").content)),
    "kpis in Parquet": lambda g: keyed(pl.read_parquet(g.get("/api/v1/kpis", format="parquet").content).to_dicts()),
    "kpis as known now": lambda g: keyed(g.get("/api/v1/kpis", as_known_at=NOW).json()["kpis"]),
    "explain": _each("/api/v1/kpis/{kpi}/explain", lambda a: _number(a.json()["value"])),
    "overview": _tiles("/"),
    "domain pages": _tiles(*DOMAINS),
    "page of a KPI": _each("/kpi/{kpi}", _big),
    "wall": _tiles("/wall"),
    "residents": _tiles("/public", "/public?ward=W1", "/public?ward=W2"),
    "council": _tiles("/council", "/council?ward=W1"),
    "pictures": _pictures,
}


def written(figure: Figure, decimals: int) -> str:
    """The figure as people read it."""
    return figure if isinstance(figure, str) else wording.number(figure, decimals)


def differing(found: Figures, wanted: Figures, glass: Glass) -> dict[tuple[str, str], tuple[str, str]]:
    """Where a surface says something else."""
    decimals = {kpi.id: kpi.decimals for kpi in glass.town.settings.kpis}
    pairs = {
        key: (written(figure, decimals[key[0]]), written(wanted[key], decimals[key[0]]))
        for key, figure in found.items()
        if key in wanted
    }
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("surface", BOARD)
def test_every_kpi_is_the_same_on_every_surface_of_now(glass: Glass, surface: str) -> None:
    board = glass.town.board()
    assert board is not None
    wanted = keyed(board.state["kpis"].values())
    found = BOARD[surface](glass)
    assert len({key for key in found if key in wanted and wanted[key] is not None}) >= 2
    assert differing(found, wanted, glass) == {}


def test_the_surfaces_of_now_leave_no_kpi_out(glass: Glass) -> None:
    towns = {key for key in glass.keys if key[1] == "town"}
    for surface in ("kpis in JSON", "kpis in Excel", "kpis as known now", "domain pages"):
        assert towns <= set(BOARD[surface](glass)), surface


DRAWN = re.compile(r'id="picture-(\w+)">.*?data-part="table"[^>]*>(.*?)</table>', re.S)
CELLS = re.compile(r"<td[^>]*>(.*?)</td>", re.S)


def test_a_picture_draws_the_rows_that_its_file_has(glass: Glass) -> None:
    drawn = dict(DRAWN.findall(glass.get("/water").text.split('id="react-entry-point"')[0]))
    declared = glass.town.domain("water").pictures
    assert set(drawn) == {picture.id for picture in declared}
    for picture in declared:
        rows = _csv(glass.get(f"/api/v1/pictures/water/{picture.id}").text)
        lines = drawn[picture.id].split("<tbody>")[1].split("</tr>")[:-1]
        assert len(lines) == len(rows)
        for line, row in zip(lines, rows, strict=True):
            texts = [unescape(re.sub("<[^>]+>", "", cell)) for cell in CELLS.findall(line)]
            for column, text in zip(picture.columns, texts, strict=False):
                if column.kind in ("number", "integer"):
                    assert text == wording.number(
                        _number(row[column.name]), decimals_of(column, _number(row[column.name]))
                    )  # type: ignore[arg-type]


# a window that is over ----------------------------------------------------------------------------------------------

DAY, DAY_END = "2026-03-08T18:30:00", "2026-03-09T18:30:00Z"
DAILY = ("pressure_compliance", "supply_per_head", "requests_received")


def _of_the_day(rows: list[dict[str, Any]], kpi: str | None = None) -> Figures:
    return {
        (kpi or row["kpi"], row["area"]): _number(row["value"])
        for row in rows
        if str(row["window"]).replace(" ", "T").startswith(DAY)
    }


def _history(form: str, rows: Callable[[httpx.Response], list[dict[str, Any]]]) -> Callable[[Glass], Figures]:
    def read(glass: Glass) -> Figures:
        found: Figures = {}
        for kpi in DAILY:
            found |= _of_the_day(rows(glass.get(f"/api/v1/kpis/{kpi}/history", format=form)), kpi)
        return found

    return read


def _ended(address: str, read: Callable[[httpx.Response], Figure]) -> Callable[[Glass], Figures]:
    def all_of(glass: Glass) -> Figures:
        known = _of_the_day(_csv(glass.get("/api/v1/tables/kpi_values").text))
        shown = [key for key in known if key[0] in DAILY]
        return {key: read(glass.get(address.format(kpi=key[0]), area=key[1], window_end=DAY_END)) for key in shown}

    return all_of


def _file(glass: Glass) -> Figures:
    path = glass.scratch / "kpis.xlsx"
    write(extract(glass.town, "kpis", Span()), "xlsx", path)
    return _of_the_day(_excel(path.read_bytes()))


CLOSED: Mapping[str, Callable[[Glass], Figures]] = {
    "history in CSV": _history("csv", lambda a: _csv(a.text)),
    "history in JSON": _history("json", lambda a: a.json()["history"]),
    "history in Excel": _history("xlsx", lambda a: _excel(a.content)),
    "table of values": lambda g: _of_the_day(_csv(g.get("/api/v1/tables/kpi_values").text)),
    "table as known now": lambda g: _of_the_day(_csv(g.get("/api/v1/tables/kpi_values", as_known_at=NOW).text)),
    "export to a file": _file,
    "explain of a window": _ended("/api/v1/kpis/{kpi}/explain", lambda a: _number(a.json()["value"])),
    "page of a window": _ended("/kpi/{kpi}", _big),
}


@pytest.mark.parametrize("surface", CLOSED)
def test_a_closed_window_is_the_same_on_every_surface(glass: Glass, surface: str) -> None:
    rows = pl.concat([glass.town.history(kpi).with_columns(kpi=pl.lit(kpi)) for kpi in DAILY]).to_dicts()
    wanted = _of_the_day(rows)
    found = {key: figure for key, figure in CLOSED[surface](glass).items() if key[0] in DAILY}
    assert set(found) == set(wanted)
    assert any(figure is not None for figure in wanted.values())
    assert differing(found, wanted, glass) == {}


def test_a_figure_between_two_is_rounded_away_from_zero_on_every_surface() -> None:
    assert [wording.number(value, 1) for value in (0.25, -0.25, 2.35, 0.05)] == ["0.3", "−0.3", "2.4", "0.1"]
