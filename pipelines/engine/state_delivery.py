"""What was told to whom and what is still to be sent, as rows of the state."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.engine.delivery.grouping import Told
from pipelines.engine.delivery.outbox import KEEP_SENT, Letter
from pipelines.engine.state import State
from pipelines.engine.state_file import read_only, sealed, unsealed

INSTANTS = ("made_at", "next_at", "sent_at")


class Post:
    """The part of the state that delivery remembers; every call is one commit."""

    def __init__(self, state: State) -> None:
        self._state = state

    def told(self) -> dict[str, Told]:
        """What every receiver was last told, by group."""
        rows = self._state.do(lambda db: db.execute("SELECT key, told FROM delivery_told").fetchall())
        read = ((key, unsealed(text)) for key, text in rows)
        return {key: _told(raw) for key, raw in read if raw is not None}

    def waiting(self) -> list[Letter]:
        """The letters that still have to be sent, oldest first."""
        asked = "SELECT letter FROM delivery_letters WHERE open = 1 ORDER BY made_at, id"
        return _letters(self._state.do(lambda db: db.execute(asked).fetchall()))

    def keep(self, news: Mapping[str, Told], letters: Sequence[Letter]) -> None:
        """What was told, and the letters that tell it."""
        rows = [(key, sealed(_as_told(one))) for key, one in news.items()]
        written = [(one.id, one.made_at.isoformat(), int(one.open), sealed(vars(one))) for one in letters]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("REPLACE INTO delivery_told VALUES (?, ?)", rows)
            db.executemany("REPLACE INTO delivery_letters VALUES (?, ?, ?, ?)", written)

        self._state.do(work)

    def forget(self, keys: Sequence[str], now: datetime) -> None:
        """Drop groups of which nobody speaks any more, and letters that were sent long ago."""
        before = (now - KEEP_SENT).isoformat()

        def work(db: sqlite3.Connection) -> None:
            db.executemany("DELETE FROM delivery_told WHERE key = ?", [(key,) for key in keys])
            db.execute("DELETE FROM delivery_letters WHERE open = 0 AND made_at < ?", [before])

        self._state.do(work)


def read_newest(path: Path, limit: int) -> list[Letter]:
    """The newest letters, read from another process; none when the file cannot be read."""
    try:
        with closing(read_only(path)) as db:
            asked = "SELECT letter FROM delivery_letters ORDER BY made_at DESC, id LIMIT ?"
            return _letters(db.execute(asked, [limit]))
    except sqlite3.DatabaseError:
        return []


def _letters(rows: Iterable[tuple[str]]) -> list[Letter]:
    read = (unsealed(text) for (text,) in rows)
    return [_letter(raw) for raw in read if raw is not None]


def _as_told(one: Told) -> dict[str, Any]:
    return {"firing": sorted(one.firing), "ended": sorted(one.ended), "at": one.at and one.at.isoformat()}


def _told(raw: Mapping[str, Any]) -> Told:
    at = datetime.fromisoformat(raw["at"]) if raw["at"] else None
    return Told(frozenset(raw["firing"]), frozenset(raw["ended"]), at)


def _letter(raw: Mapping[str, Any]) -> Letter:
    return Letter(**{**raw, **{name: raw[name] and datetime.fromisoformat(raw[name]) for name in INSTANTS}})
