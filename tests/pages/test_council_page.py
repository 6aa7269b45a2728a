"""The council's page: sentences that say what the figures carry and nothing more."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from components import council_months, council_said, glass, said, tongue
from components.address import ward_names
from pipelines.engine.model import INSTANT, Kpi
from tests.glass.fake_town import FakeTown
from tests.pages.test_pages import get

# Noon in the town on 15 November 2026; its months begin at 18:30 UTC the day before.
NOW = datetime(2026, 11, 15, 6, 30, tzinfo=UTC)
THIS, LAST, AGO = (datetime(*at, 18, 30, tzinfo=UTC) for at in ((2026, 10, 31), (2026, 9, 30), (2025, 10, 31)))


def plain_words(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", markup))


def kpi_of(town: FakeTown, domain: str, kpi: str) -> Kpi:
    return next(one for one in town.domain(domain).kpis if one.id == kpi)


def state_of(town: FakeTown, kpi: str, wards: dict[str, tuple[float | None, str]], **whole: Any) -> dict[str, Any]:
    """A board on which these wards have these values and states, and all others are unknown."""
    glass.bind(town, "/")  # type: ignore[arg-type]
    state = town.state_at(7)
    for ward in ward_names():
        value, status = wards.get(ward, (None, "no data"))
        state["kpis"][f"{kpi}|ward:{ward}"] |= {
            "value": value,
            "status": status,
            "reason": None if value else "no_data",
        }
    state["kpis"][f"{kpi}|town"] |= whole
    return state


GOOD, WATCH, BREACH, STALE, UNKNOWN = (
    (97.0, "good"),
    (93.0, "watch"),
    (80.0, "breach"),
    (99.0, "stale"),
    (None, "no data"),
)
EVERY = [f"W{n:02}" for n in range(1, 13)]


@pytest.mark.parametrize(
    ("statuses", "words"),
    [
        ([GOOD] * 12, "Pressure compliance: all 12 wards keep the target of at least 95 %."),
        ([GOOD] * 11 + [BREACH],
         "Pressure compliance: 11 of 12 wards keep the target of at least 95 %; missed in Brickfields."),
        ([WATCH, BREACH, *[GOOD] * 10],
         "Pressure compliance: 10 of 12 wards keep the target of at least 95 %; missed in Riverside and Bazaar."),
        ([*[GOOD] * 9, UNKNOWN, STALE, UNKNOWN],
         "Pressure compliance: 9 of 12 wards keep the target of at least 95 %; 3 cannot be told."),
        ([BREACH, UNKNOWN, *[GOOD] * 10],
         "Pressure compliance: 10 of 12 wards keep the target of at least 95 %; missed in Bazaar; 1 cannot be told."),
        ([STALE] * 12,
         "Pressure compliance: it cannot be told whether any ward keeps the target of at least 95 %, for none has a "
         "figure to judge."),
    ],
)  # fmt: skip
def test_wards_that_keep_a_target_are_counted_and_what_is_unknown_is_claimed_for_neither(
    town: FakeTown, statuses: list[tuple[float | None, str]], words: str
) -> None:
    state = state_of(town, "pressure_compliance", dict(zip(EVERY, statuses, strict=True)))
    kpi = kpi_of(town, "water", "pressure_compliance")
    assert council_said.wards_that_keep(state, kpi, ward_names()) == words


@pytest.fixture
def speaking(town: FakeTown) -> Iterator[Callable[[str], None]]:
    """Speaks a language until the test is over."""
    yield lambda code: tongue.speak(tongue.Tongue(code))
    tongue.speak(tongue.ENGLISH)


ONE_KEEPS, TWO_KEEP = [GOOD, *[BREACH] * 11], [GOOD, GOOD, *[BREACH] * 9, UNKNOWN]


@pytest.mark.parametrize(
    ("code", "statuses", "words"),
    [
        ("en", ONE_KEEPS, "Pressure compliance: 1 of 12 wards keeps the target of at least 95 %; missed in Riverside, "
                          "Station Road, Old Fort and 8 more."),
        ("hi", ONE_KEEPS, "Pressure compliance: 12 में से 1 वार्ड कम से कम 95 % का लक्ष्य पूरा करता है; Riverside, Station Road, "
                          "Old Fort और 8 अन्य में चूका।"),
        ("hi", TWO_KEEP, "Pressure compliance: 12 में से 2 वार्ड कम से कम 95 % का लक्ष्य पूरा करते हैं; Station Road, Old Fort, "
                         "Mill Lane और 6 अन्य में चूका; 1 के बारे में कहा नहीं जा सकता।"),
        ("ur", TWO_KEEP, "Pressure compliance: 12 میں سے 2 وارڈ کم از کم 95 % کا ہدف پورا کرتے ہیں؛ \u2068Station Road\u2069، "
                         "\u2068Old Fort\u2069، \u2068Mill Lane\u2069، اور 6 مزید میں چُوکا؛ 1 کے بارے میں کہا نہیں جا سکتا۔"),
        ("ur", [GOOD] * 12, "Pressure compliance: تمام 12 وارڈ کم از کم 95 % کا ہدف پورا کرتے ہیں۔"),
    ],
)  # fmt: skip
def test_a_ward_sentence_takes_the_plural_and_the_marks_of_its_language(
    town: FakeTown,
    speaking: Callable[[str], None],
    code: str,
    statuses: list[tuple[float | None, str]],
    words: str,
) -> None:
    state = state_of(town, "pressure_compliance", dict(zip(EVERY, statuses, strict=True)))
    speaking(code)
    kpi = kpi_of(town, "water", "pressure_compliance")
    assert council_said.wards_that_keep(state, kpi, ward_names()) == words


def test_targets_are_counted_in_the_plural_of_the_language(speaking: Callable[[str], None]) -> None:
    rows = [{"promise": name} for name in ("kept", "kept", "missed", "unknown")]
    speaking("hi")
    assert council_said.in_short(rows[:1]) == "1 लक्ष्य में से: 1 पूरा, 0 चूका।"
    assert council_said.in_short(rows) == ("4 लक्ष्यों में से: 2 पूरे, 1 चूका, आँकड़ों के अभाव में 1 के बारे में कहा नहीं जा सकता।")
    speaking("ur")
    assert council_said.in_short(rows[:3]) == "3 اہداف میں سے: 2 پورے، 1 چُوکا۔"


@pytest.mark.parametrize(("code", "month"), [("en", "Oct 2026"), ("hi", "अक्टू॰ 2026"), ("ur", "اکتوبر 2026")])
def test_a_month_has_the_name_that_the_language_gives_it(
    town: FakeTown, speaking: Callable[[str], None], code: str, month: str
) -> None:
    glass.bind(town, "/")  # type: ignore[arg-type]
    speaking(code)
    assert council_months.name(council_months.Month(LAST, 21.0)) == month


def test_promises_are_counted_with_what_cannot_be_told(town: FakeTown) -> None:
    rows = [{"promise": name} for name in ("kept", "kept", "missed", "unknown")]
    assert council_said.in_short(rows) == "Of 4 targets: 2 kept, 1 missed, 1 that cannot be told for want of figures."
    assert council_said.in_short(rows[:3]) == "Of 3 targets: 2 kept, 1 missed."


@pytest.mark.parametrize(
    ("value", "status", "promise"),
    [(97.0, "good", "kept"), (97.0, "late", "kept"), (93.0, "watch", "missed"), (80.0, "breach", "missed"),
     (97.0, "stale", "unknown"), (None, "no data", "unknown")],
)  # fmt: skip
def test_an_old_or_missing_value_keeps_no_promise(value: float | None, status: str, promise: str) -> None:
    assert said.promise({"value": value, "status": status}) == promise


def test_best_and_worst_are_named_only_where_wards_differ_by_more_than_chance(town: FakeTown) -> None:
    kpi, names = kpi_of(town, "water", "pressure_compliance"), ward_names
    shares = {"numerator": 950.0, "denominator": 1000.0, "n": 1000}
    state = state_of(town, kpi.id, dict.fromkeys(EVERY, GOOD), value=94.0)
    for number, ward in enumerate(EVERY):
        state["kpis"][f"{kpi.id}|ward:{ward}"] |= shares | {"value": 95.0 + number / 100}
    alike = plain_words(council_said.compared(state, kpi, names(), "W03") or "")
    assert alike == (
        "Pressure compliance: 95.0 % in Station Road, 94.0 % in the whole town. "
        "No ward differs from the others by more than chance."
    )
    assert council_said.compared(state, kpi, names(), "") is None
    state["kpis"][f"{kpi.id}|ward:W07"] |= {"value": 40.0, "numerator": 400.0}
    apart = plain_words(council_said.compared(state, kpi, names(), "W03") or "")
    assert apart.endswith("Best is Brickfields with 95.1 %, worst Temple Hill with 40.0 %.")
    assert plain_words(council_said.compared(state, kpi, names(), "") or "") == (
        "Pressure compliance: best is Brickfields with 95.1 %, worst Temple Hill with 40.0 %."
    )


def test_a_ward_without_a_figure_is_not_compared(town: FakeTown) -> None:
    state = state_of(town, "pressure_compliance", dict.fromkeys(EVERY[:5], GOOD), value=94.0)
    words = council_said.compared(state, kpi_of(town, "water", "pressure_compliance"), ward_names(), "W09")
    assert plain_words(words or "") == (
        "Pressure compliance: not known in Canal West: nothing was measured in this time. The whole town has 94.0 %."
    )


# months -------------------------------------------------------------------------------------------------------------------


def published(values: list[float | None], start: datetime, step: timedelta) -> pl.DataFrame:
    starts = [start + step * i for i in range(len(values))]
    frame = {"window": starts, "end": [at + step for at in starts], "area": ["town"] * len(values), "value": values}
    return pl.DataFrame(frame, schema={"window": INSTANT, "end": INSTANT, "area": pl.String, "value": pl.Float64})


def months(town: FakeTown, rows: pl.DataFrame, monkeypatch: pytest.MonkeyPatch) -> council_months.Months:
    glass.bind(town, "/")  # type: ignore[arg-type]

    def history(kpi: str, areas: list[str], start: datetime, end: datetime) -> pl.DataFrame:
        return rows.filter((pl.col("window") >= start) & (pl.col("window") < end))

    monkeypatch.setattr(town, "history", history)
    found = council_months.of(kpi_of(town, "water", "supply_hours"), "town", NOW)
    assert found is not None
    return found


def test_months_are_those_of_the_town_and_begin_at_its_midnight() -> None:
    assert council_months.starts(NOW, "Asia/Kolkata") == (THIS, LAST, AGO)
    january = datetime(2026, 1, 10, tzinfo=UTC)
    assert council_months.starts(january, "UTC") == (
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def test_a_month_is_the_mean_of_its_published_days(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    day = timedelta(days=1)
    rows = pl.concat([
        published([20.0] * 15 + [22.0] * 15, AGO, day), published([21.0] * 31, LAST, day), published([23.0] * 14, THIS, day),
    ])  # fmt: skip
    this, last, ago = months(town, rows, monkeypatch)
    assert (this.value, last.value, ago.value) == (23.0, 21.0, 21.0)
    kpi = kpi_of(town, "water", "supply_hours")
    assert council_months.difference(kpi, this, last) == "this month is better"
    assert council_months.difference(kpi, last, ago) == "this month is the same"


def test_a_month_of_which_too_little_is_known_is_not_told(town: FakeTown, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = published([21.0] * 20 + [None] * 11, LAST, timedelta(days=1))
    this, last, ago = months(town, rows, monkeypatch)
    kpi = kpi_of(town, "water", "supply_hours")
    assert council_months.shown(kpi, last) == "not known: only 20 of 31 values are known"
    assert {council_months.shown(kpi, month) for month in (this, ago)} == {"not known: nothing was published in it"}
    assert council_months.difference(kpi, this, last) == ""


def test_a_month_that_was_published_only_from_its_middle_on_does_not_speak_for_all_of_it(
    town: FakeTown, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = published([21.0] * 12, LAST + timedelta(days=19), timedelta(days=1))
    last = months(town, rows, monkeypatch)[1]
    assert (last.value, last.known, last.expected) == (None, 12, 31)


@pytest.mark.parametrize(
    ("better", "now", "then", "words"),
    [("higher", 5.0, 4.0, "this month is better"), ("lower", 5.0, 4.0, "this month is worse"),
     ("context", 5.0, 4.0, "this month is more"), ("higher", 5.04, 5.0, "this month is the same"),
     ("higher", None, 5.0, "")],
)  # fmt: skip
def test_months_are_compared_in_the_direction_of_the_kpi(
    town: FakeTown, better: str, now: float | None, then: float, words: str
) -> None:
    from dataclasses import replace

    kpi = replace(kpi_of(town, "water", "supply_hours"), better=better)  # type: ignore[arg-type]
    months_ = council_months.Month(THIS, now), council_months.Month(LAST, then)
    assert council_months.difference(kpi, *months_) == words


# the page -----------------------------------------------------------------------------------------------------------------


def test_the_page_begins_with_sentences_and_stands_still_while_it_is_read(town: FakeTown) -> None:
    whole, ward, nobody = get(town, "/council", "/council?ward=W03", "/council?ward=nowhere")
    assert whole.status_code == ward.status_code == nobody.status_code == 200
    text = plain_words(whole.text)
    assert text.index("In short") < text.index(" targets: ") < text.index("Targets kept and missed")
    assert "<h1>Station Road: how the town does</h1>" in ward.text
    assert "Station Road against the town" in ward.text and "Best and worst wards" in nobody.text
    body = ward.text.split('<div class="page council" data-past="yes">')[1]
    assert 'data-kpi="supply_per_head|ward:W03"' in body


def test_the_page_without_figures_claims_nothing() -> None:
    (page,) = get(FakeTown(water_points=5), "/council")
    text = plain_words(page.text)
    assert "No figures have been published yet" in text
    assert "Of 17 targets: 0 kept, 0 missed, 17 that cannot be told for want of figures." in text


ENGLISH_SENTENCE = re.compile(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}")


@pytest.mark.parametrize(("code", "direction"), [("hi", "ltr"), ("ur", "rtl")])
def test_the_page_is_written_in_the_language_that_is_asked_for(town: FakeTown, code: str, direction: str) -> None:
    page, english = get(town, f"/council?ward=W03&lang={code}", "/council?ward=W03&lang=en")
    assert f'<html lang="{code}" dir="{direction}">' in page.text
    assert "In short" in english.text and "In short" not in page.text
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page.text.split('id="content"')[1], flags=re.S)
    # Titles of this made-up town's own KPIs stand in no catalogue.
    titles = [text for domain in town.domains for kpi in domain.kpis for text in (kpi.title, kpi.plain)]
    for title in titles:
        body = body.replace(title, "")
    assert ENGLISH_SENTENCE.findall(plain_words(body)) == []
