"""Plain sentences about KPIs, made by rule from their rows; each says no more than its figure carries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from components import wording
from components.tongue import N_, _, current
from pipelines.engine.model import Kpi

Row = Mapping[str, Any]
FIGURE = Markup('<span class="s-figure" data-kpi="{key}"><b data-f="value">{value}</b>{unit}</span>')
# By how the value stands to its target: whole sentences, so that each can be said in another language.
SENTENCES = {
    ("good", "higher"): N_("{title}: {figure}. This keeps the target of at least {target}."),
    ("good", "lower"): N_("{title}: {figure}. This keeps the target of at most {target}."),
    ("watch", "higher"): N_("{title}: {figure}. This falls just short of the target of at least {target}."),
    ("watch", "lower"): N_("{title}: {figure}. This is just over the target of at most {target}."),
    ("breach", "higher"): N_("{title}: {figure}. This misses the target of at least {target}."),
    ("breach", "lower"): N_("{title}: {figure}. This is over the target of at most {target}."),
}
WITHOUT_TARGET = "{title}: {figure}."
OLD = N_("{title}: {figure} when it was last known, {age} ago. No newer figure has come since.")
UNKNOWN = N_("{title}: {figure}, not known: {reason}.")
KEPT, MISSED, UNTOLD = "kept", "missed", "unknown"


def figure(kpi: Kpi, row: Row, area: str) -> Markup:
    """The value as it stands on every other page, with its unit."""
    value = wording.number(row["value"], int(row["decimals"]))
    unit = wording.unit(kpi.unit) if row["value"] is not None else ""
    return FIGURE.format(key=f"{kpi.id}|{area}", value=value, unit=f" {unit}" if unit else "")


def sentence(kpi: Kpi, row: Row, area: str, now: datetime) -> Markup:
    """The KPI in one sentence: its value against its target; that it is old, or not known and why."""
    words = {"title": _(kpi.title), "figure": figure(kpi, row, area)}
    if row["value"] is None:
        return Markup(_(UNKNOWN)).format(**words, reason=wording.reason(row))
    if row["status"] == "stale":
        return Markup(_(OLD)).format(**words, age=wording.age_of(row["as_of"], now))
    told = SENTENCES.get((row["status"] if row["status"] != "late" else "good", row["better"]))
    if told is None or row.get("target") is None:
        return Markup(WITHOUT_TARGET).format(**words)
    return Markup(_(told)).format(**words, target=aim_number(row))


def aim_number(row: Row) -> str:
    """The target's number alone."""
    return wording.aim(row).rpartition(" ")[2]


def promise(row: Row) -> str:
    """Whether a target is kept or missed; unknown when the value is, or is old: neither can be claimed."""
    if row["value"] is None or row["status"] in ("stale", "no data"):
        return UNTOLD
    return MISSED if row["status"] in ("watch", "breach") else KEPT


def judged(kpi: Kpi) -> bool:
    """Whether the KPI has a target that can be kept or missed."""
    return kpi.better != "context" and kpi.target is not None


def time_of(row: Row, zone: str, now: datetime) -> str:
    """The time that a value speaks for, without its age: a page that is kept must not count seconds."""
    at, start, end = (wording.moment(row.get(name)) for name in ("as_of", "window_start", "window_end"))
    if start and end and end <= now:
        return _("For {span}.", span=wording.span(start, end, zone, now))
    return _("As of {clock}.", clock=wording.clock(at, zone, now)) if at else ""


def day(at: datetime, zone: str) -> str:
    """A date in the town: 24 Nov 2026."""
    return current().day(at.astimezone(ZoneInfo(zone)), "yMMMd")
