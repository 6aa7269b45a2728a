"""The wall as the server writes it: columns, the worst ward, the map's sides, what waits, and its door."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components import glass, tongue, wall_page
from components.address import ward_names
from pipelines.engine import tokens
from pipelines.engine.alarms.record import Alarm
from pipelines.engine.people.shift import Said
from pipelines.engine.people.wall_door import WallDoor
from tests.glass.fake_domains import FIVE, WASTE
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board
from tests.pages.test_pages import get


def test_the_wall_has_a_column_for_every_domain_that_is_declared() -> None:
    town = FakeTown((*FIVE, WASTE), water_points=10)
    town.beat(5)
    (page,) = get(town, "/wall")
    assert page.status_code == 200
    assert re.findall(r'class="w-column" aria-label="([^"]+)"', page.text) == [d.title for d in town.domains]


def test_each_tile_stands_with_value_unit_target_and_state_before_any_script(town: FakeTown) -> None:
    text = get(town, "/wall")[0].text
    tile = re.search(r'<li class="w-tile"[^>]*data-kpi="supply_per_head\|town".*?</li>', text, re.S)
    assert tile
    row = town.board().state["kpis"]["supply_per_head|town"]  # type: ignore[union-attr]
    assert f'data-f="value">{row["value"]:.0f}<' in tile[0]
    assert "L per person a day" in tile[0] and "at least 135" in tile[0] and ">Watch<" in tile[0]
    assert 'class="spark-line"' in tile[0]


def test_a_value_that_is_unknown_stands_with_its_reason(town: FakeTown) -> None:
    tile = re.search(r'data-kpi="pm25_daily\|town".*?</li>', get(town, "/wall")[0].text, re.S)
    assert tile and 'data-f="value">–<' in tile[0] and "nothing was measured in this time" in tile[0]


def wards(town: FakeTown, **statuses: list[str]) -> dict[str, Any]:
    """A board on which the first wards have these states for these KPIs, and all others are good."""
    state = town.state_at(7)
    for row in state["kpis"].values():
        if row["ward"]:
            row["status"] = "good"
    for kpi, own in statuses.items():
        for ward, status in zip(ward_names(), own, strict=False):
            state["kpis"][f"{kpi}|ward:{ward}"]["status"] = status
    return state


@pytest.mark.parametrize(
    ("saidi", "peak_loading", "words"),
    [
        ([], [], "No ward misses a target"),
        (["good", "breach", "breach"], ["breach"], "Bazaar +2: 1 in breach"),
        (["watch", "breach", "breach"], ["breach"], "Bazaar: 1 in breach"),
        (["breach", "watch"], ["breach", "breach"], "Bazaar: 2 in breach"),
        (["good", "watch"], ["good", "watch"], "Riverside: 2 on watch"),
        (["breach", "breach"], ["good", "watch"], "Riverside: 1 in breach"),
        (["no data"] * 12, ["stale"] * 12, "No ward has figures yet"),
    ],
)
def test_the_worst_ward_is_the_one_that_misses_most(
    town: FakeTown, saidi: list[str], peak_loading: list[str], words: str
) -> None:
    glass.bind(town, "/")  # type: ignore[arg-type]
    state = wards(town, saidi=saidi, peak_loading=peak_loading)
    assert wall_page.worst_ward(state, ["saidi", "peak_loading"], ward_names()) == words


def test_a_domain_that_is_not_known_by_ward_says_so(town: FakeTown) -> None:
    assert wall_page.worst_ward(town.state_at(7), [], {"W01": "Bazaar"}) == "Not known by ward"


def test_wards_that_miss_the_target_stand_beside_the_map_worst_first(town: FakeTown) -> None:
    glass.bind(town, "/")  # type: ignore[arg-type]
    state = wards(town, saidi=["watch", "breach", "breach", "breach", "breach", "no data"])
    for ward, value in {"W01": 121.0, "W02": 130.0, "W03": 150.5, "W04": 140.0, "W05": 135.0, "W06": None}.items():
        state["kpis"][f"saidi|ward:{ward}"]["value"] = value
    others = [state["kpis"][f"saidi|ward:W{n:02}"] for n in range(7, 13)]
    for row in others:
        row["value"] = 100.0
    found = wall_page.troubled(state, town.domain("energy").kpis[0], ward_names())
    assert found == [
        ("breach", "Station Road 150.5 min"), ("breach", "Old Fort 140.0 min"), ("breach", "Mill Lane 135.0 min"),
        ("breach", "Riverside 130.0 min"), ("", "and 1 more"), ("no data", "1 without figures"),
    ]  # fmt: skip


def test_what_waits_is_ordered_by_priority_then_age_and_leaves_out_what_was_acknowledged(town: FakeTown) -> None:
    def alarm(id: str, priority: str, minutes: int) -> None:
        since = town.now().replace(minute=minutes, second=0)
        town.alarms.ring(Alarm(id=id, rule=id, title=id, domain="water", priority=priority, area="town", since=since))  # type: ignore[arg-type]

    town.alarms.book.alarms.clear()
    for id, priority, minutes in (("m1", "medium", 1), ("c9", "critical", 9), ("h2", "high", 2), ("c3", "critical", 3)):
        alarm(id, priority, minutes)
    state = town.state_at(8)
    next(a for a in state["alarms"] if a["id"] == "h2")["state"] = "acknowledged"
    assert [a["id"] for a in wall_page.unacknowledged(state)] == ["c3", "c9", "m1"]


class Handed:
    """A shift log in which somebody took over."""

    def __init__(self, said: Said | None) -> None:
        self.said = said

    def begun(self, actor: Any, now: Any) -> Said | None:
        actor.check("read")
        return self.said


def test_the_wall_says_who_is_on_shift(town: FakeTown) -> None:
    at = town.now()
    words = f"On shift: ravi, since {at + timedelta(hours=5, minutes=30):%H:%M}"
    town.shift = Handed(Said(at, "asha", "all calm", "ravi"))  # type: ignore[assignment]
    page, shift = get(town, "/wall", "/wall/shift")
    assert words in page.text
    assert shift.json() == {"words": words}
    town.shift = Handed(None)  # type: ignore[assignment]
    assert "Nobody took over a shift" in get(town, "/wall")[0].text


@pytest.mark.parametrize(("code", "direction", "column"), [("hi", "ltr", "पानी"), ("ur", "rtl", "پانی")])
def test_the_wall_speaks_the_language_of_its_address_or_of_the_town(
    town: FakeTown, code: str, direction: str, column: str
) -> None:
    (asked,), (own,) = get(town, f"/wall?lang={code}"), get(town, "/wall")
    assert f'<html lang="{code}" dir="{direction}">' in asked.text
    assert re.findall(r'class="w-column" aria-label="([^"]+)"', asked.text)[1] == column
    assert '<html lang="en" dir="ltr">' in own.text
    town.languages = [code, "en"]
    assert f'<html lang="{code}" dir="{direction}">' in get(town, "/wall")[0].text


def test_the_browser_of_a_wall_does_not_choose_its_language(town: FakeTown) -> None:
    async def ask() -> tuple[str, str]:
        async with Board(town, "/") as client:
            browser = await client.get("/wall", headers={"accept-language": "hi"})
            chosen = await client.get("/wall", headers={"cookie": "townboard_lang=ur"})
            return browser.text, chosen.text

    browser, chosen = asyncio.run(ask())
    assert '<html lang="en"' in browser and '<html lang="ur" dir="rtl">' in chosen


def test_words_of_the_wall_take_plurals_and_keep_names_in_their_direction(town: FakeTown) -> None:
    glass.bind(town, "/")  # type: ignore[arg-type]
    state = wards(town, saidi=["watch", "breach"])
    state["kpis"]["saidi|ward:W02"]["value"] = 130.0
    kpi = town.domain("energy").kpis[0]
    tongue.speak(tongue.Tongue("ur"))
    try:
        assert wall_page.worst_ward(state, [kpi.id], ward_names()) == "\u2068Riverside\u2069: 1 ناکام"
        assert wall_page.troubled(state, kpi, ward_names())[0] == (
            "breach",
            "\u2068Riverside\u2069 \u2068130.0 منٹ\u2069",
        )
        assert [wall_page.waiting_words(n) for n in (0, 1, 3)] == [
            "کوئی الارم انتظار میں نہیں", "1 الارم تسلیم نہیں ہوا", "3 الارم تسلیم نہیں ہوئے",
        ]  # fmt: skip
    finally:
        tongue.speak(tongue.ENGLISH)


def test_a_closed_wall_says_why_in_its_language(town: FakeTown, tmp_path: Path) -> None:
    guarded(town, tmp_path)
    closed, guess = get(town, "/wall?lang=hi", "/wall?token=townboard_guess&lang=hi")
    assert "यह पटल ज्ञात नहीं है।" in closed.text and "token add NAME --scope wall" in closed.text
    assert "यह टोकन इस नगर का नहीं है" in guess.text and "नया ऐसे बनता है: python app.py token add" in guess.text


# its door ---------------------------------------------------------------------------------------------------------------


def guarded(town: FakeTown, folder: Path) -> str:
    """The secret of a token for the wall of a town that keeps it closed."""
    settings = SimpleNamespace(store=folder, open_wall=False)
    town.wall_door = WallDoor(settings, SimpleNamespace(note_use=_noted), town.now)  # type: ignore[arg-type]
    return tokens.add(tokens.path_of(folder), "lobby", ["wall"], town.now())


async def _noted(name: str) -> None:
    used.append(name)


used: list[str] = []


def test_a_closed_wall_opens_by_a_token_that_goes_from_the_address_into_a_cookie(
    town: FakeTown, tmp_path: Path
) -> None:
    secret = guarded(town, tmp_path)

    async def visit() -> None:
        async with Board(town, "/town/") as client:
            closed = await client.get("/town/wall")
            assert closed.status_code == 403 and "token add NAME --scope wall" in closed.text
            assert "data-wall" not in closed.text and closed.headers["refresh"] == "60; url=/town/wall"
            assert (await client.get("/town/wall/shift")).status_code == 403
            entered = await client.get("/town/wall", params={"token": secret})
            assert (entered.status_code, entered.headers["location"]) == (303, "/town/wall")
            cookie = entered.headers["set-cookie"]
            assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/town/wall" in cookie
            assert "data-wall" in (await client.get("/town/wall")).text
            tokens.revoke(tokens.path_of(tmp_path), "lobby", town.now())
            town.wall_door._keys._looked = None
            assert (await client.get("/town/wall/shift")).status_code == 403
            assert "was revoked" in (await client.get("/town/wall")).text

    used.clear()
    asyncio.run(visit())
    assert used == ["lobby"]


def test_a_wrong_token_is_told_so_and_sets_nothing(town: FakeTown, tmp_path: Path) -> None:
    guarded(town, tmp_path)
    (answer,) = get(town, "/wall?token=townboard_guess")
    assert answer.status_code == 403 and "none of this town" in answer.text
    assert "set-cookie" not in answer.headers


def test_the_wall_takes_no_forms(town: FakeTown) -> None:
    assert get(town, "/wall", method="POST")[0].status_code == 405
