"""The vault: what is personal about filed requests, in one file that can forget; the journal never sees any of it."""

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.errors import StoreError
from pipelines.engine.journal import sync_folder
from pipelines.engine.state_file import PATIENCE_S, read_only, sealed, set_aside, unsealed

NAME, FOLDER = "private.sqlite", "private"
SCHEMA = """
CREATE TABLE IF NOT EXISTS cases (
  number TEXT PRIMARY KEY, filed_at TEXT NOT NULL, row TEXT NOT NULL, landed INTEGER NOT NULL, personal TEXT,
  closed_at TEXT, entered_by TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS cases_filed ON cases (filed_at);
CREATE TABLE IF NOT EXISTS pictures (file TEXT PRIMARY KEY, number TEXT NOT NULL, kind TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS erased (number TEXT PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
SECRET_BYTES = 32
# A picture that no case names was left by a crash, unless its case is being written at this moment.
ORPHANED = timedelta(hours=1)


@dataclass(frozen=True)
class Picture:
    """One attachment: its file in the vault's folder, and what it is (a media type)."""

    file: str
    kind: str


@dataclass(frozen=True)
class Case:
    """What the vault holds of a request; `personal` is empty once it is erased, and `erased` says when and by whom."""

    number: str
    filed_at: datetime
    row: Mapping[str, Any]
    landed: bool
    personal: Mapping[str, Any]
    pictures: tuple[Picture, ...]
    closed_at: datetime | None
    entered_by: str
    erased: tuple[str, str] | None


def path_of(store: Path) -> Path:
    """The vault's file in a store."""
    return store / NAME


def folder_of(store: Path) -> Path:
    """The folder of its pictures."""
    return store / FOLDER


def prepare(store: Path) -> bytes:
    """Make the vault where it is not there yet; gives the town's secret.

    One that cannot be read is set aside and begun anew: numbers and rows of requests stand in the journal, what was
    personal and cannot be read is lost.
    Raises StoreError.
    """
    try:
        return _secret(store)
    except StoreError as error:
        if not isinstance(error.__cause__, sqlite3.DatabaseError) or not _is_broken(path_of(store)):
            raise
        set_aside(path_of(store))
        return _secret(store)


def shut(store: Path) -> None:
    """Leave a vault that came out of an archive to the user who runs the town alone."""
    for path in (path_of(store), *folder_of(store).glob("*")):
        if path.exists():
            path.chmod(0o600)
    if folder_of(store).is_dir():
        folder_of(store).chmod(0o700)


def _secret(store: Path) -> bytes:
    folder_of(store).mkdir(mode=0o700, parents=True, exist_ok=True)
    with changing(store) as db:
        db.execute("INSERT OR IGNORE INTO secrets VALUES ('town', ?)", [secrets.token_bytes(SECRET_BYTES)])
        return bytes(db.execute("SELECT value FROM secrets WHERE name = 'town'").fetchone()[0])


def _is_broken(path: Path) -> bool:
    try:
        with closing(read_only(path)) as db:
            return [text for (text,) in db.execute("PRAGMA integrity_check(1)")] != ["ok"]
    except sqlite3.DatabaseError:
        return True


@contextmanager
def changing(store: Path) -> Iterator[sqlite3.Connection]:
    """The vault for one durable change; what is deleted in it is overwritten on the disk.

    Raises StoreError when the disk does not take it: nothing has changed then.
    """
    path = path_of(store)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        with closing(sqlite3.connect(path, timeout=PATIENCE_S)) as db:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                db.execute(f"PRAGMA {pragma}")
            db.executescript(SCHEMA)
            with db:
                db.execute("BEGIN IMMEDIATE")
                yield db
    except (sqlite3.DatabaseError, OSError) as error:
        raise StoreError(f"{path} cannot be written ({error}). Nothing was changed. Check the disk.") from error


def read_secret(store: Path) -> bytes | None:
    """The town's secret, read from another process; None before a line has run."""
    try:
        with closing(read_only(path_of(store))) as db:
            row = db.execute("SELECT value FROM secrets WHERE name = 'town'").fetchone()
    except sqlite3.DatabaseError:
        return None
    return bytes(row[0]) if row else None


# putting in -----------------------------------------------------------------------------------------------------------


def put(
    store: Path, number: str, filed_at: datetime, row: Mapping[str, Any], *, personal: Mapping[str, Any],
    pictures: Sequence[tuple[str, bytes]], entered_by: str = "",
) -> None:  # fmt: skip
    """Keep a request durably, before its row goes into the journal; pictures are (media type, bytes).

    Raises StoreError.
    """
    try:
        files = [(_written(folder_of(store), body), kind) for kind, body in pictures]
        if files:
            sync_folder(folder_of(store))
    except OSError as error:
        raise StoreError(f"the pictures could not be kept ({error.strerror}). Nothing was filed.") from error
    with changing(store) as db:
        db.execute(
            "INSERT INTO cases VALUES (?, ?, ?, 0, ?, NULL, ?)",
            [number, filed_at.isoformat(), sealed(row), sealed(personal), entered_by],
        )
        db.executemany("INSERT INTO pictures VALUES (?, ?, ?)", [(file, number, kind) for file, kind in files])


def _written(folder: Path, body: bytes) -> str:
    """A new file that holds these bytes, on the disk; its name tells nothing."""
    name = secrets.token_hex(16)
    handle = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())
    return name


def landed(store: Path, number: str, closed_at: datetime | None) -> None:
    """Note that the request's row is in the journal, and when it was closed, from when on its personal data ages."""
    with changing(store) as db:
        change = "UPDATE cases SET landed = 1, closed_at = ? WHERE number = ?"
        db.execute(change, [closed_at and closed_at.isoformat(), number])


def withdraw(store: Path, number: str) -> None:
    """Take out a request that could not be filed after all."""
    with changing(store) as db:
        gone = db.execute("DELETE FROM cases WHERE number = ? AND landed = 0", [number]).rowcount
        files = _unnamed(db, [number] if gone else [])
    _unlink(store, files)


# looking --------------------------------------------------------------------------------------------------------------


def cases(store: Path, where: str = "1", wanted: Sequence[object] = (), limit: int = 500) -> list[Case]:
    """The cases that meet a condition over the table's columns, the newest first; none before a line has run.

    Raises StoreError.
    """
    if not path_of(store).exists():
        return []
    chosen = "number, filed_at, row, landed, personal, closed_at, entered_by"
    query = f"SELECT {chosen} FROM cases WHERE {where} ORDER BY filed_at DESC, number LIMIT {int(limit)}"
    try:
        with closing(read_only(path_of(store))) as db:
            found = db.execute(query, wanted).fetchall()
            return [_case(db, row) for row in found]
    except sqlite3.DatabaseError as error:
        raise StoreError(f"filed requests cannot be read ({error}). Try again in a moment.") from error


def case(store: Path, number: str) -> Case | None:
    """The case of this number.

    Raises StoreError.
    """
    return next(iter(cases(store, "number = ?", [number])), None)


def _case(db: sqlite3.Connection, found: Sequence[Any]) -> Case:
    number, filed_at, row, is_landed, personal, closed_at, entered_by = found
    pictures = db.execute("SELECT file, kind FROM pictures WHERE number = ? ORDER BY rowid", [number])
    gone = db.execute("SELECT at, who FROM erased WHERE number = ?", [number]).fetchone()
    return Case(
        number, datetime.fromisoformat(filed_at), unsealed(row) or {}, bool(is_landed),
        (unsealed(personal) or {}) if personal else {}, tuple(Picture(*picture) for picture in pictures),
        datetime.fromisoformat(closed_at) if closed_at else None, entered_by, tuple(gone) if gone else None,
    )  # fmt: skip


# forgetting -----------------------------------------------------------------------------------------------------------


def erase(store: Path, gone: Mapping[str, tuple[str, str]]) -> int:
    """Forget what is personal of these numbers (when, by whom); how many had anything. Doing it again changes nothing.

    The numbers stay as erased, so that a copy from before can be made to forget the same.
    Raises StoreError.
    """
    with changing(store) as db:
        known = [number for number in gone if _has_anything(db, number)]
        rows = [(number, *about) for number, about in gone.items()]
        db.executemany("INSERT OR IGNORE INTO erased VALUES (?, ?, ?)", rows)
        db.executemany("UPDATE cases SET personal = NULL WHERE number = ?", [[number] for number in gone])
        files = _unnamed(db, gone)
    _unlink(store, files)
    _settle(store)
    return len(known)


def _unnamed(db: sqlite3.Connection, numbers: Iterable[str]) -> list[str]:
    """Take the pictures of these cases out of the vault; their files, which go when that is durable."""
    files = []
    for number in numbers:
        files += [file for (file,) in db.execute("SELECT file FROM pictures WHERE number = ?", [number])]
        db.execute("DELETE FROM pictures WHERE number = ?", [number])
    return files


def _unlink(store: Path, files: Iterable[str]) -> None:
    for file in files:
        (folder_of(store) / file).unlink(missing_ok=True)


def _has_anything(db: sqlite3.Connection, number: str) -> bool:
    asked = "SELECT 1 FROM cases WHERE number = ? AND personal IS NOT NULL"
    return db.execute(asked, [number]).fetchone() is not None


def _settle(store: Path) -> None:
    """Bring the change out of SQLite's log, where the old pages still stand, and drop what was set aside as damaged."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path_of(store), timeout=PATIENCE_S)) as db:
        db.execute("PRAGMA secure_delete=ON")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    stem = Path(NAME).stem
    for aside in store.glob(f"{stem}.damaged-*"):
        aside.unlink(missing_ok=True)


def erased(store: Path) -> dict[str, tuple[str, str]]:
    """Every number that was erased, with when and by whom.

    Raises StoreError.
    """
    if not path_of(store).exists():
        return {}
    try:
        with closing(read_only(path_of(store))) as db:
            return {number: (at, who) for number, at, who in db.execute("SELECT number, at, who FROM erased")}
    except sqlite3.DatabaseError as error:
        raise StoreError(f"what was erased cannot be read ({error}). Try again in a moment.") from error


def aged(store: Path, before: datetime) -> list[str]:
    """Numbers of the requests that were closed before an instant and still hold something personal."""
    found = cases(store, "personal IS NOT NULL AND closed_at < ?", [before.isoformat()], limit=10_000)
    return [one.number for one in found]


def sweep(store: Path, now: datetime) -> None:
    """Delete the pictures that no case names any more: a crash left them."""
    with suppress(sqlite3.DatabaseError, FileNotFoundError), closing(read_only(path_of(store))) as db:
        named = {file for (file,) in db.execute("SELECT file FROM pictures")}
        for path in folder_of(store).iterdir():
            if path.name not in named and now.timestamp() - path.stat().st_mtime > ORPHANED.total_seconds():
                path.unlink(missing_ok=True)
