"""Secrets that have to be computed with, sealed by a key that lies beside the state and in no backup.

The key file holds a key a line. The first seals, any of them opens: a key that was put away is added as a line.
"""

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.engine.errors import StoreError
from pipelines.engine.journal import sync_folder

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

log = logging.getLogger("townboard")
NAME = "factors.key"


def key_path(state: Path) -> Path:
    """Where the key lies: beside the state, for its owner alone."""
    return state.with_name(NAME)


def seal(state: Path, name: str, secret: str) -> str:
    """The secret of an account as it is kept; the key is made where there is none yet.

    Raises StoreError when the key cannot be kept or read.
    """
    path = key_path(state)
    try:
        keys = _keys(path) or _made(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"the key {path} cannot be used ({error}). Nothing was changed. {MEND}") from error
    return keys.encrypt(json.dumps({"name": name, "secret": secret}).encode()).decode()


def unseal(state: Path, name: str, kept: str) -> str | None:
    """The secret of this account; None where no key at hand opens it, or it is another's."""
    from cryptography.fernet import InvalidToken

    path = key_path(state)
    try:
        keys = _keys(path)
        told = json.loads(keys.decrypt(kept.encode())) if keys else {}
    except (OSError, ValueError, InvalidToken):
        told = {}
    if told.get("name") != name:
        log.warning("the second factor of %s does not open with the key in %s. %s", name, path, MEND)
        return None
    return str(told["secret"])


MEND = (
    "Put the key file back that you kept apart; without one people sign in with a recovery code, or an admin takes "
    "their second factor away."
)


def _keys(path: Path) -> "MultiFernet | None":
    """The keys of the file; None where there is none.

    Raises OSError, ValueError when it cannot be read or holds no key.
    """
    from cryptography.fernet import Fernet, MultiFernet

    try:
        lines = path.read_text("ascii").split()
    except FileNotFoundError:
        return None
    return MultiFernet([Fernet(line) for line in lines])


def _made(path: Path) -> "MultiFernet":
    """A new key, on disk before anything is sealed with it."""
    from cryptography.fernet import Fernet, MultiFernet

    key, beside = Fernet.generate_key(), path.with_name(f"{NAME}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key + b"\n")
        file.flush()
        os.fsync(file.fileno())
    beside.rename(path)
    sync_folder(path.parent)
    return MultiFernet([Fernet(key)])
