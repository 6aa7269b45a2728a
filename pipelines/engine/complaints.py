"""Where a resident's complaint stands, by its number: nothing of who wrote it, what was written, or just where."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipelines.engine.filing.numbers import tidy
from pipelines.engine.model import Table
from pipelines.engine.people.scrubbing import scrubbed
from pipelines.engine.store import Store

LONGEST_NUMBER = 64


@dataclass(frozen=True)
class Event:
    """Something that happened to a complaint, or is promised: when, and what in the words of its table."""

    at: datetime
    what: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What everybody may know of a complaint; its place by ward only. `joins`: the number of the one it repeats."""

    number: str
    about: str
    status: str
    ward: str | None
    received_at: datetime
    promised_at: datetime | None
    ended_at: datetime | None
    notes: str = ""
    joins: str = ""


def course(store: Store, tables: Iterable[Table], number: str) -> list[Event]:
    """What is known to have happened to the complaint of this number, oldest first; nothing personal.

    Raises StoreError.
    """
    wanted = number.strip()[:LONGEST_NUMBER]
    for table in tables:
        if table.complaints is None or not wanted:
            continue
        instants = [one for one in table.columns if one.kind == "instant" and not one.personal]
        where, columns = f'"{table.complaints.number}" = $number', [one.name for one in instants]
        for row in store.rows(table.name, where=where, params={"number": wanted}, columns=columns, limit=1).to_dicts():
            known = (Event(row[one.name], one.meaning) for one in instants if row[one.name] is not None)
            return sorted(known, key=lambda event: event.at)
    return []


def standing(store: Store, tables: Iterable[Table], number: str) -> Standing | None:
    """The complaint of this number, from whichever table has it; None when there is none.

    Raises StoreError.
    """
    wanted = tidy(number) or number.strip()[:LONGEST_NUMBER]
    for table in tables:
        if table.complaints is None or not wanted:
            continue
        told = table.complaints
        named = (told.number, *told.about, told.at, told.ward, told.status, told.promised, told.ended, told.joins)
        columns = [name for name in (*named, told.notes) if name]
        rows = store.rows(
            table.name, where=f'"{told.number}" = $number', params={"number": wanted}, columns=columns, limit=1
        )
        for row in rows.iter_rows(named=True):
            return Standing(
                number=row[told.number],
                about=next((str(row[name]) for name in told.about if row[name]), ""),
                status=row[told.status],
                ward=row[told.ward],
                received_at=row[told.at],
                promised_at=row[told.promised],
                ended_at=row[told.ended],
                joins=row.get(told.joins) or "",
                notes=scrubbed(row.get(told.notes) or ""),
            )
    return None
