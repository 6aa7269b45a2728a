"""Numbers, times, ages, states and sentences as people read them; the only place where UTC becomes town time."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.engine.figures import shown
from pipelines.engine.model import Kpi

DASH = "–"
STATES = {
    "good": "Good",
    "watch": "Watch",
    "breach": "Breach",
    "late": "Late",
    "stale": "Stale",
    "no data": "No data",
    "context": "For context",
    "live": "Live",
    "silent": "Silent",
    "failing": "Failing",
    "waiting": "Waiting",
    "alarm": "Alarm",
}
SEVERITY = ("breach", "watch", "stale", "late", "no data", "good", "context")
PRIORITY_ORDER = ("critical", "high", "medium", "low")
UNITS = {
    "percent": "%",
    "L/day/person": "L per person a day",
    "L/person/day": "L per person a day",
    "m^3": "m³",
    "m^3/h": "m³/h",
    "m^3/day": "m³ a day",
    "ug/m^3": "µg/m³",
    "mg/m^3": "mg/m³",
    "degC": "°C",
    "dBA": "dB(A)",
    "metre_head": "m of head",
    "index_point": "index",
    "pH_unit": "pH",
    "minute": "min",
    "second": "s",
    "hour": "h",
    "hours": "h",
    "day": "days",
    "dimensionless": "",
    "request": "requests",
    "vehicle": "vehicles",
    "customer": "customers",
    "trip": "trips",
    "person": "people",
    "rating": "out of 5",
}
REASONS = {
    "no_data": "nothing was measured in this time",
    "insufficient_data": "too few readings arrived to judge it",
    "stale": "the readings stopped",
    "not_applicable": "it does not apply here",
}
STEPS = {
    "quarter_hour": ("a quarter of an hour", 900),
    "hour": ("an hour", 3600),
    "day": ("a day", 86_400),
    "week": ("a week", 604_800),
    "month": ("a month", 2_678_400),
    "year": ("a year", 31_622_400),
    "fiscal_year": ("a fiscal year", 31_622_400),
}


def number(value: float | None, decimals: int = 1) -> str:
    """The value with grouped thousands, rounded half away from zero; a dash for null."""
    if value is None:
        return DASH
    exact = shown(value, decimals)
    return f"{abs(exact):,}" if exact == 0 else f"{exact:,}".replace("-", "−")


def unit(name: str) -> str:
    """The unit as people write it: percent is %, m^3/h is m³/h."""
    known = UNITS.get(name)
    if known is not None:
        return known
    return re.sub(r"\^([23])", lambda m: "²³"[int(m[1]) - 2], name).replace("_", " ").replace("dimensionless", "")


def with_unit(value: float | None, decimals: int, unit_name: str) -> str:
    """Value and unit as one phrase: "94.2 %", "112 L per person a day"."""
    return f"{number(value, decimals)} {unit(unit_name)}".strip()


def moment(text: str | datetime | None) -> datetime | None:
    """The instant in an RFC 3339 text, in UTC."""
    if text is None or isinstance(text, datetime):
        return text
    return datetime.fromisoformat(text).astimezone(UTC)


def clock(at: datetime | str | None, zone: str, now: datetime | None = None) -> str:
    """The time of day in the town; with the date on another day than `now`'s, with the year in another year."""
    instant = moment(at)
    if instant is None:
        return DASH
    here = instant.astimezone(ZoneInfo(zone))
    today = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone))
    if here.date() == today.date():
        return f"{here:%H:%M}"
    return f"{here.day} {here:%b %H:%M}" if here.year == today.year else f"{here.day} {here:%b %Y %H:%M}"


def zone_name(zone: str, now: datetime | None = None) -> str:
    """The short name of the town's zone as used today: IST, CET."""
    return (now or datetime.now(UTC)).astimezone(ZoneInfo(zone)).tzname() or zone


def local_text(at: datetime, zone: str) -> str:
    """The town's wall-clock time as text without an offset: the form that chart axes read."""
    return at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M:%S")


def age(seconds: float | None) -> str:
    """How long ago in at most two units: "40 s", "3 min", "2 h 5 min", "3 days"."""
    if seconds is None:
        return DASH
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60, whole // 3600
    if minutes < 60:
        return f"{minutes} min"
    if hours < 24:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    days = hours // 24
    return f"{days} day{'s' if days > 1 else ''}"


def age_of(at: datetime | str | None, now: datetime | None = None) -> str:
    """The age of an instant."""
    instant = moment(at)
    return age(None if instant is None else ((now or datetime.now(UTC)) - instant).total_seconds())


def when(row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """The time that a value speaks for: the window once it is closed, else how new its data is.

    "for 22 Nov" (closed), "as of 09:48, 4 s old" (running); a stale value tells its age in both cases.
    """
    at, start, end = (moment(row.get(name)) for name in ("as_of", "window_start", "window_end"))
    if start is not None and end is not None and end <= (now or datetime.now(UTC)):
        aged = row.get("status") in ("late", "stale") and at is not None
        return f"for {span(start, end, zone, now)}" + (f", {age_of(at, now)} old" if aged else "")
    return f"as of {clock(at, zone, now)}, {age_of(at, now)} old" if at else ""


def when_short(row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """The same in fewer words, where room is short: "for 22 Nov", "4 s old"."""
    return re.sub(r"^as of .*, ", "", when(row, zone, now))


def span(start: datetime, end: datetime, zone: str, now: datetime | None = None) -> str:
    """A window in words: "2025", "Oct 2026", "22 Nov", "16 Nov to 22 Nov", "08:00 to 09:00", "the 24 h to 09:00"."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    days, hours = (last.date() - first.date()).days, round((end - start).total_seconds() / 3600)
    if first.time() != time() or last.time() != time() or days > 366:
        spoken = f"{round(hours / 24)} days" if hours >= 48 else f"{hours} h"
        return f"the {spoken} to {clock(end, zone, now)}" if hours > 1 else f"{clock(start, zone, now)} to {last:%H:%M}"
    if days > 31 and (first.day, first.month, last.day, last.month) == (1, 1, 1, 1):
        return f"{first.year}"
    if days > 7 and first.day == last.day == 1:
        return f"{first:%b %Y}"
    final = last - timedelta(days=1)
    return f"{final.day} {final:%b}" if days == 1 else f"{first.day} {first:%b} to {final.day} {final:%b}"


def month_long(kpi: Kpi) -> bool:
    """Whether the KPI has a new window only each month or year."""
    return kpi.window.kind == "calendar" and kpi.window.step in ("month", "year", "fiscal_year")


def pace(seconds: float | None) -> str:
    """An expected interval as people say it: "every 30 s", "every 15 min", "every day"."""
    if not seconds:
        return "no fixed pace"
    if seconds == 86_400:
        return "every day"
    return f"every {round(seconds / 86_400)} days" if seconds > 172_000 else f"every {age(seconds)}"


def window(kpi: Kpi) -> str:
    """Over which time the KPI is computed, in words."""
    if kpi.window.kind == "rolling":
        return f"the last {kpi.window.hours} hours, anew each {kpi.window.step}"
    return f"{STEPS[kpi.window.step][0]} of the town's calendar"


def interval_s(kpi: Kpi) -> int:
    """Seconds after which a new value is due: the window's step and the time its data takes to settle."""
    settles = kpi.settles.total_seconds() if kpi.settles else 0
    return int(STEPS[kpi.window.step][1] + settles)


def state(name: str) -> str:
    """The word for a state, the same on every screen."""
    return STATES.get(name, name.capitalize())


def worst(states: Iterable[str]) -> str:
    """The state that needs people most; "no data" when there is none at all."""
    ranked = sorted(states, key=lambda s: SEVERITY.index(s) if s in SEVERITY else len(SEVERITY))
    return ranked[0] if ranked else "no data"


def target(row: Mapping[str, Any]) -> str:
    """The target with its direction: "target: at least 135"; none for context."""
    return f"target: {aim(row)}" if aim(row) else "no target, for context"


def aim(row: Mapping[str, Any]) -> str:
    """The target alone: "at least 135"; nothing for context."""
    if row.get("target") is None or row.get("better") == "context":
        return ""
    direction = "at least" if row["better"] == "higher" else "at most"
    return f"{direction} {number(row['target'], _target_decimals(row))}"


def _target_decimals(row: Mapping[str, Any]) -> int:
    return 0 if float(row["target"]).is_integer() else max(1, int(row.get("decimals") or 0))


def trend(row: Mapping[str, Any]) -> str:
    """The value against the same time last week: "▲ 4.2 on last week (108.0)"; none for months and years.

    "In full": of last week only the whole window is known, while this one is still running.
    """
    before, value, decimals = row.get("last_week"), row.get("value"), int(row.get("decimals") or 0)
    if before is None and _days_long(row) > 27:
        return "new with each month" if _days_long(row) < 40 else "new with each year"
    if before is None or value is None:
        return "no value last week"
    week = "last week in full" if row.get("last_week_whole") else "last week"
    change = round(value - before, decimals)
    if change == 0:
        return f"as {week} ({number(before, decimals)})"
    return f"{'▲' if change > 0 else '▼'} {number(abs(change), decimals)} on {week} ({number(before, decimals)})"


def corrected(row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """The last correction, for as long as it is told: "corrected on 24 Nov, was 71.2 %"; with its window when older."""
    told = row.get("corrected")
    at = moment(told["at"]) if told else None
    if told is None or at is None:
        return ""
    day = at.astimezone(ZoneInfo(zone))
    unit_name, decimals = row.get("unit") or "", int(row.get("decimals") or 0)
    was = "unknown" if told["before"] is None else with_unit(told["before"], decimals, unit_name)
    words = f"corrected on {day.day} {day:%b}, was {was}"
    start, end = moment(told["window_start"]), moment(told["window_end"])
    if start is None or end is None or start == moment(row.get("window_start")):
        return words
    is_now = "unknown" if told["after"] is None else number(told["after"], decimals)
    return f"{span(start, end, zone, now)} {words}, is {is_now}"


def _days_long(row: Mapping[str, Any]) -> float:
    start, end = moment(row.get("window_start")), moment(row.get("window_end"))
    return (end - start).total_seconds() / 86_400 if start and end else 0.0


def coverage(share: float | None) -> str:
    """The share of the expected data that arrived: "94 % of what is expected"."""
    return "completeness unknown" if share is None else f"{int(share * 100)} % of what is expected"


def completeness(row: Mapping[str, Any]) -> str:
    """The share that arrived, unless the reason for having no value says it already."""
    told = row["value"] is None and reason(row).startswith("only ")
    return "" if told else coverage(row.get("coverage"))


def detail(row: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """What the KPI says beside its value; an asset or a feed by its name instead of its id."""
    text = str(row.get("detail") or "")
    known = state["assets"].get(text, {}).get("name") or state["feeds"].get(text, {}).get("title")
    return str(known or text)


def why(row: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Why there is no value, or what the KPI says beside it."""
    return reason(row) if row["value"] is None else detail(row, state)


def reason(row: Mapping[str, Any]) -> str:
    """Why there is no value, in words."""
    text = str(row.get("reason") or "no_data")
    return REASONS.get(text, text.replace("_", " "))


def area(name: str, wards: Mapping[str, str] | None = None) -> str:
    """An area as people name it: "Whole town", the ward's name, "route 2"."""
    if name == "town":
        return "Whole town"
    level, _, key = name.partition(":")
    if level == "ward":
        return (wards or {}).get(key, f"Ward {key}")
    return key if level == "asset" else f"{level.capitalize()} {key}"


def sentence(title: str, row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """A KPI as one spoken sentence: value, standing against the target, the time it speaks for.

    "Water supplied, 112 L per person a day, below the target of 135, for 22 Nov."
    """
    if row.get("value") is None:
        return f"{title}: no value, {reason(row)}."
    parts = [title, with_unit(row["value"], int(row.get("decimals") or 0), row.get("unit") or "")]
    if row.get("target") is not None and row.get("better") != "context":
        side = "below" if row["value"] < row["target"] else "above" if row["value"] > row["target"] else "at"
        parts.append(f"{side} the target of {number(row['target'], _target_decimals(row))}")
    spoken = when(row, zone, now)
    if spoken:
        parts.append(spoken)
    if row.get("status") == "stale":
        parts.append("stale")
    return ", ".join(parts) + "."


def count(n: int | None, one: str, many: str | None = None) -> str:
    """A counted noun: "no alarms", "1 alarm", "3 alarms"."""
    plural = many or one + "s"
    return f"no {plural}" if not n else f"{n:,} {one if n == 1 else plural}"
