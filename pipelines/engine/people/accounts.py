"""Accounts and one-time codes in state.sqlite: made by an admin, opened by the person who chooses the password."""

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people import audit
from pipelines.engine.people.roles import LIMITABLE, ROLES
from pipelines.engine.state_file import changing, read_all, sealed, unsealed

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,31}\Z")
# Without the letters and digits that are read for one another; 20 of 32 are 100 bits.
ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
CODE_LENGTH, CODE_GROUP = 20, 5
CODE_GOOD_FOR = timedelta(hours=24)
# Wrong passwords: so many in a row are answered at once, then each has to wait twice as long as the one before. From
# one address; and from all together, so that nobody can keep somebody else out from a single place.
FREE_TRIES, ALL_FREE_TRIES, MOST_PEERS = 5, 50, 60
SHORTEST_WAIT, LONGEST_WAIT, FORGOTTEN = timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Account:
    """One person; `password` is the argon2id hash (None: not chosen yet); sessions from before `valid_from` ended.

    `wards`: those it is limited to (none: the whole town); `subject`: whom the town's own sign-in knows it by.
    """

    name: str
    role: str
    wards: tuple[str, ...] = ()
    subject: str | None = None
    password: str | None = field(default=None, repr=False)
    created_at: datetime
    valid_from: datetime
    disabled_at: datetime | None = None
    signed_in_at: datetime | None = None
    failures: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """in use, disabled, or waiting (nobody ever signed in)."""
        if self.disabled_at is not None:
            return "disabled"
        return "in use" if self.signed_in_at else "waiting"


@dataclass(frozen=True, kw_only=True)
class Code:
    """A one-time code: for an account, or (name None) for whoever makes the first one. `enters`: without a password."""

    digest: str
    name: str | None
    role: str
    expires_at: datetime
    enters: bool


def wait(account: Account, peer: str, now: datetime) -> timedelta:
    """How long somebody at this address has to wait before the next password is looked at.

    Source: OWASP ASVS 4.0.3, 2.2.1 (no more than 100 failed attempts an hour on one account).
    """
    recent = {who: (count, at) for who, (count, at) in account.failures.items() if now - at < FORGOTTEN}
    own, own_at = recent.get(peer, (0, now))
    every, last_at = sum(count for count, _ in recent.values()), max((at for _, at in recent.values()), default=now)
    return max(_left(own - FREE_TRIES, own_at, now), _left(every - ALL_FREE_TRIES, last_at, now), timedelta(0))


def _left(beyond: int, last_at: datetime, now: datetime) -> timedelta:
    if beyond < 0:
        return timedelta(0)
    return last_at + min(SHORTEST_WAIT * 2 ** min(beyond, 10), LONGEST_WAIT) - now


def listed(path: Path) -> dict[str, Account]:
    """Every account by name. One whose entry was damaged on disk is disabled.

    Raises StoreError when they cannot be read.
    """
    return {name: _account(name, unsealed(facts)) for name, facts in read_all(path, "accounts", "name, facts")}


def codes(path: Path) -> list[Code]:
    """The codes that nobody has used yet.

    Raises StoreError when they cannot be read.
    """
    rows = [(digest, unsealed(facts)) for digest, facts in read_all(path, "codes", "digest, facts")]
    return [_code(digest, facts) for digest, facts in rows if facts]


def digest(secret: str) -> str:
    """What is kept of a code or a session's secret: both are too random to be searched for."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def plain(code: str) -> str:
    """A code as it was made, however it was typed."""
    return re.sub(r"[^A-Z0-9]", "", code.upper())


# changes: each is one commit, with its entry in the audit log ---------------------------------------------------------


def add(
    path: Path, name: str, role: str, now: datetime, *, by: str, enters: bool = False, wards: Sequence[str] = ()
) -> str:
    """Make an account; gives the one-time code with which its person chooses a password (or enters without one).

    Raises Misasked: the name is none or taken, the role is unknown or cannot be limited to wards.
    """
    fit(name)
    one_of("role", role, ROLES)
    limitable(role, wards)
    with changing(path) as db:
        if _known(db, name) is not None:
            raise Misasked(f"There is an account `{name}` already. Choose another name, or give that one a new code.")
        _keep(db, Account(name=name, role=role, wards=tuple(wards), created_at=now, valid_from=now))
        audit.note(db, now, by, "account added", {"name": name, "role": role, **({"wards": [*wards]} if wards else {})})
        return _offer(db, name, role, now, enters=enters)


def first(path: Path, now: datetime) -> str | None:
    """A code for making the first account, an admin; None when somebody can sign in as one already."""
    with changing(path) as db:
        rows = db.execute("SELECT name, facts FROM accounts").fetchall()
        found = [_account(name, unsealed(facts)) for name, facts in rows]
        if any(one.role == "admin" and one.disabled_at is None for one in found):
            return None
        return _offer(db, None, "admin", now, enters=False)


def renew(path: Path, name: str, now: datetime, *, by: str, enters: bool = False) -> str:
    """A new one-time code for an account, when its password is forgotten; codes before it end.

    Raises Misasked when there is no such account.
    """
    with changing(path) as db:
        account = _found(db, name)
        if account.disabled_at is not None:
            raise Misasked(f"The account `{name}` is disabled. First: python app.py user enable {name}")
        audit.note(db, now, by, "code made", {"name": name})
        return _offer(db, name, account.role, now, enters=enters)


def disable(path: Path, name: str, now: datetime, *, by: str) -> None:
    """End an account, its codes and its sessions; what it did stays on record. Again changes nothing.

    Raises Misasked when there is no such account.
    """
    with changing(path) as db:
        account = _found(db, name)
        if account.disabled_at is None:
            _keep(db, account, disabled_at=now.isoformat(), valid_from=now.isoformat())
            _drop_codes(db, name)
            audit.note(db, now, by, "account disabled", {"name": name})


def enable(path: Path, name: str, now: datetime, *, by: str) -> None:
    """Open a disabled account again, with the password it had; waiting for wrong passwords ends as well."""
    with changing(path) as db:
        _keep(db, _found(db, name), disabled_at=None, failures={})
        audit.note(db, now, by, "account enabled", {"name": name})


def set_role(path: Path, name: str, role: str, now: datetime, *, by: str) -> None:
    """Give an account another role; its sessions end, so that nobody goes on under the rights of before.

    Raises Misasked when there is no such account or role, or when its wards do not go with the role.
    """
    one_of("role", role, ROLES)
    with changing(path) as db:
        account = _found(db, name)
        if role == account.role:
            return
        limitable(role, account.wards)
        _keep(db, account, role=role, valid_from=now.isoformat())
        audit.note(db, now, by, "role changed", {"name": name, "role": role, "before": account.role})


def limit(path: Path, name: str, wards: Sequence[str], now: datetime, *, by: str) -> None:
    """Limit an account to these wards (none: the whole town is open to it again); its sessions end.

    Raises Misasked when there is no such account, or when its role cannot be limited.
    """
    with changing(path) as db:
        account = _found(db, name)
        limitable(account.role, wards)
        _keep(db, account, wards=[*wards], valid_from=now.isoformat())
        audit.note(db, now, by, "wards changed", {"name": name, "wards": [*wards], "before": [*account.wards]})


def limitable(role: str, wards: Sequence[str]) -> None:
    """Nothing, when an account of this role may be limited to wards.

    Raises Misasked.
    """
    if wards and role not in LIMITABLE:
        raise Misasked(f"The role {role} is for the whole town. Limited to wards can be: {', '.join(LIMITABLE)}.")


def admit(path: Path, subject: str, name: str, role: str, now: datetime) -> str:
    """The name of the account of somebody whom the town's own sign-in vouches for; made when it is not there yet.

    Its role follows what the sign-in says.
    Raises Misasked: the name is none, belongs to somebody else, or the account is disabled.
    """
    with changing(path) as db:
        rows = db.execute("SELECT name, facts FROM accounts").fetchall()
        known = {one.subject: one for one in (_account(key, unsealed(facts)) for key, facts in rows) if one.subject}
        account = known.get(subject)
        if account is not None:
            if account.role != role:
                wards = account.wards if role in LIMITABLE else ()
                _keep(db, account, role=role, wards=[*wards], valid_from=now.isoformat())
                facts = {"name": account.name, "role": role, "before": account.role}
                audit.note(db, now, "sign-in of the town", "role changed", facts)
            return account.name
        fit(name)
        if _known(db, name) is not None:
            raise Misasked(TAKEN.format(name=name), 403)
        _keep(db, Account(name=name, role=role, subject=subject, created_at=now, valid_from=now))
        audit.note(db, now, "sign-in of the town", "account added", {"name": name, "role": role, "subject": subject})
        return name


TAKEN = (
    "There is an account `{name}` with a password here already, and another sign-in never takes it over. Sign in with "
    "the password, or have whoever looks after Townboard rename one of both."
)


def fail(path: Path, name: str, peer: str, now: datetime, *, what: str = "password") -> None:
    """Count a wrong password, or a wrong code of the second factor."""
    with changing(path) as db:
        account = _found(db, name)
        failures = {who: seen for who, seen in account.failures.items() if now - seen[1] < FORGOTTEN}
        count = failures.pop(peer, (0, now))[0] + 1
        newest = sorted(failures.items(), key=lambda one: one[1][1])[-(MOST_PEERS - 1) :]
        told = {who: [number, at.isoformat()] for who, (number, at) in [*newest, (peer, (count, now))]}
        _keep(db, account, failures=told)
        audit.note(db, now, name, f"wrong {what}", {"from": peer, "times": count})


def set_password(path: Path, name: str, password: str, now: datetime, *, by: str) -> None:
    """Keep a new password (its hash)."""
    with changing(path) as db:
        _keep(db, _found(db, name), password=password)
        audit.note(db, now, by, "password changed", {"name": name})


def rehash(path: Path, name: str, password: str) -> None:
    """Keep the same password under a newer hash."""
    with changing(path) as db:
        _keep(db, _found(db, name), password=password)


def redeem(path: Path, code: str, name: str, password: str | None, now: datetime) -> str:
    """Use up a code (given as its digest) with the password that the person chose (its hash); gives the account's name.

    Raises Misasked when it was used already or has ended, or when the first account's name is none.
    """
    with changing(path) as db:
        row = db.execute("SELECT facts FROM codes WHERE digest = ?", [code]).fetchone()
        offered = _code(code, unsealed(row[0]) or {}) if row and unsealed(row[0]) else None
        if offered is None or offered.expires_at <= now:
            raise Misasked(SPENT)
        if offered.name is None:
            fit(name)
            if _known(db, name) is not None:
                raise Misasked(f"There is an account `{name}` already. Choose another name.")
            _keep(db, Account(name=name, role=offered.role, created_at=now, valid_from=now))
            audit.note(db, now, name, "first account made", {"role": offered.role})
        name = offered.name or name
        changes: dict[str, Any] = {"failures": {}}
        if password is not None:
            changes |= {"password": password, "valid_from": now.isoformat()}
            audit.note(db, now, name, "password chosen", {})
        _keep(db, _found(db, name), **changes)
        db.execute("DELETE FROM codes WHERE digest = ?", [code])
        return name


SPENT = (
    "This code was used already, has ended, or is not whole. A new one is made with: python app.py user code NAME, "
    "and the first one by starting Townboard again."
)


def signed_in(db: sqlite3.Connection, name: str, peer: str, now: datetime) -> Account:
    """Take note, within a change, that somebody signed in; the account.

    Raises Misasked when it was disabled meanwhile.
    """
    account = _found(db, name)
    if account.disabled_at is not None:
        raise Misasked("This account was disabled.")
    failures = {who: [count, at.isoformat()] for who, (count, at) in account.failures.items() if who != peer}
    _keep(db, account, signed_in_at=now.isoformat(), failures=failures)
    return account


def fit(name: str) -> None:
    """Nothing, when an account may have this name.

    Raises Misasked.
    """
    if not NAME.match(name):
        raise Misasked(
            f"`{name[:40]}` is no name for an account. Use 2 to 32 small letters, digits and . _ - , beginning with a "
            "letter or digit, for example `asha` or `a.rao`."
        )


def _offer(db: sqlite3.Connection, name: str | None, role: str, now: datetime, *, enters: bool) -> str:
    _drop_codes(db, name)
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    facts = {"name": name, "role": role, "expires_at": (now + CODE_GOOD_FOR).isoformat(), "enters": enters}
    db.execute("INSERT INTO codes VALUES (?, ?)", [digest(code), sealed(facts)])
    return "-".join(code[at : at + CODE_GROUP] for at in range(0, CODE_LENGTH, CODE_GROUP))


def _drop_codes(db: sqlite3.Connection, name: str | None) -> None:
    for key, facts in db.execute("SELECT digest, facts FROM codes").fetchall():
        if (unsealed(facts) or {}).get("name") == name:
            db.execute("DELETE FROM codes WHERE digest = ?", [key])


def _known(db: sqlite3.Connection, name: str) -> Account | None:
    row = db.execute("SELECT facts FROM accounts WHERE name = ?", [name]).fetchone()
    return _account(name, unsealed(row[0])) if row else None


def _found(db: sqlite3.Connection, name: str) -> Account:
    account = _known(db, name)
    if account is None:
        one_of("account", name, [known for (known,) in db.execute("SELECT name FROM accounts ORDER BY name")])
        raise Misasked(f"There is no account `{name}`.")
    return account


def _keep(db: sqlite3.Connection, account: Account, **changes: Any) -> None:
    facts = {
        "role": account.role, "wards": [*account.wards], "subject": account.subject,
        "password": account.password, "created_at": account.created_at.isoformat(),
        "valid_from": account.valid_from.isoformat(),
        "disabled_at": _text(account.disabled_at), "signed_in_at": _text(account.signed_in_at),
        "failures": {who: [count, at.isoformat()] for who, (count, at) in account.failures.items()}, **changes,
    }  # fmt: skip
    db.execute("REPLACE INTO accounts VALUES (?, ?)", [account.name, sealed(facts)])


def _account(name: str, facts: Mapping[str, Any] | None) -> Account:
    facts = facts if facts and facts.get("role") in ROLES else LOST
    failures = facts.get("failures", {}).items()
    return Account(
        name=name,
        role=facts["role"],
        wards=tuple(facts.get("wards", ())),
        subject=facts.get("subject"),
        password=facts.get("password"),
        created_at=datetime.fromisoformat(facts["created_at"]),
        valid_from=datetime.fromisoformat(facts["valid_from"]),
        disabled_at=_instant(facts.get("disabled_at")),
        signed_in_at=_instant(facts.get("signed_in_at")),
        failures={who: (count, datetime.fromisoformat(at)) for who, (count, at) in failures},
    )


# An account whose entry was damaged on disk: nobody signs in with it until an admin has looked.
LOST: dict[str, Any] = {"role": "viewer", "created_at": "1970-01-01T00:00:00+00:00",
                        "valid_from": "1970-01-01T00:00:00+00:00",
                        "disabled_at": "1970-01-01T00:00:00+00:00"}  # fmt: skip


def _code(key: str, facts: Mapping[str, Any]) -> Code:
    ends = datetime.fromisoformat(facts["expires_at"])
    return Code(digest=key, name=facts["name"], role=facts["role"], expires_at=ends, enters=facts["enters"])


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
