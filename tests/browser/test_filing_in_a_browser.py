"""The residents' form in a real browser without scripts: typed, sent, mended, filed, followed; open to everybody."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.engine import api
from pipelines.engine.filing import vault
from pipelines.engine.town import Town
from tests.browser.conftest import Served, free_port
from tests.conftest import ROOT
from tests.engine import small_town
from tests.engine.api_town import answering
from tests.engine.filing import filing_town
from tests.engine.filing.filing_town import NOW, PERSONAL, photo

pytestmark = [pytest.mark.browser, pytest.mark.own_town, pytest.mark.slow]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def filing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """The address of a town that takes requests, its clock, and its store."""
    from components.web import build

    clock: dict[str, Any] = {"now": NOW}
    folder = filing_town.make(tmp_path_factory.mktemp("filing") / "town")
    toml = folder / "town.toml"
    toml.write_text(
        toml.read_text("utf-8").replace("domains =", 'languages = ["en", "hi", "ur"]\ndomains =', 1), "utf-8"
    )
    line = small_town.open_line(folder, NOW, frozenset())
    with answering(line, lambda: clock["now"]) as desk:
        assert desk is not None
        desk.resume()
        town = Town(line.settings, lambda: clock["now"])
        served = Served(town, build(town, api.build(town)), free_port())  # type: ignore[arg-type]
        served.start()
        yield served.address, clock, line.settings.store
        served.stop()
    line.close()


def test_a_problem_is_reported_on_a_phone_without_scripts(
    chromium: Any, filing: tuple[str, dict[str, Any], Path], tmp_path: Path
) -> None:
    address, clock, store = filing
    (tmp_path / "gate.jpg").write_bytes(photo())
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 360, "height": 640}, locale="hi")
    page = context.new_page()
    page.goto(address + "/public")
    page.click("section a[href^='/public/file']")
    assert page.inner_text("h1") == "समस्या बताएँ"
    page.select_option("#service", "leak")
    page.fill("#place", PERSONAL["place"])
    page.fill("#description", PERSONAL["description"])
    page.fill("#phone", "123")
    page.set_input_files("#picture", tmp_path / "gate.jpg")
    clock["now"] += timedelta(seconds=5)
    page.click("main button")
    assert "फ़ोन नंबर सही नहीं हो सकता" in page.inner_text("#trouble")
    assert page.input_value("#description") == PERSONAL["description"] and page.input_value("#service") == "leak"
    page.fill("#phone", "९८७६५ ४३२१०")
    page.set_input_files("#picture", tmp_path / "gate.jpg")
    page.click("main button")
    number = page.inner_text(".number")
    page.reload()
    assert page.inner_text(".number") == number
    page.click(f"a[href$='number={number}']")
    assert number in page.inner_text("[role=status]")
    context.close()
    (case,) = vault.cases(store)
    assert (case.number, case.personal["phone"], len(case.pictures)) == (number, "९८७६५ ४३२१०", 1)


@pytest.mark.parametrize("size", [(1366, 768), (390, 844)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_newcomer_files_from_the_overview_without_scripts_in_a_few_clicks(
    chromium: Any, filing: tuple[str, dict[str, Any], Path], size: tuple[int, int]
) -> None:
    address, clock, _ = filing
    context = chromium.new_context(java_script_enabled=False, viewport={"width": size[0], "height": size[1]})
    page = context.new_page()
    page.goto(address)
    if size[0] < 820:
        page.get_by_text("Menu", exact=True).locator("visible=true").click()
    page.get_by_role("link", name="Residents").locator("visible=true").click()
    page.get_by_role("link", name="Report a problem").first.click()
    page.get_by_label("What is it about?").select_option(label="Street lamp")
    page.get_by_label("Where is it?").fill("Mill Lane, by the well")
    page.get_by_label("What is wrong?").fill("The lamp is out")
    clock["now"] += timedelta(seconds=5)
    page.get_by_role("button", name="Send").click()
    assert page.inner_text("h1") == "Your request was filed" and page.locator(".number").is_visible()
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_form_is_open_to_everybody(chromium: Any, filing: tuple[str, dict[str, Any], Path], theme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed (npm install)")
    address, _, _ = filing
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme=theme, bypass_csp=True)
    page = context.new_page()
    for path in ("/public/file?lang=en", "/public/file?lang=ur"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("axe.run().then(r => r.violations.map(v => v.id + ' ' + v.nodes[0].html))")
        assert found == [], path
    context.close()
