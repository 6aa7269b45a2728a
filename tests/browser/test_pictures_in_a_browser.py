"""Pictures in a real browser: kept current while they are in view, written only where they changed, saved as PNG."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Served
from tests.browser.test_pages_in_a_browser import Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def saved(page: Any, button: str) -> Image.Image:
    """The picture that a click on this button downloads."""
    with page.expect_download() as waiting:
        page.locator(button).first.click()
    return Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes())).convert("RGB")


def share(image: Image.Image, colour: tuple[int, int, int]) -> float:
    """The share of the image that is nearly of this colour."""
    near = sum(
        n for n, one in image.getcolors(1 << 24) or () if all(abs(a - b) < 24 for a, b in zip(one, colour, strict=True))
    )
    return near / (image.width * image.height)


@pytest.fixture
def page(chromium: Any, served: Served) -> Any:
    view = Watched(chromium, served, 1366, 768, color_scheme="light")
    yield view.open("/water")
    assert view.complaints == [] and view.strangers == []
    view.context.close()


def test_only_what_changed_is_written_and_open_tables_stay_open(page: Any, served: Served) -> None:
    page.locator("#picture-levels").scroll_into_view_if_needed()
    page.locator("#picture-levels summary").click()
    # Every second instead of at its own pace; what is written anew loses the mark.
    page.evaluate(
        "for (const p of document.querySelectorAll('[data-picture]')) p.dataset.every = 0;"
        "for (const s of document.querySelectorAll('.drawn svg')) s.marked = true;"
    )
    served.publish(chlorine_compliance=12.5)
    expect(page.locator("#picture-levels [data-part=said]")).to_contain_text("12.5 %", timeout=15_000)
    assert page.evaluate("document.querySelector('#picture-levels .drawn svg').marked") is None
    assert page.evaluate("document.querySelector('#picture-balance .drawn svg').marked") is True
    assert page.locator("#picture-levels details[open]").count() == 1


def test_a_saved_picture_has_its_colours_title_and_source(page: Any) -> None:
    box = page.locator("#picture-levels .drawn svg").bounding_box()
    image = saved(page, "#picture-levels [data-save]")
    assert image.width == pytest.approx(2 * (box["width"] + 48), abs=4)
    assert image.height > 2 * (box["height"] + 60)
    assert share(image, (0, 0, 0)) < 0.01
    assert share(image, (0xB3, 0x20, 0x1B)) > 0.0005
    chart = saved(page, ".chart-panel:has(.chart) [data-save]")
    assert share(chart, (0, 0, 0)) < 0.01 and share(chart, (255, 255, 255)) > 0.5
