"""The SQLite file under the state: opened only when sound, mended when not, copied and read from outside its owner."""

import logging
import shutil
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from pipelines.engine.errors import StoreError

log = logging.getLogger("townboard")
SCHEMA = """
CREATE TABLE IF NOT EXISTS alarms (id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alarm_transitions (
  noted_at TEXT NOT NULL, at TEXT NOT NULL, alarm TEXT NOT NULL, event TEXT NOT NULL, before TEXT NOT NULL,
  after TEXT NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL, annunciated INTEGER NOT NULL, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alarm_rules (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS alarm_transitions_noted ON alarm_transitions (noted_at);
CREATE INDEX IF NOT EXISTS alarm_transitions_alarm ON alarm_transitions (alarm);
CREATE TABLE IF NOT EXISTS cursors (feed TEXT PRIMARY KEY, cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS runs (
  job TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT NOT NULL, rows INTEGER, outcome TEXT NOT NULL, words TEXT);
CREATE INDEX IF NOT EXISTS runs_started ON runs (started_at);
CREATE TABLE IF NOT EXISTS delivery_told (key TEXT PRIMARY KEY, told TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS delivery_letters (
  id TEXT PRIMARY KEY, made_at TEXT NOT NULL, open INTEGER NOT NULL, letter TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS delivery_letters_open ON delivery_letters (open, made_at);
CREATE TABLE IF NOT EXISTS tokens (name TEXT PRIMARY KEY, facts TEXT NOT NULL, used_at TEXT);
CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS codes (digest TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS factors (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (digest TEXT PRIMARY KEY, facts TEXT NOT NULL, seen_at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
  seq INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, did TEXT NOT NULL, facts TEXT NOT NULL,
  hash TEXT NOT NULL);
"""
RUN_COLUMNS = {
    "job": str,
    "started_at": str,
    "ended_at": str,
    "rows": int,
    "outcome": str,
    "words": str,
}
BELONGING = ("", "-wal", "-shm")
PATIENCE_S = 20
OTHERS = 0o077


def sealed(value: Mapping[str, Any]) -> str:
    """JSON behind its checksum: SQLite has none, and a changed digit would be believed."""
    text = orjson.dumps(dict(value))
    return f"{zlib.crc32(text):08x} {text.decode()}"


def unsealed(text: str) -> dict[str, Any] | None:
    """What was sealed; None when it is not what was written. Text without a seal is from before there was one."""
    seal, _, body = ("", "", text) if text.startswith("{") else text.partition(" ")
    if seal and seal != f"{zlib.crc32(body.encode()):08x}":
        return None
    try:
        return orjson.loads(body)
    except ValueError:
        return None


def set_aside(path: Path) -> Path:
    """Give a damaged file and what belongs to it a name that nobody opens; returns the new name."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    for suffix in BELONGING:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


# from outside the owning process ------------------------------------------------------------------------------------


def copy(path: Path, target: Path) -> None:
    """A consistent copy of the file, also while it is written.

    Of a file that is damaged, or on a disk that lets nobody write, the bytes as they are: who opens them mends them.
    """
    try:
        with closing(read_only(path)) as source, closing(sqlite3.connect(target)) as made:
            source.backup(made)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                shutil.copyfile(part, target.with_name(target.name + suffix))


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)


@contextmanager
def changing(path: Path) -> Iterator[sqlite3.Connection]:
    """The file for one durable change that sees no other between its reads and writes, also while the line uses it.

    Raises StoreError when the disk does not take it: nothing has changed then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=PATIENCE_S)) as db:
            _private(path)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.executescript(SCHEMA)
            with db:
                db.execute("BEGIN IMMEDIATE")
                yield db
    except (sqlite3.DatabaseError, OSError) as error:
        raise StoreError(
            f"{path} cannot be written ({error}). Nothing was changed. Check the disk: python app.py doctor"
        ) from error


def without_what_was(path: Path) -> None:
    """The file without what was deleted or replaced in it; SQLite leaves that where it stood.

    Raises StoreError when the disk does not take it.
    """
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)) as db:
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path} cannot be written anew ({error}). Check the disk: python app.py doctor") from error


def read_all(
    path: Path, table: str, columns: str, where: str = "1", wanted: Sequence[object] = ()
) -> list[tuple[Any, ...]]:
    """Every row of a table (of those that `where` keeps), read from another process; none where it is not there yet.

    Raises StoreError when they cannot be read.
    """
    if not path.exists():
        return []
    try:
        with closing(read_only(path)) as db:
            db.text_factory = _text
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone():
                return []
            return db.execute(f"SELECT {columns} FROM {table} WHERE {where} ORDER BY 1", wanted).fetchall()
    except sqlite3.DatabaseError as error:
        raise StoreError(f"the {table} in {path.name} cannot be read ({error}). Try again in a moment.") from error


def keep_cursor(path: Path, name: str, cursor: Mapping[str, Any]) -> None:
    """Remember something from another process than the owner's, where the disk lets us."""
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE_S)) as db, db:
            db.executescript(SCHEMA)
            put_cursor(db, name, cursor)
    except sqlite3.DatabaseError as error:
        log.warning("%s could not take note of %s (%s)", path, name, error)


def read_cursor(path: Path, name: str) -> dict[str, Any]:
    """What is remembered under this name, read from another process; empty when nothing is, or it cannot be read."""
    try:
        with closing(read_only(path)) as db:
            row = db.execute("SELECT cursor FROM cursors WHERE feed = ?", [name]).fetchone()
    except sqlite3.DatabaseError:
        return {}
    return (unsealed(row[0]) if row else None) or {}


def read_runs(path: Path, limit: int) -> list[tuple[Any, ...]]:
    """The newest job runs in the order of RUN_COLUMNS, read from another process; none when they cannot be read."""
    try:
        with closing(read_only(path)) as db:
            db.text_factory = _text
            return newest_runs(db, limit)
    except sqlite3.DatabaseError:
        return []


def faults(path: Path) -> list[str]:
    """What SQLite finds wrong with the file; nothing when it is sound."""
    try:
        with closing(read_only(path)) as db:
            return [text for (text,) in db.execute("PRAGMA integrity_check(5)") if text != "ok"]
    except sqlite3.DatabaseError as error:
        return [str(error)]


def newest_runs(db: sqlite3.Connection, limit: int) -> list[tuple[Any, ...]]:
    return db.execute(f"SELECT {', '.join(RUN_COLUMNS)} FROM runs ORDER BY rowid DESC LIMIT ?", [limit]).fetchall()


def put_cursor(db: sqlite3.Connection, feed: str, cursor: Mapping[str, Any]) -> None:
    db.execute("REPLACE INTO cursors VALUES (?, ?)", [feed, sealed(cursor)])


def connect(path: Path) -> sqlite3.Connection:
    """The file, opened and found sound.

    Raises sqlite3.DatabaseError, with the code of a corrupt file when its pages or columns are not as they should be.
    """
    db = sqlite3.connect(path, check_same_thread=False)
    try:
        _private(path)
        db.text_factory = _text
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(SCHEMA)
        wrong = [text for (text,) in db.execute("PRAGMA integrity_check(1)") if text != "ok"]
        expected = _columns()
        present = {table: _names(db, table) for table in expected}
        wrong += [f"columns of {table} are gone" for table, names in expected.items() if set(names) - present[table]]
        if wrong:
            raise _damage(wrong[0])
    except BaseException:
        db.close()
        raise
    return db


def _private(path: Path) -> None:
    """For nobody but its owner: hashes of passwords and secrets of second factors stand in it."""
    with suppress(OSError):
        if path.stat().st_mode & OTHERS:
            path.chmod(0o600)


def _text(raw: bytes) -> str:
    # A garbled byte must not keep the rows around it from being read.
    return raw.decode("utf-8", "replace")


def _columns() -> dict[str, list[str]]:
    """Table -> columns, as the schema declares them."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA)
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: [row[1] for row in db.execute(f'PRAGMA table_info("{table}")')] for table in tables}


def _names(db: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in db.execute(f'PRAGMA table_info("{table}")')}


def _damage(words: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(words)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_unreadable(error: sqlite3.DatabaseError) -> bool:
    """Whether opening met what is no fault of disk or rights: a header or schema with changed bytes."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR


def salvage(aside: Path, fresh: sqlite3.Connection) -> int:
    """Copy every row that can still be read; gives their number."""
    with closing(read_only(aside)) as old:
        old.text_factory = _text
        for table, columns in _columns().items():
            # A bad page stops the reading: from the other end comes what lies behind it.
            for order in ("ASC", "DESC"):
                if _copied(old, fresh, table, columns, order):
                    break
    return sum(fresh.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in _columns())


def _copied(old: sqlite3.Connection, fresh: sqlite3.Connection, table: str, columns: list[str], order: str) -> bool:
    """Copy rows in this order until one cannot be read; whether the end was reached."""
    names = ", ".join(["rowid", *(f'"{name}"' for name in columns)])
    places = ", ".join("?" * (len(columns) + 1))
    try:
        for row in old.execute(f'SELECT {names} FROM "{table}" ORDER BY rowid {order}'):
            fresh.execute(f'INSERT OR IGNORE INTO "{table}" ({names}) VALUES ({places})', row)
    except sqlite3.DatabaseError:
        return False
    return True
