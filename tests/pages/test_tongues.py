"""Pages in the viewer's language: which one, its numbers and dates, its direction, its words for scripts."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog

from components import catalogues, dressing, tongue, wording
from components.tongue import Tongue
from tests.conftest import ROOT
from tests.glass.fake_town import FakeTown
from tests.pages.conftest import Board
from tools import messages

SAID = {
    "hi": {"Overview": "सारांश", "Sign in": "साइन इन", "{n} h {m} min": "{n} घं {m} मि", "as of {clock}, {age} old": "{clock} का, {age} पुराना"},
    "ur": {"Overview": "خلاصہ", "Sign in": "سائن اِن"},
}  # fmt: skip
PLURALS = {"hi": ("{n} अलार्म", "{n} अलार्म"), "ur": ("{n} الارم", "{n} الارمز")}
LINE = {
    "Nothing usable for {0} (it should come every {1}). {2}": "{0} से कुछ नहीं (हर {1} आना चाहिए)। {2}",
}


@pytest.fixture
def spoken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTown]:
    """A town that names English, Hindi and Urdu, with a few words of each."""
    for code, words in SAID.items():
        made = Catalog(locale=code, fuzzy=False)
        for message, text in words.items():
            made.add(message, text, locations=[("assets/format.js", None)])
        made.add(("{n} alarm", "{n} alarms"), list(PLURALS[code]), locations=[("assets/format.js", None)])
        for message, text in LINE.items() if code == "hi" else ():
            made.add(message, text, locations=[("live/feeds.py", None)])
        made.add(("{n} minute", "{n} minutes"), ["{n} मिनट", "{n} मिनट"], locations=[("live/durations", None)])
        messages.write(made, tmp_path / f"{code}.po")
    monkeypatch.setattr(catalogues, "FOLDER", tmp_path)
    _forget()
    town = FakeTown(water_points=20)
    town.languages = ["en", "hi", "ur"]
    town.beat(1000)
    yield town
    _forget()
    tongue.speak(tongue.ENGLISH)


def _forget() -> None:
    for kept in (catalogues.codes, catalogues.words, tongue._said, dressing._script):
        kept.cache_clear()


def get(town: FakeTown, path: str, **headers: str) -> Any:
    async def ask() -> Any:
        async with Board(town, "/") as client:
            return await client.get(path, headers={key.replace("_", "-"): value for key, value in headers.items()})

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/", {}, "en"),
        ("/", {"accept_language": "hi-IN,hi;q=0.9,en;q=0.5"}, "hi"),
        ("/", {"accept_language": "fr,ur;q=0.2,en;q=0.1"}, "ur"),
        ("/", {"accept_language": "fr"}, "en"),
        ("/", {"accept_language": "hi", "cookie": "townboard_lang=ur"}, "ur"),
        ("/?lang=hi", {"cookie": "townboard_lang=ur"}, "hi"),
        ("/?lang=xx", {"cookie": "townboard_lang=ur"}, "ur"),
        ("/", {"cookie": "townboard_lang=xx"}, "en"),
    ],
)
def test_language_comes_from_address_then_choice_then_browser(
    spoken: FakeTown, path: str, headers: dict[str, str], code: str
) -> None:
    page = get(spoken, path, **headers).text
    assert f'<html lang="{code}" dir="{"rtl" if code == "ur" else "ltr"}">' in page


def test_an_address_that_names_a_language_is_remembered(spoken: FakeTown) -> None:
    assert "townboard_lang=ur; Path=/;" in get(spoken, "/?lang=ur").headers["set-cookie"]
    assert "set-cookie" not in get(spoken, "/").headers
    assert "set-cookie" not in get(spoken, "/?lang=xx").headers


def test_a_page_carries_direction_style_and_words_of_its_language(spoken: FakeTown) -> None:
    async def ask() -> None:
        async with Board(spoken, "/") as client:
            english, urdu = await client.get("/?lang=en"), await client.get("/?lang=ur")
            words = re.search(r'<script src="(/words/ur\.js\?m=\w+)">', urdu.text)
            assert words and "/words/" not in english.text
            assert "خلاصہ" in urdu.text and "<span>Overview" not in urdu.text and "خلاصہ" not in english.text
            answer = await client.get(words[1])
            assert "immutable" in answer.headers["cache-control"] and '"سائن اِن"' in answer.text
            assert (await client.get("/words/xx.js")).status_code == 404
            assert "accept-language" in english.headers["vary"] and "cookie" in english.headers["vary"]

    asyncio.run(ask())


def test_the_chooser_names_each_language_in_itself(spoken: FakeTown) -> None:
    page = get(spoken, "/").text
    chooser = page.split('id="shell-languages"')[1].split("</details>")[0]
    assert re.findall(r">([^<]+)</a>", chooser) == ["English", "हिन्दी", "اردو"]


def test_numbers_are_grouped_and_signed_as_the_language_does() -> None:
    # CLDR: Hindi groups by lakh and crore; Urdu keeps the minus left of the digits with a left-to-right mark.
    for code, text in {
        "en": "−1,234,567.50",
        "hi": "−12,34,567.50",
        "ur": "\u200e−1,234,567.50",
        "bn": "−১২,৩৪,৫৬৭.৫০",
    }.items():
        tongue.speak(Tongue(code))
        assert wording.number(-1234567.5, 2) == text
    tongue.speak(tongue.ENGLISH)


def test_dates_and_counts_follow_the_language(spoken: FakeTown) -> None:
    now, at = datetime(2026, 11, 23, 3, 0, tzinfo=UTC), datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    tongue.speak(Tongue("hi"))
    assert wording.clock(at, "Asia/Kolkata", now) == "1 मार्च 08:30"
    assert wording.age(7500) == "2 घं 5 मि"
    assert wording.count(3, "alarm") == "3 अलार्म"
    tongue.speak(Tongue("ur"))
    assert wording.span(at, at + timedelta(hours=1), "Asia/Kolkata", now) == "1 مارچ 08:30 to 09:30"
    assert wording.count(2, "alarm") == "2 الارمز"


def test_a_sentence_of_the_line_is_said_by_its_pattern(spoken: FakeTown) -> None:
    words = "Nothing usable for 14 minutes (it should come every 5 minutes). "
    assert tongue.said(words) == words
    tongue.speak(Tongue("hi"))
    assert tongue.said(words + "x") == "14 मिनट से कुछ नहीं (हर 5 मिनट आना चाहिए)। x"
    assert tongue.said("A town's own words.") == "A town's own words."


ROWS: list[dict[str, Any]] = [
    {"value": -1234567.5, "decimals": 1, "last_week": 3, "as_of": "2026-11-23T02:00:00+00:00"},
    {"value": 4.25, "decimals": 2, "last_week": None, "as_of": "2026-11-20T02:00:00+00:00",
     "window_start": "2026-11-19T18:30:00+00:00", "window_end": "2026-11-20T18:30:00+00:00", "status": "stale"},
    {"value": 1, "decimals": 0, "last_week": 1, "as_of": "2025-11-20T02:00:00+00:00"},
]  # fmt: skip


@pytest.mark.parametrize("code", ["en", "hi", "ur"])
def test_scripts_write_numbers_dates_and_ages_as_the_server_does(spoken: FakeTown, code: str) -> None:
    now = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
    given = dressing._script(code).decode() if code != "en" else ""
    clock = '{getElementById: () => ({dataset: {zone: "Asia/Kolkata"}}), documentElement: {}}'
    program = (
        f"globalThis.window = globalThis; globalThis.document = {clock}; {given}\n"
        + (ROOT / "assets" / "format.js").read_text("utf-8")
        + f"\nconst b = window.townboard; b.epoch = {int(now.timestamp() * 1000)} - performance.now(); const rows = {json.dumps(ROWS)};"
        "console.log(JSON.stringify(rows.map((r) => [b.number(r.value, r.decimals), b.when(r), b.whenShort(r), b.trend(r), b.clock(r.as_of), b.count(2, 'alarm')])))"
    )
    ran = subprocess.run(["node", "-e", program], capture_output=True, text=True, timeout=30, check=True)
    tongue.speak(Tongue(code))
    zone = "Asia/Kolkata"
    expected = [
        [wording.number(r["value"], r["decimals"]), wording.when(r, zone, now), wording.when_short(r, zone, now),
         wording.trend(r), wording.clock(r["as_of"], zone, now), wording.count(2, "alarm")]
        for r in ROWS
    ]  # fmt: skip
    assert json.loads(ran.stdout) == expected


def test_a_language_without_words_is_named_for_the_clerk() -> None:
    assert tongue.unspoken(["en", "hi"]) == []
    assert "names 'xx': there are no words for it. There are en, hi, ur" in tongue.unspoken(["xx"])[0]


def test_the_title_of_a_page_speaks_its_language(spoken: FakeTown) -> None:
    assert "<title>خلاصہ · Nadipur</title>" in get(spoken, "/?lang=ur").text
    assert "<title>Overview · Nadipur</title>" in get(spoken, "/").text


def test_residents_read_their_page_in_their_language(town: FakeTown) -> None:
    async def ask() -> None:
        async with Board(town, "/") as client:
            hindi, english = await client.get("/public?lang=hi"), await client.get("/public?lang=en")
            assert (
                '<html lang="hi" dir="ltr">' in hindi.text and "मेरा वार्ड" in hindi.text and "My ward" not in hindi.text
            )
            assert "My ward" in english.text and "मेरा" not in english.text
            assert "accept-language" in hindi.headers["vary"]

    asyncio.run(ask())
