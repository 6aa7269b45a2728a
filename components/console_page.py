"""The page of the alarm console: the list, the opened alarm, what happened, and the words of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
import polars as pl

from components import glass, plain
from components.address import PERIODS, ward_names
from components.console_view import SHOWN, ConsoleView, alarms, ending, in_words
from components.happened import spoken
from components.tongue import N_, _, said
from components.visitor import current
from pipelines.engine.model import KINDS, PRIORITIES, Column
from pipelines.engine.people.roles import ROLES

SPANS = {
    "15": N_("15 minutes"), "60": N_("1 hour"), "240": N_("4 hours"), "480": N_("8 hours"), "1440": N_("1 day"),
    "4320": N_("3 days"), "10080": N_("7 days"),
}  # fmt: skip
INCIDENT_COLUMNS = (
    Column(name="id", meaning="Id of the incident: its first alarm and instant."),
    Column(name="title", meaning="What is the matter."),
    Column(name="domain", meaning="Domain."),
    Column(name="wards", meaning="Wards it touches."),
    Column(name="started_at", kind="instant", meaning="When its first alarm rose."),
    Column(name="ended_at", kind="instant", meaning="When all was back to normal; empty while it lasts."),
    Column(name="alarms", kind="integer", meaning="Alarms that stand for themselves."),
    Column(name="consequences", kind="integer", meaning="Alarms that follow from them."),
    Column(name="complaints", kind="integer", meaning="Complaints that joined it."),
    Column(name="answer", meaning="What an honest answer to a resident is."),
)
# Who did what, and what residents said: for those who may see more than the public.
FOR_READERS = ("incidents", "history")
HISTORY_DAYS, MOST_HISTORY, MOST_ROWS = 7, 500, 500


@dataclass(frozen=True)
class Outcome:
    """What became of an action, in words; `refused` when some or all of it was not done."""

    words: str
    refused: bool = False
    status: int = 200


@dataclass(frozen=True)
class Typed:
    """What somebody chose and typed, to be shown again when it was refused."""

    ids: Sequence[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)


def page(view: ConsoleView, outcome: Outcome | None, typed: Typed) -> bytes:
    """The whole page."""
    state, actor, known = glass.state(), current().actor, alarms()
    listed, may_read = view.show not in FOR_READERS, actor.may("read")
    rows = [] if not listed else view.rows(known, actor.name)
    opened = next((alarm for alarm in known if alarm["id"] == view.alarm), None)
    choices = _choices(view)
    narrowed = [words.get(getattr(view, name), "") for name, _label, words in choices if getattr(view, name)]
    narrowed += [f"“{view.q}”"] if view.q else []
    can_act = actor.may("operate")
    body = plain.content(
        "console.html",
        view=view,
        choices=choices,
        narrowed=narrowed,
        rows=[in_words(row, view) for row in rows[:MOST_ROWS]],
        more=len(rows) - MOST_ROWS,
        transitions=_told(view) if view.show == "history" and may_read else [],
        gathered=_gathered(view) if view.show == "incidents" and may_read else [],
        listed=listed,
        flood=said(state.get("alarm_summary", {}).get("words", "")),
        outcome=outcome,
        typed=typed,
        opened=_opened(opened, known, view) if opened else None,
        seq=state["seq"],
        ending=[in_words(row, view) for row in ending(known, glass.town().now())],
        spans={key: _(words) for key, words in SPANS.items()},
        owners=owners() if can_act else [],
        who=orjson.dumps(glass.town().alarms.who(actor)).decode() if may_read else "",
        csv=glass.href("alarms.csv", **view.opening("").query),
        reach=", ".join(ward_names().get(ward, ward) for ward in sorted(actor.wards or ())),
    )
    kept = {"ward": view.ward, "days": view.days}
    return plain.document(_("Alarms"), body, kept=kept, extra=("plain/chime.js", "plain/console.js", "plain/fresh.js"))


def _choices(view: ConsoleView) -> list[tuple[str, str, Mapping[str, str]]]:
    domains = {domain.name: _(domain.title) for domain in glass.town().domains}
    shown = {key: _(words) for key, words in SHOWN.items() if key not in ("mine", *FOR_READERS) or current().session}
    found: list[tuple[str, str, Mapping[str, str]]] = [
        ("show", _("Show"), shown),
        ("priority", _("Priority"), {"": _("Every"), **{name: _(name.capitalize()) for name in PRIORITIES}}),
        ("domain", _("Service"), {"": _("Every"), **domains, "feeds": _("Feeds")}),
        ("ward", _("Ward"), {"": _("Whole town"), **ward_names()}),
    ]
    if view.show == "incidents":
        found.pop(1)
    return (
        [*found, ("days", _("Period"), {key: _(words) for key, words in PERIODS.items()})]
        if view.show in FOR_READERS
        else found
    )


def owners() -> list[str]:
    """Who can be given an alarm: accounts that may act."""
    accounts = glass.town().porter.visitors.accounts.values()
    return [one.name for one in accounts if one.disabled_at is None and "operate" in ROLES[one.role]]


def _opened(alarm: Mapping[str, Any], alarms: Sequence[Mapping[str, Any]], view: ConsoleView) -> dict[str, Any]:
    """The opened alarm with what it explains, what explains it, and (for who may see it) what happened to it."""
    found = in_words(alarm, view)
    explained = [in_words(other, view) for other in alarms if other.get("cause") == alarm["id"]]
    cause = next((in_words(other, view) for other in alarms if other["id"] == alarm.get("cause")), None)
    actor = current().actor
    past = glass.town().alarms.history(actor, alarm["id"]).reverse().head(40) if actor.may("read") else None
    told = {"explained": explained, "explaining": cause, "past": spoken(past) if past is not None else []}
    return {**found, **told, "incident": _incident(alarm["id"]) if actor.may("read") else None}


def _incident(alarm: str) -> dict[str, Any] | None:
    """The newest incident that the alarm belongs to."""
    now = glass.town().now()
    found = glass.town().alarms.incidents(current().actor, now - timedelta(days=2), now)
    return next((one for one in found if alarm in (*one["alarms"], *one["consequences"])), None)


def incidents_frame(view: ConsoleView) -> pl.DataFrame:
    """The incidents of a view as rows of INCIDENT_COLUMNS.

    Raises Forbidden.
    """
    schema = {column.name: KINDS[column.kind] for column in INCIDENT_COLUMNS}
    counted = ("alarms", "consequences", "complaints")
    rows = [
        [
            len(one[name]) if name in counted else " ".join(one[name]) if name == "wards" else one[name]
            for name in schema
        ]
        for one in _gathered(view)
    ]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _gathered(view: ConsoleView) -> list[dict[str, Any]]:
    """The incidents of the period, narrowed as the view says, newest first."""
    now = glass.town().now()
    found = glass.town().alarms.incidents(current().actor, now - timedelta(days=int(view.days or HISTORY_DAYS)), now)
    kept = [one for one in found if view.domain in ("", one["domain"]) and (not view.ward or view.ward in one["wards"])]
    return [one for one in kept if view.q.casefold() in f"{one['title']} {one['answer']}".casefold()]


def _told(view: ConsoleView) -> list[dict[str, Any]]:
    return spoken(history(view).reverse().head(MOST_HISTORY))


def history(view: ConsoleView) -> pl.DataFrame:
    """What happened in the period of the view, narrowed as it says, oldest first.

    Raises Forbidden.
    """
    start: datetime = glass.town().now() - timedelta(days=int(view.days or HISTORY_DAYS))
    rows = glass.town().alarms.history(current().actor, view.alarm or None, start)
    for name in ("priority", "domain", "ward"):
        if value := getattr(view, name):
            rows = rows.filter(pl.col(name) == value)
    if view.q:
        texts = pl.concat_str("alarm", "event", "who", "why", separator=" ", ignore_nulls=True).str.to_lowercase()
        rows = rows.filter(texts.str.contains(view.q.casefold(), literal=True))
    return rows
