"""What a page or an API call may ask of the alarms and do to them; a reader, save what it hands to the line."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.alarms.record import Transition
from pipelines.engine.model import KINDS, Column
from pipelines.engine.people.roles import Actor
from pipelines.engine.settings import Settings
from pipelines.engine.state_alarms import read

if TYPE_CHECKING:
    from pipelines.engine.local import LineClient

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

    def __init__(self, settings: Settings, line: "LineClient") -> None:
        self._state, self._line = settings.store / "state.sqlite", line

    def history(
        self, actor: Actor, alarm: str | None = None, start: datetime | None = None, end: datetime | None = None
    ) -> pl.DataFrame:
        """What happened to one alarm or to all within a span, oldest first (shape: COLUMNS).

        Raises Forbidden.
        """
        actor.check("read")
        return frame(read(self._state, start, end, alarm))

    async def act(
        self, ids: Sequence[str], action: str, wanted: Any, actor: Actor
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Do one thing (desk.FIELDS) to some alarms; status, answer (done, refused) and headers of the line.

        Raises Forbidden, and httpx.TransportError when the line does not run.
        """
        actor.check("operate")
        return await self._line.act(ids, action, actor.signature, wanted)


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
