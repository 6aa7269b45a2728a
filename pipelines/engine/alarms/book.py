"""The book of alarms: every alarm that stands or lately stood, and each transition, durable in one commit."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.engine.alarms.lifecycle import Event, Standing, State, annunciates, turn
from pipelines.engine.alarms.record import Alarm, Transition

if TYPE_CHECKING:
    from pipelines.engine.state import State as Kept

# How long an alarm that returned to normal stays on the list.
REMEMBER = timedelta(hours=24)


class Book:
    """The alarms of a town by id. What happened since the last `keep` is on disk when that returns."""

    def __init__(self, kept: "Kept", alarms: Mapping[str, Alarm], latching: Mapping[str, bool]) -> None:
        """`latching`: rules whose alarms stand until a person resets them."""
        self.alarms = dict(alarms)
        self.version = 0
        self._kept, self._latching = kept, latching
        self._changed: set[str] = set()
        self._log: list[Transition] = []

    def happen(
        self, id: str, event: Event, now: datetime, *, who: str, why: str = "", at: datetime | None = None,
        until: datetime | None = None, **facts: Any,
    ) -> Alarm:  # fmt: skip
        """The alarm after an event, noted with who and why; `facts` are fields of it that change along.

        Raises Illegal; nothing has changed then.
        """
        before = self.alarms[id]
        latching = self._latching.get(before.rule, False)
        standing = turn(before.standing, event, now, until=until, latching=latching)
        after = replace(before, standing=standing, **facts)
        if not after.active and standing.state is not State.RETURNED:
            # What is back to normal or aside calls nobody again by its review.
            after = replace(after, review_at=None)
        self._set(after)
        self.note(before, after, str(event), now, who=who, why=why, at=at, until=until)
        return after

    def rise(self, alarm: Alarm, now: datetime, *, who: str, aside: tuple[Event, str, str, str | None] | None) -> None:
        """An alarm rings, or is noted aside when something explains it: (event, who, why, cause)."""
        known = self.alarms.get(alarm.id)
        standing = known.standing if known else Standing()
        if aside is not None and (standing.state, aside[0]) not in _ALREADY:
            event, by, why, cause = aside
            self.alarms[alarm.id] = replace(alarm, standing=standing, **_kept_aside(known))
            known = self.happen(alarm.id, event, now, who=by, why=why, at=now, by=by, reason=why, cause=cause)
            standing = known.standing
        # In one step: a flood makes thousands of these in a beat.
        risen = turn(standing, Event.RISE, now, latching=self._latching.get(alarm.rule, False))
        after = replace(alarm, standing=risen, **_kept_aside(known))
        self._set(after)
        self.note(known or alarm, after, str(Event.RISE), now, who=who, at=alarm.since)

    def change(self, alarm: Alarm, event: str, now: datetime, *, who: str, why: str = "") -> Alarm:
        """Note what changes no state: a comment, an owner, a new title."""
        before = self.alarms[alarm.id]
        self._set(alarm)
        self.note(before, alarm, event, now, who=who, why=why)
        return alarm

    def refresh(self, alarm: Alarm) -> None:
        """Take up a newer value or title; nothing that happened."""
        if alarm != self.alarms[alarm.id]:
            self._set(alarm)

    def note(
        self, before: Alarm, after: Alarm, event: str, now: datetime, *, who: str, why: str = "",
        at: datetime | None = None, until: datetime | None = None,
    ) -> None:  # fmt: skip
        """An entry of the log."""
        facts = {"priority": after.priority, "domain": after.domain, "rule": after.rule, "ward": after.ward,
                 "value": after.value, "cause": after.cause, "owner": after.owner,
                 "until": until.isoformat() if until else None,
                 "review_at": after.review_at.isoformat() if after.review_at else None}  # fmt: skip
        self._log.append(
            Transition(
                alarm=after.id, event=event, before=str(before.state), after=str(after.state), at=at or now,
                noted_at=now, who=who, why=why, annunciated=annunciates(before.state, after.state),
                facts={name: value for name, value in facts.items() if value is not None},
            )
        )  # fmt: skip

    def touch(self, id: str) -> None:
        """Have what is known of an alarm's condition kept with the next commit."""
        self._changed.add(id)

    def forget(self, now: datetime) -> None:
        """Drop what has been back to normal for long."""
        for id, alarm in list(self.alarms.items()):
            if alarm.state is State.NORMAL and now - (alarm.returned_at or alarm.since) > REMEMBER:
                del self.alarms[id]
                self._changed.add(id)

    def drop(self, ids: Iterable[str]) -> None:
        """Forget alarms that nobody watches any more; their log stays."""
        for id in ids:
            self.alarms.pop(id, None)
            self.touch(id)

    def keep(self, condition: Callable[[str], Mapping[str, Any] | None]) -> list[Transition]:
        """Make all that happened durable; gives what happened. `condition` tells where that of an alarm stands.

        Raises OSError when the disk takes nothing; it is kept with the next call then.
        """
        if not self._changed and not self._log:
            return []
        states = {id: {"condition": condition(id), "alarm": self._told(id)} for id in self._changed}
        self._kept.keep_alarms(states, self._log)
        happened, self._log, self._changed = self._log, [], set()
        self.version += 1
        return happened

    def undo(self, alarms: Mapping[str, Alarm], noted: int) -> None:
        """Take back what was done to these alarms since the log had so many entries."""
        self.alarms |= alarms
        del self._log[noted:]

    @property
    def noted(self) -> int:
        """Entries of the log that are not on disk yet."""
        return len(self._log)

    def _told(self, id: str) -> dict[str, Any] | None:
        return self.alarms[id].told() if id in self.alarms else None

    def _set(self, alarm: Alarm) -> None:
        self.alarms[alarm.id] = alarm
        self._changed.add(alarm.id)


_ALREADY = {
    (State.SUPPRESSED, Event.SUPPRESS), (State.OUT_OF_SERVICE, Event.REMOVE), (State.OUT_OF_SERVICE, Event.SUPPRESS),
    (State.SHELVED, Event.SUPPRESS), (State.SHELVED, Event.REMOVE), (State.SUPPRESSED, Event.REMOVE),
}  # fmt: skip


def _kept_aside(known: Alarm | None) -> dict[str, Any]:
    """Who put the alarm aside and why outlasts that it rings meanwhile."""
    return {"by": known.by, "reason": known.reason, "cause": known.cause} if known and not known.active else {}
