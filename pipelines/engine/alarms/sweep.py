"""What time and causes do to alarms: shelvings end, causes come and go, reviews are due."""

from dataclasses import replace
from datetime import datetime

from pipelines.engine.alarms.book import Book
from pipelines.engine.alarms.lifecycle import Event, State
from pipelines.engine.alarms.listing import SOON
from pipelines.engine.alarms.record import CLOCK, LOGIC, REGISTER, Alarm
from pipelines.engine.alarms.suppression import STARTING, Causes


class Sweep:
    """One look at all alarms of a book, with what explains them at this moment."""

    def __init__(self, book: Book, causes: Causes, now: datetime) -> None:
        self._book, self._causes, self._now = book, causes, now

    def all(self) -> None:
        """Look at every alarm once."""
        for alarm in list(self._book.alarms.values()):
            if alarm.state is State.SHELVED:
                self._shelved(alarm)
            elif alarm.state is State.OUT_OF_SERVICE:
                self._absent(alarm)
            elif alarm.state is State.SUPPRESSED:
                self._suppressed(alarm)
            elif alarm.standing.active:
                self._active(alarm)

    def _shelved(self, alarm: Alarm) -> None:
        until = alarm.standing.until or self._now
        if until <= self._now:
            self._back(alarm, Event.UNSHELVE, CLOCK, "the shelving ended")
        elif until - self._now <= SOON and not alarm.announced:
            words = f"the shelving ends at {until:%H:%M} UTC"
            self._book.change(replace(alarm, announced=True), "ending", self._now, who=CLOCK, why=words)

    def _absent(self, alarm: Alarm) -> None:
        until, aside = alarm.standing.until, self._causes.of(alarm)
        if alarm.by == REGISTER and (aside is None or aside[0] is not Event.REMOVE):
            self._back(alarm, Event.RESTORE, REGISTER, "the time out of service ended")
        elif until is not None and until <= self._now:
            self._back(alarm, Event.RESTORE, CLOCK, "the time out of service ended")

    def _suppressed(self, alarm: Alarm) -> None:
        aside, cause = self._causes.of(alarm), self._book.alarms.get(alarm.cause or "")
        both_back = cause is not None and not cause.standing.active and not alarm.standing.active
        if aside is None or aside[0] is Event.REMOVE or both_back:
            words = "it outlives what explained it" if alarm.standing.active else "back to normal with its cause"
            self._back(alarm, Event.RELEASE, LOGIC, words)
        elif aside[3] != alarm.cause:
            self._book.change(
                replace(alarm, cause=aside[3], reason=aside[2]), "cause", self._now, who=LOGIC, why=aside[2]
            )

    def _active(self, alarm: Alarm) -> None:
        aside = self._causes.of(alarm)
        if aside is not None and aside[3] != STARTING:
            event, by, why, cause = aside
            self._book.happen(alarm.id, event, self._now, who=by, why=why, by=by, reason=why, cause=cause)
        elif alarm.state is State.ACKNOWLEDGED and alarm.review_at and alarm.review_at <= self._now:
            self._book.happen(
                alarm.id, Event.REALARM, self._now, who=CLOCK, why="the time of its review has come", review_at=None
            )

    def _back(self, alarm: Alarm, event: Event, who: str, why: str) -> None:
        self._book.happen(
            alarm.id, event, self._now, who=who, why=why, by=None, reason=None, cause=None, announced=False
        )
