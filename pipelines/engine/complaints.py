"""Where a resident's complaint stands, by its number: nothing of who wrote it, what was written, or just where."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pipelines.engine.model import Table
from pipelines.engine.store import Store

LONGEST_NUMBER = 64


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What everybody may know of a complaint; its place is told by ward only."""

    number: str
    about: str
    status: str
    ward: str | None
    received_at: datetime
    promised_at: datetime | None
    ended_at: datetime | None


def standing(store: Store, tables: Iterable[Table], number: str) -> Standing | None:
    """The complaint of this number, from whichever table has it; None when there is none.

    Raises StoreError.
    """
    wanted = number.strip()[:LONGEST_NUMBER]
    for table in tables:
        if table.complaints is None or not wanted:
            continue
        told = table.complaints
        columns = [told.number, *told.about, told.at, told.ward, told.status, told.promised, told.ended]
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
            )
    return None
