"""How the alarm system does (ISA-18.2 clause 16, catalogue AL-01 to AL-07): pure functions over the log."""

import itertools
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.engine.alarms.record import Transition

TEN_MINUTES = timedelta(minutes=10)
# Alarms per ten minutes and operator: about one is acceptable, about two the most that can be managed (16.4.2).
ACCEPTABLE, MANAGEABLE = 1.0, 2.0
FLOOD_BEGINS_OVER, FLOOD_ENDS_UNDER = 10, 5
CHATTERS_AT, CHATTERS_WITHIN_S = 3, 60.0
STALE_AFTER_H = 24.0
TOP = 10
# Shares that are aimed at (16.4.8, table 6).
AIMED_AT = {"low": 80.0, "medium": 15.0, "high": 5.0}
SHIFTS = (time(6), time(14), time(22))


def rate(alarms: int, hours: float, operators: int = 1) -> dict[str, Any]:
    """Alarms per ten minutes and per hour of one operator, and what that is worth. Source: 16.4.2 (AL-01)."""
    per_hour = alarms / hours / operators
    per_10min = per_hour / 6
    grade = "acceptable" if per_10min <= ACCEPTABLE else "manageable" if per_10min <= MANAGEABLE else "too many"
    return {"per_10min": per_10min, "per_hour": per_hour, "grade": grade}


def peak(counts: Sequence[int]) -> dict[str, Any]:
    """Share of ten-minute spans with more than ten alarms, in percent, and the most in one. Source: 16.4.3 (AL-02)."""
    over = sum(count > FLOOD_BEGINS_OVER for count in counts)
    return {"over10_pct": 100 * over / len(counts) if counts else None, "max": max(counts, default=0)}


def flood(
    counts: Sequence[int], start_more_than: int = FLOOD_BEGINS_OVER, end_fewer_than: int = FLOOD_ENDS_UNDER
) -> dict[str, Any]:
    """Which ten-minute spans belong to a flood, their share in percent, and how many floods. Source: 16.4.4 (AL-03)."""
    flags: list[bool] = []
    for count in counts:
        flags.append(count >= end_fewer_than if flags and flags[-1] else count > start_more_than)
    floods = sum(now and not before for now, before in zip(flags, [False, *flags], strict=False))
    return {"flood_pct": 100 * sum(flags) / len(flags) if flags else None, "floods": floods, "flags": flags}


def chatters(activations_s: Sequence[float], n: int = CHATTERS_AT, window_s: float = CHATTERS_WITHIN_S) -> bool:
    """Whether an alarm rang n times within so many seconds. Source: 16.4.6, rule of thumb (AL-04)."""
    ordered = sorted(activations_s)
    return any(last - first <= window_s for first, last in zip(ordered, ordered[n - 1 :], strict=False))


def stale(active_hours: Sequence[float], limit_h: float = STALE_AFTER_H) -> int:
    """How many alarms have stood for more than a day. Source: 16.4.7 (AL-05)."""
    return sum(hours > limit_h for hours in active_hours)


def top_share(counts: Mapping[str, int], top: int = TOP) -> float | None:
    """Share of all alarms that the worst ones make, in percent. Source: 16.4.5 (AL-06)."""
    total = sum(counts.values())
    return 100 * sum(sorted(counts.values(), reverse=True)[:top]) / total if total else None


def mix(counts: Mapping[str, int]) -> dict[str, Any]:
    """Share of each priority in percent, and whether low, medium and high lie within five points of 80/15/5.

    Critical counts with high. Source: 16.4.8, table 6 (AL-07).
    """
    told = {"low": counts.get("low", 0), "medium": counts.get("medium", 0)}
    told["high"] = counts.get("high", 0) + counts.get("critical", 0)
    total = sum(told.values())
    if not total:
        return {**dict.fromkeys(told), "within_5pt": None}
    shares = {name: 100 * count / total for name, count in told.items()}
    return {**shares, "within_5pt": all(abs(shares[name] - aim) <= 5 for name, aim in AIMED_AT.items())}


@dataclass(frozen=True)
class Stretch:
    """A span of time that is judged, and how many people watched."""

    start: datetime
    end: datetime
    operators: int = 1

    @property
    def hours(self) -> float:
        """How long it is."""
        return (self.end - self.start) / timedelta(hours=1)


def counted(rung: Sequence[Transition], stretch: Stretch) -> list[int]:
    """Alarms that called in each ten minutes of the clock (00, 10, 20 ...), also in those without any."""
    first = stretch.start - (stretch.start - datetime.min.replace(tzinfo=stretch.start.tzinfo)) % TEN_MINUTES
    number = max(0, -((first - stretch.end) // TEN_MINUTES))
    found = Counter((one.noted_at - first) // TEN_MINUTES for one in rung)
    return [found[place] for place in range(number)]


def judged(log: Sequence[Transition], stretch: Stretch) -> dict[str, Any]:
    """Everything that ISA-18.2 asks of an alarm system, over what was noted within a stretch (closed left, open right).

    Shape: alarms, rate, peak, flood, chattering (alarm -> times rung), top (the ten worst: alarm, times, share), mix,
    acknowledged (number, median_s, p90_s), operators (who -> deeds, acknowledged, median_s).
    """
    own = [one for one in log if stretch.start <= one.noted_at < stretch.end]
    rung = [one for one in own if one.annunciated]
    counts, by_alarm = counted(rung, stretch), Counter(one.alarm for one in rung)
    flooded = flood(counts)
    return {
        "start": stretch.start,
        "end": stretch.end,
        "alarms": len(rung),
        "rate": rate(len(rung), stretch.hours, stretch.operators),
        "peak": peak(counts),
        "flood": {name: flooded[name] for name in ("flood_pct", "floods")},
        "chattering": {alarm: by_alarm[alarm] for alarm in by_alarm if chatters(_seconds(rung, alarm))},
        "top": [
            {"alarm": alarm, "times": times, "share_pct": 100 * times / len(rung)}
            for alarm, times in by_alarm.most_common(TOP)
        ],
        "top_share_pct": top_share(by_alarm),
        "mix": mix(Counter(one.facts.get("priority", "") for one in rung)),
        **_answered(own),
    }


def _seconds(rung: Sequence[Transition], alarm: str) -> list[float]:
    return [one.noted_at.timestamp() for one in rung if one.alarm == alarm]


def _answered(own: Sequence[Transition]) -> dict[str, Any]:
    """How soon alarms that rang were acknowledged, in all and by each person, and what each person did."""
    waits, by_person, deeds = [], dict[str, list[float]](), Counter[str]()
    calling: dict[str, datetime] = {}
    for one in own:
        if one.annunciated:
            calling.setdefault(one.alarm, one.noted_at)
        elif one.event == "acknowledge" and one.alarm in calling:
            waited = (one.noted_at - calling.pop(one.alarm)).total_seconds()
            waits.append(waited)
            by_person.setdefault(one.who, []).append(waited)
        if one.event in BY_PEOPLE and one.who not in NOBODY:
            deeds[one.who] += 1
    people = {
        who: {"deeds": number, "acknowledged": len(by_person.get(who, ())), "median_s": _median(by_person.get(who, ()))}
        for who, number in deeds.items()
    }
    late = statistics.quantiles(waits, n=10)[-1] if len(waits) > 1 else _median(waits)
    return {"acknowledged": {"number": len(waits), "median_s": _median(waits), "p90_s": late}, "operators": people}


BY_PEOPLE = ("acknowledge", "shelve", "unshelve", "assign", "comment", "out-of-service", "return-to-service", "reset")
NOBODY = ("process", "suppression", "clock", "out_of_service.csv")


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def shifts(
    start: datetime, end: datetime, zone: str, begins: Sequence[time] = SHIFTS
) -> list[tuple[datetime, datetime]]:
    """The shifts of the town's clock that touch a span, oldest first; where clocks change, one has another length."""
    own, day = ZoneInfo(zone), start.astimezone(ZoneInfo(zone)).date() - timedelta(days=1)
    edges: list[datetime] = []
    while not edges or edges[-1] < end:
        edges += [datetime.combine(day, at, own).astimezone(start.tzinfo) for at in sorted(begins)]
        day += timedelta(days=1)
    return [(low, high) for low, high in itertools.pairwise(edges) if high > start and low < end]


def standing_hours(alarms: Sequence[Mapping[str, Any]], now: datetime) -> list[float]:
    """For how many hours the alarms of a board have stood; acknowledged ones count, shelved ones do not."""
    return [(now - datetime.fromisoformat(row["since"])) / timedelta(hours=1) for row in alarms if row["active"]]
