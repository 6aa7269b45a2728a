"""One alarm as the town remembers it, and one entry of the log of what happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from pipelines.engine.alarms.lifecycle import STANDING, Standing, State

INSTANTS = ("since", "returned_at", "acknowledged_at", "review_at", "done_at")
# Who did what and what they wrote: for those who have a role.
PERSONAL = ("acknowledged_by", "owner", "by", "reason", "comment")
# Who did what no person did.
PROCESS, LOGIC, CLOCK, REGISTER = "process", "suppression", "clock", "out_of_service.csv"

NORMAL = Standing()


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Of what, where and since when; where it stands, who has it in hand, and what explains it.

    `by` and `reason`: who put it aside and why; `cause`: the alarm that explains it; `owner` sees to it until
    `review_at`, when it calls again. `announced`: it was told that its shelving ends soon. `done_at`: when somebody
    last did something to it.
    """

    id: str
    rule: str
    title: str
    domain: str
    priority: str
    area: str
    asset: str | None = None
    asset_name: str | None = None
    ward: str | None = None
    standing: Standing = NORMAL
    since: datetime
    returned_at: datetime | None = None
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    decimals: int | None = None
    instruction: str = ""
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    owner: str | None = None
    review_at: datetime | None = None
    by: str | None = None
    reason: str | None = None
    cause: str | None = None
    comment: str | None = None
    announced: bool = False
    done_at: datetime | None = None

    @property
    def state(self) -> State:
        """Where it stands."""
        return self.standing.state

    @property
    def active(self) -> bool:
        """Whether it stands on the list and calls, or waits for its reset."""
        return self.standing.state in STANDING

    def told(self) -> dict[str, Any]:
        """The alarm as JSON remembers it."""
        standing = self.standing
        told = dict(zip(PLAIN, _PLAIN_OF(self), strict=True))
        told |= {name: _text(getattr(self, name)) for name in INSTANTS}
        return told | {
            "state": str(standing.state), "condition": standing.active, "latched": standing.latched,
            "state_since": _text(standing.since), "until": _text(standing.until),
        }  # fmt: skip

    @classmethod
    def recalled(cls, raw: Mapping[str, Any]) -> "Alarm":
        """The alarm of what `told` gave."""
        own: dict[str, Any] = {f.name: raw.get(f.name) for f in fields(cls) if f.name in raw}
        own |= {name: _instant(raw.get(name)) for name in INSTANTS}
        return cls(**{**own, "standing": _standing(raw)})

    def shown(self) -> dict[str, Any]:
        """The alarm as those with a role see it."""
        told = self.told()
        del told["latched"], told["announced"]
        return told | {"active": self.active}


PLAIN = tuple(f.name for f in fields(Alarm) if f.name not in ("standing", *INSTANTS))
_PLAIN_OF = attrgetter(*PLAIN)


@dataclass(frozen=True, kw_only=True)
class Transition:
    """What happened to an alarm: `at` on the process's clock, `noted_at` on ours; who did it and why.

    An event without a change of state (a comment, an assignment) has the same state on both sides.
    """

    alarm: str
    event: str
    before: str
    after: str
    at: datetime
    noted_at: datetime
    who: str
    why: str = ""
    annunciated: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def _standing(raw: Mapping[str, Any]) -> Standing:
    state = raw["state"]
    if state in ("active", "returned"):
        # Remembered before alarms had the states of ISA-18.2.
        active = state == "active"
        return Standing(State.UNACKNOWLEDGED if active else State.NORMAL, active, since=_instant(raw["since"]))
    return Standing(
        State(state), raw["condition"], raw["latched"], _instant(raw["state_since"]), _instant(raw.get("until"))
    )


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
