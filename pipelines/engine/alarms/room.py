"""What a page or an API call may ask of the alarms and do to them; a reader, save what it hands to the line."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.alarms import performance
from pipelines.engine.alarms.incidents import HOUR, Complaint, Incident, Place, answer, incidents, timeline
from pipelines.engine.alarms.record import PERSONAL, Transition
from pipelines.engine.model import KINDS, Column
from pipelines.engine.people.roles import Actor
from pipelines.engine.state_alarms import read, read_alarms

if TYPE_CHECKING:
    from pipelines.engine.town import Town

COLUMNS = (
    Column(name="noted_at", kind="instant", meaning="When Townboard noted it."),
    Column(name="at", kind="instant", meaning="When it happened, by the device's clock where a reading did it."),
    Column(name="alarm", meaning="Id of the alarm."),
    Column(name="event", meaning="rise, return, acknowledge, shelve ... (ISA-18.2), or comment, assign, cause."),
    Column(name="before", meaning="State before."),
    Column(name="after", meaning="State after."),
    Column(name="who", meaning="Who did it: a person, a token, or process, suppression, clock, out_of_service.csv."),
    Column(name="why", meaning="Why, in words."),
    Column(name="annunciated", kind="flag", meaning="Whether it called a person."),
    Column(name="rule", meaning="Rule."),
    Column(name="domain", meaning="Domain."),
    Column(name="ward", meaning="Ward."),
    Column(name="priority", meaning="Priority at that time."),
    Column(name="value", kind="number", meaning="Value at that time."),
    Column(name="cause", meaning="Alarm that explains it."),
    Column(name="owner", meaning="Who sees to it."),
    Column(name="until", kind="instant", meaning="When it ends by itself."),
)
OWN = {f.name for f in fields(Transition)} - {"facts"}


class AlarmRoom:
    """The alarms of a town, from outside the line."""

    def __init__(self, town: "Town") -> None:
        self._town, self._line = town, town.line
        self._state = town.settings.store / "state.sqlite"
        self._rules = {rule.name: rule for domain in town.domains for rule in domain.alarms}

    def who(self, actor: Actor) -> dict[str, dict[str, Any]]:
        """Alarm -> who did what to it and what they wrote (PERSONAL, those that are known), within the actor's wards.

        Raises Forbidden.
        """
        actor.check("read")
        found = {
            id: {name: alarm[name] for name in PERSONAL if alarm.get(name)}
            for id, alarm in read_alarms(self._state).items()
            if actor.in_reach(alarm.get("ward"))
        }
        return {id: told for id, told in found.items() if told}

    def told(self, actor: Actor, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Alarms of the board, with who did what for those who may see it."""
        known = self.who(actor) if actor.may("read") else {}
        nobody = dict.fromkeys(PERSONAL)
        return [{**nobody, **row, **known.get(row["id"], {})} for row in rows]

    def history(
        self, actor: Actor, alarm: str | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """What happened to one alarm or to all within a span, oldest first (shape: COLUMNS).

        Raises Forbidden.
        """
        actor.check("read")
        return frame(within(actor, read(self._state, start, end, alarm)))

    def performance(self, actor: Actor, start: datetime, end: datetime, operators: int = 1) -> dict[str, Any]:
        """How the alarm system did over a span, whole and by shift (shape: performance.judged); what stands too long.

        Raises Forbidden.
        """
        actor.check("read")
        log, board = within(actor, read(self._state, start, end)), self._town.board()
        alarms = [row for row in board.state["alarms"] if actor.in_reach(row.get("ward"))] if board else []
        standing = performance.standing_hours(alarms, self._town.now())
        shifts = performance.shifts(start, end, self._town.zone)
        return {
            "whole": performance.judged(log, performance.Stretch(start, end, operators)),
            "shifts": [performance.judged(log, performance.Stretch(*span, operators)) for span in shifts],
            "stale": performance.stale(standing),
        }

    def incidents(self, actor: Actor, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """The incidents that began within a span, newest first.

        Shape: id, title, domain, wards, started_at, ended_at, alarms, consequences and complaints (ids), timeline,
        answer (what an honest answer to a resident is).
        Raises Forbidden.
        """
        actor.check("read")
        now = self._town.now()
        place = Place(dict(self._town.wards().select("ward", "name").iter_rows()), self._town.zone)
        log = within(actor, read(self._state, start, None))
        complaints = (one for one in self._complaints(start - HOUR) if actor.in_reach(one.ward))
        found = incidents(log, complaints, self._rules, now)
        return [self._told(one, place, now) for one in found if start <= one.started_at < end]

    def _told(self, one: Incident, place: Place, now: datetime) -> dict[str, Any]:
        rule = self._rules.get(one.alarms[0].rule)
        return {
            "id": one.id,
            "title": rule.title if rule else one.alarms[0].rule,
            "domain": one.alarms[0].domain,
            "wards": one.wards,
            "started_at": one.started_at,
            "ended_at": one.ended_at,
            "alarms": [episode.alarm for episode in one.alarms],
            "consequences": [episode.alarm for episode in one.consequences],
            "complaints": [complaint.id for complaint in one.complaints],
            "timeline": timeline(one, self._rules),
            "answer": answer(one, self._rules, place, now),
        }

    def _complaints(self, start: datetime) -> Iterator[Complaint]:
        for table in self._town.tables:
            if table.complaints is None:
                continue
            number, about, at, ward, *_ = table.complaints
            for row in self._town.rows(table.name, start).iter_rows(named=True):
                words = " / ".join(str(row[name]) for name in about if row[name])
                yield Complaint(str(row[number]), words, row[ward], row[at])

    async def act(
        self, ids: Sequence[str], action: str, wanted: Any, actor: Actor
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Do one thing (desk.FIELDS) to some alarms; status, answer (done, refused) and headers of the line.

        Raises Forbidden (also when one of them lies beyond the actor's wards: nothing is done then), and
        httpx.TransportError when the line does not run.
        """
        actor.check("operate")
        if actor.wards is not None:
            known = await asyncio.to_thread(read_alarms, self._state)
            # One that nobody knows is answered by the line.
            if any(id in known and not actor.in_reach(known[id].get("ward")) for id in ids):
                actor.check_everywhere("operate")
        return await self._line.act(ids, action, actor.signature, wanted)


def within(actor: Actor, log: Iterable[Transition]) -> list[Transition]:
    """What happened to alarms of the actor's wards."""
    return [one for one in log if actor.in_reach(one.facts.get("ward"))]


def frame(transitions: Iterable[Transition]) -> pl.DataFrame:
    """The log as rows of COLUMNS, in the order given."""
    schema = pl.Schema({column.name: KINDS[column.kind] for column in COLUMNS})
    rows = [[_cell(one, name) for name in schema] for one in transitions]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _cell(one: Transition, name: str) -> object:
    if name in OWN:
        return getattr(one, name)
    value = one.facts.get(name)
    return datetime.fromisoformat(value) if name == "until" and value else value
