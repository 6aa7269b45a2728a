"""What must be remembered besides the data: alarm states, poll cursors, job runs; SQLite, durable at every commit."""

import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.engine.errors import StoreError
from pipelines.engine.state_alarms import put_alarms, put_rule, rules, transitions_after
from pipelines.engine.state_file import (
    RUN_COLUMNS,
    connect,
    is_damage,
    is_unreadable,
    newest_runs,
    put_cursor,
    salvage,
    sealed,
    set_aside,
    unsealed,
)

if TYPE_CHECKING:
    from pipelines.engine.alarms.record import Transition

log = logging.getLogger("townboard")
KEEP_RUNS = 20_000
Found = TypeVar("Found")


class State:
    """One SQLite file (WAL, synchronous FULL), safe to use from several threads of the one process that owns it.

    A damaged file is set aside under a name of its own and a fresh one is made of what can still be read; `words`
    then says so.
    """

    def __init__(self, path: Path) -> None:
        """Raises StoreError when the disk lets nobody open the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.words = path, ""
        self._lock = threading.Lock()
        self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        try:
            return connect(self.path)
        except sqlite3.DatabaseError as error:
            if is_damage(error) or is_unreadable(error):
                return self._mended(error)
            raise StoreError(
                f"{self.path} cannot be opened ({error}). Check that the disk has space and that this user may write "
                "there: python app.py doctor"
            ) from error

    def _mended(self, error: Exception) -> sqlite3.Connection:
        """A fresh file in place of the damaged one, with all that can still be read of it."""
        aside = set_aside(self.path)
        fresh = connect(self.path)
        with fresh:
            kept = salvage(aside, fresh)
        self.words = (
            f"{self.path.name} was damaged ({error}). It was set aside as {aside.name}; {kept} entries of it could be "
            "read and were kept. Alarms that are missing ring again, feeds are asked from their beginning; readings "
            "are not touched. Nothing needs to be done, but the disk may be failing: python app.py doctor"
        )
        log.warning(self.words)
        return fresh

    def do(self, work: Callable[[sqlite3.Connection], Found]) -> Found:
        """What `work` gives, in one commit; once more on a fresh file when this one turns out to be damaged."""
        with self._lock:
            try:
                with self._db:
                    return work(self._db)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._db.close()
                self._db = self._mended(error)
            with self._db:
                return work(self._db)

    def alarms(self) -> dict[str, dict[str, Any]]:
        """Alarm id -> its state."""
        rows = self.do(lambda db: db.execute("SELECT id, state FROM alarms").fetchall())
        read = ((key, unsealed(text)) for key, text in rows)
        return {key: state for key, state in read if state is not None}

    def keep_alarms(self, states: Mapping[str, Mapping[str, Any]], transitions: Sequence["Transition"]) -> None:
        """Store changed alarm states and what happened to them, in one commit.

        Raises OSError when the disk takes nothing; nothing of it is kept then.
        """
        changed = [(key, sealed(state)) for key, state in states.items()]
        try:
            self.do(lambda db: put_alarms(db, changed, transitions))
        except sqlite3.OperationalError as error:
            raise OSError(errno.EIO, f"{self.path.name}: {error}") from error

    def transitions(self, after: int = 0, limit: int = 10_000) -> list[tuple[int, "Transition"]]:
        """What happened to alarms, each with its number, the oldest first, from behind a number on."""
        return self.do(lambda db: transitions_after(db, after, limit))

    def own_rules(self) -> list[dict[str, Any]]:
        """The alarm rules that people set."""
        return self.do(rules)

    def keep_own_rule(self, name: str, facts: Mapping[str, Any] | None) -> None:
        """Keep one of them; None takes it away.

        Raises OSError when the disk takes nothing.
        """
        try:
            self.do(lambda db: put_rule(db, name, facts))
        except sqlite3.OperationalError as error:
            raise OSError(errno.EIO, f"{self.path.name}: {error}") from error

    def cursor(self, feed: str) -> dict[str, Any]:
        """What a poll remembers between two calls (ETag, Last-Modified, pages)."""
        row = self.do(lambda db: db.execute("SELECT cursor FROM cursors WHERE feed = ?", [feed]).fetchone())
        return (unsealed(row[0]) if row else None) or {}

    def keep_cursor(self, feed: str, cursor: Mapping[str, Any]) -> None:
        """Remember it."""
        self.do(lambda db: put_cursor(db, feed, cursor))

    def keep_run(self, job: str, started_at: datetime, ended_at: datetime, rows: int, outcome: str, words: str) -> None:
        """Record one run of a scheduled job."""
        run = [job, started_at.isoformat(), ended_at.isoformat(), rows, outcome, words]

        def work(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", run)
            db.execute("DELETE FROM runs WHERE rowid <= (SELECT max(rowid) - ? FROM runs)", [KEEP_RUNS])

        self.do(work)

    def runs(self, limit: int = 200) -> list[dict[str, Any]]:
        """The newest job runs, newest first."""
        rows = self.do(lambda db: newest_runs(db, limit))
        return [dict(zip(RUN_COLUMNS, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._db.close()
