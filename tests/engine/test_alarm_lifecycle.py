"""What an alarm may do next: every state by every event against ISA-18.2's table, and random walks."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.engine.alarms.lifecycle import (
    ASIDE,
    BY_ITSELF,
    WAITS_FOR_A_PERSON,
    Event,
    Illegal,
    Standing,
    State,
    annunciates,
    legal,
    turn,
)
from pipelines.engine.asking import Misasked

NOW = datetime(2026, 3, 10, 6, 30, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
TABLE = Path(__file__).resolve().parents[3] / "shared" / "kpis" / "tables" / "isa182_transitions.csv"
N, U, A, R = State.NORMAL, State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.RETURNED
LU, L = State.LATCHED_UNACKNOWLEDGED, State.LATCHED
S, D, O = ASIDE  # noqa: E741
NAMES = {"NORM": N, "UNACK": U, "ACKED": A, "RTNUN": R, "SHLVD": S, "DSUPR": D, "OOSRV": O}
# ISA-18.2's diagram as rows: from, event, whether the condition is true (None: whichever), to, whether it annunciates.
ROWS: list[tuple[State, Event, bool | None, State, bool]] = [
    (N, Event.RISE, None, U, True),
    (U, Event.ACKNOWLEDGE, None, A, False),
    (U, Event.RETURN, None, R, False),
    (A, Event.RETURN, None, N, False),
    (A, Event.REALARM, None, U, True),
    (R, Event.ACKNOWLEDGE, None, N, False),
    (R, Event.RISE, None, U, True),
    *((state, Event.SHELVE, None, S, False) for state in (N, U, A, R, LU, L)),
    (S, Event.UNSHELVE, False, N, False),
    (S, Event.UNSHELVE, True, U, True),
    *((state, Event.SUPPRESS, None, D, False) for state in (N, U, A, R, LU, L)),
    (D, Event.RELEASE, False, N, False),
    (D, Event.RELEASE, True, U, True),
    *((state, Event.REMOVE, None, O, False) for state in (N, U, A, R, LU, L)),
    (O, Event.RESTORE, False, N, False),
    (O, Event.RESTORE, True, U, True),
    *((state, event, None, state, False) for state in ASIDE for event in (Event.RISE, Event.RETURN)),
    # States E and F, which the standard has for alarms that latch.
    (LU, Event.ACKNOWLEDGE, None, L, False),
    (LU, Event.RISE, None, U, True),
    (L, Event.RISE, None, U, True),
    (L, Event.RESET, None, N, False),
]
ENDS = {Event.SHELVE: LATER}


def allowed(state: State, event: Event, active: bool) -> tuple[State, bool] | None:
    found = [
        (to, rings) for own, what, when, to, rings in ROWS if (own, what) == (state, event) and when in (None, active)
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("active", [False, True])
@pytest.mark.parametrize("event", list(Event))
@pytest.mark.parametrize("state", list(State))
def test_every_state_takes_every_event_as_the_standard_says(state: State, event: Event, active: bool) -> None:
    before, expected = Standing(state, active, since=NOW), allowed(state, event, active)
    if expected is None:
        with pytest.raises(Illegal) as refused:
            turn(before, event, NOW, until=ENDS.get(event))
        assert refused.value.status == 409
        assert all(name in str(refused.value) for name in refused.value.legal)
        return
    after = turn(before, event, LATER - timedelta(minutes=1), until=ENDS.get(event))
    assert (after.state, annunciates(state, after.state)) == expected
    assert after.active == {Event.RISE: True, Event.RETURN: False}.get(event, active)
    assert after.since == (NOW if after.state == state else LATER - timedelta(minutes=1))


def test_the_rows_are_those_of_the_table() -> None:
    if not TABLE.is_file():
        pytest.skip("the standard's table is not at hand")
    words = {
        "alarm condition true (after on-delay)": [Event.RISE], "alarm condition true again": [Event.RISE],
        "operator acknowledges": [Event.ACKNOWLEDGE], "re-alarm (higher priority or re-alarm timer)": [Event.REALARM],
        "process returns to normal (after deadband and off-delay)": [Event.RETURN],
        "process returns to normal": [Event.RETURN], "shelve": [Event.SHELVE],
        "designed suppression on": [Event.SUPPRESS], "remove from service": [Event.REMOVE],
        "unshelve or time limit reached": [Event.UNSHELVE], "designed suppression off": [Event.RELEASE],
        "return to service": [Event.RESTORE], "any process change": [Event.RISE, Event.RETURN],
    }  # fmt: skip
    with TABLE.open(encoding="utf-8") as file:
        listed = list(csv.DictReader(file))
    assert len(listed) == 28
    found = set()
    for row in listed:
        what, _, condition = row["event"].partition(", condition ")
        for event in words[what]:
            active = {"true": True, "false": False, "": None}[condition]
            found.add((NAMES[row["from"]], event, active, NAMES[row["to"]], row["annunciate"] == "yes"))
    latched = {row for row in ROWS if {row[0], row[3]} & {LU, L}}
    assert found == set(ROWS) - latched


def test_alarm_that_latches_waits_for_its_reset() -> None:
    standing = Standing()
    for event, expected in (
        (Event.RISE, U), (Event.RETURN, LU), (Event.RISE, U), (Event.ACKNOWLEDGE, A), (Event.RETURN, L),
        (Event.SHELVE, S), (Event.UNSHELVE, LU), (Event.ACKNOWLEDGE, L), (Event.RESET, N), (Event.RISE, U),
    ):  # fmt: skip
        standing = turn(standing, event, NOW, until=ENDS.get(event), latching=True)
        assert standing.state == expected
    assert legal(State.LATCHED) == ("reset", "shelve", "out-of-service")


@pytest.mark.parametrize("until", [None, NOW, NOW - timedelta(seconds=1)])
def test_shelving_without_an_end_ahead_is_refused(until: datetime | None) -> None:
    with pytest.raises(Misasked, match="always ends"):
        turn(Standing(U, True), Event.SHELVE, NOW, until=until)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(list(Event)), max_size=60), st.booleans())
def test_walks_never_lose_a_true_condition(events: list[Event], latching: bool) -> None:
    standing, condition, now = Standing(), False, NOW
    for event in events:
        now += timedelta(seconds=1)
        if event in (Event.RISE, Event.RETURN) and (event is Event.RISE) == condition:
            continue
        try:
            after = turn(standing, event, now, until=now + timedelta(hours=1), latching=latching)
        except Illegal as refused:
            assert event not in refused.legal
            assert event not in (Event.RISE, Event.RETURN)
            continue
        condition = {Event.RISE: True, Event.RETURN: False}.get(event, condition)
        assert after.active == condition
        # A true condition is on the list, or somebody or something put it aside; a false one calls nobody for long.
        if condition:
            assert after.state in (U, A, *ASIDE)
        else:
            assert after.state in (N, R, LU, L, *ASIDE)
        # Out of a state aside it never comes back acknowledged.
        if standing.state in ASIDE and after.state not in ASIDE and condition:
            assert annunciates(standing.state, after.state)
        assert set(legal(after.state)).isdisjoint(BY_ITSELF)
        if after.state in WAITS_FOR_A_PERSON:
            assert "acknowledge" in legal(after.state)
        standing = after
