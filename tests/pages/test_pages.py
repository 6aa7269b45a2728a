"""Every page of a made-up town: what it says, with data, without, and to whom nothing is known."""

import asyncio
import base64
import hashlib
import re
from typing import Any

import polars as pl
import pytest

from tests.glass.fake_domains import FIVE, WASTE
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board

PATHS = ["/", "/transport", "/water", "/energy", "/pollution", "/grievances", "/feeds", "/exports", "/asset/WA-0003"]


def get(town: FakeTown, *paths: str, prefix: str = "/", **options: Any) -> list[Any]:
    async def ask() -> list[Any]:
        async with Board(town, prefix) as client:
            return [
                await client.request(options.get("method", "GET"), p, headers=options.get("headers", {})) for p in paths
            ]

    return asyncio.run(ask())


def test_every_page_comes_whole_with_figures_before_any_script(town: FakeTown) -> None:
    for path, answer in zip(PATHS, get(town, *PATHS), strict=True):
        assert answer.status_code == 200, path
        first = answer.text.split('id="react-entry-point"')[0]
        assert "<h1>" in first and "could not be drawn" not in first, path
    water = get(town, "/water")[0].text
    shown = re.search(r'data-kpi="supply_per_head\|town".*?data-f="value">([^<]+)<', water, re.S)
    assert shown and shown[1] == f"{town.board().state['kpis']['supply_per_head|town']['value']:.0f}"  # type: ignore[union-attr]


def test_an_unknown_address_is_a_true_404_with_words(town: FakeTown) -> None:
    for answer in get(town, "/x.php", "/asset/NOBODY", "/water/deeper"):
        assert answer.status_code == 404
        assert "Not found" in answer.text
    assert "There is no asset called NOBODY" in get(town, "/asset/NOBODY")[0].text


def test_head_is_answered_as_get_without_a_body(town: FakeTown) -> None:
    for answer in get(town, "/", "/water", "/api/v1/snapshot", method="HEAD"):
        assert answer.status_code == 200
        assert answer.content == b""
        assert int(answer.headers["content-length"]) > 0


def test_pages_carry_a_strict_policy_that_names_every_inline_script(town: FakeTown) -> None:
    answer = get(town, "/water")[0]
    policy = answer.headers["content-security-policy"]
    scripts = policy.split("script-src")[1].split(";")[0]
    assert "unsafe" not in scripts
    inline = re.findall(r"<script(?![^>]*\bsrc=)(?![^>]*application/json)[^>]*>(.*?)</script>", answer.text, re.S)
    assert inline
    for text in inline:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in scripts


@pytest.mark.parametrize("path", ["/", "/water", "/council", "/wall", "/public", "/public/data", "/signin"])
@pytest.mark.parametrize("language", ["en", "hi", "ur"])
def test_policy_names_every_style_that_stands_in_a_page_and_lets_no_other_in(
    town: FakeTown, path: str, language: str
) -> None:
    answer = get(town, f"{path}?lang={language}")[0]
    directives = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    within = re.findall(r"<style[^>]*>(.*?)</style>", answer.text, re.S)
    assert within and "unsafe" not in directives["style-src-elem"]
    for text in within:
        assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in directives["style-src-elem"]


@pytest.mark.parametrize(
    ("path", "figures"),
    [
        ("/alarms", r'data-f="console-summary"[^>]*>[0-9]'),
        ("/council", r'class="lead">[^<]*[0-9]'),
        ("/wall", r'data-f="value">[0-9]'),
        ("/signin", r'id="content"'),
    ],
)
def test_style_sheets_are_named_behind_the_first_figures_which_stand_with_their_rules(
    town: FakeTown, path: str, figures: str
) -> None:
    text = get(town, path)[0].text
    sheets = [one.start() for one in re.finditer(r'<link rel="stylesheet"', text)]
    first = re.search(figures, text)
    assert first and len(sheets) == 1 and first.start() < sheets[0]
    assert ".priority{" in text.split("</head>")[0] and (".w-tile{" in text) is (path == "/wall")


def test_nothing_on_a_page_points_outside_the_server(town: FakeTown) -> None:
    for answer in get(town, *PATHS):
        assert re.findall(r'(?:src|href)="(?:https?:)?//[^"]+"', answer.text) == []


def test_a_further_domain_gets_its_page_and_its_link_without_an_edit() -> None:
    town = FakeTown((*FIVE, WASTE), water_points=10)
    town.beat(5)
    overview, page = get(town, "/", "/waste")
    assert 'href="/waste"' in overview.text
    assert page.status_code == 200 and "Collected on the day" in page.text


def test_a_town_without_a_snapshot_says_so_in_words() -> None:
    answers = get(FakeTown(water_points=5), "/", "/water", "/feeds", "/api/v1/snapshot")
    assert [a.status_code for a in answers] == [200, 200, 200, 503]
    assert "The line has published no figures yet" in answers[0].text
    assert "nothing was measured in this time" in answers[1].text
    assert answers[3].headers["content-type"] == "application/problem+json"


def test_names_from_registers_cannot_become_markup(town: FakeTown) -> None:
    evil = '<img src=x onerror="alert(1)">'
    town._wards = town._wards.with_columns(name=pl.lit(evil))
    town._assets = town._assets.with_columns(name=pl.lit(evil))
    town.beat(1001)
    for answer in get(town, "/", "/water", "/asset/WA-0003", "/feeds", "/water?ward=" + evil):
        assert "<img src=x" not in answer.text


def test_every_page_works_under_a_prefix(town: FakeTown) -> None:
    page, outside, bare, api = get(town, "/town/water", "/water", "/town", "/town/api/v1/kpis", prefix="/town/")
    assert page.status_code == 200
    assert set(re.findall(r'href="(/[^"#?]*)', page.text)) == {
        h for h in re.findall(r'href="(/[^"#?]*)', page.text) if h.startswith("/town/")
    }
    assert outside.status_code == 404
    assert bare.headers["location"] == "/town/"
    assert api.text == "/api/v1/kpis"


def test_calls_to_the_api_are_handed_over(town: FakeTown) -> None:
    for path, answer in zip(
        ["/api/v1/tables", "/healthz", "/readyz", "/metrics", "/openapi.json"],
        get(town, "/api/v1/tables", "/healthz", "/readyz", "/metrics", "/openapi.json"),
        strict=True,
    ):
        assert answer.text == path


def test_files_are_compressed_once_and_kept_by_their_content(town: FakeTown) -> None:
    page = get(town, "/")[0].text
    script = next(u for u in re.findall(r'src="([^"]+)"', page) if "wire.js" in u).replace("&amp;", "&")
    packed = get(town, script, headers={"accept-encoding": "br"})[0]
    assert packed.headers["content-encoding"] == "br"
    assert packed.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = get(town, script, headers={"accept-encoding": "br", "if-none-match": packed.headers["etag"]})[0]
    assert again.status_code == 304


def test_the_board_does_not_start_when_a_page_is_broken(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    from components import shell

    def broken() -> None:
        raise RuntimeError("no layout")

    monkeypatch.setattr(shell, "layout", broken)

    async def start() -> dict[str, Any]:
        board = Board(town)
        from tests.pages.conftest import Lifespan

        return await Lifespan(board.app).start()

    said = asyncio.run(start())
    assert said["type"] == "lifespan.startup.failed"
    assert "cannot start" in said["message"]


def test_flood_of_alarms_is_told_on_the_overview_and_the_console(town: FakeTown) -> None:
    (calm,) = get(town, "/")
    assert re.search(r'<p class="told"[^>]* hidden', calm.text)
    town.flood = "Alarm flood: 42 alarms in ten minutes. Standing: 2 critical, 40 high."
    town.beat(1001)
    for page in get(town, "/", "/alarms"):
        told = re.search(r'<p class="told"[^>]*data-f="flood"[^>]*>(.*?)</p>', page.text)
        assert told and town.flood in told[0] and " hidden" not in told[0].partition(">")[0]


def test_the_worst_headlines_come_first_on_the_overview(town: FakeTown) -> None:
    from components import glass
    from components.address import View
    from pages.overview import worst_first

    glass.bind(town, "/")  # type: ignore[arg-type]
    kpis = worst_first(glass.state(), town.domain("water"), View())
    assert [k.id for k in kpis][:2] == ["supply_per_head", "supply_hours"]
    assert len(kpis) == 4  # all of them stand in the page, so that one that worsens can come up


def test_asset_without_a_sensor_leads_to_the_tables_that_tell_of_it(
    town: FakeTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_sensor, bare = get(town, "/asset/WA-0003")[0].text, town.sensors().clear()
    monkeypatch.setattr(town, "sensors", lambda domain=None: bare)
    without = get(town, "/asset/WA-0003")[0].text
    ward = town.assets().filter(asset="WA-0003")["ward"][0]
    link = f'href="/exports?table=water_bills&amp;ward={ward}"'
    assert link in without and "Nothing was read" not in without
    assert link not in with_sensor


def test_alarms_of_a_service_lead_to_the_console_of_that_service_and_ward(town: FakeTown) -> None:
    page = get(town, "/water?ward=W03")[0].text
    assert re.search(r'<h2><a[^>]*href="/alarms\?domain=water&amp;ward=W03"[^>]*>Alarms</a>', page)
