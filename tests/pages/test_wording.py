"""Numbers, ages, times, states and sentences as people read them."""

from datetime import UTC, datetime

import pytest

from components import theme, wording

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ROW = {
    "value": 112.4,
    "unit": "L/day/person",
    "decimals": 0,
    "target": 135,
    "better": "higher",
    "as_of": "2026-11-23T00:00:00+00:00",
    "status": "breach",
    "last_week": 108.0,
}


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (1234567.891, 1, "1,234,567.9"),
        (-3.25, 1, "−3.3"),
        (2.5, 0, "3"),
        (-0.04, 1, "0.0"),
        (None, 1, "–"),
        (0, 0, "0"),
        (0.125, 2, "0.13"),
    ],
)
def test_numbers_are_grouped_and_rounded_half_away_from_zero(value: float | None, decimals: int, text: str) -> None:
    assert wording.number(value, decimals) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86_400, "1 day"),
        (200_000, "2 days"),
        (-5, "0 s"),
        (None, "–"),
    ],
)
def test_ages_have_at_most_two_units(seconds: float | None, text: str) -> None:
    assert wording.age(seconds) == text


def test_times_are_the_towns_and_name_the_day_when_it_is_another() -> None:
    assert wording.clock("2026-11-23T02:30:00+00:00", "Asia/Kolkata", NOW) == "08:00"
    assert wording.clock("2026-11-22T18:00:00+00:00", "Asia/Kolkata", NOW) == "22 Nov 23:30"
    assert wording.clock("2025-01-01T00:00:00Z", "Asia/Kolkata", NOW) == "1 Jan 2025 05:30"
    assert wording.clock(None, "Asia/Kolkata", NOW) == "–"


def test_a_night_with_the_clock_set_back_keeps_both_hours_apart_in_the_zone_name() -> None:
    assert wording.zone_name("Europe/Rome", datetime(2026, 7, 1, tzinfo=UTC)) == "CEST"
    assert wording.zone_name("Europe/Rome", NOW) == "CET"


def test_units_are_written_as_people_write_them() -> None:
    assert [wording.unit(u) for u in ("percent", "ug/m^3", "m^3/h", "kWh/m^3", "dimensionless", "kW")] == [
        "%",
        "µg/m³",
        "m³/h",
        "kWh/m³",
        "",
        "kW",
    ]


def test_the_spoken_sentence_gives_value_standing_and_age() -> None:
    said = wording.sentence("Water supplied", ROW, "Asia/Kolkata", NOW)
    assert said == "Water supplied, 112 L per person a day, below the target of 135, as of 05:30, 3 h old."
    assert (
        wording.sentence("Water supplied", {**ROW, "value": None, "reason": "stale"}, "Asia/Kolkata", NOW)
        == "Water supplied: no value, the readings stopped."
    )


def test_the_trend_compares_with_the_same_time_last_week() -> None:
    assert wording.trend(ROW) == "▲ 4 on last week (108)"
    assert wording.trend({**ROW, "last_week": 112.4}) == "as last week (112)"
    assert wording.trend({**ROW, "last_week": None}) == "no value last week"


def test_coverage_is_never_rounded_up_to_whole() -> None:
    assert wording.coverage(0.999) == "99 % of what is expected"
    assert wording.coverage(None) == "completeness unknown"


DAY = {"window_start": "2026-11-21T18:30:00Z", "window_end": "2026-11-22T18:30:00Z", "as_of": "2026-11-22T18:29:00Z"}


def test_a_closed_window_is_named_and_a_running_one_tells_its_age() -> None:
    closed = {**ROW, **DAY}
    running = {**closed, "window_end": "2026-11-23T18:30:00Z", "as_of": "2026-11-23T02:59:56Z"}
    assert wording.when(closed, "Asia/Kolkata", NOW) == "for 22 Nov"
    assert wording.when({**closed, "status": "stale"}, "Asia/Kolkata", NOW) == "for 22 Nov, 8 h 31 min old"
    assert wording.when(running, "Asia/Kolkata", NOW) == "as of 08:29, 4 s old"
    assert wording.when_short(running, "Asia/Kolkata", NOW) == "4 s old"
    assert wording.when({**ROW, "as_of": None}, "Asia/Kolkata", NOW) == ""


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-11-21T18:30:00Z", "2026-11-22T18:30:00Z", "22 Nov"),
        ("2026-11-15T18:30:00Z", "2026-11-22T18:30:00Z", "16 Nov to 22 Nov"),
        ("2026-09-30T18:30:00Z", "2026-10-31T18:30:00Z", "Oct 2026"),
        ("2024-12-31T18:30:00Z", "2025-12-31T18:30:00Z", "2025"),
        ("2026-11-23T01:30:00Z", "2026-11-23T02:30:00Z", "07:00 to 08:00"),
        ("2026-11-22T02:30:00Z", "2026-11-23T02:30:00Z", "the 24 h to 08:00"),
        ("2026-10-24T18:30:00Z", "2026-11-22T18:30:00Z", "25 Oct to 22 Nov"),
    ],
)
def test_windows_are_named_as_people_name_them(start: str, end: str, words: str) -> None:
    begin, finish = wording.moment(start), wording.moment(end)
    assert begin and finish
    assert wording.span(begin, finish, "Asia/Kolkata", NOW) == words


def test_a_day_of_twenty_three_hours_is_still_that_day() -> None:
    spring = datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)
    assert wording.span(*spring, "Europe/Rome", NOW) == "29 Mar"


def test_a_detail_that_is_an_asset_or_a_feed_is_told_by_name() -> None:
    state = {"assets": {"T3": {"name": "Station tank"}}, "feeds": {"bus_trips": {"title": "Bus trips"}}}
    details = ["T3", "bus_trips", "6 deaths", None]
    assert [wording.detail({"detail": d}, state) for d in details] == ["Station tank", "Bus trips", "6 deaths", ""]


def test_completeness_is_not_told_twice() -> None:
    reason = "only 8% of what is expected has arrived; 75% is needed"
    assert wording.completeness({"value": None, "reason": reason, "coverage": 0.08}) == ""
    assert wording.completeness({"value": 3.0, "reason": None, "coverage": 0.98}) == "98 % of what is expected"


def test_months_are_not_compared_with_last_week() -> None:
    month = {"window_start": "2026-10-31T18:30:00Z", "window_end": "2026-11-30T18:30:00Z"}
    assert wording.trend({**ROW, **month, "last_week": None}) == "new with each month"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (30, "every 30 s"),
        (86_400, "every day"),
        (604_800, "every 7 days"),
        (2_678_400, "every 31 days"),
        (None, "no fixed pace"),
    ],
)
def test_paces_are_told_in_the_unit_that_fits(seconds: float | None, words: str) -> None:
    assert wording.pace(seconds) == words


def test_the_worst_state_is_the_one_that_needs_people_most() -> None:
    assert wording.worst(["good", "stale", "watch"]) == "watch"
    assert wording.worst(["good", "no data"]) == "no data"
    assert wording.worst([]) == "no data"


def _luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "ground"),
    [(i, g) for i in ("ink", "ink-2", "accent") for g in ("ground", "surface", "raised", "sunken", "ward")]
    + [
        ("breach", "breach-bg"),
        ("watch", "watch-bg"),
        ("low", "low-bg"),
        ("on-colour", "breach"),
        ("breach", "raised"),
        ("watch", "raised"),
        ("watch", "ground"),
    ],
)
def test_text_has_a_contrast_of_four_and_a_half_in_both_themes(name: str, ink: str, ground: str) -> None:
    colours = theme.PALETTE[name]
    assert _contrast(colours[ink], colours[ground]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
def test_marks_have_a_contrast_of_three_on_their_ground(name: str) -> None:
    colours = theme.PALETTE[name]
    assert min(_contrast(colours["mark"], colours[g]) for g in ("raised", "surface")) >= 3
    assert _contrast(theme.SERIES, colours["raised"]) >= 3
