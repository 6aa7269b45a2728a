"""The audit log: every action of a person, each entry sealed by a hash over itself and all before it."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.engine.model import KINDS, Column
from pipelines.engine.state_file import changing, read_all

COLUMNS = (
    Column(name="seq", kind="integer", meaning="Number of the entry; none is left out."),
    Column(name="at", meaning="When, as it is chained."),
    Column(name="who", meaning="Account, `token NAME`, or `console USER` for what was done at the machine."),
    Column(name="did", meaning="What was done."),
    Column(name="facts", meaning="What belongs to it, as JSON."),
    Column(name="hash", meaning="SHA-256 over the JSON list of the hash before, seq, at, who, did and facts."),
)
MOST_SHOWN = 200
# What the first entry is chained to.
BEGINNING = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One action: who did what when, with what belongs to it."""

    seq: int
    at: str
    who: str
    did: str
    facts: str
    hash: str


def note(db: sqlite3.Connection, at: datetime, who: str, did: str, facts: Mapping[str, Any] | None = None) -> None:
    """Add an entry within a change that is under way: both are kept, or neither."""
    last = db.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    seq, before = (last[0] + 1, last[1]) if last else (1, BEGINNING)
    row = (seq, at.isoformat(), who, did, json.dumps(dict(facts or {}), ensure_ascii=False, sort_keys=True))
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?)", [*row, chained(before, row)])


def noted(path: Path, at: datetime, who: str, did: str, facts: Mapping[str, Any] | None = None) -> None:
    """Add an entry as a change of its own.

    Raises StoreError when the disk does not take it.
    """
    with changing(path) as db:
        note(db, at, who, did, facts)


def chained(before: str, row: Sequence[object]) -> str:
    """The hash of an entry: over the hash of the one before it and its own five fields."""
    return hashlib.sha256(json.dumps([before, *row], ensure_ascii=False).encode()).hexdigest()


def entries(path: Path, did: Sequence[str] = (), since: datetime | None = None) -> list[Entry]:
    """The log, oldest first: all of it, or the entries of some kinds of deed from an instant on.

    Raises StoreError when it cannot be read.
    """
    kinds = f"did IN ({', '.join('?' * len(did))})" if did else "1"
    where = f"{kinds} AND at >= ?"
    wanted = (*did, since.isoformat() if since else "")
    return [Entry(*row) for row in read_all(path, "audit", "seq, at, who, did, facts, hash", where, wanted)]


def frame(log: Sequence[Entry]) -> pl.DataFrame:
    """The log with its hashes (shape: COLUMNS), so that whoever has it can check it without us."""
    schema = pl.Schema({column.name: KINDS[column.kind] for column in COLUMNS})
    return pl.DataFrame([[getattr(entry, name) for name in schema] for entry in log], schema=schema, orient="row")


def judged(log: Sequence[Entry]) -> dict[str, Any]:
    """Whether the log fits together, in words: sound, words, entries, last_hash."""
    wrong, last = tampering(log), log[-1].hash if log else None
    words = f"Each of {len(log)} entries fits the one before; the last hash is {last}." if log else "No entries yet."
    return {"sound": not wrong, "words": wrong or words, "entries": len(log), "last_hash": last}


def tampering(log: Sequence[Entry]) -> str:
    """Where the log does not fit together, in a sentence; empty when it does.

    Entries cut off at the end leave a log that fits: compare its last number and hash with those of a backup.
    """
    before = BEGINNING
    for place, entry in enumerate(log, 1):
        if entry.seq != place:
            return f"Entry {place} of the audit log is missing: entry {entry.seq} follows on {place - 1}."
        if entry.hash != chained(before, (entry.seq, entry.at, entry.who, entry.did, entry.facts)):
            told = f"{entry.at[:19]} UTC, {entry.who}: {entry.did} {entry.facts[:MOST_SHOWN]}"
            return f"Entry {place} of the audit log was changed after it was written; it now says: {told}."
        before = entry.hash
    return ""
