"""Free text without what tells who somebody is: phone numbers, mail addresses, links and numbers of papers.

It finds what has a form. Names and house descriptions have none: free text stays personal also when it was scrubbed.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import polars as pl

# Says in every language that something stood here, and holds nothing that a second look would find.
MARK = "[…]"
# A run without a gap is a number of something from here on; with gaps (12-14, 98 765 43 210) it takes one more.
LEAST_WHOLE, LEAST_SPLIT = 6, 7
# Papers and meters mix letters with so many digits.
LEAST_MIXED = 5
# Between two digits of one number people write spaces, signs, brackets and what cannot be seen, but no letters.
GAP = r"[^\w\n]{0,6}"
RUN = re.compile(rf"[+(]{{0,2}}[0-9](?:{GAP}[0-9])*")
TIME = r"(?:[ T,]{1,2}[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2})?)?"
DATES = (
    re.compile(rf"(?:19|20)[0-9]{{2}}([-/.])[0-9]{{1,2}}\1[0-9]{{1,2}}{TIME}"),
    re.compile(rf"[0-9]{{1,2}}([-/.])[0-9]{{1,2}}\1(?:19|20)[0-9]{{2}}{TIME}"),
)
STAMP = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}T[0-9]{1,2}", re.IGNORECASE)
TOKEN = re.compile(r"[^\W_]+(?:[-/_.][^\W_]+)*")
# Indian tax number and number plates, as they are also written with gaps.
PAPERS = (
    re.compile(r"(?<![^\W_])[A-Z]{5}[ -]?[0-9]{4}[ -]?[A-Z](?![^\W_])", re.IGNORECASE),
    re.compile(r"(?<![^\W_])[A-Z]{2}[ -]?[0-9]{1,2}[ -]?[A-Z]{1,3}[ -]?[0-9]{4}(?![0-9])", re.IGNORECASE),
)
# Whatever is written around an @ is a mail address, a payment address or a name in a network.
AT = re.compile(r"[^\s<>()\[\],;]*\s?@\s?[^\s<>()\[\],;]*")
OPENED, CLOSED = r"\s*[(\[{<]\s*", r"\s*[)\]}>]\s*"
DOT = rf"(?:\.|\sdot\s|{OPENED}(?:dot|\.){CLOSED})"
SPELLED_AT = re.compile(
    rf"[\w.+-]+(?:{OPENED}at{CLOSED}[\w-]+(?:{DOT}[\w-]+)*"
    rf"|\sat\s[\w-]+(?:\sdot\s[\w-]+)+|\sat\s(?:[\w-]+\.)+(?:com|in|org|net|co|edu|gov|info)\b)",
    re.IGNORECASE,
)
LINK = re.compile(r"(?:https?://|www\.)[^\s<>]+", re.IGNORECASE)


def scrubbed(text: str) -> str:
    """The text with MARK in place of every phone number, mail address, link and number of a paper or meter.

    Digits of every script count, also full-width, raised and circled ones. Days and times stay.
    """
    parts, end = [], 0
    for start, stop in _spans(text):
        parts += [text[end:start], MARK]
        end = stop
    return "".join([*parts, text[end:]])


def scrubbed_column(column: pl.Series) -> pl.Series:
    """A column of texts, each scrubbed; null stays null."""
    return pl.Series(column.name, [text and scrubbed(text) for text in column.to_list()], dtype=pl.String)


def tells(text: str) -> bool:
    """Whether there is anything to scrub."""
    return bool(_spans(text))


def _spans(text: str) -> list[tuple[int, int]]:
    """Where something stands that has to go, in order, apart from each other."""
    plain = "".join(map(_plain, text))
    found: list[tuple[int, int]] = []
    for start, end in sorted(_whole(plain, *span) for span in _found(plain)):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _whole(plain: str, start: int, end: int) -> tuple[int, int]:
    """A span with the letters and marks that hang on to it: of "RJ14" more than its digits must go."""
    while start and _hangs_on(plain[start - 1]):
        start -= 1
    while end < len(plain) and _hangs_on(plain[end]):
        end += 1
    return start, end


def _hangs_on(letter: str) -> bool:
    return letter.isalnum() or unicodedata.category(letter).startswith("M")


def _found(plain: str) -> Iterator[tuple[int, int]]:
    for pattern in (LINK, AT, SPELLED_AT, *PAPERS):
        yield from (match.span() for match in pattern.finditer(plain))
    yield from (match.span() for match in RUN.finditer(plain) if _is_number(match[0]))
    yield from (match.span() for match in TOKEN.finditer(plain) if _is_mixed(match[0]))


def _is_number(run: str) -> bool:
    """Whether a run of digits with gaps is the number of something, rather than a count, a day or a time."""
    digits = sum(map(str.isdigit, run))
    if any(pattern.fullmatch(run) for pattern in DATES):
        return False
    whole = max(len(part) for part in re.split(r"[^0-9]+", run))
    return whole >= LEAST_WHOLE or digits >= LEAST_SPLIT


def _is_mixed(token: str) -> bool:
    """Whether letters and digits stand together as on papers and meters; "2026-11-20T10" is a time."""
    digits = sum(map(str.isdigit, token))
    return digits >= LEAST_MIXED and any(map(str.isalpha, token)) and not STAMP.fullmatch(token)


@lru_cache(4096)
def _plain(letter: str) -> str:
    """One character as it is looked at: every digit as 0 to 9, full-width signs as usual ones."""
    digit = unicodedata.digit(letter, None)
    if digit is not None:
        return str(digit)
    usual = unicodedata.normalize("NFKC", letter)
    return "-" if usual == "_" else usual if len(usual) == 1 else letter
