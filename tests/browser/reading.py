"""A page as somebody reads it: in one of three languages, at a size, light or dark; what is wrong with it, in words."""

import json
from pathlib import Path
from typing import Any

from tests.browser.conftest import Served
from tests.conftest import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
APPROVED = Path(__file__).with_name("approved") / "layout.json"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
SIZES = {"wide": (1920, 1080), "desk": (1366, 768), "phone": (390, 844)}
# What holds a page together; where it stands does not depend on what the town measures.
PARTS = {
    "/wall": (".w-top", ".w-column", ".w-alarms", ".w-maps", ".w-feeds"),
    "/council": (".page-head", ".council > .said", ".fold"),
    "/public": ("header", "h1", "form", "section"),
    "/": (".alarm-panel", ".map-panel", ".card-domain"),
    "/water": (".headline .tile", ".map-panel", ".charts > *"),
}
MOST_OF_A_KIND = 6
# Words that are abbreviated on purpose: the opened alarm has them whole.
CUT = """() => [...document.querySelectorAll('body *')].filter((n) => {
  const look = getComputedStyle(n);
  if (!n.checkVisibility() || n.closest('.visually-hidden,svg,[hidden],.js-plotly-plot,.live,.c-note')) return false;
  if (!/hidden|clip/.test(look.overflowX + look.overflowY)) return false;
  if (![...n.childNodes].some((c) => c.nodeType === 3 && c.textContent.trim())) return false;
  return n.scrollWidth > n.clientWidth + 1 || n.scrollHeight > n.clientHeight + parseFloat(look.fontSize) / 2;
}).map((n) => `${n.className}: ${n.textContent.slice(0, 60)}`)"""
CHARTS = """() => [...document.querySelectorAll('.js-plotly-plot, .map svg, .drawn')].filter((n) => {
  const named = n.closest('[role=img],[role=group]'), panel = n.closest('section,.panel,.w-map,article');
  return !/\\S+ \\S+ \\S+/.test(named?.getAttribute('aria-label') || '') || !panel?.querySelector('table,.w-wards');
}).map((n) => n.closest('section,.panel')?.innerText.slice(0, 80) || n.outerHTML.slice(0, 120))"""
BOXES = """([parts, most]) => Object.fromEntries(parts.map((part) => [part, [...document.querySelectorAll(part)]
  .filter((n) => n.checkVisibility()).slice(0, most)
  .map((n) => n.getBoundingClientRect()).map((b) => [b.x, b.y + scrollY, b.width, b.height].map(Math.round))]))"""
FITS = "document.scrollingElement.scrollWidth <= innerWidth + 1"


class Reader:
    """One tab of a browser whose owner reads one language."""

    def __init__(self, browser: Any, served: Served, lang: str) -> None:
        self.context = browser.new_context(bypass_csp=True, reduced_motion="reduce")
        self.page, self.address, self.lang = self.context.new_page(), served.address, lang
        self.wrong: list[str] = []
        self.page.on("console", lambda m: self._note(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self._note(str(error)))
        self.page.on("request", lambda r: self._note(r.url) if not self._ours(r.url) else None)

    def _note(self, words: str) -> None:
        self.wrong.append(words)

    def _ours(self, url: str) -> bool:
        return url.startswith((self.address, "data:", "blob:"))

    def open(self, path: str, size: str = "desk", theme: str = "light") -> None:
        self.wrong.clear()
        self.look(size, theme)
        self.page.goto(f"{self.address}{path}{'&' if '?' in path else '?'}lang={self.lang}")
        if not path.startswith("/public"):
            self.page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
            self.page.wait_for_selector("#first", state="detached")
            self.page.wait_for_selector("h1")

    def look(self, size: str, theme: str) -> None:
        """Another size and theme without a new page: as a window is drawn out, and by the button for the theme."""
        width, height = SIZES[size]
        self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        self.page.evaluate("(theme) => { document.documentElement.dataset.bsTheme = theme; }", theme)
        self.page.set_viewport_size({"width": width, "height": height})

    def fits(self, where: str) -> None:
        """Charts take their new width in the next frames."""
        try:
            self.page.wait_for_function(FITS, timeout=10_000)
        except Exception as error:
            raise AssertionError(f"{where} scrolls sideways") from error

    def violations(self) -> list[str]:
        """What axe-core finds."""
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text("utf-8"))
        found = self.page.evaluate("(rules) => axe.run(document, rules).then((r) => r.violations)", RULES)
        return [f"{v['id']}: {node['target']} {node['failureSummary'][:300]}" for v in found for node in v["nodes"][:3]]

    def boxes(self, path: str) -> dict[str, list[list[int]]]:
        """Where the parts of the page stand: x, y, width, height."""
        return dict(self.page.evaluate(BOXES, [list(PARTS[path]), MOST_OF_A_KIND]))


def approved() -> dict[str, Any]:
    """What was approved: path and size -> part -> boxes, of the English page."""
    return dict(json.loads(APPROVED.read_text("utf-8"))) if APPROVED.exists() else {}


def approve(layout: dict[str, Any]) -> None:
    """Keep this layout as the one that is compared with from now on."""
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(layout[key])}" for key in sorted(layout))
    APPROVED.write_text(f"{{\n{lines}\n}}\n", "utf-8")
