"""The rota: who has a role at a moment of the town's clock."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from pipelines.engine.delivery import rota

INDIA = "Asia/Kolkata"


def made(rows: list[tuple[str, str, str, str | None, str | None]], mistakes: list[str] | None = None) -> rota.Rota:
    people = dict.fromkeys(person for _, person, *_ in rows)
    references = {
        "rota": pl.DataFrame(rows, schema=["role", "person", "days", "from", "to"], orient="row"),
        "holidays": pl.DataFrame({"day": [date(2026, 1, 26)], "name": ["Republic Day"]}),
        "contacts": pl.DataFrame(
            [(person, "sms", f"+91{number}") for number, person in enumerate(people)],
            schema=["person", "channel", "address"], orient="row",
        ),
    }  # fmt: skip
    return rota.read(references, INDIA, ["sms"], [] if mistakes is None else mistakes)


WEEK = made([
    ("operator", "Asha", "mon-fri", "06:00", "18:00"),
    ("operator", "Ravi", "mon-sun", "18:00", "06:00"),
    ("operator", "Meena", "sat sun", "06:00", "18:00"),
    ("operator", "Imran", "holiday", "06:00", "18:00"),
    ("operator", "Devi", "2026-12-24", "06:00", "18:00"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("local", "person"),
    [
        ("2026-06-17T06:00+05:30", "Asha"),
        ("2026-06-17T05:59+05:30", "Ravi"),
        ("2026-06-17T18:00+05:30", "Ravi"),
        ("2026-06-18T02:00+05:30", "Ravi"),
        ("2026-06-20T12:00+05:30", "Meena"),
        ("2026-01-26T12:00+05:30", "Imran"),
        ("2026-12-24T12:00+05:30", "Devi"),
    ],
)
def test_role_is_had_by_the_most_specific_row_of_the_towns_clock(local: str, person: str) -> None:
    assert WEEK.on_duty("operator", datetime.fromisoformat(local).astimezone(UTC)) == (person,)


def test_shift_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    friday = made([("operator", "Ravi", "fri", "22:00", "06:00")])
    assert friday.on_duty("operator", datetime.fromisoformat("2026-06-20T05:00+05:30")) == ("Ravi",)
    assert friday.on_duty("operator", datetime.fromisoformat("2026-06-19T05:00+05:30")) == ()


def test_addresses_are_those_of_everybody_on_duty_once() -> None:
    two = made([("operator", "Asha", "mon-sun", None, None), ("operator", "Ravi", "mon-sun", None, None)])
    assert two.addresses("operator", datetime(2026, 6, 17, tzinfo=UTC)) == (("sms", "+910"), ("sms", "+911"))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("operator", "Asha", "someday", None, None), "is no day"),
        (("operator", "Asha", "mon", "six", None), "is no time"),
    ],
)
def test_mistake_in_the_rota_is_named_with_what_is_allowed(row: tuple, words: str) -> None:
    mistakes: list[str] = []
    made([row], mistakes)
    assert words in mistakes[0]
    assert "rota.csv" in mistakes[0]
