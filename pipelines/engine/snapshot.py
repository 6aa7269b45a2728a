"""The snapshot: immutable, numbered, serialised and compressed once; one file that every reader may hold."""

import os
import struct
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import brotli
import orjson

MAGIC = b"TBF1"
HEADER = struct.Struct("<4sQQ5I")
KEYED = ("kpis", "feeds", "assets")
WHOLE = ("alarms", "alarm_summary", "jobs", "ledger", "town", "build")
GZIP_STREAM_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
# The empty last block that ends a deflate stream.
LAST_BLOCK = b"\x03\x00"

State = Mapping[str, Any]


class NotAFrame(ValueError):
    """The file is not a whole snapshot frame; the reader keeps the one it has."""


def block(body: bytes) -> bytes:
    """A raw deflate block that ends on a byte and refers to nothing before it: it may follow any in a gzip stream.

    So one compression serves every open stream (RFC 1951, full flush).
    """
    squeeze = zlib.compressobj(6, zlib.DEFLATED, -15)
    return squeeze.compress(body) + squeeze.flush(zlib.Z_FULL_FLUSH)


def zipped(packed: bytes, body: bytes) -> bytes:
    """A whole gzip file around the block of a body that is packed already."""
    return GZIP_STREAM_HEAD + packed + LAST_BLOCK + struct.pack("<II", zlib.crc32(body), len(body) & 0xFFFFFFFF)


def event(name: str, seq: int, packed: bytes) -> bytes:
    """One server-sent event, as blocks, around its data that is packed already."""
    return block(b"id: %d\nevent: %s\ndata: " % (seq, name.encode())) + packed + block(b"\n\n")


def changes(before: State | None, after: State) -> dict[str, Any]:
    """What differs between two states: changed and removed keys of the keyed parts, other parts whole."""
    delta: dict[str, Any] = {"seq": after["seq"], "built_at": after["built_at"]}
    if before is None:
        return {**after, "prev": 0}
    delta["prev"] = before["seq"]
    for part in KEYED:
        old, new = before.get(part, {}), after.get(part, {})
        changed = {key: value for key, value in new.items() if old.get(key) != value}
        gone = [key for key in old if key not in new]
        if changed:
            delta[part] = changed
        if gone:
            delta.setdefault("gone", {})[part] = gone
    for part in WHOLE:
        if before.get(part) != after.get(part):
            delta[part] = after.get(part)
    return delta


@dataclass(frozen=True)
class Snapshot:
    """The state that every screen shows at one instant, with its bytes ready to send.

    `state` holds seq, built_at, build, town, kpis ("kpi|area" -> row), feeds, assets, alarms, jobs, ledger.
    """

    seq: int
    built_us: int
    json: bytes
    gz: bytes
    br: bytes
    stream_full: bytes
    stream_delta: bytes

    @classmethod
    def build(cls, state: State, before: State | None = None) -> "Snapshot":
        """Serialise and compress a state, and its difference from the one before, once for all."""
        full = orjson.dumps(state, option=orjson.OPT_NAIVE_UTC)
        delta = orjson.dumps(changes(before, state), option=orjson.OPT_NAIVE_UTC)
        seq = int(state["seq"])
        packed = block(full)
        built_us = int(datetime.fromisoformat(state["built_at"]).timestamp() * 1_000_000)
        return cls(
            seq,
            built_us,
            full,
            zipped(packed, full),
            brotli.compress(full, quality=4),
            event("full", seq, packed),
            event("delta", seq, block(delta)),
        )

    @cached_property
    def state(self) -> dict[str, Any]:
        """The state as Python objects, parsed on first use."""
        return orjson.loads(self.json)

    def write(self, path: Path) -> None:
        """Replace the file in one step: a reader sees the old snapshot or the new one, never half of one."""
        parts = (self.json, self.gz, self.br, self.stream_full, self.stream_delta)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".board")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(HEADER.pack(MAGIC, self.seq, self.built_us, *map(len, parts)))
                file.writelines(parts)
            Path(beside).chmod(0o644)
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    @classmethod
    def read(cls, path: Path) -> "Snapshot":
        """The snapshot in this file.

        Raises NotAFrame when it is cut short or something else.
        """
        raw = path.read_bytes()
        if len(raw) < HEADER.size:
            raise NotAFrame(str(path))
        magic, seq, built_us, *lengths = HEADER.unpack_from(raw)
        if magic != MAGIC or len(raw) != HEADER.size + sum(lengths):
            raise NotAFrame(str(path))
        parts, at = [], HEADER.size
        for length in lengths:
            parts.append(raw[at : at + length])
            at += length
        return cls(seq, built_us, *parts)


class Board:
    """The newest published snapshot of a town, re-read only when the file was replaced: one stat() per look."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._snapshot: Snapshot | None = None

    def look(self) -> Snapshot | None:
        """The newest whole snapshot, or None when none was ever published."""
        try:
            stat = self.path.stat()
            key = (stat.st_ino, stat.st_mtime_ns)
            if key != self._seen:
                self._snapshot, self._seen = Snapshot.read(self.path), key
        except (OSError, NotAFrame):
            return self._snapshot
        return self._snapshot
