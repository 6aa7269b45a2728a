"""What must be remembered besides the data: alarm states, poll cursors, job runs; SQLite, durable at every commit."""

import json
import sqlite3
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS alarms (id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alarm_log (at TEXT NOT NULL, id TEXT NOT NULL, event TEXT NOT NULL, value REAL);
CREATE TABLE IF NOT EXISTS cursors (feed TEXT PRIMARY KEY, cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  job TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT NOT NULL, rows INTEGER, outcome TEXT NOT NULL, words TEXT);
CREATE INDEX IF NOT EXISTS runs_started ON runs (started_at);
"""
KEEP_RUNS = 20_000


class State:
    """One SQLite file (WAL, synchronous FULL), safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def alarms(self) -> dict[str, dict[str, Any]]:
        """Alarm id -> its state."""
        with self._lock:
            return {key: json.loads(text) for key, text in self._db.execute("SELECT id, state FROM alarms")}

    def keep_alarms(
        self, states: Mapping[str, Mapping[str, Any]], log: list[tuple[datetime, str, str, float | None]]
    ) -> None:
        """Store changed alarm states and what happened to them, in one commit."""
        with self._lock, self._db:
            self._db.executemany("REPLACE INTO alarms VALUES (?, ?)", [(k, json.dumps(v)) for k, v in states.items()])
            self._db.executemany(
                "INSERT INTO alarm_log VALUES (?, ?, ?, ?)", [(at.isoformat(), *rest) for at, *rest in log]
            )

    def cursor(self, feed: str) -> dict[str, Any]:
        """What a poll remembers between two calls (ETag, Last-Modified, pages)."""
        with self._lock:
            row = self._db.execute("SELECT cursor FROM cursors WHERE feed = ?", [feed]).fetchone()
        return json.loads(row[0]) if row else {}

    def keep_cursor(self, feed: str, cursor: Mapping[str, Any]) -> None:
        """Remember it."""
        with self._lock, self._db:
            self._db.execute("REPLACE INTO cursors VALUES (?, ?)", [feed, json.dumps(dict(cursor))])

    def keep_run(self, job: str, started_at: datetime, ended_at: datetime, rows: int, outcome: str, words: str) -> None:
        """Record one run of a scheduled job."""
        with self._lock, self._db:
            self._db.execute(
                "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)",
                [job, started_at.isoformat(), ended_at.isoformat(), rows, outcome, words],
            )
            self._db.execute(
                "DELETE FROM runs WHERE rowid <= (SELECT max(rowid) - ? FROM runs)",
                [KEEP_RUNS],
            )

    def runs(self, limit: int = 200) -> list[dict[str, Any]]:
        """The newest job runs, newest first."""
        names = ("job", "started_at", "ended_at", "rows", "outcome", "words")
        with self._lock:
            rows = self._db.execute(
                f"SELECT {', '.join(names)} FROM runs ORDER BY rowid DESC LIMIT ?", [limit]
            ).fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()
