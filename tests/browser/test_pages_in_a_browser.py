"""Every page in a real browser: quiet console, nothing fetched from elsewhere, fits, lives, says when it does not."""

from typing import Any

import pytest

from tests.browser.conftest import Served

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SIZES = [(1920, 1080), (1366, 768), (390, 844)]


class Watched:
    """A browser page and all that it complained about or asked of strangers."""

    def __init__(self, browser: Any, served: Served, width: int, height: int, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, **options)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda e: self.complaints.append(str(e)))
        self.page.on(
            "request",
            lambda r: None if r.url.startswith((served.address, "data:", "blob:")) else self.strangers.append(r.url),
        )
        self.address = served.address

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path, wait_until="domcontentloaded")
        self.page.wait_for_selector("body.ready", timeout=20_000)
        self.page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
        return self.page


@pytest.fixture
def watched(chromium: Any, served: Served, request: Any) -> Any:
    width, height = getattr(request, "param", (1366, 768))
    view = Watched(chromium, served, width, height)
    yield view
    view.context.close()


@pytest.mark.parametrize("watched", SIZES[:2], indirect=True, ids=lambda s: f"{s[0]}x{s[1]}")
def test_the_overview_tells_the_state_of_the_town_without_scrolling(watched: Watched) -> None:
    page = watched.open("/")
    height = page.evaluate("innerHeight")
    for part in (".card-domain >> nth=-1", ".alarm-panel", ".map svg", ".feeds-panel"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= height, part
    assert page.locator(".card-domain").count() == 5


@pytest.mark.parametrize("watched", SIZES[:2], indirect=True, ids=lambda s: f"{s[0]}x{s[1]}")
def test_headline_tiles_stand_in_full_rows_of_equal_height(watched: Watched) -> None:
    for path in ("/water", "/pollution"):
        boxes = [t.bounding_box() for t in watched.open(path).locator(".headline .tile").all()]
        assert len({round(b["y"]) for b in boxes}) == 1, path
        assert len({round(b["height"]) for b in boxes}) == 1, path


@pytest.mark.parametrize("watched", SIZES[2:], indirect=True, ids=lambda s: f"{s[0]}x{s[1]}")
def test_a_phone_begins_with_state_and_headlines_and_folds_the_long_parts(watched: Watched) -> None:
    page = watched.open("/water")
    assert page.locator(".page-head .title .chip").bounding_box()["y"] < 250
    third = page.locator(".headline .tile >> nth=2").bounding_box()
    assert third["y"] + third["height"] < 844
    assert page.locator("details.fold[open]").count() == 0
    # Two pictures stand open; a page with all its parts is twice as long.
    assert page.evaluate("document.documentElement.scrollHeight") < 7000
    page.click("details.fold:has(#assets-table) > summary")
    page.wait_for_selector("#assets-table [role=status]:has-text('page 1 of 260')", timeout=10_000)
    assert page.locator("#assets-table tbody tr").count() == 10


def test_a_kpi_that_worsens_comes_up_on_the_overview_unless_somebody_points_at_it(
    watched: Watched, served: Served
) -> None:
    page = watched.open("/")
    lines = page.locator(".card-domain:has-text('Grievances') .lines")
    first = lines.locator("li >> nth=0")
    assert "Median days to close" not in first.inner_text()
    lines.hover()
    served.turn(median_days_to_close="breach")
    lines.locator("li[data-kpi^=median_days_to_close][data-state=breach]").wait_for(state="attached", timeout=10_000)
    assert "Median days to close" not in first.inner_text()
    page.mouse.move(5, 700)
    lines.locator("li:nth-child(1)[data-kpi^=median_days_to_close]").wait_for(timeout=10_000)
    served.statuses.clear()


def test_the_map_s_sentence_and_table_say_the_same_from_the_script_as_from_the_server(watched: Watched) -> None:
    page = watched.open("/")
    told = """(root) => [root.querySelector('.map svg').getAttribute('aria-label'),
      ...[...root.querySelectorAll('.map-table td, .map-table th')].map((cell) => cell.textContent)]"""
    written = page.evaluate(f"""async () => {{
        const text = await (await fetch('/')).text();
        return ({told})(new DOMParser().parseFromString(text, 'text/html'));
    }}""")
    painted = page.evaluate(f"({told})(document)")
    assert len(painted) == 1 + 3 + 12 * 3 and painted == written
    assert painted[0].startswith("Map of 12 wards: ")


def test_charts_are_drawn_on_a_domain_page(watched: Watched) -> None:
    page = watched.open("/water")
    page.wait_for_selector(".chart-panel .ch-plot path.ch-line")
    # Nobody has looked at a chart yet, so nothing was fetched to draw it.
    assert not page.evaluate("Boolean(window.Plotly)")
    chart = page.locator(".chart-panel .chart").first
    place = ".ch-plot svg"
    before = chart.locator(place).bounding_box()
    chart.scroll_into_view_if_needed()
    scrolled = chart.locator(place).bounding_box() if chart.locator(place).count() else None
    page.wait_for_selector(".chart-panel .js-plotly-plot .scatterlayer path.js-line", timeout=20_000)
    assert chart.locator(".ch-plot").count() == 0
    ground = chart.locator(".nsewdrag").first.bounding_box()
    assert (
        before
        and ground
        and (before["width"], before["height"]) == pytest.approx((ground["width"], ground["height"]), abs=1.5)
    )
    assert scrolled is None or scrolled["y"] == pytest.approx(ground["y"], abs=1.5)
    assert page.locator(".map svg .ward").count() == 12


def test_a_new_snapshot_changes_tile_row_and_spoken_sentence(watched: Watched, served: Served) -> None:
    page = watched.open("/water")
    served.publish(supply_per_head=99.0, chlorine_compliance=12.3)
    page.wait_for_selector("[data-kpi='supply_per_head|town'] .value:text-is('99')", timeout=5000)
    page.wait_for_selector("tr[data-kpi='chlorine_compliance|town'] .value:text-is('12.3')", timeout=5000)
    assert "99 L per person a day, below the target of 135" in page.get_attribute(
        "article[data-kpi='supply_per_head|town']", "aria-label"
    )
    served.publish(supply_per_head=None)
    page.wait_for_selector("article[data-kpi='supply_per_head|town'] .value:text-is('–')", timeout=5000)
    assert page.inner_text("article[data-kpi='supply_per_head|town'] .why") == "nothing was measured in this time"
    served.values.clear()


def test_a_click_leads_from_alarm_to_asset_and_the_ward_goes_along(watched: Watched) -> None:
    page = watched.open("/?ward=W12")
    page.click(".alarms a >> nth=0")
    page.wait_for_selector("h1:text-is('Pressure point 3')", timeout=10_000)
    assert page.url.endswith("/asset/WA-0003?ward=W12")
    page.click(".nav-wide a:has-text('Energy')")
    page.wait_for_selector("h1:text-is('Energy')", timeout=10_000)
    assert page.url.endswith("/energy?ward=W12")
    assert page.input_value("select[data-filter=ward]") == "W12"
    page.go_back()
    page.wait_for_selector("h1:text-is('Pressure point 3')", timeout=10_000)


def test_a_filter_changes_the_address_and_the_figures(watched: Watched) -> None:
    page = watched.open("/water")
    page.select_option("select[data-filter=ward]", "W03")
    page.wait_for_selector("article[data-kpi='supply_per_head|ward:W03']", timeout=10_000)
    assert "ward=W03" in page.url
    page.select_option("select[data-filter=kpi]", "supply_hours")
    page.wait_for_selector("[data-map=supply_hours]", timeout=10_000)


def test_the_asset_table_searches_and_turns_pages_among_thousands(watched: Watched) -> None:
    page = watched.open("/water")
    page.fill("#assets-search", "point 1234")
    page.wait_for_selector("#assets-table [role=status]:has-text('1 asset, page 1 of 1')", timeout=10_000)
    assert [name.lower() for name in asset_names(page)] == ["pressure point 1234"]
    page.fill("#assets-search", "")
    page.wait_for_selector("#assets-table [role=status]:has-text('2,600 assets, page 1 of 104')", timeout=10_000)
    first = asset_names(page)
    page.click("#assets-next")
    page.wait_for_selector("#assets-table [role=status]:has-text('page 2 of 104')", timeout=10_000)
    second = asset_names(page)
    assert len(first) == len(second) == 25
    assert not set(first) & set(second)
    page.click("#assets-table button:has-text('Asset')")
    page.wait_for_selector("th[aria-sort=ascending] button:has-text('Asset')", timeout=10_000)
    assert asset_names(page) == sorted(asset_names(page))
    page.click("#assets-table button:has-text('Asset')")
    page.wait_for_selector("th[aria-sort=descending] button:has-text('Asset')", timeout=10_000)
    assert asset_names(page) == sorted(asset_names(page), reverse=True)


def asset_names(page: Any) -> list[str]:
    """The first column of the asset table as it is shown."""
    return page.locator("#assets-table tbody tr > :first-child").all_inner_texts()


def test_the_export_preview_follows_the_choice(watched: Watched) -> None:
    page = watched.open("/exports")
    page.select_option("#exports-table", "wards")
    page.wait_for_selector("#exports-preview a[href*='/api/v1/tables/wards?']", timeout=10_000)
    page.wait_for_selector("#exports-from:disabled", timeout=10_000)
    page.select_option("#exports-ward", "W12")
    page.wait_for_selector("#exports-preview :text('1 row')", timeout=10_000)
    page.select_option("#exports-table", "water_bills")
    page.wait_for_selector("#exports-ward:disabled", timeout=10_000)
    page.wait_for_selector("#exports-preview a[href*='/api/v1/tables/water_bills?']", timeout=10_000)
    assert "ward=" not in page.get_attribute("#exports-preview a.btn", "href")


def test_without_scripts_the_figures_the_map_and_the_filters_are_there(chromium: Any, served: Served) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.address + "/water?ward=W03")
    assert page.locator("article[data-kpi='supply_per_head|ward:W03'] .value").inner_text().strip("–") != ""
    assert page.locator(".map svg .ward").count() == 12
    page.select_option("select[name=days]", "30")
    page.click("form.filters button")
    assert "days=30" in page.url and "ward=W03" in page.url
    context.close()


def test_the_chosen_theme_is_kept_over_a_reload(watched: Watched) -> None:
    page = watched.open("/")
    before = page.get_attribute("html", "data-bs-theme")
    page.click("#shell-theme")
    assert page.get_attribute("html", "data-bs-theme") != before
    page.reload()
    assert page.get_attribute("html", "data-bs-theme") != before
