"""Message catalogues, read from locales/*.po: what is said for a message, and for a sentence by its pattern."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path

import orjson
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

FOLDER = Path(__file__).resolve().parent.parent / "locales"
SOURCE = "en"
# Places that a message is marked with: of the scripts, and of what the line writes while the page is open.
SCRIPTS, LIVE = "assets/", "live/"
SPOKEN_BY_LINE = ("pipelines/", LIVE)
HOLE = re.compile(r"\{(\w*)\}")
# A key of plural forms in the words that scripts are given; never part of a text.
BETWEEN = "\x00"


@dataclass(frozen=True)
class Pattern:
    """A sentence of the line with holes, and its translation with the same holes."""

    found: re.Pattern[str]
    holes: tuple[str, ...]
    said: str

    def filled(self, values: Mapping[str, str]) -> str:
        """The translation with these values in its holes."""
        return HOLE.sub(lambda hole: values[hole[1]], self.said)


@dataclass(frozen=True)
class Words:
    """A language's words: by message, by (one, many), by pattern; `script` is what pages are given to speak it."""

    single: Mapping[str, str] = field(default_factory=dict)
    plural: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    patterns: tuple[Pattern, ...] = ()
    form: Callable[[int], int] = lambda n: int(n != 1)
    script: Mapping[str, object] = field(default_factory=dict)


@cache
def codes() -> tuple[str, ...]:
    """The languages that there are words for, English first."""
    there = sorted(path.stem for path in FOLDER.glob("*.po"))
    return (SOURCE, *(code for code in there if code != SOURCE))


@cache
def words(code: str) -> Words:
    """The words of a language; none for English, which is the language of the messages themselves."""
    path = FOLDER / f"{code}.po"
    if not path.exists():
        return Words()
    with path.open("rb") as file:
        catalogue = read_po(BytesIO(file.read()), locale=code)
    done = [message for message in catalogue if message.id and _whole(message)]
    single = {str(m.id): str(m.string) for m in done if isinstance(m.id, str)}
    plural = {(m.id[0], m.id[1]): tuple(m.string or ()) for m in done if isinstance(m.id, tuple)}
    patterns = tuple(sorted(_patterns(done), key=lambda p: -len(HOLE.sub("", p.said))))
    return Words(single, plural, patterns, catalogue_form(catalogue), _for_scripts(done, catalogue))


def _whole(message: Message) -> bool:
    texts = message.string if isinstance(message.string, tuple | list) else (message.string,)
    return not message.fuzzy and all(texts)


def catalogue_form(catalogue: Catalog) -> Callable[[int], int]:
    """Which plural form the language takes for a number, as its catalogue's header says."""
    from gettext import c2py

    form: Callable[[int], int] = c2py(catalogue.plural_expr)
    return form


def _patterns(messages: list[Message]) -> Iterator[Pattern]:
    for message in messages:
        if any(place.startswith(SPOKEN_BY_LINE) for place, _ in message.locations):
            yield from (pattern(one, said) for one, said in _forms(message) if HOLE.search(one))


def _forms(message: Message) -> list[tuple[str, str]]:
    """The message with its text; of a plural the first and the last form, as the line writes one and many."""
    if isinstance(message.id, str):
        return [(message.id, str(message.string))]
    texts = tuple(message.string or ())
    return [(message.id[0], texts[0]), (message.id[1], texts[-1])]


def pattern(message: str, said: str) -> Pattern:
    """The pattern that finds a sentence made from this message."""
    parts = HOLE.split(message)
    found = "".join(re.escape(part) if i % 2 == 0 else "(.+?)" for i, part in enumerate(parts))
    return Pattern(re.compile(found, re.DOTALL), tuple(parts[1::2]), said)


def _for_scripts(messages: list[Message], catalogue: Catalog) -> dict[str, object]:
    """The words that live scripts use: their own, and what the line may say while the page is open."""
    told: dict[str, object] = {}
    patterns = []
    for message in messages:
        places = [place for place, _ in message.locations]
        if not any(place.startswith((SCRIPTS, LIVE)) for place in places):
            continue
        if not isinstance(message.id, str):
            told[BETWEEN.join(message.id)] = list(message.string or ())
        told.update(_forms(message))
        if any(place.startswith(LIVE) for place in places):
            patterns += [one for one, _said in _forms(message) if HOLE.search(one)]
    return {"words": told, "patterns": patterns, "plural": f"(n) => +({catalogue.plural_expr})"}


def script(code: str, more: Mapping[str, object]) -> bytes:
    """The script that gives a page its language's words before the board's own scripts read them."""
    given = words(code).script
    form = given.get("plural", "(n) => +(n !== 1)")
    told = orjson.dumps({"words": given.get("words", {}), "patterns": given.get("patterns", []), **more}).decode()
    return f"window.townboard=Object.assign(window.townboard||{{}},{{tongue:{{...{told},plural:{form}}}}});\n".encode()
