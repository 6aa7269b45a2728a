"""Numbers, times, ages, states and sentences as people read them; the only place where UTC becomes town time."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from components.tongue import N_, _, current, n_, said
from pipelines.engine.figures import shown
from pipelines.engine.model import Kpi

DASH = "–"
STATES = {
    "good": N_("Good"),
    "watch": N_("Watch"),
    "breach": N_("Breach"),
    "late": N_("Late"),
    "stale": N_("Stale"),
    "no data": N_("No data"),
    "context": N_("For context"),
    "live": N_("Live"),
    "silent": N_("Silent"),
    "failing": N_("Failing"),
    "waiting": N_("Waiting"),
    "alarm": N_("Alarm"),
}
SEVERITY = ("breach", "watch", "stale", "late", "no data", "good", "context")
PRIORITY_ORDER = ("critical", "high", "medium", "low")
UNITS = {
    "percent": "%",
    "L/day/person": N_("L per person a day"),
    "L/person/day": N_("L per person a day"),
    "m^3": "m³",
    "m^3/h": "m³/h",
    "m^3/day": N_("m³ a day"),
    "ug/m^3": "µg/m³",
    "mg/m^3": "mg/m³",
    "degC": "°C",
    "dBA": "dB(A)",
    "metre_head": N_("m of head"),
    "index_point": N_("index"),
    "pH_unit": "pH",
    "minute": N_("min"),
    "second": "s",
    "hour": "h",
    "hours": "h",
    "day": N_("days"),
    "dimensionless": "",
    "request": N_("requests"),
    "vehicle": N_("vehicles"),
    "vehicle/h": N_("vehicles an hour"),
    "customer": N_("customers"),
    "trip": N_("trips"),
    "person": N_("people"),
    "rating": N_("out of 5"),
}
REASONS = {
    "no_data": N_("nothing was measured in this time"),
    "insufficient_data": N_("too few readings arrived to judge it"),
    "stale": N_("the readings stopped"),
    "not_applicable": N_("it does not apply here"),
}
STEPS = {
    "quarter_hour": (N_("a quarter of an hour"), 900),
    "hour": (N_("an hour"), 3600),
    "day": (N_("a day"), 86_400),
    "week": (N_("a week"), 604_800),
    "month": (N_("a month"), 2_678_400),
    "year": (N_("a year"), 31_622_400),
    "fiscal_year": (N_("a fiscal year"), 31_622_400),
}


def number(value: float | None, decimals: int = 1) -> str:
    """The value with grouped thousands, rounded half away from zero; a dash for null."""
    if value is None:
        return DASH
    return current().number(shown(value, decimals))


def unit(name: str) -> str:
    """The unit as people write it: percent is %, m^3/h is m³/h."""
    known = UNITS.get(name)
    if known is None:
        known = re.sub(r"\^([23])", lambda m: "²³"[int(m[1]) - 2], name).replace("_", " ").replace("dimensionless", "")
    return _(known) if known else ""


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
    tongue = current()
    time_of_day = tongue.digits(f"{here:%H:%M}")
    if here.date() == today.date():
        return time_of_day
    return f"{tongue.day(here, 'MMMd' if here.year == today.year else 'yMMMd')} {time_of_day}"


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
    minutes, hours = whole // 60, whole // 3600
    if whole < 60:
        return _("{n} s", n=number(whole, 0))
    if minutes < 60:
        return _("{n} min", n=number(minutes, 0))
    if hours < 24:
        n, m = number(hours, 0), number(minutes % 60, 0)
        return _("{n} h {m} min", n=n, m=m) if minutes % 60 else _("{n} h", n=n)
    return n_("{n} day", "{n} days", hours // 24)


def age_of(at: datetime | str | None, now: datetime | None = None) -> str:
    """The age of an instant."""
    instant = moment(at)
    return age(None if instant is None else ((now or datetime.now(UTC)) - instant).total_seconds())


def when(row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """The time that a value speaks for: the window once it is closed, else how new its data is.

    "for 22 Nov" (closed), "as of 09:48, 4 s old" (running); a stale value tells its age in both cases.
    """
    start, end = moment(row.get("window_start")), moment(row.get("window_end"))
    at, old = row.get("as_of"), age_of(row.get("as_of"), now)
    if start is not None and end is not None and end <= (now or datetime.now(UTC)):
        closed = span(start, end, zone, now)
        aged = row.get("status") in ("late", "stale") and at is not None
        return _("for {span}, {age} old", span=closed, age=old) if aged else _("for {span}", span=closed)
    return _("as of {clock}, {age} old", clock=clock(at, zone, now), age=old) if at else ""


def when_short(row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """The same in fewer words, where room is short: "for 22 Nov", "4 s old"."""
    end = moment(row.get("window_end"))
    if row.get("window_start") and end is not None and end <= (now or datetime.now(UTC)):
        return when(row, zone, now)
    return _("{age} old", age=age_of(row.get("as_of"), now)) if row.get("as_of") else ""


def span(start: datetime, end: datetime, zone: str, now: datetime | None = None) -> str:
    """A window in words: "2025", "Oct 2026", "22 Nov", "16 Nov to 22 Nov", "08:00 to 09:00", "the 24 h to 09:00"."""
    first, last = start.astimezone(ZoneInfo(zone)), end.astimezone(ZoneInfo(zone))
    days, hours = (last.date() - first.date()).days, round((end - start).total_seconds() / 3600)
    tongue = current()
    if first.time() != time() or last.time() != time() or days > 366:
        if hours <= 1:
            return _("{start} to {end}", start=clock(start, zone, now), end=tongue.digits(f"{last:%H:%M}"))
        length = n_("{n} day", "{n} days", round(hours / 24)) if hours >= 48 else _("{n} h", n=number(hours, 0))
        return _("the {length} to {end}", length=length, end=clock(end, zone, now))
    if days > 31 and (first.day, first.month, last.day, last.month) == (1, 1, 1, 1):
        return tongue.digits(f"{first.year}")
    if days > 7 and first.day == last.day == 1:
        return tongue.day(first, "yMMM")
    final = tongue.day(last - timedelta(days=1), "MMMd")
    return final if days == 1 else _("{start} to {end}", start=tongue.day(first, "MMMd"), end=final)


def month_long(kpi: Kpi) -> bool:
    """Whether the KPI has a new window only each month or year."""
    return kpi.window.kind == "calendar" and kpi.window.step in ("month", "year", "fiscal_year")


def pace(seconds: float | None) -> str:
    """An expected interval as people say it: "every 30 s", "every 15 min", "every day"."""
    if not seconds:
        return _("no fixed pace")
    if seconds == 86_400:
        return _("every day")
    days = round(seconds / 86_400)
    length = n_("{n} day", "{n} days", days) if seconds > 172_000 else age(seconds)
    return _("every {length}", length=length)


def window(kpi: Kpi) -> str:
    """Over which time the KPI is computed, in words."""
    if kpi.window.kind == "rolling":
        anew = {"hour": _("anew each hour"), "day": _("anew each day")}[kpi.window.step]
        return _("the last {n} hours, {anew}", n=number(kpi.window.hours, 0), anew=anew)
    return _("{length} of the town's calendar", length=_(STEPS[kpi.window.step][0]))


def interval_s(kpi: Kpi) -> int:
    """Seconds after which a new value is due: the window's step and the time its data takes to settle."""
    settles = kpi.settles.total_seconds() if kpi.settles else 0
    return int(STEPS[kpi.window.step][1] + settles)


def state(name: str) -> str:
    """The word for a state, the same on every screen."""
    return _(STATES.get(name, name.capitalize()))


def worst(states: Iterable[str]) -> str:
    """The state that needs people most; "no data" when there is none at all."""
    ranked = sorted(states, key=lambda s: SEVERITY.index(s) if s in SEVERITY else len(SEVERITY))
    return ranked[0] if ranked else "no data"


def target(row: Mapping[str, Any]) -> str:
    """The target with its direction: "target: at least 135"; none for context."""
    return _("target: {aim}", aim=aim(row)) if aim(row) else _("no target, for context")


def aim(row: Mapping[str, Any]) -> str:
    """The target alone: "at least 135"; nothing for context."""
    if row.get("target") is None or row.get("better") == "context":
        return ""
    limit = number(row["target"], _target_decimals(row))
    return _("at least {limit}", limit=limit) if row["better"] == "higher" else _("at most {limit}", limit=limit)


def _target_decimals(row: Mapping[str, Any]) -> int:
    return 0 if float(row["target"]).is_integer() else max(1, int(row.get("decimals") or 0))


def trend(row: Mapping[str, Any]) -> str:
    """The value against the same time last week: "▲ 4.2 on last week (108.0)"; none for months and years.

    "In full": of last week only the whole window is known, while this one is still running.
    """
    before, value, decimals = row.get("last_week"), row.get("value"), int(row.get("decimals") or 0)
    if before is None and _days_long(row) > 27:
        return _("new with each month") if _days_long(row) < 40 else _("new with each year")
    if before is None or value is None:
        return _("no value last week")
    change, then = round(value - before, decimals), number(before, decimals)
    moved = f"{'▲' if change > 0 else '▼'} {number(abs(change), decimals)}"
    if row.get("last_week_whole"):
        same, other = _("as last week in full ({before})"), _("{change} on last week in full ({before})")
    else:
        same, other = _("as last week ({before})"), _("{change} on last week ({before})")
    return (same if change == 0 else other).format(change=moved, before=then)


def corrected(row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """The last correction, for as long as it is told: "corrected on 24 Nov, was 71.2 %"; with its window when older."""
    told = row.get("corrected")
    at = moment(told["at"]) if told else None
    if told is None or at is None:
        return ""
    day = current().day(at.astimezone(ZoneInfo(zone)), "MMMd")
    unit_name, decimals = row.get("unit") or "", int(row.get("decimals") or 0)
    was = _("unknown") if told["before"] is None else with_unit(told["before"], decimals, unit_name)
    start, end = moment(told["window_start"]), moment(told["window_end"])
    if start is None or end is None or start == moment(row.get("window_start")):
        return _("corrected on {day}, was {before}", day=day, before=was)
    is_now = _("unknown") if told["after"] is None else number(told["after"], decimals)
    words = _("{span} corrected on {day}, was {before}, is {after}")
    return words.format(span=span(start, end, zone, now), day=day, before=was, after=is_now)


def _days_long(row: Mapping[str, Any]) -> float:
    start, end = moment(row.get("window_start")), moment(row.get("window_end"))
    return (end - start).total_seconds() / 86_400 if start and end else 0.0


def coverage(share: float | None) -> str:
    """The share of the expected data that arrived: "94 % of what is expected"."""
    if share is None:
        return _("completeness unknown")
    return _("{n} % of what is expected", n=number(int(share * 100), 0))


def completeness(row: Mapping[str, Any]) -> str:
    """The share that arrived, unless the reason for having no value says it already."""
    told = row["value"] is None and str(row.get("reason") or "").startswith("only ")
    return "" if told else coverage(row.get("coverage"))


def detail(row: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """What the KPI says beside its value; an asset or a feed by its name instead of its id."""
    text = str(row.get("detail") or "")
    known = state["assets"].get(text, {}).get("name") or state["feeds"].get(text, {}).get("title")
    return said(str(known or text))


def why(row: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Why there is no value, or what the KPI says beside it."""
    return reason(row) if row["value"] is None else detail(row, state)


def reason(row: Mapping[str, Any]) -> str:
    """Why there is no value, in words."""
    text = str(row.get("reason") or "no_data")
    return _(REASONS[text]) if text in REASONS else said(text.replace("_", " "))


def area(name: str, wards: Mapping[str, str] | None = None) -> str:
    """An area as people name it: "Whole town", the ward's name, "route 2"."""
    if name == "town":
        return _("Whole town")
    level, _colon, key = name.partition(":")
    if level == "ward":
        return (wards or {}).get(key) or _("Ward {key}", key=key)
    # Levels are declared: the message is made from their name.
    return key if level == "asset" else _(level.capitalize() + " {key}", key=key)


def sentence(title: str, row: Mapping[str, Any], zone: str, now: datetime | None = None) -> str:
    """A KPI as one spoken sentence: value, standing against the target, the time it speaks for.

    "Water supplied, 112 L per person a day, below the target of 135, for 22 Nov."
    """
    if row.get("value") is None:
        return _("{title}: no value, {reason}.", title=title, reason=reason(row))
    parts = [title, with_unit(row["value"], int(row.get("decimals") or 0), row.get("unit") or "")]
    if row.get("target") is not None and row.get("better") != "context":
        parts.append(_standing(row))
    spoken = when(row, zone, now)
    if spoken:
        parts.append(spoken)
    if row.get("status") == "stale":
        parts.append(_("stale"))
    return _(", ").join(parts) + _(".")


def _standing(row: Mapping[str, Any]) -> str:
    limit = number(row["target"], _target_decimals(row))
    if row["value"] == row["target"]:
        return _("at the target of {limit}", limit=limit)
    below = row["value"] < row["target"]
    return _("below the target of {limit}", limit=limit) if below else _("above the target of {limit}", limit=limit)


def count(n: int | None, one: str, many: str | None = None) -> str:
    """A counted noun: "no alarms", "1 alarm", "3 alarms"; the extractor finds the nouns (tools/messages.py)."""
    plural = many or one + "s"
    return n_("{n} " + one, "{n} " + plural, n) if n else _("no " + plural)
