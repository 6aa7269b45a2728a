"""The alarm list: what calls comes first, by priority, oldest first; then what returned, then what was put aside."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pipelines.engine.alarms.lifecycle import ASIDE, STANDING, State
from pipelines.engine.alarms.record import PERSONAL, Alarm
from pipelines.engine.alarms.suppression import consequences
from pipelines.engine.model import PRIORITIES

RANK = {name: place for place, name in enumerate(PRIORITIES)}
# A shelving that ends within this is announced.
SOON = timedelta(minutes=15)


def rows(alarms: Iterable[Alarm]) -> list[dict[str, Any]]:
    """Every alarm with how many it explains and the most urgent of those."""
    found = sorted(alarms, key=_order)
    under, titles = consequences(found), {alarm.id: alarm.title for alarm in found}
    return [_row(alarm, under, titles) for alarm in found]


def public(alarms: Iterable[Alarm]) -> list[dict[str, Any]]:
    """The same without who did what: as the board shows it to everybody."""
    return [{name: value for name, value in row.items() if name not in PERSONAL} for row in rows(alarms)]


def _order(alarm: Alarm) -> tuple[int, int, datetime, str]:
    group = 0 if alarm.active else 1 if alarm.state is State.RETURNED else 2 if alarm.state in ASIDE else 3
    return group, RANK[alarm.priority], alarm.since, alarm.id


def _row(alarm: Alarm, under: Mapping[str, list[Alarm]], titles: Mapping[str, str]) -> dict[str, Any]:
    explained = under.get(alarm.id, [])
    return alarm.shown() | {
        "cause_title": titles.get(alarm.cause or ""),
        "consequences": len(explained),
        "consequences_priority": explained[0].priority if explained else None,
    }


def worst_by_asset(alarms: Iterable[Alarm]) -> dict[str, str]:
    """Asset -> the highest priority of the alarms that are true of it; shelved ones are nobody's business now."""
    worst: dict[str, str] = {}
    for alarm in alarms:
        true = alarm.state in STANDING or (alarm.state is State.SUPPRESSED and alarm.standing.active)
        if true and alarm.asset:
            known = worst.get(alarm.asset, PRIORITIES[-1])
            worst[alarm.asset] = min(known, alarm.priority, key=PRIORITIES.index)
    return worst


def ending(alarms: Iterable[Alarm], now: datetime) -> list[Alarm]:
    """The shelvings that end soon, the next first."""
    soon = [a for a in alarms if a.state is State.SHELVED and a.standing.until and a.standing.until - now <= SOON]
    return sorted(soon, key=lambda alarm: alarm.standing.until or alarm.since)
