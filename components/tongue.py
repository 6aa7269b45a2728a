"""The language that a page is drawn in, chosen once per request, and `_`: what a message is in it."""

import re
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, lru_cache
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from babel import Locale, negotiate_locale
from babel.lists import format_list
from babel.numbers import NumberPattern, parse_pattern

from components import catalogues, glass
from components.asgi import Scope, header
from components.catalogues import SOURCE, Words

COOKIE = "townboard_lang"
A_YEAR_S = 31_536_000
# The digits of scripts that count with their own; all others use the ones that this file is written in.
DIGITS = {
    "arab": "٠١٢٣٤٥٦٧٨٩", "arabext": "۰۱۲۳۴۵۶۷۸۹", "beng": "০১২৩৪৫৬৭৮৯", "deva": "०१२३४५६७८९", "mymr": "၀၁၂၃၄၅၆၇၈၉",
}  # fmt: skip
# English pages write dates as they always did; every other language as CLDR says.
ENGLISH_DATES = {"MMMd": "d MMM", "yMMMd": "d MMM y", "yMMM": "MMM y"}
DATE_PART = re.compile(r"'[^']*'|d|MMM|y")
SENTENCES = re.compile(r"(?<=[.;?!]) ")


@dataclass(frozen=True)
class Tongue:
    """One language: its code, its locale's habits, its words."""

    code: str

    @property
    def locale(self) -> Locale:
        """What CLDR knows about the language."""
        return _locale(self.code)

    @property
    def words(self) -> Words:
        """Its catalogue."""
        return catalogues.words(self.code)

    @property
    def direction(self) -> str:
        """ltr or rtl."""
        return str(self.locale.text_direction)

    @property
    def name(self) -> str:
        """The language's name in itself."""
        return str(self.locale.get_display_name(self.code) or self.code).capitalize()

    def number(self, exact: Decimal) -> str:
        """The number with grouped thousands and all its decimals, its minus where the language's readers expect it."""
        text = f"{abs(exact):,}"
        if self.code != SOURCE:
            places = max(0, -int(exact.as_tuple().exponent))
            grouped = _pattern(self.code, places).apply(abs(exact), self.locale, numbering_system="default")
            text = self.digits(str(grouped))
        # The mark keeps the minus left of its digits among words that run to the left.
        return text if exact >= 0 else ("\u200e−" if self.direction == "rtl" else "−") + text

    def apart(self, name: str) -> str:
        """A name among words that run to the left, kept in its own direction (Unicode's first strong isolate)."""
        return f"\u2068{name}\u2069" if self.direction == "rtl" else name

    def listed(self, parts: Sequence[str]) -> str:
        """Some parts in a row, as the language joins them: "Bazaar, Riverside and Old Fort"."""
        return format_list(list(parts), locale="en_GB" if self.code == SOURCE else self.locale)

    def digits(self, text: str) -> str:
        """The text with the digits that the language counts with."""
        own = DIGITS.get(str(self.locale.default_numbering_system))
        return text.translate(str.maketrans("0123456789", own)) if own else text

    def day(self, at: date, skeleton: str) -> str:
        """A day with the parts that the skeleton names, in the order the language has: "22 Nov", "Oct 2026"."""
        parts = {"d": str(at.day), "MMM": self.months()[at.month - 1], "y": str(at.year)}
        return self.digits(DATE_PART.sub(lambda m: parts.get(m[0], m[0].strip("'")), self.date(skeleton)))

    def date(self, skeleton: str) -> str:
        """The CLDR pattern for a date with these parts: MMMd, yMMMd or yMMM."""
        return ENGLISH_DATES[skeleton] if self.code == SOURCE else str(self.locale.datetime_skeletons[skeleton])

    def months(self) -> list[str]:
        """The twelve short names of the months."""
        return [str(self.locale.months["format"]["abbreviated"][number]) for number in range(1, 13)]


@cache
def _locale(code: str) -> Locale:
    return Locale.parse(code, sep="-" if "-" in code else "_")


@cache
def _pattern(code: str, places: int) -> NumberPattern:
    """How the language groups its digits, with so many decimals."""
    usual = str(_locale(code).decimal_formats[None].pattern).partition(".")[0]
    return parse_pattern(f"{usual}.{'0' * places}" if places else usual)


ENGLISH = Tongue(SOURCE)
_current: ContextVar[Tongue] = ContextVar("tongue", default=ENGLISH)


def current() -> Tongue:
    """The language of the page that is being drawn."""
    return _current.get()


def speak(tongue: Tongue) -> None:
    """Draw in this language from now on, in this request."""
    _current.set(tongue)


def _(message: str, /, **values: object) -> str:
    """The message in the current language, its {names} filled in."""
    said = current().words.single.get(message, message)
    return said.format_map(values) if values else said


def n_(one: str, many: str, n: int, /, **values: object) -> str:
    """The message in the form that the number asks for; {n} is the number as the language writes it."""
    tongue = current()
    forms = tongue.words.plural.get((one, many))
    said = forms[tongue.words.form(abs(n))] if forms else one if n == 1 else many
    return said.format_map({"n": tongue.number(Decimal(n)), **values})


def N_(message: str) -> str:
    """The message itself, marked to be found; whoever shows it says `_` of it."""
    return message


def said(text: str | None) -> str:
    """What the line wrote in English, in the current language: whole, by pattern, or sentence by sentence."""
    if not text:
        return ""
    return text if current().code == SOURCE else _said(text, current().code)


@lru_cache(maxsize=4096)
def _said(text: str, code: str) -> str:
    known = catalogues.words(code)
    if text in known.single:
        return known.single[text]
    for one in known.patterns:
        match = one.found.fullmatch(text)
        if match:
            filled = {name: _said(part, code) for name, part in zip(one.holes, match.groups(), strict=True)}
            return one.filled(filled)
    parts = SENTENCES.split(text)
    return " ".join(_said(part, code) for part in parts) if len(parts) > 1 else text


# choosing


def offered() -> tuple[Tongue, ...]:
    """The languages that the town's pages are shown in: those it names and has words for."""
    there = catalogues.codes()
    named = [code for code in glass.town().languages if code in there]
    return tuple(Tongue(code) for code in named or [SOURCE])


def titled(message: str) -> Callable[..., str]:
    """What a browser calls the page of this name, in the language of whoever looks."""

    def title(**_asked: str) -> str:
        return f"{_(message)} · {glass.town().name}"

    return title


def unspoken(languages: Iterable[str]) -> list[str]:
    """What is wrong with a town's languages, one sentence each: those that there are no words for."""
    there = ", ".join(catalogues.codes())
    return [
        f"town.toml, `languages` names {code!r}: there are no words for it. There are {there}; "
        f"a language is added by locales/{code}.po."
        for code in languages
        if code not in catalogues.codes()
    ]


def asked(scope: Scope) -> Tongue | None:
    """The language that the address itself asks for."""
    return _of(parse_qs(scope.get("query_string", b"").decode("latin-1")).get("lang", []))


def chosen(scope: Scope) -> Tongue:
    """The language of a request: its address, the page it was asked from, the visitor's choice, the browser's."""
    wanted = _wanted(scope)
    return wanted or _accepted(header(scope, b"accept-language").decode("latin-1")) or offered()[0]


def hung(scope: Scope) -> Tongue:
    """The language of a screen that nobody sits at: what was chosen for it, else the town's, never its browser's."""
    return _wanted(scope) or offered()[0]


def _wanted(scope: Scope) -> Tongue | None:
    """The language that somebody asked for, in the address, on the page before or once for this browser."""
    page = urlsplit(header(scope, b"referer").decode("latin-1"))
    own = page.netloc.encode("latin-1") == header(scope, b"host")
    before = parse_qs(page.query).get("lang", []) if own else []
    return asked(scope) or _of(before) or _of([_kept(scope)])


def _of(codes: Iterable[str]) -> Tongue | None:
    return next((tongue for code in codes for tongue in offered() if tongue.code == code), None)


def _kept(scope: Scope) -> str:
    try:
        kept = SimpleCookie(header(scope, b"cookie").decode("latin-1")).get(COOKIE)
    except CookieError:
        return ""
    return kept.value if kept else ""


def _accepted(wanted: str) -> Tongue | None:
    """The best of the offered languages for an Accept-Language header."""
    weighed = []
    for place, part in enumerate(wanted.split(",")):
        code, _sep, weight = part.strip().partition(";q=")
        try:
            weighed.append((-float(weight or 1), place, code))
        except ValueError:
            continue
    order = [code for weight, _place, code in sorted(weighed) if weight < 0]
    found = negotiate_locale(order, [tongue.code for tongue in offered()], sep="-")
    return _of([found]) if found else None


def cookie(scope: Scope, tongue: Tongue) -> tuple[bytes, bytes]:
    """The header with which a browser remembers the language that somebody chose."""
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return (
        b"set-cookie",
        f"{COOKIE}={tongue.code}; Path={glass.href('')}; Max-Age={A_YEAR_S}; SameSite=Lax{secure}".encode(),
    )
