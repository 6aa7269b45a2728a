"""Sessions: begun at sign-in under a new secret, ended by idleness, age, sign-out, another session or an admin."""

import hmac
import secrets
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.asking import Misasked
from pipelines.engine.people import accounts, audit
from pipelines.engine.people.accounts import Account, digest
from pipelines.engine.people.roles import VISITOR, Actor, person
from pipelines.engine.state_file import changing, read_all, sealed, unsealed

# A quiet watch must not sign its operator out; a day's work ends every session (docs/decisions/0017).
IDLE, LONGEST = timedelta(hours=2), timedelta(hours=12)
MOST_OPEN = 20
KEPT = timedelta(days=30)
# So long somebody whose password was right may take to find the second factor, or to set one up.
HALF_OPEN = timedelta(minutes=15)
SECRET_BYTES = 32
SHOWN = 12
# How old what a reader knows of the sessions may be, and how often at most it looks for one that it does not know.
FRESH_S, LOOK_S = 1.0, 0.1
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One browser in which somebody is signed in; `digest` is what is kept of its secret.

    `half`: the password was right, the second factor has yet to come; it opens nothing but the way there.
    """

    digest: str
    name: str
    created_at: datetime
    seen_at: datetime
    ended_at: datetime | None = None
    agent: str = ""
    peer: str = ""
    half: bool = False

    @property
    def id(self) -> str:
        """What a person sees of it, enough to end it and too little to use it."""
        return self.digest[:SHOWN]

    @property
    def ends_at(self) -> datetime:
        """When it ends by itself unless it is used before."""
        if self.half:
            return self.created_at + HALF_OPEN
        return min(self.seen_at + IDLE, self.created_at + LONGEST)

    def open(self, now: datetime) -> bool:
        """Whether somebody is signed in with it."""
        return self.ended_at is None and now < self.ends_at


@dataclass(frozen=True)
class Visit:
    """Who asks, and with which session; a visitor has none, though perhaps one that is `half` open."""

    actor: Actor = VISITOR
    session: Session | None = None
    form_token: str = ""
    half: Session | None = None

    def sent(self, form_token: str) -> bool:
        """Whether a form was made for this session (against requests that other sites have a browser make)."""
        return bool(self.form_token) and hmac.compare_digest(self.form_token.encode(), form_token.encode())


def secret() -> str:
    """A new session's secret: 256 random bits."""
    return secrets.token_urlsafe(SECRET_BYTES)


def form_token(of: str) -> str:
    """What the forms of a session carry; it tells nothing of the session's secret."""
    return digest(f"form {of}")[:43]


def begin(path: Path, key: str, name: str, now: datetime, *, agent: str, peer: str, before: str | None = None) -> None:
    """Open a session under this digest; the one that the browser had before ends.

    Raises Misasked when the account was disabled meanwhile.
    """
    with changing(path) as db:
        accounts.signed_in(db, name, peer, now)
        whole = (one for one in _of(db, name) if one.open(now) and not one.half)
        open_now = sorted(whole, key=lambda one: one.seen_at)
        for one in open_now[: max(0, len(open_now) - MOST_OPEN + 1)]:
            _end(db, one, now)
        if before and (old := _one(db, before)) and old.open(now):
            _end(db, old, now)
        _put(db, Session(digest=key, name=name, created_at=now, seen_at=now, agent=agent[:200], peer=peer))
        db.execute("DELETE FROM sessions WHERE seen_at < ?", [(now - KEPT).isoformat()])
        audit.note(db, now, name, "signed in", {"from": peer, "session": key[:SHOWN]})


def begin_half(
    path: Path, key: str, name: str, now: datetime, *, agent: str, peer: str, before: str | None = None
) -> None:
    """Open half a session under this digest, for somebody whose password was right.

    The one that the browser had before ends, and so do earlier halves.
    """
    with changing(path) as db:
        for one in _of(db, name):
            if one.half and one.open(now):
                _end(db, one, now)
        if before and (old := _one(db, before)) and old.open(now):
            _end(db, old, now)
        _put(db, Session(digest=key, name=name, created_at=now, seen_at=now, agent=agent[:200], peer=peer, half=True))
        audit.note(db, now, name, "password was right", {"from": peer, "session": key[:SHOWN]})


def rotate(path: Path, old: str, new: str, now: datetime) -> None:
    """Go on with a session under another digest, as after a change of the password; the age stays."""
    with changing(path) as db:
        session = _one(db, old)
        if session is None or not session.open(now):
            raise Misasked("You are signed out meanwhile. Sign in again.", 401)
        _put(db, replace(session, digest=new, seen_at=now))
        _end(db, session, now)


def seen(path: Path, key: str, now: datetime) -> None:
    """Take note that a session is used."""
    with changing(path) as db:
        db.execute(
            "UPDATE sessions SET seen_at = ? WHERE digest = ? AND seen_at < ?", [now.isoformat(), key, now.isoformat()]
        )


def end(path: Path, name: str, now: datetime, *, by: str, id: str | None = None, but: str | None = None) -> int:
    """End a session of this account (by its shown id), or all but one; how many ended.

    Raises Misasked when there is no such session.
    """
    with changing(path) as db:
        found = [one for one in _of(db, name) if id is None or one.id == id]
        if id is not None and not found:
            raise Misasked(f"`{name}` has no session `{id[:40]}`.")
        return _ended(db, [one for one in found if one.id != but], now, by)


def end_within(db: sqlite3.Connection, name: str, now: datetime, *, by: str, but: str = "") -> int:
    """The same for all sessions of an account `but` one, within the change that is the reason; how many ended."""
    return _ended(db, [one for one in _of(db, name) if one.id != but], now, by)


def _ended(db: sqlite3.Connection, found: Sequence[Session], now: datetime, by: str) -> int:
    ending = [one for one in found if one.open(now)]
    for one in ending:
        _end(db, one, now)
        did = "signed out" if by == one.name else "session ended"
        audit.note(db, now, by, did, {"name": one.name, "session": one.id})
    return len(ending)


def listed(path: Path) -> list[Session]:
    """Every session that is still on record.

    Raises StoreError when they cannot be read.
    """
    rows = [(key, unsealed(facts), at) for key, facts, at in read_all(path, "sessions", "digest, facts, seen_at")]
    return [_session(key, facts, at) for key, facts, at in rows if facts]


def counts(session: Session, known: Mapping[str, Account], now: datetime) -> bool:
    """Whether somebody is signed in with it: open, whole, and not ended with its account's rights of before."""
    account = known.get(session.name)
    valid = account is not None and account.disabled_at is None and session.created_at >= account.valid_from
    return valid and not session.half and session.open(now)


class Visitors:
    """Sessions and accounts as another process than the line sees them, read again every second."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._looked: float | None = None
        self._sessions: dict[str, Session] = {}
        self._accounts: dict[str, Account] = {}
        self._noted: dict[str, datetime] = {}

    def visit(self, secret: str, now: datetime) -> Visit:
        """Who comes with this secret; a visitor when it opens nothing (any more).

        Raises StoreError when the sessions cannot be read.
        """
        key = digest(secret)
        self._look(FRESH_S)
        if key not in self._sessions:
            # It may have been begun in another process since the last look.
            self._look(LOOK_S)
        session = self._sessions.get(key)
        account = self._accounts.get(session.name) if session else None
        if session is None or account is None or not session.open(now):
            return Visit()
        if account.disabled_at is not None or session.created_at < account.valid_from:
            return Visit()
        if session.half:
            return Visit(form_token=form_token(secret), half=session)
        return Visit(person(account.name, account.role, account.wards), session, form_token(secret))

    @property
    def accounts(self) -> dict[str, Account]:
        """Every account by name."""
        self._look(FRESH_S)
        return self._accounts

    def look_again(self) -> None:
        """Forget what is known: something was changed just now."""
        with self._lock:
            self._looked = None

    def unnoted(self, session: Session, now: datetime) -> bool:
        """Whether this use is to be written down."""
        last = self._noted.get(session.digest, session.seen_at)
        if abs(now - last) < SEEN_EVERY:
            return False
        self._noted = {key: at for key, at in self._noted.items() if key in self._sessions} | {session.digest: now}
        return True

    def _look(self, fresh_s: float) -> None:
        with self._lock:
            if self._looked is not None and time.monotonic() - self._looked < fresh_s:
                return
            self._accounts = accounts.listed(self._path)
            self._sessions = {one.digest: one for one in listed(self._path)}
            self._looked = time.monotonic()


def _of(db: sqlite3.Connection, name: str) -> list[Session]:
    rows = [(key, unsealed(facts), at) for key, facts, at in db.execute("SELECT digest, facts, seen_at FROM sessions")]
    return [_session(key, facts, at) for key, facts, at in rows if facts and facts["name"] == name]


def _one(db: sqlite3.Connection, key: str) -> Session | None:
    row = db.execute("SELECT facts, seen_at FROM sessions WHERE digest = ?", [key]).fetchone()
    facts = unsealed(row[0]) if row else None
    return _session(key, facts, row[1]) if facts else None


def _end(db: sqlite3.Connection, session: Session, now: datetime) -> None:
    _put(db, replace(session, ended_at=now))


def _put(db: sqlite3.Connection, session: Session) -> None:
    ended = session.ended_at.isoformat() if session.ended_at else None
    facts = {
        "name": session.name, "created_at": session.created_at.isoformat(), "ended_at": ended,
        "agent": session.agent, "peer": session.peer, "half": session.half,
    }  # fmt: skip
    row = [session.digest, sealed(facts), session.seen_at.isoformat()]
    db.execute("REPLACE INTO sessions VALUES (?, ?, ?)", row)


def _session(key: str, facts: Mapping[str, Any], seen_at: str) -> Session:
    ended = facts.get("ended_at")
    return Session(
        digest=key,
        name=facts["name"],
        created_at=datetime.fromisoformat(facts["created_at"]),
        seen_at=datetime.fromisoformat(seen_at),
        ended_at=datetime.fromisoformat(ended) if ended else None,
        agent=facts.get("agent", ""),
        peer=facts.get("peer", ""),
        half=facts.get("half", False),
    )
