"""A tar with checksums inside: written beside, read back whole and only then renamed; packed with zstd by its name."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow as pa

from pipelines.engine import disk
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import sync_folder

ABOUT, SUMS = "backup.json", "SHA256SUMS"
ENDINGS = (".tar", ".tar.zst")
PART = ".part"
FORM = 1
CHUNK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """An archive that was read from its first to its last byte and is as it was written."""

    file: Path
    made_at: datetime
    files: int
    size: int


def write(folder: Path, target: Path) -> Archive:
    """All files of a folder, one of them ABOUT, as an archive; under its name only when it has been read back whole.

    Raises OSError when the disk refuses.
    """
    beside = target.with_name(target.name + PART)
    try:
        _write(folder, beside)
        made = read(beside)
        beside.rename(target)
        sync_folder(target.parent)
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
    return Archive(target, made.made_at, made.files, made.size)


def files(folder: Path) -> list[Path]:
    """Every file below a folder, in order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


class _Summing:
    """A file that is read through, with the checksum of what came by."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        self.digest.update(found)
        return found


def _write(folder: Path, beside: Path) -> None:
    """All files of the folder, then their checksums in the form of `sha256sum`; durable when this returns."""
    sums = []
    with _stream(beside, "wb") as raw, tarfile.open(fileobj=raw, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for path in files(folder):
            name = path.relative_to(folder).as_posix()
            with path.open("rb") as file:
                info = tar.gettarinfo(arcname=name, fileobj=file)
                info.type, info.size, info.linkname = tarfile.REGTYPE, os.fstat(file.fileno()).st_size, ""
                info.uid, info.gid, info.uname, info.gname = 0, 0, "", ""
                summing = _Summing(file)
                tar.addfile(info, summing)
            sums.append(f"{summing.digest.hexdigest()}  {name}\n")
        body = "".join(sums).encode()
        info = tarfile.TarInfo(SUMS)
        info.size = len(body)
        tar.addfile(info, io.BytesIO(body))
    with beside.open("rb+") as file:
        os.fsync(file.fileno())


def _new(path: Path) -> IO[bytes]:
    """A new file for the user who runs the town alone: what is personal stands in it too."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600), "wb")


@contextmanager
def _stream(path: Path, mode: str) -> Iterator[Any]:
    """The bytes of the tar in a file, which may be packed with zstd."""
    with _new(path) if mode == "wb" else path.open(mode) as file:
        if not path.name.removesuffix(PART).endswith(".zst"):
            yield file
            return
        packed = pa.CompressedOutputStream if mode == "wb" else pa.CompressedInputStream
        with packed(file, "zstd") as stream:
            yield stream


def read(file: Path, into: Path | None = None) -> Archive:
    """The archive, read and compared; with `into`, its files are written there and are durable.

    Raises StoreError when it is damaged or no archive of ours, OSError when the disk refuses.
    """
    found: dict[str, str] = {}
    promised: dict[str, str] = {}
    about: dict[str, Any] = {}
    try:
        with _stream(file, "rb") as raw, tarfile.open(fileobj=raw, mode="r|") as tar:
            for info in tar:
                body = tar.extractfile(info) if info.isreg() and _inside(info.name) else None
                if body is None:
                    raise tarfile.ReadError(f"{info.name} is no plain file of a town")
                if info.name == SUMS:
                    promised = _promised(body.read().decode())
                    continue
                found[info.name], kept = _taken(body, into / info.name if into else None, keep=info.name == ABOUT)
                about = json.loads(kept) if info.name == ABOUT else about
        _compare(found, promised)
        if about["format"] != FORM:
            raise StoreError(f"{file} was written by a newer Townboard. Update this one, then try again.")
        return Archive(file, datetime.fromisoformat(about["made_at"]), len(found), file.stat().st_size)
    except FileNotFoundError as error:
        raise StoreError(f"{file} does not exist. Check the name, and that its disk is in.") from error
    except (tarfile.TarError, EOFError, ValueError, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno in disk.WORDS:
            raise
        raise StoreError(
            f"{file} is damaged or no backup of Townboard ({error}). Nothing was changed. Use an older backup."
        ) from error


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _promised(text: str) -> dict[str, str]:
    """File -> checksum, as the archive says."""
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}


def _taken(body: IO[bytes], target: Path | None, *, keep: bool) -> tuple[str, bytes]:
    """The checksum of a file in the archive and, with `keep`, its content; written to `target` when there is one."""
    summing, kept = _Summing(body), b""
    if target is None:
        while chunk := summing.read(CHUNK):
            kept += chunk if keep else b""
        return summing.digest.hexdigest(), kept
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while chunk := summing.read(CHUNK):
            file.write(chunk)
            kept += chunk if keep else b""
        file.flush()
        os.fsync(file.fileno())
    return summing.digest.hexdigest(), kept


def _compare(found: dict[str, str], promised: dict[str, str]) -> None:
    if found != promised:
        wrong = sorted(name for name in {*found, *promised} if found.get(name) != promised.get(name))
        raise tarfile.ReadError(f"{wrong[0]} is not as it was written" if promised else "its end is missing")
