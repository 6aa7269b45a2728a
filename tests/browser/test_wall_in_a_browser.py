"""The wall in a real browser: fits, is read from afar, follows the wire, rings, and never looks live when it is not."""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipelines.engine.alarms.record import Alarm
from tests.browser.cable import Cable
from tests.browser.conftest import Served
from tests.browser.test_pages_in_a_browser import Watched

pytestmark = [pytest.mark.browser, pytest.mark.slow]
SCREENS = [(1920, 1080), (3840, 2160), (1366, 768)]
# Text that is seen and smaller than `least` pixels.
SMALL = """least => [...document.querySelectorAll('.wall *')].filter(n => n.getClientRects().length
  && !n.closest('.visually-hidden') && [...n.childNodes].some(c => c.nodeType === 3 && c.textContent.trim())
  && parseFloat(getComputedStyle(n).fontSize) < least).map(n => n.outerHTML.slice(0, 120))"""
RINGS = """window.__tones = 0;
const made = AudioContext.prototype.createOscillator;
AudioContext.prototype.createOscillator = function () { window.__tones += 1; return made.call(this); };
Object.defineProperty(AudioContext.prototype, 'state', {get: () => 'running'});"""


@pytest.fixture
def wall(chromium: Any, served: Served, request: Any) -> Iterator[Callable[..., Watched]]:
    """Opens walls of a size; all are closed afterwards."""
    open_ones: list[Watched] = []

    def look(
        width: int = 1920,
        height: int = 1080,
        script: str = "",
        at: Any = served,
        lang: str = "en",
        path: str = "/wall",
        **options: Any,
    ) -> Watched:
        view = Watched(chromium, at, width, height, **options)
        open_ones.append(view)
        if script:
            view.page.add_init_script(script)
        view.page.goto(f"{at.address}{path}?lang={lang}", wait_until="domcontentloaded")
        view.page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
        return view

    yield look
    for view in open_ones:
        view.context.close()
    served.paused = False
    served.statuses.clear()
    served.values.clear()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_the_wall_fits_its_screen_is_legible_and_quiet(
    wall: Callable[..., Watched], width: int, height: int, theme: str
) -> None:
    view = wall(width, height, color_scheme=theme)
    page = view.page
    assert page.evaluate("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]") == [
        width, height,
    ]  # fmt: skip
    least = 28 * min(width / 1920, height / 1080)
    assert page.evaluate(SMALL, least - 0.05) == []
    assert page.locator(".w-column").count() == 5
    for column in page.locator(".w-column").all():
        shown = column.locator(".w-tile:visible")
        assert shown.count() == 3
        for part in (*shown.all(), column.locator(".w-worst")):
            box = part.bounding_box()
            assert box["y"] + box["height"] <= height and box["height"] > least
    assert page.evaluate("document.documentElement.dataset.bsTheme") == theme
    assert view.complaints == [] and view.strangers == []


def test_the_wall_can_be_read_on_a_phone(wall: Callable[..., Watched]) -> None:
    view = wall(390, 844)
    assert view.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert view.page.evaluate(SMALL, 15.9) == []
    assert view.complaints == [] and view.strangers == []


@pytest.mark.parametrize("lang", ["en", "hi", "ur"])
def test_the_script_says_the_same_as_the_server_wrote(wall: Callable[..., Watched], served: Served, lang: str) -> None:
    page = wall(bypass_csp=True, lang=lang).page
    parts = (
        "[data-worst], .w-wards, .w-what, .w-against, .w-alarms h2, .w-head .chip, .w-alarms .priority, .w-tile .aim, "
        "[data-f=why-short]"
    )
    told = f"() => [...document.querySelectorAll('{parts}')].map(n => n.textContent)"
    page.wait_for_function("document.querySelector('[data-wall-alarms]')._told", timeout=10_000)
    painted = page.evaluate(told)
    written = page.evaluate(f"""async () => {{
        const text = await (await fetch('/wall')).text(), document = new DOMParser().parseFromString(text, 'text/html');
        return ({told})();
    }}""")
    assert len(painted) > 10 and painted == written


def test_a_new_snapshot_is_on_the_wall_and_what_worsens_comes_up(wall: Callable[..., Watched], served: Served) -> None:
    page = wall().page
    column = page.locator(".w-column[aria-label=Water]")
    column.locator("li:nth-child(1)[data-kpi='supply_per_head|town']").wait_for()
    served.turn(non_revenue_water="breach")
    served.publish(non_revenue_water=61.5)
    column.locator("li:nth-child(1)[data-kpi='non_revenue_water|town'] .value:text-is('61.5')").wait_for(timeout=5000)
    assert column.locator(".w-head .chip").inner_text() == "Breach"


def test_the_map_turns_through_the_domains(wall: Callable[..., Watched]) -> None:
    page = wall(
        script="const later = setInterval; window.setInterval = (f, ms) => later(f, ms === 15000 ? 300 : ms);"
    ).page
    seen = set()
    for _ in range(40):
        shown = page.locator("[data-turn]:visible")
        assert shown.count() == 1
        seen.add(shown.get_attribute("data-turn"))
        if len(seen) == 5:
            break
        page.wait_for_timeout(150)
    assert seen == {"transport", "water", "energy", "pollution", "grievances"}


def critical(served: Served, id: str, title: str = "Reservoir runs dry") -> None:
    alarm = Alarm(id=id, rule=id, title=title, domain="water", priority="critical", area="ward:W02",
                  ward="W02", since=datetime.now(UTC))  # fmt: skip
    served.town.alarms.ring(alarm)
    served.publish()


def test_a_new_critical_alarm_sounds_is_spoken_and_stands_at_the_foot_once(
    wall: Callable[..., Watched], served: Served
) -> None:
    # Others of this town may ring as well, as long as nobody has acknowledged them.
    critical(served, "old1", "Pump house is flooded")
    page = wall(script=RINGS).page
    page.wait_for_selector("[data-wall][data-rang]")
    assert "Pump house is flooded" in page.locator("[data-f=spoken]").inner_text()
    rang = int(page.get_attribute("[data-wall]", "data-rang") or 0)
    critical(served, "new1")
    page.wait_for_selector(f"[data-wall][data-rang='{rang + 1}']", timeout=5000)
    spoken = page.locator("[data-f=spoken]")
    assert spoken.inner_text() == "Critical alarm: Reservoir runs dry, Riverside."
    assert spoken.get_attribute("aria-live") == "assertive"
    assert page.evaluate("window.__tones") == 6
    page.locator(".w-alarms li:has-text('Reservoir runs dry') .priority:text-is('Critical')").wait_for()
    page.reload()
    page.wait_for_selector(".live[data-mode=live]", timeout=20_000)
    page.wait_for_selector(".w-alarms li:has-text('Reservoir runs dry')")
    served.publish()
    assert page.get_attribute("[data-wall]", "data-rang") is None
    for id in ("old1", "new1"):
        served.town.alarms.book.alarms.pop(id)
    served.publish()
    page.locator(".w-alarms li:has-text('Reservoir runs dry')").wait_for(state="detached", timeout=5000)


def test_sound_that_the_browser_blocks_is_told_on_the_wall(wall: Callable[..., Watched]) -> None:
    page = wall().page
    page.locator(".w-sound:visible").wait_for(timeout=5000)
    assert page.locator(".w-sound").inner_text() == "Sound is blocked: touch here"
    page.click(".w-sound")
    page.locator(".w-sound").wait_for(state="hidden", timeout=5000)


# pulling the plug ---------------------------------------------------------------------------------------------------------


def looks_dead(page: Any) -> bool:
    """The figures are grey and pale, and the words stand over them."""
    return page.evaluate("""() => {
        const wall = document.querySelector('.w-columns'), look = getComputedStyle(wall || document.querySelector('.content'));
        const banner = document.querySelector('.not-live'), tall = banner.getBoundingClientRect().height;
        return look.filter === 'grayscale(1)' && +look.opacity < (wall ? .6 : 1) && !banner.hidden && tall > (wall ? 50 : 30);
    }""")


def second_by_second(page: Any, until: str, most: int = 25, *, beside: Sequence[Any] = ()) -> list[tuple[str, str]]:
    """Badge and banner at each second until something shows; pages beside it show the same at the same second."""
    seen = []
    for _ in range(most):
        seen.append((page.locator(".live").inner_text(), page.locator(".not-live").inner_text()))
        if page.locator(until).count():
            for other in beside:
                other.wait_for_selector(until, timeout=1500)
            return seen
        page.wait_for_timeout(1000)
    raise AssertionError(seen)


def heals(page: Any) -> None:
    page.wait_for_selector(".live[data-mode=live]", timeout=25_000)
    assert page.locator(".not-live").is_hidden() and not looks_dead(page)


def beside(wall: Callable[..., Watched], *paths: str) -> list[Any]:
    """Other pages of the same board, live."""
    return [wall(path=path).page for path in paths]


def test_a_killed_server_turns_every_page_grey_within_seconds_and_they_heal_by_themselves(
    wall: Callable[..., Watched], served: Served
) -> None:
    page, others = wall().page, beside(wall, "/water", "/council")
    served.stop()
    gone = datetime.now(UTC)
    seen = second_by_second(page, ".not-live:not([hidden])", 14, beside=others)
    assert 9 <= len(seen) <= 14
    assert all(badge == "Live" and not banner for badge, banner in seen[:9])
    here = [(gone - timedelta(seconds=s) + timedelta(hours=5, minutes=30)).strftime("%H:%M") for s in (0, 5)]
    for one in (page, *others):
        said = re.match(
            r"NOT LIVE SINCE (\d\d:\d\d)\. The link to the server is lost", one.inner_text(".not-live"), re.I
        )
        assert said and said[1] in here
        assert looks_dead(one), one.url
    served.start()
    for one in (page, *others):
        heals(one)


def test_a_cut_network_turns_the_wall_grey_and_it_heals_by_itself(wall: Callable[..., Watched], served: Served) -> None:
    cable = Cable(served.port)
    page = wall(at=cable).page
    cable.pull()
    seen = second_by_second(page, ".not-live:not([hidden])", 14)
    assert 9 <= len(seen) <= 14
    assert looks_dead(page)
    cable.plug()
    heals(page)
    cable.close()


def test_a_line_that_stopped_is_told_although_the_server_answers(wall: Callable[..., Watched], served: Served) -> None:
    pages = [wall().page, *beside(wall, "/", "/council")]
    served.paused = True
    served.seq += 1
    served.town.publish(served.town.state_at(served.seq, datetime.now(UTC) - timedelta(minutes=5)))
    for page in pages:
        page.locator(".not-live", has_text="no new figures are made").wait_for(timeout=10_000)
        assert re.match(r"NOT LIVE SINCE \d\d:\d\d", page.inner_text(".not-live"), re.I)
        assert page.locator(".live").get_attribute("data-mode") == "dead" and looks_dead(page), page.url
    served.paused = False
    for page in pages:
        heals(page)


def test_a_stopped_feed_makes_its_values_stale_on_the_wall(wall: Callable[..., Watched], served: Served) -> None:
    page = wall().page
    served.paused = True
    served.seq += 1
    state = served.town.state_at(served.seq)
    state["kpis"]["peak_loading|town"]["as_of"] = (datetime.now(UTC) - timedelta(hours=5)).isoformat()
    served.town.publish(state)
    tile = page.locator("[data-kpi='peak_loading|town'][data-state=stale]")
    tile.wait_for(timeout=5000)
    assert tile.locator(".chip").inner_text() == "Stale"
    assert "repeating-linear-gradient" in tile.evaluate("n => getComputedStyle(n).backgroundImage")


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_set_changes_neither_the_time_shown_nor_the_watch_on_the_link(
    wall: Callable[..., Watched], served: Served, hours: int
) -> None:
    page = wall().page
    page.evaluate(f"() => {{ const real = Date.now; Date.now = () => real() + {hours} * 3600000; }}")
    page.wait_for_timeout(3000)
    here = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    shown = page.inner_text(".w-clock b")
    assert shown in [(here + timedelta(seconds=s)).strftime("%H:%M:%S") for s in (-2, -1, 0, 1)]
    assert page.locator(".live").inner_text() == "Live"
    served.stop()
    second_by_second(page, ".not-live:not([hidden])", 14)
    assert looks_dead(page)
    served.start()
    heals(page)


def test_a_database_that_was_built_anew_begins_with_older_numbers_and_is_followed(
    wall: Callable[..., Watched], served: Served
) -> None:
    page = wall().page
    before, served.seq = served.seq, 17
    served.publish(peak_loading=3.0)
    page.locator("[data-kpi='peak_loading|town'] .value:text-is('3.0')").wait_for(timeout=8000)
    assert page.locator(".live").inner_text() == "Live"
    served.seq = before + 100
    served.values.clear()
    served.publish()


def test_where_streams_are_blocked_the_wall_asks_and_stays_live(wall: Callable[..., Watched], served: Served) -> None:
    view = wall(script="window.EventSource = undefined;")
    served.publish(peak_loading=55.5)
    view.page.locator("[data-kpi='peak_loading|town'] .value:text-is('55.5')").wait_for(timeout=10_000)
    assert view.page.locator(".live").inner_text() == "Live"


def test_a_new_version_is_loaded_once_and_not_while_something_just_rang(
    wall: Callable[..., Watched], served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = "Math.random = () => 0; const later = setTimeout; window.setTimeout = (f, ms) => later(f, ms === 3000 ? 200 : ms);"
    page = wall(script=soon, bypass_csp=True).page
    page.evaluate(
        "window.__old = window.__rings = true; window.townboard.busy = () => { window.__asked = true; return window.__rings; };"
    )
    set_up = served.app._set_up

    async def newer() -> None:
        await set_up()
        served.app.wire.build += "x"

    monkeypatch.setattr(served.app, "_set_up", newer)
    served.stop()
    served.start()
    page.wait_for_function("window.__asked", timeout=20_000)
    assert page.evaluate("window.__old === true"), "reloaded although an alarm had just rung"
    page.evaluate("window.__rings = false")
    page.wait_for_function("window.__old === undefined", timeout=20_000)
    heals(page)
    page.evaluate("window.__old = true")
    served.publish(peak_loading=44.5)
    page.locator("[data-kpi='peak_loading|town'] .value:text-is('44.5')").wait_for(timeout=8000)
    assert page.evaluate("window.__old === true"), "reloaded a second time"
