"""What a page holds for its language: direction, style sheet, fonts of its script, the words of its scripts."""

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import Any

from components import catalogues, first_paint, glass, theme
from components.asgi import Headers, Receive, Scope, Send, answer, encoding, squeezed
from components.security import policy
from components.static import FOREVER, VENDOR
from components.tongue import DIGITS, Tongue, current, offered

# Script -> font file, name, and the letters it is asked for; everything else stays with the system's own fonts.
ASSETS = VENDOR.parent
REMARKS = re.compile(r"/\*.*?\*/\s*", re.DOTALL)
FONTS = {
    "Deva": ("devanagari", "Town Devanagari", "U+0900-097F,U+1CD0-1CFA,U+200C-200D,U+20A8,U+20B9,U+25CC,U+A830-A8FF"),
    "Arab": ("arabic", "Town Naskh", "U+0600-06FF,U+0750-077F,U+0870-08FF,U+200C-200F,U+FB50-FDFF,U+FE70-FEFC"),
}  # fmt: skip
SCRIPT_OF = {"hi": "Deva", "mr": "Deva", "ne": "Deva", "ar": "Arab", "fa": "Arab", "ps": "Arab", "ur": "Arab"}
ON_DEVICES = {
    "devanagari": ("Noto Sans Devanagari", "NotoSansDevanagari-Regular", "Nirmala UI", "Kohinoor Devanagari"),
    "arabic": ("Noto Naskh Arabic", "NotoNaskhArabic-Regular", "Segoe UI", "Geeza Pro"),
}
# What stands in the head of the wall besides what each page has: it is a screen of its own.
WALL = ASSETS / "plain" / "wall.css"
MARKER, REST = b"<!--first-->", first_paint.REST.encode()
SHEETS = re.compile(rb"<!--sheets-->(.*?)<!--/sheets-->", re.DOTALL)
BARE = Path(__file__).resolve().parent / "templates" / "public.css"
WEIGHTS = {400: "400", 600: "600 800"}


def html_tag(tongue: Tongue) -> str:
    """The html element of a page in this language."""
    return f'<html lang="{tongue.code.replace("_", "-")}" dir="{tongue.direction}">'


def head(tongue: Tongue) -> str:
    """Palette, fonts and the rules of what the window shows first, for the head of a page: nothing is waited for."""
    return f"<style>{sheet_within(tongue)}</style>"


def sheet_within(tongue: Tongue) -> str:
    """They as they stand in the head of a page, and as its policy names them."""
    first = "bootstrap.rtl.min.css" if tongue.direction == "rtl" else "bootstrap.min.css"
    return f"{theme.css()}{_faces(tongue)}{rules(VENDOR / first)}{rules(ASSETS / 'first.css')}"


@cache
def rules(sheet: Path) -> str:
    """A style sheet without its remarks; none where it was not fetched."""
    return REMARKS.sub("", sheet.read_text("utf-8")) if sheet.exists() else ""


def dressed(page: bytes, first: bytes) -> bytes:
    """The page with its first figures; the style sheets are named behind what the window shows first, if that is known.

    A browser paints what stands before the name of a style sheet without waiting for it.
    """
    if REST in first and (named := SHEETS.search(page)):
        page = page.replace(named[0], b"", 1)
        first = first.replace(REST, named[1], 1)
    return page.replace(MARKER, first, 1)


def bare_sheet(tongue: Tongue) -> str:
    """All the style of a page for residents, as it stands in its head."""
    return theme.bare_css() + small_face(tongue) + BARE.read_text("utf-8")


def guard() -> Headers:
    """The policy of a page without Dash in the language that is spoken now."""
    return policy(styles=(sheet_within(current()), bare_sheet(current()), rules(WALL)))


def words(tongue: Tongue) -> str:
    """The script with the language's words, before the board's own; none for English, which those are written in."""
    if tongue.code == catalogues.SOURCE:
        return ""
    return f'<script src="{glass.href(f"words/{tongue.code}.js", m=_tag(tongue.code))}"></script>'


def vendored(name: str) -> str:
    """The address of a fetched file, named by its age so that it may be kept for ever."""
    return glass.href(f"assets/vendor/{name}", m=int((VENDOR / name).stat().st_mtime))


def _faces(tongue: Tongue) -> str:
    """The fonts of the language's script where they were fetched; without them the system's own serve."""
    file, name, letters = FONTS.get(SCRIPT_OF.get(tongue.code.partition("_")[0], ""), ("", "", ""))
    faces = [
        f"@font-face{{font-family:'{name}';font-weight:{range_};font-display:swap;unicode-range:{letters};"
        f"src:url({vendored(f'{file}-{weight}.woff2')}) format('woff2')}}"
        for weight, range_ in WEIGHTS.items()
        if file and (VENDOR / f"{file}-{weight}.woff2").exists()
    ]
    return "".join(faces) + (f":root{{--font:'{name}',{theme.FONT}}}" if faces else "")


def small_face(tongue: Tongue) -> str:
    """One weight of the script's font for pages that must stay small; a device that has it by its name loads none."""
    file, name, letters = FONTS.get(SCRIPT_OF.get(tongue.code.partition("_")[0], ""), ("", "", ""))
    if not file or not (VENDOR / f"{file}-400.woff2").exists():
        return ""
    own = ",".join(f"local('{known}')" for known in ON_DEVICES[file])
    return (
        f"@font-face{{font-family:'{name}';font-display:swap;unicode-range:{letters};"
        f"src:{own},url({vendored(f'{file}-400.woff2')}) format('woff2')}}:root{{--script:'{name}'}}"
    )


@cache
def _script(code: str) -> bytes:
    """The words of a language as the board's scripts read them."""
    tongue = Tongue(code)
    dates = {name: tongue.date(name) for name in ("MMMd", "yMMMd", "yMMM")}
    habits = {"lang": code.replace("_", "-"), "dir": tongue.direction, "months": tongue.months(), "dates": dates}
    digits = DIGITS.get(str(tongue.locale.default_numbering_system), "")
    return catalogues.script(code, {**habits, "digits": digits})


def _tag(code: str) -> str:
    return hashlib.sha1(_script(code), usedforsecurity=False).hexdigest()[:12]


def tags() -> bytes:
    """What changes when a word of any offered language does."""
    return "".join(_tag(tongue.code) for tongue in offered()).encode()


async def serve_words(scope: Scope, receive: Receive, send: Send) -> None:
    """GET /words/hi.js: the words of a language, kept for ever under the name that their content gives them."""
    code = scope["path"].rpartition("/")[2].removesuffix(".js")
    if code not in {tongue.code for tongue in offered()}:
        return await answer(scope, send, 404, b"no such language", [(b"content-type", b"text/plain")])
    how = encoding(scope)
    headers: list[tuple[bytes, bytes]] = [
        (b"content-type", b"text/javascript; charset=utf-8"), (b"cache-control", FOREVER),
        (b"x-content-type-options", b"nosniff"), (b"vary", b"accept-encoding"),
    ]  # fmt: skip
    coded = [] if how == b"identity" else [(b"content-encoding", how)]
    return await answer(scope, send, 200, squeezed(_script(code), how), [*headers, *coded])


def chart_locale(tongue: Tongue) -> dict[str, Any]:
    """The part of a chart's settings that makes its axis speak the language."""
    if tongue.code == catalogues.SOURCE:
        return {}
    days, months, symbols = tongue.locale.days["format"], tongue.locale.months["format"], tongue.locale.number_symbols
    known = symbols.get("latn", symbols)
    spoken = {
        "days": [str(days["wide"][(number + 6) % 7]) for number in range(7)],
        "shortDays": [str(days["abbreviated"][(number + 6) % 7]) for number in range(7)],
        "months": [str(months["wide"][number]) for number in range(1, 13)],
        "shortMonths": tongue.months(),
        "decimal": str(known.get("decimal", ".")), "thousands": str(known.get("group", ",")),
    }  # fmt: skip
    return {"locale": tongue.code, "locales": {tongue.code: {"dictionary": {}, "format": spoken}}}
