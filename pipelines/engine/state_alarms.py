"""What happened to alarms, as rows of the state: put there with the alarms' states, read by number, time or alarm."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.engine.alarms.record import Transition
from pipelines.engine.state_file import read_only, sealed, unsealed

COLUMNS = ("noted_at", "at", "alarm", "event", "before", "after", "who", "why", "annunciated", "facts")
# The log of a town with 300 alarms a day over five years.
KEEP = 2_000_000
SELECT = f"SELECT rowid, {', '.join(COLUMNS)} FROM alarm_transitions"


def put_alarms(db: sqlite3.Connection, states: Sequence[tuple[str, str]], transitions: Sequence[Transition]) -> None:
    """Replace the states of alarms and add to the log."""
    db.executemany("REPLACE INTO alarms VALUES (?, ?)", states)
    places = ", ".join("?" * len(COLUMNS))
    db.executemany(f"INSERT INTO alarm_transitions VALUES ({places})", [_row(one) for one in transitions])
    if transitions:
        db.execute(
            "DELETE FROM alarm_transitions WHERE rowid <= (SELECT max(rowid) - ? FROM alarm_transitions)", [KEEP]
        )


def transitions_after(db: sqlite3.Connection, number: int, limit: int) -> list[tuple[int, Transition]]:
    """The transitions behind a number, oldest first, each with its number."""
    found = db.execute(f"{SELECT} WHERE rowid > ? ORDER BY rowid LIMIT ?", [number, limit])
    return [(row[0], _transition(row[1:])) for row in found]


def read(
    path: Path, start: datetime | None = None, end: datetime | None = None, alarm: str | None = None
) -> list[Transition]:
    """What happened within a span (open to the right), to one alarm or to all, read from another process.

    Empty when the file cannot be read.
    """
    wanted = (("noted_at >= ?", start and start.isoformat()), ("noted_at < ?", end and end.isoformat()),
              ("alarm = ?", alarm))  # fmt: skip
    asked = [(words, value) for words, value in wanted if value is not None]
    where = f" WHERE {' AND '.join(words for words, _ in asked)}" if asked else ""
    try:
        with closing(read_only(path)) as db:
            found = db.execute(f"{SELECT}{where} ORDER BY rowid", [value for _, value in asked]).fetchall()
    except sqlite3.DatabaseError:
        return []
    return [_transition(row[1:]) for row in found]


def read_alarms(path: Path) -> dict[str, dict[str, Any]]:
    """Every alarm that stands or lately stood by its id, read from another process; none when the file cannot be."""
    try:
        with closing(read_only(path)) as db:
            found = db.execute("SELECT id, state FROM alarms").fetchall()
    except sqlite3.DatabaseError:
        return {}
    told = ((id, (unsealed(text) or {}).get("alarm")) for id, text in found)
    return {id: alarm for id, alarm in told if alarm}


def put_rule(db: sqlite3.Connection, name: str, facts: Mapping[str, Any] | None) -> None:
    """Keep a rule that somebody set; None takes it away."""
    if facts is None:
        db.execute("DELETE FROM alarm_rules WHERE name = ?", [name])
    else:
        db.execute("REPLACE INTO alarm_rules VALUES (?, ?)", [name, sealed(facts)])


def rules(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """The rules that people set, by name."""
    found = (unsealed(text) for (text,) in db.execute("SELECT facts FROM alarm_rules ORDER BY name"))
    return [facts for facts in found if facts is not None]


def read_rules(path: Path) -> list[dict[str, Any]]:
    """The same from another process; none when the file cannot be read."""
    try:
        with closing(read_only(path)) as db:
            return rules(db)
    except sqlite3.DatabaseError:
        return []


def _row(one: Transition) -> tuple[str | int, ...]:
    return (one.noted_at.isoformat(), one.at.isoformat(), one.alarm, one.event, one.before, one.after, one.who, one.why,
            int(one.annunciated), sealed(one.facts))  # fmt: skip


def _transition(row: Sequence[str]) -> Transition:
    noted_at, at, alarm, event, before, after, who, why, annunciated, facts = row
    return Transition(
        alarm=alarm, event=event, before=before, after=after, who=who, why=why, annunciated=bool(annunciated),
        at=datetime.fromisoformat(at), noted_at=datetime.fromisoformat(noted_at), facts=unsealed(facts) or {},
    )  # fmt: skip
