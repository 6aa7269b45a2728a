"""The second place of a backup: a folder, or another computer by rsync or SFTP; what is put there is read again."""

import filecmp
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from pipelines.engine import archive, disk
from pipelines.engine.errors import StoreError
from pipelines.engine.journal import sync_folder

SCHEMES = ("rsync", "ssh+rsync", "sftp")
# A copy of some gigabytes over a slow link takes hours; a link that says nothing is given up sooner by the tools.
LONGEST_S = 6 * 3600
QUIET_S = 300
AFTERWARDS = (
    "rsync error",
    "Connection closed",
    "rsync: connection unexpectedly closed",
    "rsync: [sender] write error",
)
WAY = ("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=20")


class Place(Protocol):
    """Where copies go besides the first place."""

    def put(self, file: Path) -> None:
        """A file of this name stands there whole, and was found to be what was sent."""

    def names(self) -> list[str]:
        """The names of the files there."""

    def remove(self, names: Sequence[str]) -> None:
        """These are there no more."""


def place_of(address: str, key_file: Path | None = None) -> Place:
    """The place behind an address of [backup] second."""
    found = urlsplit(address)
    if found.scheme == "sftp":
        return Sftp(found, key_file)
    if found.scheme in SCHEMES:
        return Rsync(found, key_file)
    return Folder(Path(address))


@dataclass(frozen=True)
class Folder:
    """A folder: a stick, a network share that the system has mounted."""

    folder: Path

    def put(self, file: Path) -> None:
        """Copied beside, read back against the checksums inside, then given its name."""
        if not self.folder.is_dir():
            raise StoreError(f"the second place {self.folder} is not there. Put in the disk or mount the share.")
        beside = self.folder / (file.name + archive.PART)
        try:
            with file.open("rb") as source, beside.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            archive.read(beside)
            beside.rename(self.folder / file.name)
            sync_folder(self.folder)
        except OSError as error:
            raise StoreError(f"the second place {self.folder}: {disk.in_words(error)}.") from error
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Names of the files."""
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())

    def remove(self, names: Sequence[str]) -> None:
        """Deleted."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Rsync:
    """A module of an rsync server (rsync://host/module/path), or a folder over SSH (ssh+rsync://user@host/path)."""

    address: SplitResult
    key_file: Path | None

    @property
    def _target(self) -> str:
        if self.address.scheme == "rsync":
            return self.address.geturl().rstrip("/") + "/"
        user = f"{self.address.username}@" if self.address.username else ""
        return f"{user}{self.address.hostname}:{unquote(self.address.path)}/"

    def _options(self) -> list[str]:
        if self.address.scheme == "rsync":
            return [f"--timeout={QUIET_S}", *([f"--password-file={self.key_file}"] if self.key_file else [])]
        key = ("-i", str(self.key_file)) if self.key_file else ()
        port = ("-p", str(self.address.port)) if self.address.port else ()
        return [f"--timeout={QUIET_S}", "-e", shlex.join(("ssh", *WAY, *key, *port))]

    def put(self, file: Path) -> None:
        """Sent under another name first (rsync's own way), then both ends' checksums of all its bytes compared."""
        self._run("--partial-dir=.townboard-part", "--", str(file), self._target)
        differs = self._run("--checksum", "--dry-run", "--itemize-changes", "--no-times", "--", str(file), self._target)
        if differs.strip():
            raise StoreError(f"{self.address.geturl()} does not hold {file.name} as it was sent. It is sent again.")

    def names(self) -> list[str]:
        """Names of the files."""
        listed = self._run("--list-only", "--", self._target)
        return [line.split(maxsplit=4)[4] for line in listed.splitlines() if line.startswith("-")]

    def remove(self, names: Sequence[str]) -> None:
        """Deleted by being absent here; everything else there is excluded."""
        if not names:
            return
        with tempfile.TemporaryDirectory() as empty:
            only = [f"--include=/{name}" for name in names]
            self._run("--recursive", "--delete", *only, "--exclude=*", "--", f"{empty}/", self._target)

    def _run(self, *words: str) -> str:
        return _told(["rsync", *self._options(), *words], self.address.geturl())


@dataclass(frozen=True)
class Sftp:
    """A folder of an SFTP server (sftp://user@host:port/path); it offers no checksums, so a copy is fetched again."""

    address: SplitResult
    key_file: Path | None
    # How the connection is made; a test hands in a server of its own.
    way: tuple[str, ...] = WAY

    def put(self, file: Path) -> None:
        """Sent under another name, fetched again and compared byte for byte, then renamed."""
        part = file.name + archive.PART
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".fetched-") as folder:
            back = Path(folder) / file.name
            self._do(f"-rm {_quoted(part)}", f"put {_quoted(str(file))} {_quoted(part)}")
            self._do(f"get {_quoted(part)} {_quoted(str(back))}")
            if not filecmp.cmp(file, back, shallow=False):
                raise StoreError(f"{self.address.geturl()} does not hold {file.name} as it was sent. It is sent again.")
        self._do(f"-rm {_quoted(file.name)}", f"rename {_quoted(part)} {_quoted(file.name)}")

    def names(self) -> list[str]:
        """Names of the files."""
        listed = self._do("ls -1")
        return [line.strip() for line in listed.splitlines() if not line.startswith("sftp>")]

    def remove(self, names: Sequence[str]) -> None:
        """Deleted."""
        if names:
            self._do(*(f"-rm {_quoted(name)}" for name in names))

    def _do(self, *orders: str) -> str:
        found = self.address
        key = ["-i", str(self.key_file)] if self.key_file else []
        port = ["-P", str(found.port)] if found.port else []
        host = f"{found.username}@{found.hostname}" if found.username else str(found.hostname)
        inside = [f"cd {_quoted(unquote(found.path) or '/')}", *orders]
        command = ["sftp", "-b", "-", *self.way, *key, *port, host]
        return _told(command, found.geturl(), "\n".join(inside) + "\n")


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _told(command: Sequence[str], place: str, orders: str | None = None) -> str:
    """What a tool has said.

    Raises StoreError with its last words.
    """
    try:
        done = subprocess.run(command, input=orders, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    except FileNotFoundError as error:
        raise StoreError(
            f"the second place {place} needs the program {command[0]}: apt-get install {_package(command[0])}"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"the second place {place} did not take the copy within six hours.") from error
    if done.returncode:
        words = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        # Why comes first; that the connection is closed therefore comes after it.
        telling = [line for line in words if not line.startswith(AFTERWARDS)] or words
        why = telling[-1].rstrip(".") if telling else f"{command[0]} ended with {done.returncode}"
        raise StoreError(f"the second place {place} did not take the copy: {why}. It is tried again within the hour.")
    return done.stdout


def _package(program: str) -> str:
    return {"sftp": "openssh-client"}.get(program, program)
