"""Keeps locales/*.po in step with the messages that people read; `--check` only looks."""

import ast
import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_javascript
from babel.messages.pofile import read_po, write_po
from jinja2 import Environment, nodes

from components.catalogues import FOLDER, HOLE, SOURCE
from tools import declared_messages

ROOT = Path(__file__).resolve().parent.parent
MARKS = ("_", "N_")
COUNTED = re.compile(r"count\([^'\n]*, '([a-z ]+)'\)")
# Lines of a .po header that change without a message changing.
DATED = ("POT-Creation", "PO-Revision", "Project-Id", "Report-Msgid", "Last-Trans", "Language-Team", "Generated")
HEADER = "# Townboard in {name}. Kept in step by `make messages`; translate the empty ones, then run it again."


class Found(NamedTuple):
    """A message and the place it was found in; a pair is (one, many)."""

    message: str | tuple[str, str]
    place: str


def every() -> list[Found]:
    """All messages: of components, pages, templates, scripts, declarations and the sentences of the line."""
    found = [*_python(), *_templates(), *_scripts()]
    found += [Found(message, place) for message, place in declared_messages.every()]
    return [one for one in found if (one.message.strip() if isinstance(one.message, str) else one.message)]


def _python() -> Iterator[Found]:
    for folder in ("components", "pages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            place = str(path.relative_to(ROOT))
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call):
                    yield from (Found(message, place) for message in _called(_name(node.func), _texts(node.args)))


def _name(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _texts(arguments: list[ast.expr]) -> list[str | None]:
    return [a.value if isinstance(a, ast.Constant) and isinstance(a.value, str) else None for a in arguments]


def _called(name: str, texts: list[str | None]) -> Iterator[str | tuple[str, str]]:
    """The messages of one call, by what is called."""
    if name in MARKS and texts and texts[0]:
        yield texts[0]
    elif name == "n_" and len(texts) > 1 and texts[0] and texts[1]:
        yield texts[0], texts[1]
    elif name == "count" and len(texts) > 1 and texts[1]:
        yield from counted(texts[1], texts[2] if len(texts) > 2 else None)


def counted(one: str, many: str | None = None) -> Iterator[str | tuple[str, str]]:
    """What wording.count says of a noun."""
    plural = many or one + "s"
    yield "{n} " + one, "{n} " + plural
    yield "no " + plural


def _templates() -> Iterator[Found]:
    environment = Environment(autoescape=True)
    for path in sorted((ROOT / "components" / "templates").glob("*.html")):
        for call in environment.parse(path.read_text("utf-8")).find_all(nodes.Call):
            name = call.node.name if isinstance(call.node, nodes.Name) else getattr(call.node, "attr", "")
            texts = [a.value if isinstance(a, nodes.Const) and isinstance(a.value, str) else None for a in call.args]
            yield from (Found(message, str(path.relative_to(ROOT))) for message in _called(name, texts))


def _scripts() -> Iterator[Found]:
    keywords = {"_": None, "N_": None, "n_": (1, 2)}
    for path in sorted((ROOT / "assets").rglob("*.js")):
        if "vendor" in path.parts:
            continue
        place, text = str(path.relative_to(ROOT)), path.read_bytes()
        for _line, function, message, _comments in extract_javascript(io.BytesIO(text), list(keywords), [], {}):
            parts = message if isinstance(message, tuple | list) else (message,)
            texts = [part for part in parts if isinstance(part, str) and "${" not in part]
            yield from (Found(one, place) for one in _called(function, [*texts]))
        for noun in COUNTED.findall(text.decode()):
            yield from (Found(one, place) for one in counted(noun))


def gathered(found: Iterable[Found]) -> dict[str | tuple[str, str], list[str]]:
    """Message -> its places, each once."""
    places: dict[str | tuple[str, str], list[str]] = {}
    for message, place in found:
        here = places.setdefault(message, [])
        if place not in here:
            here.append(place)
    return places


def in_step(code: str, places: dict[str | tuple[str, str], list[str]], folder: Path = FOLDER) -> Catalog:
    """The language's catalogue with exactly these messages; what was translated stays so."""
    path, known = folder / f"{code}.po", Catalog(locale=code)
    if path.exists():
        with path.open("rb") as file:
            known = read_po(file, locale=code)
    made = Catalog(locale=code, header_comment=HEADER.format(name=known.locale.english_name), fuzzy=False)
    for message in sorted(places, key=lambda m: (places[m][0], m if isinstance(m, str) else m[0])):
        before = known.get(message if isinstance(message, str) else message[0])
        said = before.string if before and before.id == message else None
        made.add(message, said, locations=[(place, None) for place in places[message]])
    return made


def lacking(catalogue: Catalog) -> list[str]:
    """What is wrong with a catalogue, one sentence each: not translated, or a hole lost or made up."""
    wrong = []
    for message in catalogue:
        if not message.id:
            continue
        sources = (message.id,) if isinstance(message.id, str) else message.id
        texts = (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))
        if not all(texts):
            wrong.append(f"not translated: {sources[0]!r}")
        allowed, needed = set(HOLE.findall(" ".join(sources))), set(HOLE.findall(sources[-1]))
        for text in filter(None, texts):
            holes = set(HOLE.findall(text))
            few = len(texts) > 1 and needed - holes <= {"n"}
            if holes - allowed or (needed - holes and not few):
                wrong.append(f"holes of {sources[-1]!r} are not those of {text!r}")
    return wrong


def pseudo(code: str, places: dict[str | tuple[str, str], list[str]]) -> Catalog:
    """A catalogue in which every text is 40 % longer and in brackets: what is not in it was never marked."""
    made = Catalog(locale=code, fuzzy=False)
    for message, here in places.items():
        texts = [message] if isinstance(message, str) else list(message)
        grown = [f"[{text}{_tail(max(1, round(0.4 * len(text))))}]" for text in texts]
        forms = grown[0] if isinstance(message, str) else [grown[min(i, 1)] for i in range(made.num_plurals)]
        made.add(message, forms, locations=[(place, None) for place in here])
    return made


def _tail(length: int) -> str:
    """So many marks, in words that are as long as words are."""
    return "".join(" " if place % 9 == 8 else "~" for place in range(length))


def write(catalogue: Catalog, path: Path) -> None:
    """The catalogue as a .po file without dates, so that only what changed differs."""
    buffer = io.BytesIO()
    write_po(buffer, catalogue, width=0, include_lineno=False, omit_header=False)
    lines = buffer.getvalue().decode().splitlines()
    dated = tuple(f'"{name}' for name in DATED)
    path.write_text("\n".join(line for line in lines if not line.startswith(dated)) + "\n", "utf-8")


def languages() -> list[str]:
    """The languages that have a catalogue."""
    return sorted(path.stem for path in FOLDER.glob("*.po") if path.stem != SOURCE)


def main(arguments: list[str]) -> int:
    """Bring the catalogues in step, or say what keeps them from it."""
    places, wrong = gathered(every()), 0
    for code in languages():
        catalogue, path = in_step(code, places), FOLDER / f"{code}.po"
        before = path.read_text("utf-8")
        if "--check" not in arguments:
            write(catalogue, path)
        elif f"\n{before}".count("\nmsgid ") - 1 != len(places):
            print(f"{path.name} is not in step with the messages. Run: make messages")
            wrong += 1
        for words in lacking(catalogue):
            print(f"{path.name}: {words}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
