"""The state file as earlier versions wrote it: how to recognise it, and what has to be put right in it."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from pipelines.engine.alarms.lifecycle import Event, State
from pipelines.engine.alarms.record import PROCESS, Transition
from pipelines.engine.state_alarms import put_alarms
from pipelines.engine.state_file import changing, read_only, sealed, unsealed

SEALED = (("alarms", "id", "state"), ("cursors", "feed", "cursor"))
# What the log of alarms called its events before they were those of ISA-18.2.
EVENTS = {
    "active": (Event.RISE, State.NORMAL, State.UNACKNOWLEDGED),
    "returned": (Event.RETURN, State.UNACKNOWLEDGED, State.NORMAL),
}


def has_unsealed(path: Path) -> bool:
    """Whether something stands there without its checksum."""
    return any(_any(path, f"SELECT 1 FROM {table} WHERE {column} LIKE '{{%' LIMIT 1") for table, _, column in SEALED)


def has_old_log(path: Path) -> bool:
    """Whether what happened to alarms stands there as it was written before ISA-18.2."""
    return _any(path, "SELECT 1 FROM sqlite_master WHERE name = 'alarm_log'")


def has_open_factors(path: Path) -> bool:
    """Whether a secret of a second factor stands there for everybody who reads the file."""
    return _any(path, """SELECT 1 FROM factors WHERE facts LIKE '%"secret":%' LIMIT 1""")


def _any(path: Path, question: str) -> bool:
    if not path.exists():
        return False
    try:
        with closing(read_only(path)) as db:
            return db.execute(question).fetchone() is not None
    except sqlite3.DatabaseError:
        # Damaged, or of a time before this table: the start sees to that.
        return False


def seal(path: Path) -> None:
    """Give each alarm and cursor its checksum; what is no JSON any more goes, as it does when it is read."""
    with changing(path) as db:
        for table, key, column in SEALED:
            for name, text in db.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} LIKE '{{%'").fetchall():
                told = unsealed(text)
                if told is None:
                    db.execute(f"DELETE FROM {table} WHERE {key} = ?", [name])
                else:
                    db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", [sealed(told), name])


def move_log(path: Path) -> None:
    """What happened to alarms, in the form that it has now, before what has happened since."""
    with changing(path) as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'alarm_log'").fetchone():
            return
        rows = db.execute("SELECT at, id, event, value FROM alarm_log ORDER BY rowid").fetchall()
        since = db.execute("SELECT * FROM alarm_transitions ORDER BY rowid").fetchall()
        db.execute("DELETE FROM alarm_transitions")
        put_alarms(db, [], [_moved(*row) for row in rows if row[2] in EVENTS])
        db.executemany(f"INSERT INTO alarm_transitions VALUES ({', '.join('?' * 10)})", since)
        db.execute("DROP TABLE alarm_log")


def _moved(at: str, alarm: str, event: str, value: float | None) -> Transition:
    happened, before, after = EVENTS[event]
    noted = datetime.fromisoformat(at)
    facts = {"rule": alarm.partition("|")[0], "value": value}
    return Transition(
        alarm=alarm, event=str(happened), before=str(before), after=str(after), at=noted, noted_at=noted, who=PROCESS,
        annunciated=happened is Event.RISE, facts={name: cell for name, cell in facts.items() if cell is not None},
    )  # fmt: skip
