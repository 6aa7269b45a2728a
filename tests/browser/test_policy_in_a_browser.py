"""The board in use by an admin under its content security policy: nothing is held back, and what is foreign is."""

from collections.abc import Iterator
from typing import Any

import pytest

from pipelines.engine.people.plan import Access
from tests.browser.conftest import Served
from tests.browser.test_pages_in_a_browser import Watched
from tests.engine.people.doorstep import PASSWORD, Doorstep
from tests.engine.people.test_second_factor import now_code

pytestmark = [pytest.mark.browser, pytest.mark.slow]
TELL = "addEventListener('securitypolicyviolation', (e) => tell(`${e.effectiveDirective} ${e.blockedURI} at ${location.pathname}`))"
FETCHED = """new Promise((done) => {
    addEventListener('securitypolicyviolation', () => done(1), {once: true});
    fetch('https://elsewhere.example/').catch(() => 0);
})"""
LIVE = (
    "/",
    "/water?ward=W07",
    "/asset/WA-0003",
    "/feeds",
    "/exports",
    "/alarms",
    "/shift",
    "/rules",
    "/messages",
    "/cases",
)
PLAIN = ("/council", "/public", "/wall", "/account", "/account/second", "/accounts", "/tokens")


class User(Watched):
    """A browser that tells which part of a page its policy held back, and on which page."""

    def __init__(self, chromium: Any, served: Served) -> None:
        super().__init__(chromium, served, 1366, 768)
        self.held_back: list[str] = []
        self.context.expose_function("tell", self._tell)
        self.context.add_init_script(TELL)
        self.headers: dict[str, dict[str, str]] = {}
        self.page.on("response", lambda answer: self.headers.setdefault(answer.url, answer.headers))

    def _tell(self, words: str) -> None:
        self.held_back.append(words)

    def go(self, path: str, *, live: bool) -> None:
        self.page.goto(self.address + path, wait_until="load")
        if live:
            self.page.wait_for_selector(".live[data-mode=live]", timeout=20_000)


@pytest.fixture
def user(chromium: Any, served: Served, people: Doorstep) -> Iterator[User]:
    served.town.porter.access = Access(second_factor_from="clerk")
    people.add("boss", "admin")
    view = User(chromium, served)
    yield view
    view.context.close()
    served.town.porter.access = Access()


def test_nothing_is_held_back_while_an_admin_uses_the_board_and_a_foreign_script_is(
    user: User, people: Doorstep
) -> None:
    page = user.page
    user.go("/signin", live=False)
    page.fill("[name=name]", "boss")
    page.fill("[name=password]", PASSWORD)
    page.click("button[type=submit]:has-text('Sign in')")
    page.click("button[value=begin]")
    square = page.locator(".square svg").bounding_box()
    assert square is not None and square["width"] > 150
    people.now = people.line.clock()
    page.fill("[name=code]", now_code(people, "boss"))
    page.click("button[value=confirm]")
    assert page.locator(".codes li").count() == 10
    page.click("a:has-text('I have written them down')")
    for path in LIVE:
        user.go(path, live=True)
    for path in PLAIN:
        user.go(path, live=False)
    page.click("#shell-theme")
    user.go("/accounts", live=True)
    page.fill("form.panel [name=name]", "newcomer")
    page.click("button[value=add]")
    assert page.locator("#accounts-code code").inner_text().count("-") == 3
    user.go("/water", live=True)
    page.wait_for_selector("body.ready .chart")
    page.evaluate("document.querySelector('#react-entry-point .chart').scrollIntoView()")
    page.wait_for_selector(".js-plotly-plot", timeout=20_000)
    page.click("#shell-languages summary")
    page.click("#shell-languages a[lang=ur]")
    page.wait_for_selector("html[dir=rtl]", timeout=20_000)
    assert user.held_back == []
    assert user.complaints == [] and user.strangers == []
    unsafe = [url for url, sent in user.headers.items() if "x-content-type-options" not in sent]
    assert unsafe == [] and len(user.headers) > 30
    # The policy is there: a script that somebody got into the page does not run.
    page.evaluate(
        "const it = document.createElement('script'); it.textContent = 'window.ran = 1'; document.body.append(it)"
    )
    page.evaluate(
        "const it = document.createElement('style'); it.textContent = 'body{display:none}'; document.head.append(it)"
    )
    page.evaluate(FETCHED)
    held = {one.split()[0] for one in user.held_back}
    assert held == {"script-src-elem", "style-src-elem", "connect-src"} and page.evaluate("window.ran === undefined")
    assert page.evaluate("getComputedStyle(document.body).display") == "block"
