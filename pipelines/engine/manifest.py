"""The manifest: which Parquet files hold the store and up to which frame; replaced in one step, rebuilt when lost."""

import json
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.engine.errors import StoreError
from pipelines.engine.journal import number, segments, sync_folder

log = logging.getLogger("townboard")
NAME = "manifest.json"
# Under this key every Parquet file says what the manifest says of it, so that the manifest can be made again.
ABOUT = "townboard"


@dataclass(frozen=True)
class Part:
    """One Parquet file: its path below the store, the rows in it, the span of their time column, size and CRC-32."""

    file: str
    rows: int
    low: datetime | None
    high: datetime | None
    size: int = -1
    crc: int = 0

    def meets(self, low: datetime | None, high: datetime | None) -> bool:
        """Whether it may hold rows of [low, high]; None is without end."""
        if self.low is None or self.high is None:
            return True
        return (high is None or self.low <= high) and (low is None or self.high >= low)

    def within(self, low: datetime, high: datetime) -> float:
        """About how many of its rows lie in [low, high), if they lie evenly in its span."""
        if self.low is None or self.high is None or self.high < low or self.low >= high:
            return 0.0
        whole = (self.high - self.low).total_seconds()
        shared = (min(self.high, high) - max(self.low, low)).total_seconds()
        return self.rows * (shared / whole if whole else 1.0)


@dataclass(frozen=True)
class Manifest:
    """Everything that is compacted. parts: table (or rollup) -> partition -> Part.

    Invariant: the parts hold exactly the newest row per key of all frames up to applied_seq, but for what retention
    has taken: let_go has, by table, the newest instant of a row that is gone. Made again after a loss, they may hold
    rows of frames up to held_seq too, which lies beyond applied_seq then.
    """

    rev: int = 0
    applied_seq: int = 0
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    let_go: dict[str, datetime] = field(default_factory=dict)
    held_seq: int = 0

    @property
    def doubtful(self) -> bool:
        """Whether a row of the journal's tail may stand in the parts already."""
        return self.held_seq > self.applied_seq

    def files(self) -> set[str]:
        """Paths of all files named."""
        return {part.file for partitions in self.parts.values() for part in partitions.values()}

    def without(self, files: set[str]) -> "Manifest":
        """The same without these files."""
        parts = {
            table: {name: part for name, part in partitions.items() if part.file not in files}
            for table, partitions in self.parts.items()
        }
        return replace(self, parts=parts)


def read(store: Path) -> Manifest:
    """The manifest of a store; made again from the Parquet files and the journal where it is lost or damaged.

    Raises StoreError when it is lost and the files do not tell enough.
    """
    try:
        return _parsed((store / NAME).read_bytes())
    except FileNotFoundError:
        return rebuilt(store)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s is damaged (%s); it is made again from the Parquet files", store / NAME, error)
        return rebuilt(store)


def held(store: Path, manifest: Manifest, folder: Path) -> Path:
    """A folder that holds the files of a manifest as links, so that they stay when a compaction replaces them.

    Raises FileNotFoundError when one has gone meanwhile: a newer manifest is published then.
    """
    for name in manifest.files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(store / name)
    return folder


def mark(store: Path) -> tuple[int, int, int] | None:
    """What tells the manifest that is published from the one before without reading it; None where there is none."""
    try:
        about = (store / NAME).stat()
    except FileNotFoundError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size


def mended(store: Path) -> Manifest:
    """The manifest, written anew where it was lost; for whoever alone writes this store."""
    current = read(store)
    try:
        _parsed((store / NAME).read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        if current.rev:
            log.warning("%s was lost and has been made again up to frame %d", store / NAME, current.applied_seq)
            write(store, current)
    return current


def _parsed(raw: bytes) -> Manifest:
    document: dict[str, Any] = json.loads(raw)
    said = document.pop("crc", None)
    if said is not None and said != _checksum(document):
        raise ValueError("its checksum does not fit")
    parts = {
        table: {name: _part(about) for name, about in partitions.items()}
        for table, partitions in document["parts"].items()
    }
    let_go = {table: datetime.fromisoformat(at) for table, at in document.get("let_go", {}).items()}
    return Manifest(document["rev"], document["applied_seq"], parts, let_go, document.get("held_seq", 0))


def _part(about: Mapping[str, Any]) -> Part:
    low, high = (_instant(about[edge]) for edge in ("low", "high"))
    return Part(about["file"], about["rows"], low, high, about.get("size", -1), about.get("crc", 0))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _checksum(document: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(document, sort_keys=True).encode())


def write(store: Path, manifest: Manifest) -> None:
    """Publish a manifest: written beside, made durable, renamed, the folder made durable."""
    parts = {
        table: {name: asdict(part) | {"low": _text(part.low), "high": _text(part.high)} for name, part in found.items()}
        for table, found in manifest.parts.items()
    }
    let_go = {table: at.isoformat() for table, at in manifest.let_go.items()}
    about = {"rev": manifest.rev, "applied_seq": manifest.applied_seq, "held_seq": manifest.held_seq}
    document = {**about, "parts": parts, "let_go": let_go}
    beside = store / f"{NAME}.new"
    with beside.open("w") as file:
        json.dump({**document, "crc": _checksum(document)}, file, indent=0)
        file.flush()
        os.fsync(file.fileno())
    beside.rename(store / NAME)
    sync_folder(store)


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def damaged(store: Path, manifest: Manifest, bytes_to_read: int) -> dict[str, str]:
    """Files of the manifest that are not as they were written, with the fault in words.

    All are looked at for their size; the newest, up to so many bytes, are read whole.
    """
    found: dict[str, str] = {}
    parts = [part for partitions in manifest.parts.values() for part in partitions.values()]
    for part in sorted(parts, key=lambda part: _rev(Path(part.file)), reverse=True):
        words = fault(store, part, whole=bytes_to_read > 0)
        bytes_to_read -= max(part.size, 0)
        if words:
            found[part.file] = words
    return found


def fault(store: Path, part: Part, *, whole: bool) -> str | None:
    """What is wrong with a file, in words; None when it is as it was written."""
    path = store / part.file
    try:
        size = path.stat().st_size
        if part.size >= 0 and size != part.size:
            return f"{part.file} has {size:,} bytes where {part.size:,} were written"
        if whole and part.size >= 0 and zlib.crc32(path.read_bytes()) != part.crc:
            return f"{part.file} does not match its checksum"
        if whole and part.size < 0:
            pl.read_parquet(path)
    except FileNotFoundError:
        return f"{part.file} is missing"
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return f"{part.file} cannot be read ({type(error).__name__})"
    return None


# made again ---------------------------------------------------------------------------------------------------------


def rebuilt(store: Path) -> Manifest:
    """The manifest that the Parquet files and the journal give: of each partition the newest whole file.

    A pass that was not published may have left files of its own: they hold frames that are read once more from the
    journal, which changes nothing. Frames that the journal no longer has were published before they were dropped.
    Raises StoreError when no file says up to which frame it goes.
    """
    newest: dict[tuple[str, str], tuple[int, Part]] = {}
    last: tuple[int, dict[str, Any]] = (0, {})
    held = 0
    for path in [*store.glob("cold/*/*.parquet"), *store.glob("roll/*/*.parquet")]:
        about, rev = _about(path), _rev(path)
        if about is None:
            continue
        table = path.parent.name if path.parts[-3] == "cold" else f"roll_{path.parent.name}"
        key = (table, path.name.rsplit(".", 2)[0])
        if rev > newest.get(key, (0, None))[0]:
            low, high = (_instant(about.get(edge)) for edge in ("low", "high"))
            part = Part(str(path.relative_to(store)), about.get("rows", 0), low, high, *measured(path))
            newest[key] = (rev, part)
        if about and rev > last[0]:
            last = (rev, about)
        held = max(held, about.get("applied", 0))
    if not newest:
        return Manifest()
    if not last[1]:
        raise StoreError(
            f"{store / NAME} is lost and its files are too old to tell what it said. "
            "Restore the last backup: python app.py restore FILE"
        )
    first = next((number(path) for path in segments(store / "journal")), None)
    applied = last[1]["applied"] if first is None else max(last[1]["before"], first - 1)
    parts: dict[str, dict[str, Part]] = {}
    for (table, partition), (_, part) in sorted(newest.items()):
        parts.setdefault(table, {})[partition] = part
    return Manifest(last[0], applied, parts, held_seq=held)


def _about(path: Path) -> dict[str, Any] | None:
    """What a file says of itself; empty for one of an earlier version, None for one that is no whole Parquet file."""
    try:
        found: dict[str, Any] = json.loads(pl.read_parquet_metadata(path).get(ABOUT, "{}"))
    except (OSError, ValueError, pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    return found


def measured(path: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file as it lies there."""
    raw = path.read_bytes()
    return len(raw), zlib.crc32(raw)


def _rev(path: Path) -> int:
    """The revision in a file's name: <partition>.<rev>.parquet."""
    rev = path.name.rsplit(".", 2)[-2]
    return int(rev) if rev.isdigit() else 0
