"""Large exports on disk for a while: made once by few workers, followed while they grow, resumed byte for byte."""

import hashlib
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import orjson

from pipelines.engine.spans import Extract

log = logging.getLogger("townboard")
# Two: they share two cores with whoever reads pages, and a third would only make each of them slower.
WORKERS = 2
KEPT_FOR = timedelta(hours=6)
# All that stands ready; beyond it the oldest goes.
MOST_BYTES = 4 << 30
# So much stays free for the line, which works on the same disk.
SPARE_BYTES = 1 << 30
# About so many rows fit; more are streamed as they are read and cannot be resumed.
MOST_ROWS = 20_000_000
RUNNING, READY, FAILED = "running", "ready", "failed"
# How often an export notes how far it is, for whoever asks another process of the town; and how long after the last
# note nobody makes it any more (a workbook is put together in one go).
NOTED_EVERY_S, DEAD_AFTER = 0.5, timedelta(minutes=3)
BROKEN = "It broke off. Ask for it once more."
PART, FACTS = ".part", ".json"

Write = Callable[["Making", Extract], None]


@dataclass
class Making:
    """One export while it is made and afterwards; `changed` is told whenever rows or bytes have been added.

    `asked` is the address that it answers, `owner` whoever alone may fetch it (empty: everybody who knows its name);
    `clock` is that of one that another process makes.
    """

    id: str
    path: Path
    form: str
    asked: str = ""
    owner: str = ""
    guessed: int = 0
    state: str = RUNNING
    words: str = ""
    rows: int = 0
    size: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    clock: Callable[[], datetime] | None = None
    noted_at: float = 0.0

    def look(self) -> str:
        """Its state now, also when another process makes it."""
        if self.clock is not None and self.state == RUNNING:
            with suppress(OSError, ValueError):
                self.read(self.clock().timestamp())
        return self.state

    def read(self, now: float) -> None:
        """Take over what its maker has noted last.

        Raises OSError, ValueError when there is no such note.
        """
        note = self.path.with_suffix(FACTS)
        raw = orjson.loads(note.read_bytes())
        self.form, self.asked, self.owner, self.guessed = (raw[name] for name in ("form", "asked", "owner", "guessed"))
        self.rows, self.size, self.facts, self.words = (raw[name] for name in ("rows", "size", "facts", "words"))
        dead = raw["state"] == RUNNING and now - note.stat().st_mtime > DEAD_AFTER.total_seconds()
        self.state, self.words = (FAILED, BROKEN) if dead else (raw["state"], self.words)

    def note(self) -> None:
        """Note how far it is."""
        names = ("form", "asked", "owner", "guessed", "rows", "size", "facts", "words", "state")
        beside = self.path.with_suffix(".note")
        beside.write_bytes(orjson.dumps({name: getattr(self, name) for name in names}, option=orjson.OPT_UTC_Z))
        beside.replace(self.path.with_suffix(FACTS))
        self.noted_at = time.monotonic()

    def passed(self, rows: int) -> None:
        """So many rows have passed by now."""
        self.rows = rows
        if time.monotonic() - self.noted_at > NOTED_EVERY_S:
            self.note()

    @property
    def tag(self) -> str:
        """Its ETag: these bytes and no others."""
        return f'"export-{self.id}"'

    def shown(self) -> dict[str, Any]:
        """Its manifest: what it holds, how far it is, and (once ready) the hash of its bytes."""
        how = {"export": self.id, "state": self.state, "rows": self.rows, "bytes": self.size}
        rest = {"words": self.words} if self.words else {}
        about = {"about_rows": self.guessed} if self.state == RUNNING and self.guessed else {}
        return {**how, **about, **rest, **self.facts}


class Depot:
    """The exports of one process, and those that others of the same town have left ready on disk."""

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder, self._clock = folder, clock
        self._made: dict[str, Making] = {}
        self._workers: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()

    def place(self) -> Path:
        """The folder, made when it is first needed.

        Raises OSError where nobody may write.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def has_room(self, wanted: Extract) -> bool:
        """Whether an export of about this size can be kept while it is fetched."""
        try:
            return wanted.guessed() <= MOST_ROWS and shutil.disk_usage(self.place()).free > SPARE_BYTES
        except OSError:
            return False

    def make(self, wanted: Extract, form: str, write: Write, *, asked: str = "", owner: str = "") -> Making:
        """An export that is being made from now on."""
        self.sweep()
        name = secrets.token_hex(12)
        making = Making(name, self.place() / f"{name}{PART}", form, asked, owner, wanted.guessed())
        making.path.touch(0o600)
        making.note()
        with self._lock:
            self._made[name] = making
            self._workers = self._workers or ThreadPoolExecutor(WORKERS, "export")
        self._workers.submit(self._run, making, wanted, write)
        return making

    def find(self, name: str) -> Making | None:
        """The export of this name; None when there is none, or no more."""
        with self._lock:
            found = self._made.get(name)
        if found is None and name.isalnum():
            found = self._left(name)
        return found if found is not None and found.path.exists() else None

    def sweep(self) -> None:
        """Let go of what was kept long enough, and of the oldest beyond what may lie here."""
        now, size = self._clock(), 0
        standing = [(path, path.stat()) for path in self.place().iterdir()]
        for path, about in sorted(standing, key=lambda one: one[1].st_mtime, reverse=True):
            old = now - datetime.fromtimestamp(about.st_mtime, UTC) > KEPT_FOR
            if path.is_dir() and old:
                # What a killed export held.
                shutil.rmtree(path, ignore_errors=True)
            size += about.st_size if path.suffix == PART else 0
            if path.suffix == PART and (old or size > MOST_BYTES) and not self._is_running(path):
                self._forget(path)

    def _is_running(self, path: Path) -> bool:
        known = self._made.get(path.name.removesuffix(PART))
        return known is not None and known.state == RUNNING

    def _forget(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.with_suffix(FACTS).unlink(missing_ok=True)
        with self._lock:
            self._made.pop(path.name.removesuffix(PART), None)

    def _run(self, making: Making, wanted: Extract, write: Write) -> None:
        try:
            write(making, wanted)
            making.state = READY
        except Exception:
            log.exception("the export %s of %s broke off", making.id, wanted.name)
            making.words, making.state = BROKEN, FAILED
        with suppress(OSError):
            making.note()

    def _left(self, name: str) -> Making | None:
        """One that an earlier life, or another process of this town, makes or has made."""
        making = Making(name, self._folder / f"{name}{PART}", "", clock=self._clock)
        try:
            making.read(self._clock().timestamp())
        except (OSError, ValueError):
            return None
        return making


class Counting:
    """A file that is written, with the number of bytes told to its export, and their hash."""

    def __init__(self, file: IO[bytes], making: Making) -> None:
        self._file, self._making, self._digest = file, making, hashlib.sha256()

    def writelines(self, blocks: Iterable[bytes]) -> None:
        """Write blocks; each can be fetched as soon as it is there."""
        for block in blocks:
            self._file.write(block)
            self._file.flush()
            self._digest.update(block)
            self._making.size += len(block)

    @property
    def digest(self) -> str:
        """SHA-256 of all that was written, in hex."""
        return self._digest.hexdigest()
