"""A flood: more alarms call than one person can read; the board then says so in one line, by priority."""

from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pipelines.engine.alarms.listing import ending
from pipelines.engine.alarms.performance import FLOOD_BEGINS_OVER, FLOOD_ENDS_UNDER, TEN_MINUTES
from pipelines.engine.alarms.record import Alarm, Transition
from pipelines.engine.model import PRIORITIES


class Flood:
    """Whether alarms flood the room: more than ten called within ten minutes, until fewer than five do."""

    def __init__(self, lately: Iterable[Transition]) -> None:
        self._called: deque[datetime] = deque(one.noted_at for one in lately if one.annunciated)
        self.since: datetime | None = None

    def hear(self, happened: Iterable[Transition], now: datetime) -> None:
        """Take note of what called."""
        self._called.extend(one.noted_at for one in happened if one.annunciated)
        self.look(now)

    def look(self, now: datetime) -> None:
        """Judge the last ten minutes anew. Source: ISA-18.2 16.4.4 (AL-03), over a sliding span."""
        while self._called and self._called[0] <= now - TEN_MINUTES:
            self._called.popleft()
        if self.since is None and len(self._called) > FLOOD_BEGINS_OVER:
            self.since = now
        elif self.since is not None and len(self._called) < FLOOD_ENDS_UNDER:
            self.since = None

    def told(self, alarms: Iterable[Alarm], now: datetime) -> dict[str, Any]:
        """The state of the list in short.

        Shape: flood_since, called_10min, calling (priority -> unacknowledged or latched), words, ending (shelvings).
        """
        known = list(alarms)
        found = Counter(alarm.priority for alarm in known if alarm.active)
        calling = {priority: found[priority] for priority in PRIORITIES if found[priority]}
        listed = ", ".join(f"{number} {priority}" for priority, number in calling.items())
        words = f"Alarm flood: {len(self._called)} alarms in ten minutes. Standing: {listed}." if self.since else ""
        soon = [{"id": one.id, "title": one.title, "until": _text(one.standing.until)} for one in ending(known, now)]
        return {
            "flood_since": _text(self.since),
            "called_10min": len(self._called),
            "calling": calling,
            "words": words,
            "ending": soon,
        }


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
