"""Signing in and acting in a real browser: on a phone and at a desk, by touch and by keys, with a quiet console."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.engine.alarms.record import Alarm
from tests.browser.conftest import Served
from tests.browser.test_pages_in_a_browser import Watched
from tests.engine.people.doorstep import PASSWORD, Doorstep

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PHONE, DESK = (390, 844), (1366, 768)


class Operator(Watched):
    """A browser of somebody who can sign in; complaints about a refused password are part of it."""

    def go(self, path: str) -> Any:
        self.page.goto(self.address + path, wait_until="domcontentloaded")
        self.page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
        return self.page

    def sign_in(self, place: str) -> Any:
        page = self.go(f"/signin?next={place}")
        page.fill("[name=name]", "asha")
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_selector("#shell-person:has-text('asha')", timeout=20_000)
        page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
        return page


@pytest.fixture
def operator(chromium: Any, served: Served, people: Doorstep, request: Any) -> Iterator[Operator]:
    width, height = getattr(request, "param", DESK)
    view = Operator(chromium, served, width, height)
    yield view
    view.context.close()
    assert view.complaints == []
    assert view.strangers == []


def ring(served: Served, id: str, priority: str = "high") -> None:
    """An alarm that rings now; the next beat brings it to every screen."""
    now = datetime.now(UTC)
    served.town.alarms.ring(
        Alarm(
            id=id, rule="pressure_low", title=f"Pressure of {id}", domain="water", priority=priority, since=now,
            area="asset:WA-0007", asset="WA-0007", asset_name="Pressure point 7", ward="W07", value=4.2, limit=7.0,
            unit="metre_head", instruction="Look at the valve.",
        )
    )  # fmt: skip


def state(served: Served, id: str) -> str:
    return str(served.town.alarms.book.alarms[id].state)


def row(id: str) -> str:
    return f'.c-row[data-alarm="{id}"]'


@pytest.mark.parametrize("operator", [PHONE], indirect=True, ids=["390x844"])
def test_alarm_is_acknowledged_and_shelved_on_a_phone(operator: Operator, served: Served) -> None:
    ring(served, "phone")
    page = operator.sign_in("/alarms")
    page.wait_for_selector(row("phone"), timeout=10_000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("#act").is_hidden()
    page.click(f"{row('phone')} .c-pick")
    box = page.locator("#console-ack").bounding_box()
    assert box and box["y"] + box["height"] <= PHONE[1] and box["height"] >= 40
    page.click("#console-ack")
    page.wait_for_selector("#told:has-text('Acknowledged 1 alarm.')", timeout=10_000)
    page.wait_for_selector(f"{row('phone')}[data-state=acknowledged]", timeout=10_000)
    assert served.town.alarms.book.alarms["phone"].acknowledged_by == "asha"
    page.click(f"{row('phone')} .c-pick")
    page.click("#console-shelve summary")
    page.fill("[name='shelve.reason']", "valve is changed")
    page.select_option("[name='shelve.until']", "15")
    page.click("#console-shelve button[value=shelve]")
    page.wait_for_selector("[data-f=ending]:has-text('valve is changed')", timeout=10_000)
    assert state(served, "phone") == "shelved"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_list_is_worked_by_keys_and_an_opened_alarm_tells_who_did_what(operator: Operator, served: Served) -> None:
    ring(served, "keys", "critical")
    page = operator.sign_in("/alarms?q=keys")
    page.wait_for_selector(row("keys"), timeout=10_000)
    page.keyboard.press("j")
    page.keyboard.press("c")
    page.keyboard.type("crew is on its way")
    page.keyboard.press("Enter")
    page.wait_for_selector("#told:has-text('Commented on 1 alarm.')", timeout=10_000)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector(".c-detail:has-text('asha')", timeout=10_000)
    assert "alarm=keys" in page.url and "q=keys" in page.url
    page.keyboard.press("?")
    assert page.locator("#console-help").is_visible()


def test_what_is_new_waits_while_somebody_reads_and_a_critical_one_is_heard(operator: Operator, served: Served) -> None:
    page = operator.sign_in("/alarms")
    page.wait_for_selector(".c-row", timeout=10_000)
    page.click(".c-row >> nth=0 >> .c-pick")
    before = page.locator(".c-row").evaluate_all("rows => rows.map((r) => r.dataset.alarm)")
    ring(served, "loud", "critical")
    page.wait_for_selector("#console-new:has-text('Show 1 new alarm')", timeout=10_000)
    assert page.locator(".c-row").evaluate_all("rows => rows.map((r) => r.dataset.alarm)") == before
    page.wait_for_selector("[data-console][data-rang='1']", timeout=10_000)
    assert page.title().startswith("(")
    page.click("#console-new")
    page.wait_for_selector(row("loud"), timeout=10_000)
    assert page.locator(".c-pick input:checked").count() == 1
    page.click("#console-sound")
    assert page.inner_text("#console-sound") == "Sound off"


def test_shift_log_renews_itself_and_leaves_what_somebody_types(operator: Operator, served: Served) -> None:
    page = operator.sign_in("/shift")
    page.fill("[name=words]", "half a sent")
    page.evaluate("window.same = true")
    ring(served, "fresh")
    page.wait_for_selector("#shift-rang:has-text('Pressure of fresh')", timeout=15_000)
    page.wait_for_selector("#shift-stands:has-text('Pressure of fresh')", timeout=15_000)
    assert page.input_value("[name=words]") == "half a sent" and page.evaluate("window.same")


def test_history_renews_itself_but_not_under_the_pointer(operator: Operator, served: Served) -> None:
    page = operator.sign_in("/alarms?show=history&q=")
    # The page is read once more after it has come; from then on the selection stands.
    with page.expect_response(lambda answer: "show=history" in answer.url, timeout=15_000) as first:
        pass
    first.value.finished()
    page.evaluate("new Promise((done) => requestIdleCallback(() => requestIdleCallback(done)))")
    page.evaluate("getSelection().selectAllChildren(document.getElementById('console-history'))")
    ring(served, "held")
    for _ in range(2):
        # The second answer comes after the first was looked at and left alone.
        with page.expect_response(lambda answer: "show=history" in answer.url, timeout=15_000):
            assert "Pressure of held" not in page.inner_text("#console-history")
    assert "Pressure of held" not in page.inner_text("#console-history")
    page.evaluate("getSelection().removeAllRanges()")
    page.wait_for_selector("#console-history:has-text('Pressure of held')", timeout=15_000)


def test_without_scripts_signing_in_acknowledging_and_the_shift_log_work(
    chromium: Any, served: Served, people: Doorstep
) -> None:
    ring(served, "plain")
    # A page without scripts shows what stood on the board when it was asked for.
    served.publish()
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(served.address + "/alarms?q=plain")
    page.click("text=Sign in >> nth=0")
    page.fill("[name=name]", "asha")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]:has-text('Sign in')")
    assert page.url == served.address + "/alarms?q=plain"
    page.check(f"{row('plain')} input")
    page.click("#console-ack")
    assert "Acknowledged 1 alarm." in page.inner_text("#told")
    assert state(served, "plain") == "acknowledged"
    page.click("text=Shift log")
    page.fill("[name=words]", "valve at Canal East is open")
    page.click("button[value=note]")
    assert "valve at Canal East is open" in page.inner_text(".shift")
    assert "Pressure of plain" in page.inner_text(".shift")
    page.click("button:has-text('Sign out')")
    assert page.locator("text=Sign in >> nth=0").is_visible()
    context.close()


def test_flood_appears_on_the_overview_while_somebody_looks_and_goes_again(operator: Operator, served: Served) -> None:
    page = operator.go("/")
    told = page.locator('[data-f="flood"]')
    assert told.is_hidden()
    served.town.flood = "Alarm flood: 42 alarms in ten minutes. Standing: 40 high."
    try:
        page.wait_for_selector('[data-f="flood"]:has-text("42 alarms in ten minutes")', timeout=10_000)
    finally:
        served.town.flood = ""
    told.wait_for(state="hidden", timeout=10_000)
