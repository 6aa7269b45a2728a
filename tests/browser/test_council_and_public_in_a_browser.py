"""The pages for residents and for the council in a real browser: quiet, nothing from elsewhere, whole on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.engine.complaints import Standing
from tests.browser.conftest import Served
from tests.browser.test_pages_in_a_browser import Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def resident(chromium: Any, served: Served) -> Iterator[Any]:
    """A cheap phone without scripts; what it loaded is counted."""
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 360, "height": 640})
    page = context.new_page()
    page.loaded = []
    page.on("requestfinished", lambda r: page.loaded.append((r.url, sum(r.sizes().values()))))
    page.goto(served.address + "/public")
    yield page
    context.close()


def test_a_resident_finds_the_ward_and_a_request_without_scripts_in_under_sixty_kilobytes(
    resident: Any, served: Served
) -> None:
    resident.select_option("select[name=ward]", "W03")
    resident.click("button:text-is('Show')")
    resident.wait_for_url("**/public?ward=W03")
    assert resident.inner_text("h1") == "Today in Station Road"
    pages = [url for url, _ in resident.loaded]
    assert pages == [served.address + "/public", served.address + "/public?ward=W03"], "something beside the page came"
    assert max(size for _, size in resident.loaded) < 60_000
    served.town.requests = {"R-17": Standing(number="R-17", about="Street light", status="open", ward="W02",
                                             received_at=served.town.now(), promised_at=None, ended_at=None)}  # fmt: skip
    resident.fill("#number", "R-17")
    resident.click("button:text-is('Look')")
    assert "Request R-17 (Street light, Riverside)" in resident.inner_text("[role=status]")


def test_another_ward_is_chosen_at_once_and_the_figures_stand_still_while_they_are_read(
    chromium: Any, served: Served
) -> None:
    view = Watched(chromium, served, 390, 844)
    page = view.page
    page.goto(view.address + "/council")
    page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
    page.select_option("select[name=ward]", "W03")
    page.wait_for_url("**/council?ward=W03")
    page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
    before = page.inner_text(".council")
    served.publish(supply_per_head=77.0)
    built = page.inner_text(".as-of")
    page.locator(".as-of", has_not_text=built.split()[-1]).wait_for(timeout=8000)
    assert page.inner_text(".council") == before
    assert page.locator("details.fold[open]").count() == 0
    served.values.clear()
    view.context.close()


def test_the_council_prints_its_sentences_and_tables_without_the_menu(chromium: Any, served: Served) -> None:
    view = Watched(chromium, served, 1366, 768)
    page = view.page
    page.goto(view.address + "/council")
    page.emulate_media(media="print")
    for hidden in (".side", ".filters", "#shell-theme"):
        assert page.locator(hidden).first.is_hidden(), hidden
    for shown in (".lead", ".council .table >> nth=0", ".council .table >> nth=1", ".bars >> nth=0"):
        assert page.locator(shown).is_visible(), shown
    view.context.close()
