"""Pages in three languages in a real browser: nothing untranslated, nothing outside, no error, nothing cut when texts grow; axe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Served
from tests.conftest import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PAGES = ("/", "/water", "/feeds", "/exports", "/alarms", "/signin")
SIZES = {"wide": (1920, 1080), "desk": (1366, 768), "phone": (390, 844)}
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
pytestmark = pytest.mark.browser


@pytest.fixture
def look(served: Served, chromium: Any) -> Iterator[Any]:
    """Opens a page and gives it with what went wrong on it."""
    opened = []

    def opening(path: str, *, size: str = "desk", theme: str = "light", lang: str = "en") -> tuple[Any, list[str]]:
        width, height = SIZES[size]
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, bypass_csp=True, reduced_motion="reduce"
        )
        opened.append(context)
        page, wrong = context.new_page(), list[str]()
        page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request", lambda r: None if r.url.startswith((served.address, "data:", "blob:")) else wrong.append(r.url)
        )
        page.goto(f"{served.address}{path}{'&' if '?' in path else '?'}lang={lang}")
        page.wait_for_selector(".live[data-mode=live]")
        # What is painted first gives way to the page that scripts have drawn.
        page.wait_for_selector("#first", state="detached")
        page.wait_for_selector("#content h1")
        return page, wrong

    yield opening
    for context in opened:
        context.close()


@pytest.mark.parametrize("lang", ["hi", "ur"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_speaks_its_language_from_the_first_paint_on(look: Any, path: str, lang: str) -> None:
    page, wrong = look(path, lang=lang)
    assert page.evaluate("document.documentElement.lang") == lang
    assert page.evaluate("getComputedStyle(document.body).direction") == ("rtl" if lang == "ur" else "ltr")
    heading = page.inner_text("#content h1")
    assert not heading.isascii(), heading
    assert not page.inner_text(".live").isascii()
    assert wrong == []


def test_the_chooser_changes_the_language_and_keeps_the_view(look: Any, served: Served) -> None:
    page, wrong = look("/water?ward=W02&days=30")
    page.click("#shell-languages summary")
    page.click("#shell-languages a[lang=ur]")
    page.wait_for_selector("html[lang=ur] .live[data-mode=live]")
    assert "ward=W02" in page.url and "days=30" in page.url
    page.goto(f"{served.address}/feeds")
    assert page.evaluate("document.documentElement.lang") == "ur"
    assert wrong == []


@pytest.mark.parametrize("size", SIZES)
def test_right_to_left_is_mirrored_and_nothing_sticks_out(look: Any, size: str) -> None:
    page, _ = look("/water", size=size, lang="ur")
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth + 1")
    if size != "phone":
        assert page.evaluate("document.querySelector('.side').getBoundingClientRect().left > innerWidth / 2")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("path", ["/", "/water", "/feeds"])
def test_texts_that_grow_by_two_fifths_stay_on_the_page(look: Any, path: str, size: str) -> None:
    page, _ = look(path, size=size)
    page.evaluate(
        """() => { const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT); const found = [];
        while (walk.nextNode()) if (/[a-z]{3}/.test(walk.currentNode.nodeValue) && !walk.currentNode.parentElement.closest('script,style,svg')) found.push(walk.currentNode);
        for (const node of found) node.nodeValue += ' ' + 'wide '.repeat(Math.ceil(node.nodeValue.length * .08)).trim(); }"""
    )
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth + 1")


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not fetched: npm ci")
@pytest.mark.parametrize(
    ("path", "size", "theme", "lang"),
    [
        *((path, "desk", theme, "en") for path in (*PAGES, "/asset/WA-0003", "/kpi/supply_per_head") for theme in ("light", "dark")),
        *((path, "phone", "light", lang) for path in ("/", "/water", "/alarms") for lang in ("en", "hi", "ur")),
        *((path, "wide", "dark", lang) for path in ("/", "/water") for lang in ("hi", "ur")),
    ],
)  # fmt: skip
def test_axe_finds_no_violation(look: Any, path: str, size: str, theme: str, lang: str) -> None:
    page, _ = look(path, size=size, theme=theme, lang=lang)
    page.add_script_tag(content=Path(AXE).read_text("utf-8"))
    found = page.evaluate("(rules) => axe.run(document, rules).then((r) => r.violations)", RULES)
    told = [f"{v['id']}: {node['target']} {node['failureSummary'][:300]}" for v in found for node in v["nodes"][:3]]
    assert told == []
