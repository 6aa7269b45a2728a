"""Every figure on every page, in every language, is the API's and says whose it is: none is left unmarked.

Each value of the town is a number of its own, so a figure found anywhere tells which KPI and area it must belong to.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from lxml import html

from components import tongue, wording
from components.tongue import Tongue
from pipelines.engine import api
from tests.glass.fake_domains import FIVE, WASTE
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Lifespan

LANGUAGES = ("en", "hi", "ur")
DOMAINS = (*FIVE, WASTE)
KPIS = {kpi.id: kpi for domain in DOMAINS for kpi in domain.kpis}
PLAIN = ("/", "/wall", "/council", "/public", "/feeds", "/exports", "/alarms", "/asset/WA-0003")
# Nobody published revisions in a made-up town: pages of a KPI have the board's figure alone (the whole ones are read
# by test_one_value_everywhere).
PAGES = (
    *PLAIN, "/?ward=W03", "/council?ward=W03", "/public?ward=W03", "/public?ward=W12", "/public/data?table=kpis",
    *(f"/{domain.name}{query}" for domain in DOMAINS for query in ("", "?ward=W03")),
    *(f"/kpi/{kpi}{query}" for kpi in KPIS for query in ("", "?area=ward:W03")),
)  # fmt: skip
# A figure of the town is one from 400,001 on; nothing else on its pages is between that and 500,000.
FIRST = 400_001
FIGURE = re.compile(r"(?<![\d,٬.٫])[4۴४][,٬]?\d[,٬]?\d[,٬]?\d{3}(?:[.٫]\d+)?(?!\d)")
Key = tuple[str, str]


@pytest.fixture(scope="module")
def town() -> FakeTown:
    made = FakeTown(DOMAINS, water_points=20)
    made.languages = list(LANGUAGES)
    state = made.state_at(1000)
    for step, row in enumerate(state["kpis"].values()):
        if row["value"] is not None:
            row["value"] = FIRST + step + 0.36
            row["last_week"] = row["value"] + 200_000
    made.publish(state)
    return made


@pytest.fixture(scope="module")
def asked(town: FakeTown) -> Iterator[Mapping[tuple[str, str], Any]]:
    """(page, language) -> what the board answered; the API's figures beside them, all of one snapshot."""
    from components.web import build

    async def ask() -> dict[tuple[str, str], Any]:
        import httpx

        life = Lifespan(app := build(town, api.build(town), "/"))  # type: ignore[arg-type]
        await life.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://board") as client:  # type: ignore[arg-type]
            found = {
                (path, lang): await client.get(f"{path}{'&' if '?' in path else '?'}lang={lang}")
                for lang in LANGUAGES
                for path in PAGES
            }
            found["api", ""] = await client.get("/api/v1/snapshot")
        await life.stop()
        return found

    yield asyncio.run(ask())
    tongue.speak(tongue.ENGLISH)


@pytest.fixture(scope="module")
def wanted(asked: Mapping[tuple[str, str], Any]) -> dict[Key, float | None]:
    rows = asked["api", ""].json()["kpis"].values()
    return {(row["kpi"], row["area"]): row["value"] for row in rows}


def drawn(text: str) -> Any:
    """The page as it is before any script, without what is no text, and without pictures.

    A picture draws the rows of a file of its own; test_one_value_everywhere holds both against each other.
    """
    page = html.fromstring(text.split('id="react-entry-point"', maxsplit=1)[0])
    for part in page.xpath("//script | //style | //*[starts-with(@id, 'picture-')]"):
        part.drop_tree()
    return page


def texts(page: Any) -> Iterator[tuple[Any, str]]:
    """Each piece of text, also what is only heard or shown on pointing, with the element that has it."""
    for node in page.iter():
        if isinstance(node.tag, str):
            yield from ((node, node.get(name, "")) for name in ("aria-label", "title", "content", "alt"))
            yield node, node.text or ""
        if node.tail and node.getparent() is not None:
            yield node.getparent(), node.tail


def nearest(node: Any, mark: str) -> Any:
    """The element with this mark that holds the node, or None."""
    found = node.xpath(f"ancestor-or-self::*[@{mark}][1]")
    return found[0] if found else None


def owners(node: Any, text: str, names: Mapping[str, str]) -> set[Key]:
    """Whose figure may stand here, by the marks about it: one KPI and area; several where its text names the ward."""
    for mark in ("data-kpi", "data-figure"):
        if (held := nearest(node, mark)) is not None:
            kpi, _, area = held.get(mark).partition("|")
            return {(kpi, area)}
    for mark in ("data-map", "data-map-table", "data-troubled", "data-worst"):
        if (held := nearest(node, mark)) is None:
            continue
        for place in ("data-ward", "data-ward-value", "data-ward-row"):
            if (ward := nearest(node, place)) is not None:
                return {(held.get(mark), f"ward:{ward.get(place)}")}
        here = [f"ward:{ward}" for ward, name in names.items() if name in text]
        return {(kpi, area) for kpi in held.get(mark).split() for area in here}
    return set()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_figure_is_the_api_s_and_says_whose_it_is(
    asked: Mapping[tuple[str, str], Any], wanted: dict[Key, float | None], town: FakeTown, lang: str
) -> None:
    tongue.speak(Tongue(lang))
    names = dict(zip(*(town.wards()[column].to_list() for column in ("ward", "name")), strict=True))
    written = {key: wording.number(value, KPIS[key[0]].decimals) for key, value in wanted.items()}
    whose = {text: key for key, text in written.items() if wanted[key] is not None}
    seen: dict[str, set[Key]] = {}
    for path in PAGES:
        answer = asked[path, lang]
        assert answer.status_code == 200, path
        found = seen.setdefault(path, set())
        for node, text in texts(drawn(answer.text)):
            for figure in FIGURE.findall(text):
                where = f"{path}: {html.tostring(node, encoding='unicode', with_tail=False)[:300]}"
                assert figure in whose, f"{figure} is no figure of the API. {where}"
                assert whose[figure] in owners(node, text, names), (
                    f"{figure}, {whose[figure]} is not marked so. {where}"
                )
                found.add(whose[figure])
    towns = {key for key in whose.values() if key[1] == "town"}
    for domain in DOMAINS:
        own = {key for key in towns if key[0] in {kpi.id for kpi in domain.kpis}}
        assert own <= seen[f"/{domain.name}"] and own & seen["/"] and own & seen["/wall"], domain.name
        heads = {key for key in own if KPIS[key[0]].headline}
        assert (
            heads <= seen["/public"] and {key for key in heads if KPIS[key[0]].target is not None} <= seen["/council"]
        )
    for kpi, area in whose.values():
        if area in ("town", "ward:W03"):
            assert (kpi, area) in seen[f"/kpi/{kpi}{'' if area == 'town' else '?area=ward:W03'}"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_marked_value_is_the_api_s_also_where_there_is_none(
    asked: Mapping[tuple[str, str], Any], wanted: dict[Key, float | None], lang: str
) -> None:
    tongue.speak(Tongue(lang))
    marked, unknown = 0, 0
    for path in PAGES:
        for node in drawn(asked[path, lang].text).xpath("//*[@data-f='value']"):
            kpi, _, area = nearest(node, "data-kpi").get("data-kpi").partition("|")
            value = wanted[kpi, area]
            assert node.text_content() == wording.number(value, KPIS[kpi].decimals), (path, kpi, area)
            marked, unknown = marked + 1, unknown + (value is None)
    assert marked > 500 and unknown > 20
