"""Escalation: when nobody acknowledges an alarm within the time of a step, the next ones are told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.routes import Matcher


@dataclass(frozen=True)
class Step:
    """Who is told when an alarm has waited so long."""

    after: timedelta
    receiver: str


@dataclass(frozen=True)
class Ladder:
    """The steps for alarms that match, the soonest first."""

    name: str
    matchers: tuple[Matcher, ...]
    steps: tuple[Step, ...]

    def due(self, notices: Iterable[Notice], now: datetime) -> Iterator[tuple[str, Step, Notice]]:
        """(key, step, alarm) of each step that is due; the key is the same until the alarm is acknowledged or over."""
        for notice in notices:
            waits = notice.waits_since
            if waits is None or not notice.firing or not all(one.holds(notice.labels) for one in self.matchers):
                continue
            for number, step in enumerate(self.steps, 1):
                if now - waits >= step.after:
                    yield f"ladder {self.name}|{notice.id}|{waits.isoformat()}|{number}", step, notice
