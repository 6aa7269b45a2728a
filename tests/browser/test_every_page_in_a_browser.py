"""Every page in three languages, at three sizes, light and dark, zoomed and with grown texts: whole, quiet, for everybody.

Each page is opened once for each language; size and theme change without a new page. The six looks of a page are seen
by axe-core once each, two in each language. `pytest tests/browser/test_every_page_in_a_browser.py --approve` keeps the
layout that is compared with.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from components import catalogues, dressing, tongue
from tests.browser.conftest import Served
from tests.browser.reading import AXE, CHARTS, CUT, PARTS, SIZES, Reader, approve, approved
from tools import messages

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LANGUAGES = ("en", "hi", "ur")
PAGES = (
    "/", "/transport", "/water", "/energy", "/pollution", "/grievances", "/kpi/pressure_compliance", "/feeds", "/exports",
    "/asset/WA-0003", "/alarms", "/shift", "/signin", "/wall", "/council", "/council?ward=W03", "/public",
    "/public?ward=W03", "/public/request", "/public/data", "/public/data?table=kpis", "/public/data?table=water_bills",
)  # fmt: skip
# What is for some only, or little beside others, each in one language. Nothing stands at the last address.
ONCE = (
    ("/rules", "hi"), ("/messages", "ur"), ("/account", "hi"), ("/public/file", "hi"), ("/nothing-here", "en"),
)  # fmt: skip
CASES = [*((path, lang) for lang in LANGUAGES for path in PAGES), *ONCE]
LOOKS = (
    (("wide", "light"), ("phone", "dark")),
    (("desk", "dark"), ("phone", "light")),
    (("desk", "light"), ("wide", "dark")),
)
# 1280 pixels at 400 %.
ZOOMED = {"width": 320, "height": 256}
NEAR = 6
# Headings that are names of this town or made up for it, in the letters they have.
NAMED = ("/asset/WA-0003", "/wall", "/kpi/pressure_compliance")


@pytest.fixture(scope="module")
def readers(chromium: Any, served: Served) -> Iterator[Callable[[str], Reader]]:
    """The tab of whoever reads a language."""
    tabs: dict[str, Reader] = {}
    yield lambda lang: tabs.get(lang) or tabs.setdefault(lang, Reader(chromium, served, lang))
    for tab in tabs.values():
        tab.context.close()


@pytest.fixture(scope="module")
def layout(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The approved layout; what this run finds is kept instead when it is told to approve."""
    found: dict[str, Any] = {}
    anew = bool(request.config.getoption("--approve"))
    yield found if anew else approved()
    if anew:
        approve({**approved(), **found})


def compare(reader: Reader, path: str, size: str, layout: dict[str, Any]) -> None:
    """Parts stand where they were approved to; in a language that runs to the left, in the mirror."""
    found, key, width = reader.boxes(path), f"{path} {size}", SIZES[size][0]
    approving = reader.lang == "en" and key not in layout
    if approving:
        layout[key] = found
    for part, boxes in found.items():
        for (x, y, w, h), (x_, y_, w_, h_) in zip(boxes, layout[key][part], strict=True):
            left = width - x - w if reader.lang == "ur" else x
            assert abs(left - x_) <= NEAR and abs(w - w_) <= NEAR, f"{key}, {part}: {boxes}, was {layout[key][part]}"
            if path == "/wall" and size != "phone":
                assert abs(y - y_) <= NEAR and abs(h - h_) <= NEAR, f"{key}, {part}: {boxes}, was {layout[key][part]}"


@pytest.mark.parametrize(("path", "lang"), CASES)
def test_a_page_is_whole_quiet_and_for_everybody(
    readers: Callable[[str], Reader], layout: dict[str, Any], path: str, lang: str
) -> None:
    reader, page = readers(lang), readers(lang).page
    looks = LOOKS[
        CASES.index((path, lang)) % 3 if (path, lang) in ONCE else (PAGES.index(path) + LANGUAGES.index(lang)) % 3
    ]
    reader.open(path, *looks[0])
    assert page.evaluate("document.documentElement.lang") == lang
    assert page.evaluate("getComputedStyle(document.body).direction") == ("rtl" if lang == "ur" else "ltr")
    assert page.locator("h1").count() == 1 and page.inner_text("h1").isascii() is (lang == "en" or path in NAMED)
    for size, theme in (*looks, *((other, looks[1][1]) for other in SIZES if other not in dict(looks))):
        reader.look(size, theme)
        reader.fits(f"{path} at {size}")
        if path in PARTS:
            compare(reader, path, size, layout)
        if AXE.exists() and (size, theme) in looks:
            assert reader.violations() == [], f"{size}, {theme}"
    assert page.evaluate(CHARTS) == [], "a chart without its sentence or its table"
    page.evaluate(
        "document.querySelectorAll('details:not(.languages,.nav-phone)').forEach((box) => { box.open = true; })"
    )
    page.set_viewport_size(ZOOMED)
    reader.fits(f"{path} zoomed to 400 %")
    assert page.evaluate(CUT) == [], "cut when zoomed to 400 %"
    assert page.evaluate("document.getAnimations().filter((a) => a.playState === 'running').length") == 0
    assert [words for words in reader.wrong if "404" not in words or path != "/nothing-here"] == []


def test_the_chooser_changes_the_language_and_keeps_the_view(readers: Callable[[str], Reader]) -> None:
    reader, page = readers("en"), readers("en").page
    reader.open("/council?ward=W02")
    page.click("#shell-languages summary")
    page.click("#shell-languages a[lang=ur]")
    page.wait_for_selector("html[lang=ur] .live[data-mode=live]")
    assert "ward=W02" in page.url
    page.goto(f"{reader.address}/feeds")
    assert page.evaluate("document.documentElement.lang") == "ur"
    assert reader.wrong == []


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Hindi's place is taken by a language in which every text is 40 % longer."""
    folder = tmp_path_factory.mktemp("grown")
    messages.write(messages.pseudo("hi", messages.gathered(messages.every())), folder / "hi.po")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogues, "FOLDER", folder)
        _forget()
        yield
    _forget()


def _forget() -> None:
    for kept in (catalogues.codes, catalogues.words, tongue._said, dressing._script):
        kept.cache_clear()


@pytest.mark.parametrize("path", ["/?ward=W05", "/water?ward=W05", "/wall", "/council?ward=W05", "/public?ward=W05"])
def test_texts_that_grow_by_two_fifths_stay_on_the_page(
    readers: Callable[[str], Reader], grown: None, path: str
) -> None:
    reader = readers("hi")
    reader.open(path)
    assert "~" in reader.page.inner_text("body"), "the grown language is not spoken"
    for size in SIZES:
        reader.look(size, "light")
        reader.fits(f"{path} at {size} with grown texts")
    assert reader.page.evaluate(CUT) == [], "cut on a phone with grown texts"
    assert reader.wrong == []


FOCUSED = """() => { const n = document.activeElement, look = getComputedStyle(n), box = n.getBoundingClientRect();
  if (n === document.body) return null;
  const ring = look.outlineStyle !== 'none' && parseFloat(look.outlineWidth) >= 2;
  const drawn = n.closest('svg') && [...n.children].some((part) => parseFloat(getComputedStyle(part).strokeWidth) >= 4);
  return {name: n.outerHTML.slice(0, 140), seen: (ring || Boolean(drawn)) && box.width > 0 && box.bottom > 0 && box.top < innerHeight}; }"""
REACHABLE = """[...document.querySelectorAll('a[href],button,input,select,textarea,summary,[tabindex="0"]')]
  .filter((n) => n.checkVisibility({visibilityProperty: true}) && !n.disabled && n.tabIndex >= 0).length"""


@pytest.mark.parametrize("path", ["/", "/council", "/public", "/wall", "/public/request"])
def test_the_tab_key_reaches_everything_and_shows_where_it_is(readers: Callable[[str], Reader], path: str) -> None:
    reader, page = readers("en"), readers("en").page
    reader.open(path)
    there = page.evaluate(REACHABLE)
    found = []
    for _ in range(there + 5):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUSED)
        if at is None:
            break
        found.append(at)
    assert [at["name"] for at in found if not at["seen"]] == []
    # Lists of choices and rows that scroll may take a key of their own.
    assert len(found) >= there
