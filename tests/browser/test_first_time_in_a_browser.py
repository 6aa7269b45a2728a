"""Somebody who has never seen the board: from the overview, by words that can be seen, each task in a few clicks."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Served
from tests.browser.test_console_in_a_browser import DESK, PHONE, Operator, ring, row
from tests.engine.people.doorstep import PASSWORD, Doorstep

pytestmark = [pytest.mark.browser, pytest.mark.slow]
BAD = ":is([data-state=breach],[data-state=watch])"
MOST_CLICKS = 10


class Newcomer(Operator):
    """Begins at the overview and clicks only what is seen; counts the clicks (a choice in a list is two)."""

    clicks = 0

    def begin(self) -> Any:
        self.clicks = 0
        return self.go("/")

    def click(self, found: Any) -> None:
        found.locator("visible=true").first.click(timeout=10_000)
        self.clicks += 1

    def link(self, name: str, inside: Any = None) -> None:
        self.click((inside or self.page.locator("main")).get_by_role("link", name=name, exact=True))

    def choose(self, label: str, option: str) -> None:
        self.page.get_by_role("combobox", name=label).locator("visible=true").select_option(label=option)
        self.clicks += 2

    def menu(self, name: str) -> None:
        if self.page.viewport_size["width"] < 820:
            self.click(self.page.get_by_text("Menu", exact=True))
        self.link(name, self.page.locator("nav"))


@pytest.fixture
def newcomer(chromium: Any, served: Served, people: Doorstep, request: Any) -> Iterator[Newcomer]:
    view = Newcomer(chromium, served, *request.param, accept_downloads=True)
    yield view
    view.context.close()
    assert view.complaints == []
    assert view.strangers == []


def troubled(served: Served) -> tuple[str, str]:
    """A ward where a headline of water is bad: its id and its name."""
    town = served.town
    headlines = [kpi.id for kpi in town.domain("water").kpis if kpi.headline]
    state = town.board().state["kpis"]  # type: ignore[union-attr]
    for ward, name in town.wards().select("ward", "name").iter_rows():
        if any(state[f"{kpi}|ward:{ward}"]["status"] in ("breach", "watch") for kpi in headlines):
            return ward, name
    raise AssertionError("water is well everywhere in the made-up town")


@pytest.mark.parametrize("newcomer", [DESK, PHONE], indirect=True, ids=["1366x768", "390x844"])
def test_newcomer_finds_why_acknowledges_exports_and_reads_in_a_few_clicks(newcomer: Newcomer, served: Served) -> None:
    (ward, name), alarm, page = troubled(served), f"new-{newcomer.page.viewport_size['width']}", newcomer.begin()
    newcomer.choose("Ward", name)
    page.wait_for_url(f"**ward={ward}*")
    newcomer.link("Water")
    tile = page.locator(f".headline article.tile[data-kpi$='|ward:{ward}']{BAD}").first
    newcomer.click(tile.get_by_text("How is this computed?"))
    newcomer.link("What was left out, corrections, and the rows behind it", tile)
    page.wait_for_selector(f".kpi-page :text('{name}')")
    assert newcomer.clicks <= MOST_CLICKS

    ring(served, alarm)
    page = newcomer.begin()
    newcomer.link("Water")
    page.wait_for_selector("h1:text-is('Water')")
    newcomer.link("Alarms")
    page.wait_for_url("**/alarms?domain=water")
    notice = page.locator(".console .notice", has_text="to acknowledge")
    box = notice.bounding_box()
    assert box and box["y"] + box["height"] <= page.viewport_size["height"]
    newcomer.link("Sign in", notice)
    assert "the terminal in which it was started" in page.inner_text("main")
    page.fill("[name=name]", "asha")
    page.fill("[name=password]", PASSWORD)
    newcomer.click(page.locator("main").get_by_role("button", name="Sign in"))
    page.wait_for_url("**/alarms?domain=water")
    newcomer.click(page.locator(f"{row(alarm)} .c-pick"))
    newcomer.click(page.get_by_role("button", name="Acknowledge", exact=True))
    page.wait_for_selector(f"{row(alarm)}[data-state=acknowledged]", timeout=10_000)
    assert newcomer.clicks <= MOST_CLICKS

    newcomer.clicks = 0
    newcomer.link("Pressure point 7", page.locator(row(alarm)))
    page.wait_for_selector("h1:text-is('Pressure point 7')")
    with page.expect_download() as file:
        newcomer.link("Download CSV: readings of WA-0007.1")
    assert "/api/v1/readings?sensor=WA-0007.1" in file.value.url and newcomer.clicks <= MOST_CLICKS

    page = newcomer.begin()
    newcomer.menu("Council")
    assert "targets" in page.locator(".lead").inner_text() and newcomer.clicks <= 2

    page = newcomer.begin()
    newcomer.menu("Residents")
    # From here on nothing needs a script: test_filing_in_a_browser.py files the request.
    assert page.locator("h1").inner_text() == "Today in Nadipur" and newcomer.clicks <= 2
