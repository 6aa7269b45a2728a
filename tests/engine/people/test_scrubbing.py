"""What tells who somebody is goes from free text, in the digits of every script; what tells the matter stays."""

import re
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engine.people.scrubbing import MARK, scrubbed, scrubbed_column, tells

ZEROS = {
    "latin": "0", "devanagari": "०", "arabic": "٠", "urdu": "۰", "bengali": "০", "gujarati": "૦", "tamil": "௦",
    "full width": "０", "bold": "𝟎",
}  # fmt: skip
GAPS = ("", " ", "-", ".", " - ", "/", "\u00a0", "\u2011", ")", "\u200b", "\u200f", "_", ", ")
WORDS = ("पानी नहीं आ रहा", "پانی نہیں آ رہا", "No water here", "call", "مجھے", "मो.", "house", "nr. 12", "")


def told(text: str) -> str:
    """All digits of a text, as 0 to 9."""
    return "".join(str(unicodedata.digit(c)) for c in text if unicodedata.digit(c, None) is not None)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """A phone number as somebody may write it: any script, any gaps, 7 to 13 digits."""
    zero = ord(draw(st.sampled_from(sorted(ZEROS.values()))))
    digits = draw(st.lists(st.integers(0, 9), min_size=7, max_size=13))
    gaps = draw(st.lists(st.sampled_from(GAPS), min_size=len(digits), max_size=len(digits)))
    return draw(st.sampled_from(("", "+", "(", "00"))) + "".join(
        chr(zero + digit) + gap for digit, gap in zip(digits, gaps, strict=True)
    )


@given(numbers(), st.sampled_from(WORDS), st.sampled_from(WORDS))
def test_a_phone_number_goes_however_it_is_written(number: str, before: str, after: str) -> None:
    said = f"{before} {number} {after}"
    kept = scrubbed(said)
    day = re.search(r"(?<!\d)(?:(?:19|20)\d\d[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.](?:19|20)\d\d)", kept)
    assert day or len(told(kept)) <= len(told(before)) + len(told(after))


@given(
    st.from_regex(r"[a-z][a-z0-9._+-]{0,12}", fullmatch=True), st.from_regex(r"[a-z]{2,8}(\.[a-z]{2,4})?", fullmatch=True),
    st.sampled_from(("@", "＠", " @ ", "(at)", " [at] ")), st.sampled_from(WORDS),
)  # fmt: skip
def test_a_mail_or_payment_address_goes(name: str, host: str, at: str, after: str) -> None:
    kept = scrubbed(f"Write to: {name}{at}{host} {after}")
    assert kept.startswith(f"Write to: {MARK}") and kept.endswith(after)


@given(st.text())
def test_a_second_look_finds_nothing_more(text: str) -> None:
    once = scrubbed(text)
    assert scrubbed(once) == once and not tells(once)


@given(st.text(alphabet=st.characters(exclude_categories=("Nd", "No", "Nl"), exclude_characters="@＠﹫")))
def test_words_alone_stay_as_they_are(text: str) -> None:
    plain = re.sub(r"(?i)\bat\b|www|https?", "", unicodedata.normalize("NFC", text))
    assert scrubbed(plain) == plain


@pytest.mark.parametrize(
    "paper",
    [
        "1234 5678 9012", "१२३४ ५६७८ ९०१२", "ABCDE1234F", "abcde 1234 f", "RJ14 20110012345", "RJ 14 CA 1234", "XYZ1234567",
        "SBIN0001234", "08ABCDE1234F1Z5", "K-204871", "204871", "GB33BUKB20201555555555", "asha@okbank",
        "https://example.org/asha", "www.example.org/x", "asha at gmail dot com", "asha at gmail.com", "9️⃣8️⃣7️⃣6️⃣5️⃣4️⃣3️⃣",
        "9876543210, 9876543211", "asha_k@example.org", "⑨⑧⑦⑥⑤④③②", "20.11.2026 9876543210",
    ],
)  # fmt: skip
def test_numbers_of_papers_and_meters_go(paper: str) -> None:
    assert scrubbed(f"Mine is {paper}") == f"Mine is {MARK}"


@pytest.mark.parametrize(
    "matter",
    [
        "No water since 2026-11-20 in ward 12", "Since 20/11/2026 6:30 the pump near gate 4 is off", "3 of 12 lamps are dark",
        "१२ दिन से पानी नहीं", "२०/११/२०२६ से बंद", "۱۲ دن سے", "The 250 kVA transformer hums; 40 houses, 1500 mm pipe, 11 kV",
        "Water leaks at main. Please look", "It began at 10:30 and ended at 11:45", "1,50,000 litres were lost", "",
    ],
)  # fmt: skip
def test_what_tells_the_matter_stays(matter: str) -> None:
    assert scrubbed(matter) == matter and not tells(matter)


def test_a_column_is_scrubbed_where_it_holds_text() -> None:
    column = pl.Series("said", ["call 9876543210", None, ""])
    assert scrubbed_column(column).to_list() == [f"call {MARK}", None, ""]
