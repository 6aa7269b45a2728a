"""Every message that people read is in every catalogue, translated, with the holes that its values go into."""

import re
from collections.abc import Iterable

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po

from components import catalogues
from tools import messages

LANGUAGES = ("hi", "ur")


def test_hindi_and_urdu_are_there() -> None:
    assert set(LANGUAGES) <= set(messages.languages())


@pytest.fixture(scope="module")
def places() -> dict[str | tuple[str, str], list[str]]:
    return messages.gathered(messages.every())


@pytest.mark.parametrize("code", messages.languages())
def test_a_catalogue_has_every_message_translated_with_its_holes(
    code: str, places: dict[str | tuple[str, str], list[str]]
) -> None:
    assert messages.lacking(messages.in_step(code, places)) == [], "translate these in locales/, then: make messages"


@pytest.mark.parametrize("code", messages.languages())
def test_a_catalogue_file_is_in_step(code: str, places: dict[str | tuple[str, str], list[str]]) -> None:
    with (catalogues.FOLDER / f"{code}.po").open("rb") as file:
        kept = {
            message.id: _reached(place for place, _ in message.locations) for message in read_po(file) if message.id
        }
    assert kept == {message: _reached(here) for message, here in places.items()}, "run: make messages"


def _reached(places: Iterable[str]) -> set[str]:
    """Whom a message reaches: scripts, and sentences of the line."""
    marks = (catalogues.SCRIPTS, catalogues.LIVE, "pipelines/")
    return {mark for place in places for mark in marks if place.startswith(mark)}


def test_a_missing_text_and_a_lost_hole_are_told() -> None:
    made = Catalog(locale="hi", fuzzy=False)
    made.add("Overview", "")
    made.add("{n} of {feeds} arriving as expected.", "{feeds} में से आ रही हैं।")
    made.add("Ward {key}", "वार्ड {name}")
    made.add(("{n} day", "{n} days"), ["{n} दिन", "{n} दिन"])
    told = messages.lacking(made)
    assert len(told) == 3
    assert "not translated: 'Overview'" in told


def test_the_line_s_own_sentences_are_found_in_its_modules(places: dict[str | tuple[str, str], list[str]]) -> None:
    assert places["Nothing usable for {0} (it should come every {1}). {2}"] == ["live/feeds.py"]
    assert "live/water" in places["Tank level low"]


def test_pseudo_texts_are_longer_and_keep_their_holes(places: dict[str | tuple[str, str], list[str]]) -> None:
    made = messages.pseudo("hi", places)
    assert messages.lacking(made) == []
    long = made.get("The books balance: every row is accounted for.")
    assert long is not None and len(str(long.string)) > 1.4 * len(str(long.id))


def test_every_word_is_in_the_script_of_its_language() -> None:
    script = {"hi": "ऀ-ॿ", "ur": "؀-ۿ"}
    for code in LANGUAGES:
        said = catalogues.words(code).single
        foreign = [
            text
            for message, text in said.items()
            if re.search("[a-z]{4}", catalogues.HOLE.sub("", message)) and not re.search(f"[{script[code]}]", text)
        ]
        assert foreign == []
