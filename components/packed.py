"""Scripts and styles ready to send: compressed once, and kept on disk so that the next start need not do it again."""

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import brotli

ALREADY_PACKED = (b"image/png", b"font/woff2", b"image/jpeg")
# Files of a version that nobody has started for so long are swept away.
UNUSED_S = 30 * 86_400.0
Squeeze = Callable[[bytes], bytes]


@dataclass(frozen=True)
class File:
    """One file with its bytes ready to send."""

    raw: bytes
    gz: bytes | None
    br: bytes | None
    kind: bytes
    tag: bytes


@lru_cache(maxsize=128)
def pack(raw: bytes, kind: bytes, shelf: Path) -> File:
    """The file compressed well: from the shelf, else slowly, so once per content and in a thread."""
    name = hashlib.sha1(raw, usedforsecurity=False).hexdigest()[:16]
    tag = b'"%s"' % name.encode()
    if kind.split(b";")[0] in ALREADY_PACKED or len(raw) < 500:
        return File(raw, None, None, kind, tag)
    quality = 9 if len(raw) > 300_000 else 11
    gz = _kept(raw, shelf / f"{name}.gz", lambda raw: gzip.compress(raw, 9, mtime=0), gzip.decompress)
    br = _kept(raw, shelf / f"{name}.{quality}.br", lambda raw: brotli.compress(raw, quality=quality), _unbrotli)
    return File(raw, gz, br, kind, tag)


def _kept(raw: bytes, path: Path, squeeze: Squeeze, unsqueeze: Squeeze) -> bytes:
    """The compressed bytes from the shelf; made and put there when it has none, or none that unpack to this file."""
    # A power cut may leave anything under this name, so only what unpacks to the very file is trusted.
    with suppress(OSError, EOFError, zlib.error, brotli.error):
        found = path.read_bytes()
        if unsqueeze(found) == raw:
            with suppress(OSError):
                os.utime(path)
            return found
    made = squeeze(raw)
    with suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.new")
        beside.write_bytes(made)
        beside.replace(path)
    return made


def _unbrotli(packed: bytes) -> bytes:
    return bytes(brotli.decompress(packed))


def sweep(shelf: Path) -> None:
    """Take off the shelf what no start has used in the month before the last use of any."""
    with suppress(OSError):
        used = {path: path.stat().st_mtime for path in shelf.iterdir()}
        newest = max(used.values(), default=0.0)
        for path, at in used.items():
            if newest - at > UNUSED_S:
                path.unlink()
