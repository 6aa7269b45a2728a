"""What a reader does before the scripts have come is still done when they draw the page a second time, and nothing jumps."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Served
from tests.browser.test_pages_in_a_browser import Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SHIFTS = """window.__shifts = []; new PerformanceObserver((list) => window.__shifts.push(...list.getEntries()))
  .observe({type: 'layout-shift', buffered: true});"""
# By how much of the screen things moved although nobody had just done something.
MOVED = "window.__shifts.filter((shift) => !shift.hadRecentInput).reduce((sum, shift) => sum + shift.value, 0)"
# What moved, for whoever reads that something did.
WHAT = "window.__shifts.map((shift) => [shift.value, shift.sources.map(({node}) => node?.outerHTML?.slice(0, 90))])"
PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
WITHOUT_DASH = (
    ("/alarms", "[data-f=console-summary]"), ("/council", ".lead"), ("/wall", ".w-tile [data-f=value]"),
)  # fmt: skip


class Slow(Watched):
    """A browser whose scripts have come, but not yet what Dash asks for: the page as the server wrote it."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, bypass_csp=True, **options)
        self.held: list[Any] = []
        self.page.add_init_script(SHIFTS)

    def begin(self, path: str) -> Any:
        self.page.route("**/_dash-layout", self._hold)
        with self.page.expect_request("**/_dash-layout"):
            self.page.goto(self.address + path, wait_until="domcontentloaded")
        return self.page

    def _hold(self, route: Any) -> None:
        self.held.append(route)

    def go_on(self) -> None:
        for route in self.held:
            route.continue_()
        self.page.wait_for_selector("body.ready", timeout=20_000)
        assert self.page.locator("#first").count() == 0


@pytest.fixture
def slow(chromium: Any, served: Served, request: Any) -> Iterator[Slow]:
    view = Slow(chromium, served, *request.param)
    yield view
    view.context.close()
    assert view.complaints == [] and view.strangers == []


WIDE, DESK, PHONE = (1920, 1080), (1366, 768), (390, 844)


@pytest.mark.parametrize("slow", [DESK], indirect=True, ids=["1366x768"])
def test_what_was_opened_scrolled_typed_and_focused_before_the_scripts_stays_so(slow: Slow) -> None:
    page = slow.begin("/water")
    tile = "[data-kpi='pressure_compliance|town'] .explain"
    page.click(f"#first article{tile} summary")
    page.click("#first tr[data-kpi='continuity|town'] .explain summary")
    page.select_option("#first #assets-state", "stale")
    page.click("#first #assets-search")
    page.keyboard.type("Pressure point 12")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert page.evaluate("scrollY") > 500
    stands = page.locator("#first #assets-search").bounding_box()
    slow.go_on()
    assert page.locator("#assets-search").bounding_box() == pytest.approx(stands, abs=2)
    assert page.get_attribute(f"article{tile}", "open") is not None
    assert page.get_attribute("tr[data-kpi='continuity|town'] .explain", "open") is not None
    assert page.get_attribute("article[data-kpi='supply_per_head|town'] .explain", "open") is None
    assert page.evaluate("[document.activeElement.id, document.activeElement.selectionStart]") == ["assets-search", 14]
    # Both reach the table: of the points whose name begins so, those that are stale.
    page.wait_for_selector("#assets-table tbody tr:first-child td:has-text('Pressure point 12')", timeout=10_000)
    assert set(page.locator("#assets-table tbody .chip").all_inner_texts()) == {"Stale"}


@pytest.mark.parametrize("slow", [PHONE], indirect=True, ids=["390x844"])
def test_a_fold_that_was_opened_on_a_phone_stays_open_and_nothing_jumps(slow: Slow) -> None:
    page = slow.begin("/water")
    page.click("#first details.fold:has(.kpi-table) > summary")
    stands = page.locator("#first details.fold:has(.kpi-table)").bounding_box()
    slow.go_on()
    assert page.locator("details.fold:has(.kpi-table)").bounding_box() == pytest.approx(stands, abs=2)
    folds = page.locator("details.fold").evaluate_all(
        "all => all.filter((box) => box.open).map((box) => box.innerText)"
    )
    assert len(folds) == 1 and folds[0].startswith("Further KPIs")
    assert page.evaluate(MOVED) < 0.01


@pytest.mark.parametrize("slow", [WIDE, PHONE], indirect=True, ids=["1920x1080", "390x844"])
def test_a_page_without_dash_shows_figures_before_its_style_sheet_has_come_and_nothing_jumps(slow: Slow) -> None:
    page = slow.page
    held: dict[str, Any] = {}
    late = re.compile(r"/assets/(townboard\.css|page\.js)")
    page.route(late, lambda route: held.update({late.findall(route.request.url)[0]: route}))
    for path, figure in WITHOUT_DASH:
        page.goto(slow.address + path, wait_until="commit")
        page.locator(figure).first.wait_for()
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
        assert page.locator("footer").count() == 0, "what is behind the name of the style sheet has not come"
        held["townboard.css"].continue_()
        page.wait_for_selector("footer", state="attached")
        page.evaluate(PAINTED)
        held["page.js"].continue_()
        page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
        page.evaluate(PAINTED)
        assert page.evaluate(MOVED) < 0.01, (path, page.evaluate(WHAT))


@pytest.mark.parametrize("slow", [DESK], indirect=True, ids=["1366x768"])
def test_a_list_that_is_folded_out_is_not_torn_away(slow: Slow) -> None:
    page = slow.begin("/water")
    page.focus("#first select[name=ward]")
    for route in slow.held:
        route.continue_()
    page.wait_for_selector("#_pages_content h1", state="attached", timeout=20_000)
    assert page.locator("#first select[name=ward]").is_visible()
    page.focus("#first .nav-wide .nav-item >> nth=2")
    page.wait_for_selector("body.ready", timeout=10_000)
    assert page.evaluate("document.activeElement.getAttribute('href')") == page.get_attribute(
        ".nav-wide .nav-item >> nth=2", "href"
    )


@pytest.mark.parametrize("slow", [DESK], indirect=True, ids=["1366x768"])
def test_a_ward_that_is_chosen_before_the_scripts_is_asked_for_at_once(slow: Slow) -> None:
    page = slow.begin("/water")
    page.select_option("#first select[name=ward]", "W03")
    page.wait_for_url("**/water?ward=W03*", timeout=10_000)
    assert page.input_value("#first select[name=ward]") == "W03"
    assert page.locator("#first article[data-kpi='supply_per_head|ward:W03']").count() == 1
