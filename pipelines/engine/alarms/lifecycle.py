"""What an alarm may do next: ISA-18.2's states and transitions as one pure function."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pipelines.engine.asking import Misasked


class State(StrEnum):
    """Where an alarm stands (ISA-18.2, states A to I)."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned_unacknowledged"
    LATCHED_UNACKNOWLEDGED = "latched_unacknowledged"
    LATCHED = "latched"
    SHELVED = "shelved"
    SUPPRESSED = "suppressed"
    OUT_OF_SERVICE = "out_of_service"


class Event(StrEnum):
    """What may happen to an alarm."""

    RISE = "rise"
    RETURN = "return"
    ACKNOWLEDGE = "acknowledge"
    REALARM = "realarm"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    RELEASE = "release"
    REMOVE = "out-of-service"
    RESTORE = "return-to-service"
    RESET = "reset"


# Called for by no person: the process and the logic do these.
BY_ITSELF = (Event.RISE, Event.RETURN, Event.REALARM, Event.SUPPRESS, Event.RELEASE)
ASIDE = (State.SHELVED, State.SUPPRESSED, State.OUT_OF_SERVICE)
# On the list and calling: its condition is true, or it waits for a person's reset.
STANDING = (State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED, State.LATCHED)
WAITS_FOR_A_PERSON = (State.UNACKNOWLEDGED, State.RETURNED, State.LATCHED_UNACKNOWLEDGED)
_ON_THE_LIST = (State.NORMAL, *STANDING, State.RETURNED)

# ISA-18.2 figure (catalogue AL-08), with the latched states E and F that the standard has for alarms declared so.
# `None` leads out of a state aside: where to depends on the condition.
TRANSITIONS: Mapping[tuple[State, Event], State | None] = {
    (State.NORMAL, Event.RISE): State.UNACKNOWLEDGED,
    (State.UNACKNOWLEDGED, Event.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.UNACKNOWLEDGED, Event.RETURN): State.RETURNED,
    (State.ACKNOWLEDGED, Event.RETURN): State.NORMAL,
    (State.ACKNOWLEDGED, Event.REALARM): State.UNACKNOWLEDGED,
    (State.RETURNED, Event.ACKNOWLEDGE): State.NORMAL,
    (State.RETURNED, Event.RISE): State.UNACKNOWLEDGED,
    (State.LATCHED_UNACKNOWLEDGED, Event.ACKNOWLEDGE): State.LATCHED,
    (State.LATCHED_UNACKNOWLEDGED, Event.RISE): State.UNACKNOWLEDGED,
    (State.LATCHED, Event.RISE): State.UNACKNOWLEDGED,
    (State.LATCHED, Event.RESET): State.NORMAL,
    **{(state, Event.SHELVE): State.SHELVED for state in _ON_THE_LIST},
    **{(state, Event.SUPPRESS): State.SUPPRESSED for state in _ON_THE_LIST},
    **{(state, Event.REMOVE): State.OUT_OF_SERVICE for state in _ON_THE_LIST},
    **{(state, event): state for state in ASIDE for event in (Event.RISE, Event.RETURN)},
    (State.SHELVED, Event.UNSHELVE): None,
    (State.SUPPRESSED, Event.RELEASE): None,
    (State.OUT_OF_SERVICE, Event.RESTORE): None,
}
# A latching alarm that returns is held until a person resets it.
HELD = {State.RETURNED: State.LATCHED_UNACKNOWLEDGED, State.NORMAL: State.LATCHED}


@dataclass(frozen=True)
class Standing:
    """Where one alarm stands since when; `active` follows the process in every state, `until` ends a shelving."""

    state: State = State.NORMAL
    active: bool = False
    latched: bool = False
    since: datetime | None = None
    until: datetime | None = None


class Illegal(Misasked):
    """The transition is none of ISA-18.2's; `legal` are those a person may ask for now."""

    def __init__(self, standing: Standing, event: Event) -> None:
        self.state, self.event, self.legal = standing.state, event, legal(standing.state)
        possible = f"Possible is {', '.join(self.legal)}." if self.legal else "Nothing needs to be done now."
        super().__init__(f"The alarm is {words(standing.state)}: `{event}` is not possible. {possible}", 409)


def turn(
    standing: Standing, event: Event, now: datetime, *, until: datetime | None = None, latching: bool = False
) -> Standing:
    """The standing after an event; `until` ends a shelving or a time out of service, `latching` holds what rises.

    Source: ISA-18.2 state diagram (catalogue AL-08).
    Raises Illegal, which names what is possible; Misasked when a shelving has no end ahead.
    """
    if (standing.state, event) not in TRANSITIONS:
        raise Illegal(standing, event)
    if (until is not None and until <= now) or (event is Event.SHELVE and until is None):
        raise Misasked("A shelving always ends by itself: give `until`, a time that lies ahead.")
    active = {Event.RISE: True, Event.RETURN: False}.get(event, standing.active)
    latched = (standing.latched or (latching and event is Event.RISE)) and event is not Event.RESET
    state = TRANSITIONS[standing.state, event]
    if state is None:
        held = State.LATCHED_UNACKNOWLEDGED if latched else State.NORMAL
        state = State.UNACKNOWLEDGED if active else held
    elif event is Event.RETURN and latched:
        state = HELD.get(state, state)
    if state == standing.state:
        return replace(standing, active=active, latched=latched)
    return Standing(state, active, latched, now, until)


def annunciates(before: State, after: State) -> bool:
    """Whether a transition calls a person: it newly stands unacknowledged."""
    return (
        after in (State.UNACKNOWLEDGED, State.LATCHED_UNACKNOWLEDGED)
        and before != after
        and (after is State.UNACKNOWLEDGED or before in ASIDE)
    )


def legal(state: State) -> tuple[str, ...]:
    """What a person may ask for in this state."""
    return tuple(str(event) for own, event in TRANSITIONS if own == state and event not in BY_ITSELF)


def words(state: str) -> str:
    """The state as people say it."""
    return SAID.get(state, str(state).replace("_", " "))


SAID = {
    "unacknowledged": "not acknowledged",
    "returned_unacknowledged": "back to normal, not acknowledged",
    "latched_unacknowledged": "held until it is reset, not acknowledged",
    "latched": "held until it is reset",
    "suppressed": "suppressed by design",
}
