"""Escalation: when nobody acknowledges an alarm in time, or acts at all, the next ones are told."""

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


@dataclass(frozen=True)
class Unattended:
    """Who takes over an empty room: told of all that waits, and of what rings from then on, until somebody acts."""

    matchers: tuple[Matcher, ...]
    step: Step

    def due(self, notices: Iterable[Notice], now: datetime) -> Iterator[tuple[str, Step, Notice]]:
        """(key, step, alarm) of everything that waits, once nobody has acted for so long although something waited."""
        known = list(notices)
        waiting = [
            (one.waits_since, one)
            for one in known
            if one.waits_since is not None and one.firing and all(m.holds(one.labels) for m in self.matchers)
        ]
        if not waiting:
            return
        acted = [one.done_at for one in known if one.done_at is not None]
        since = max([min(at for at, _ in waiting), *acted])
        if now - since >= self.step.after:
            for at, notice in waiting:
                yield f"unattended|{notice.id}|{at.isoformat()}", self.step, notice
