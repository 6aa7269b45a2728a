"""Tokens of machines: shown once, kept as hashes in state.sqlite, limited to scopes, feeds and a time."""

import hashlib
import hmac
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people import audit
from pipelines.engine.state_file import changing, read_all, sealed, unsealed

SCOPES = ("ingest", "read", "operate", "admin", "wall")
# Opens the wall and nothing else: it hangs where anybody may come near.
WALL = "wall"
# What a scope lets its holder do besides its own name.
IMPLIED = {"operate": ("read",), "admin": ("ingest", "read", "operate")}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._:-]{0,63}\Z")
PREFIX = "townboard_"
SECRET_BYTES = 32
# How old what a reader knows of the tokens may be: so long a revoked one may still work.
FRESH_S = 1.0
# A use is written down at most so often.
NOTED_EVERY = timedelta(minutes=1)
# A token whose entry was damaged on disk: it opens nothing, and keeps the door closed to those without one.
LOST: dict[str, Any] = {"scopes": ["ingest"], "created_at": "1970-01-01T00:00:00+00:00",
                        "revoked_at": "1970-01-01T00:00:00+00:00"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Token:
    """What is known of a token; never the secret itself. No feeds means every feed."""

    name: str
    digest: str
    scopes: tuple[str, ...]
    feeds: tuple[str, ...] = ()
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    used_at: datetime | None = None

    def may(self, scope: str) -> bool:
        """Whether it has this scope, or one that includes it."""
        return any(scope == own or scope in IMPLIED.get(own, ()) for own in self.scopes)

    def serves(self, feed: str) -> bool:
        """Whether it may be used for this feed."""
        return not self.feeds or feed in self.feeds

    def state(self, now: datetime) -> str:
        """in use, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "in use"


def path_of(store: Path) -> Path:
    """Where the tokens of a town are kept."""
    return store / "state.sqlite"


def add(
    path: Path,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    *,
    feeds: Sequence[str] = (),
    expires_at: datetime | None = None,
    by: str = "Townboard",
) -> str:
    """Make a token; gives its secret, which nobody can read again. It is durable when this returns.

    Raises Misasked: the name is used already or none, a scope is unknown.
    """
    if not NAME.match(name):
        raise Misasked(f"`{name[:80]}` is no name for a token. Use letters, digits, spaces and . _ : -, at most 64.")
    for scope in scopes:
        one_of("scope", scope, SCOPES)
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    facts = {
        "name": name, "digest": digest(secret), "scopes": list(dict.fromkeys(scopes)), "feeds": list(feeds),
        "created_at": now.isoformat(), "expires_at": expires_at.isoformat() if expires_at else None, "revoked_at": None,
    }  # fmt: skip
    with changing(path) as db:
        try:
            db.execute("INSERT INTO tokens (name, facts) VALUES (?, ?)", [name, sealed(facts)])
        except sqlite3.IntegrityError as error:
            raise Misasked(
                f"There is or was a token `{name}` already; names are never given twice, so that the list stays true. "
                f"Choose another, for example `{name}-2`."
            ) from error
        told = {"name": name, "scopes": list(scopes), "feeds": list(feeds), "expires_at": facts["expires_at"]}
        audit.note(db, now, by, "token made", told)
    return secret


def revoke(path: Path, name: str, now: datetime, *, by: str = "Townboard") -> None:
    """End a token for good; readers know within seconds. Again changes nothing.

    Raises Misasked when there is none of this name.
    """
    with changing(path) as db:
        row = db.execute("SELECT facts FROM tokens WHERE name = ?", [name]).fetchone()
        if row is None:
            one_of("token", name, [known for (known,) in db.execute("SELECT name FROM tokens ORDER BY name")])
            return
        facts = unsealed(row[0]) or {"name": name}
        if facts.get("revoked_at") is None:
            ended = {**facts, "revoked_at": now.isoformat()}
            db.execute("UPDATE tokens SET facts = ? WHERE name = ?", [sealed(ended), name])
            audit.note(db, now, by, "token revoked", {"name": name})


def note_use(path: Path, name: str, at: datetime) -> None:
    """Remember when a token was used last."""
    with changing(path) as db:
        db.execute("UPDATE tokens SET used_at = ? WHERE name = ?", [at.isoformat(), name])


def listed(path: Path) -> list[Token]:
    """Every token that was ever made, by name. One whose entry was damaged on disk counts as revoked.

    Raises StoreError when they cannot be read.
    """
    rows = read_all(path, "tokens", "name, facts, used_at")
    return [_token(name, unsealed(facts), used_at) for name, facts, used_at in rows]


def digest(secret: str) -> str:
    """What is kept of a secret. It is 256 random bits, so a plain hash cannot be searched for it."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


class Keyring:
    """The tokens as another process than the line sees them, read again every second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._looked: float | None = None
        self._tokens: dict[str, Token] = {}
        self._every: list[Token] = []
        self._noted: dict[str, datetime] = {}

    def find(self, secret: str) -> Token | None:
        """The token with this secret, whatever its state.

        Raises StoreError when the tokens cannot be read.
        """
        self._look()
        wanted = digest(secret)
        found = self._tokens.get(wanted[:16])
        return found if found and hmac.compare_digest(found.digest, wanted) else None

    @property
    def closed(self) -> bool:
        """Whether a token for pushing was ever made, so that none pushes without one any more."""
        self._look()
        return any(token.may("ingest") for token in self._every)

    def unnoted(self, token: Token, now: datetime) -> bool:
        """Whether this use is to be written down."""
        last = self._noted.get(token.name)
        if last is not None and abs(now - last) < NOTED_EVERY:
            return False
        self._noted[token.name] = now
        return True

    def _look(self) -> None:
        with self._lock:
            if self._looked is not None and time.monotonic() - self._looked < FRESH_S:
                return
            self._every = listed(self._path)
            self._tokens = {token.digest[:16]: token for token in self._every if token.digest}
            self._looked = time.monotonic()


def _token(name: str, facts: Mapping[str, Any] | None, used_at: str | None) -> Token:
    facts = facts if facts and "digest" in facts else LOST
    return Token(
        name=name,
        digest=facts.get("digest", ""),
        scopes=tuple(facts["scopes"]),
        feeds=tuple(facts.get("feeds", ())),
        created_at=datetime.fromisoformat(facts["created_at"]),
        expires_at=_instant(facts.get("expires_at")),
        revoked_at=_instant(facts.get("revoked_at")),
        used_at=_instant(used_at),
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
