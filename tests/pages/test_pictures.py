"""Pictures on pages and by themselves: what they say, to whom, when there is nothing, and that they change when it does."""

import asyncio
import re
from dataclasses import replace
from html import unescape

import httpx
import pytest

from components import tongue
from components.drawn.form import DRAWINGS, drawing
from components.tongue import Tongue
from pipelines.engine.picture import Form
from tests.glass.fake_domains import WASTE
from tests.glass.fake_pictures import AWKWARD, BY_FORM
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board

PANEL = re.compile(r'id="picture-(\w+)">(.*?)</section>', re.S)
BAR = re.compile(r'<rect class="d-bar"[^>]* x="([\d.]+)%"[^>]* width="([\d.]+)%"')


def get(town: FakeTown, *asked: tuple[str, dict[str, str]]) -> list[httpx.Response]:
    async def ask() -> list[httpx.Response]:
        async with Board(town) as client:
            return [await client.get(path, headers=headers) for path, headers in asked]

    return asyncio.run(ask())


def panels(town: FakeTown, path: str = "/water") -> dict[str, str]:
    (page,) = get(town, (path, {}))
    assert page.status_code == 200
    return dict(PANEL.findall(page.text.split('id="react-entry-point"')[0]))


def test_every_form_has_a_drawing() -> None:
    assert set(DRAWINGS) == set(Form.__subclasses__())
    assert {type(picture.form) for picture in BY_FORM} == set(DRAWINGS)


def test_a_page_has_sentence_drawing_table_file_and_age_of_every_picture(town: FakeTown) -> None:
    found = panels(town)
    assert set(found) == {picture.id for picture in BY_FORM}
    for picture in BY_FORM:
        panel = found[picture.id]
        assert f"<h2>{picture.title}</h2>" in panel
        said = re.search(r'data-part="said">([^<]+)<', panel)
        assert said and f'aria-label="{picture.title}. {said[1]}"' in panel
        assert "<svg" in panel.split('data-part="drawn"')[1].split("</div>")[0]
        assert panel.count("<tr>") == 1 + min(40, town.pictures.show("water", picture.id).rows.height)
        assert f"/api/v1/pictures/water/{picture.id}?format=csv" in panel
    assert "as of" in found["levels"] and "50 % of what is expected" in found["levels"]
    assert "IWA &lt;balance&gt;" in found["levels"] and "Tank <0>" not in found["levels"]


def test_a_bar_is_as_long_as_its_value(town: FakeTown) -> None:
    widths = [float(width) for _, width in BAR.findall(panels(town)["levels"])]
    # Of 80, 30, 55 and 20 the longest fills its place but for the margin; the first is whatever the board says.
    shown = town.pictures.show("water", "levels").rows["value"].to_list()
    top = 1.04 * max(value for value in shown if value is not None)
    assert widths == pytest.approx([100 * value / top for value in shown if value is not None], abs=0.01)


def test_drawings_are_mirrored_where_people_read_from_the_right_but_time_is_not(town: FakeTown) -> None:
    def drawn(code: str) -> tuple[list[float], str]:
        tongue.speak(Tongue(code))
        try:
            bars = BAR.findall(drawing(town.pictures.show("water", "levels")))
            return [float(x) for x, _ in bars], drawing(town.pictures.show("water", "passages"))
        finally:
            tongue.speak(tongue.ENGLISH)

    async def both() -> tuple[tuple[list[float], str], tuple[list[float], str]]:
        async with Board(town):
            return drawn("en"), drawn("ur")

    (bars, strip), (mirrored, same) = asyncio.run(both())
    assert set(bars) == {0.0} and all(x > 0 for x in mirrored)
    ticks = re.compile(r'd-tickmark"[^>]* x="([\d.]+)%')
    assert ticks.findall(strip) == ticks.findall(same)


@pytest.fixture
def awkward() -> FakeTown:
    made = FakeTown((replace(WASTE, pictures=AWKWARD),))
    made.beat(1)
    return made


def test_a_picture_without_rows_says_since_when(awkward: FakeTown) -> None:
    panel = panels(awkward, "/waste")["nothing"]
    assert "Nothing came since 1 Mar" in panel and "There is nothing to draw." in panel


def test_a_guarded_picture_shows_a_visitor_where_to_sign_in_and_no_row(awkward: FakeTown) -> None:
    panel = panels(awkward, "/waste")["secret"]
    assert 'href="/signin"' in panel and "R1" not in panel and "One is open" not in panel
    (alone,) = get(awkward, ("/pictures/waste/secret", {}))
    assert alone.status_code == 403 and "R1" not in alone.text


def test_a_picture_that_fails_leaves_the_page_as_it_is(awkward: FakeTown) -> None:
    found = panels(awkward, "/waste")
    assert "This could not be drawn" in found["broken"] and "ValueError" not in found["broken"]
    assert "Nothing came" in found["nothing"]


def test_a_picture_is_sent_again_only_when_it_changed(town: FakeTown) -> None:
    path = "/pictures/water/levels"

    async def ask() -> list[httpx.Response]:
        board = Board(town)
        async with board as client:
            first = await client.get(path)
            known = {"If-None-Match": first.headers["etag"]}
            same = await client.get(path, headers=known)
            value = town.board().state["kpis"]["chlorine_compliance|town"]["value"]  # type: ignore[union-attr]
            town.beat(2000, chlorine_compliance=(value or 0) + 5)
            # As the look-out sees it some hundredths of a second later; and making does not rest.
            board.app.wire.snapshot = town.board()
            board.app._pages._rests_until = 0.0
            return [first, same, await client.get(path, headers=known)]

    first, same, changed = asyncio.run(ask())
    assert (first.status_code, same.status_code, changed.status_code) == (200, 304, 200)
    assert same.content == b"" and changed.headers["etag"] != first.headers["etag"]
    assert 'data-part="drawn"' in unescape(changed.text)


def test_a_ward_and_a_span_go_into_the_address_where_they_matter(town: FakeTown) -> None:
    found = panels(town, "/water?ward=W02&days=7")
    (page,) = get(town, ("/water?ward=W02&days=7", {}))
    assert 'data-picture="/pictures/water/nights?days=7"' in page.text
    assert 'data-picture="/pictures/water/levels"' in page.text
    assert "/api/v1/pictures/water/nights?format=csv&amp;days=7" in found["nights"]
