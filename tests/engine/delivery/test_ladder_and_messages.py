"""Escalation steps, and what messages say."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.engine.delivery.ladder import Ladder, Step, Unattended
from pipelines.engine.delivery.messages import SMS_CHARACTERS, Speaker
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.routes import Matcher
from tests.engine.delivery.notices import at, firing, over

LADDER = Ladder(
    "urgent", (Matcher("priority", "=~", "critical|high"),),
    (Step(timedelta(minutes=10), "supervisor"), Step(timedelta(minutes=30), "engineer")),
)  # fmt: skip
SPEAKER = Speaker("Nadipur", "Asia/Kolkata", "https://board.example/")


def told(minutes: float, *notices) -> list[str]:
    return [step.receiver for _, step, _ in LADDER.due(notices, at(minutes))]


def test_steps_come_due_one_after_the_other_while_nobody_acknowledges() -> None:
    a = firing("a")
    assert told(9.9, a) == []
    assert told(10, a) == ["supervisor"]
    assert told(30, a) == ["supervisor", "engineer"]
    assert [key for key, *_ in LADDER.due([a], at(11))] == [key for key, *_ in LADDER.due([a], at(29))]


def test_nobody_is_called_for_what_is_in_hand_over_shelved_or_of_little_weight() -> None:
    a = firing("a")
    assert told(60, replace(a, waits_since=None, acknowledged=True), over(a, 5), replace(a, muted=True)) == []
    assert told(60, firing("b", priority="low")) == []


def test_room_in_which_nobody_acts_is_taken_over_until_somebody_does() -> None:
    empty = Unattended((Matcher("priority", "!=", "low"),), Step(timedelta(minutes=30), "engineer"))
    first, second, little = firing("a"), firing("b", 40), firing("c", priority="low")

    def told(minutes: float, *known: Notice) -> list[str]:
        return [one.id for _, _, one in empty.due(known, at(minutes))]

    assert told(29, first, little) == []
    assert told(30, first, little) == [first.id]
    # What rings while nobody is there is told at once, until somebody does something, to whichever alarm.
    assert told(40, first, second) == [first.id, second.id]
    acted = replace(first, waits_since=None, acknowledged=True, done_at=at(45))
    assert told(46, acted, second) == [] and told(75, acted, second) == [second.id]
    assert told(300, acted) == [] and told(300, over(first, 5)) == []


def test_message_says_what_where_since_when_how_much_and_what_to_do() -> None:
    message = SPEAKER.group([firing("P-W07", consequences=3)], [], at(8))
    assert message.subject == "Nadipur: HIGH: Pressure is low, P-W07, W07"
    for part in (
        "Pressure is low, P-W07, W07.", "Since 17:30 on 17 June (IST), 8 min ago.", "Value 6.20 m, limit 7 m.",
        "It explains 3 further alarms.", "What to do: Open valve V-7.", "The board: https://board.example/alarms",
    ):  # fmt: skip
        assert part in message.body


@pytest.mark.parametrize(
    ("value", "decimals", "unit", "said"),
    [
        # The glass says 94.3 %, not 94.2 %: half away from zero, with the KPI's decimals.
        (94.25, 1, "percent", "Value 94.3 %, limit 7.0 %."),
        (1234.5, 0, "m^3/h", "Value 1,235 m3/h, limit 7 m3/h."),
        (-0.4, 0, "dimensionless", "Value 0, limit 7."),
        (6.204, None, "metre_head", "Value 6.20 m of head, limit 7 m of head."),
    ],
)
def test_value_in_a_message_is_rounded_as_on_the_glass(
    value: float, decimals: int | None, unit: str, said: str
) -> None:
    assert said in SPEAKER.told(firing("P1", value=value, limit=7.0, decimals=decimals, unit=unit), at(1))


def test_short_message_fits_one_sms_and_names_the_most_urgent_first() -> None:
    many = [firing(f"P{n}", n) for n in range(20)] + [firing("MAIN", 3, "critical", instruction="x" * 300)]
    message = SPEAKER.group(many, [], at(30))
    assert message.short.startswith("Nadipur: CRITICAL: Pressure is low, MAIN, W07 and 20 more.")
    assert len(message.short) == SMS_CHARACTERS
    assert "And 11 more, all on the board." in message.body


def test_all_clear_says_that_it_is_over() -> None:
    message = SPEAKER.group([], [over(firing("P1"), 40), over(firing("P2"), 41)], at(42))
    assert message.subject == "Nadipur: Back to normal: Pressure is low, P1, W07 and 1 more"
    assert "Back to normal since 18:10 on 17 June (IST)" in message.body


def test_escalation_says_for_how_long_nobody_answered() -> None:
    assert SPEAKER.unanswered([firing("P1")], at(12)).subject.startswith("Nadipur: NOT ACKNOWLEDGED for 12 min")
