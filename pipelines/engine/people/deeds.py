"""What the web process has the line write down about people: each deed by name, as it travels over the local socket."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.engine import tokens
from pipelines.engine.people import accounts, audit, second_factor, sessions

Deed = Callable[..., Any]


def _begin(path: Path, now: datetime, *, key: str, name: str, agent: str, peer: str, before: str | None) -> None:
    sessions.begin(path, key, name, now, agent=agent, peer=peer, before=before)


def _begin_half(path: Path, now: datetime, *, key: str, name: str, agent: str, peer: str, before: str | None) -> None:
    sessions.begin_half(path, key, name, now, agent=agent, peer=peer, before=before)


def _rotate(path: Path, now: datetime, *, old: str, new: str) -> None:
    sessions.rotate(path, old, new, now)


def _admit(path: Path, now: datetime, *, subject: str, name: str, role: str) -> str:
    return accounts.admit(path, subject, name, role, now)


def _manage(path: Path, now: datetime, *, by: str, what: str, name: str, facts: Mapping[str, Any]) -> str | None:
    return MANAGED[what](path, name, now=now, by=by, **facts)


def _make_token(
    path: Path, now: datetime, *, by: str, name: str, scopes: Sequence[str], feeds: Sequence[str], expires_at: str
) -> str:
    until = datetime.fromisoformat(expires_at)
    return tokens.add(path, name, scopes, now, feeds=feeds, expires_at=until, by=by)


def _revoke_token(path: Path, now: datetime, *, by: str, name: str) -> None:
    tokens.revoke(path, name, now, by=by)


def _begin_factor(path: Path, now: datetime, *, name: str, secret: str) -> None:
    second_factor.begin(path, name, secret)


def _confirm_factor(path: Path, now: datetime, *, name: str, step: int, recovery: Sequence[str], keep: str) -> None:
    second_factor.confirm(path, name, step, recovery, now, but=keep)


def _use_factor(path: Path, now: datetime, *, name: str, step: int) -> None:
    second_factor.use(path, name, step)


def _use_recovery(path: Path, now: datetime, *, name: str, key: str) -> int:
    return second_factor.use_recovery(path, name, key, now)


def _renew_recovery(path: Path, now: datetime, *, name: str, recovery: Sequence[str]) -> None:
    second_factor.renew(path, name, recovery, now)


def _remove_factor(path: Path, now: datetime, *, name: str, by: str, keep: str) -> bool:
    return second_factor.remove(path, name, now, by=by, but=keep)


def _redeem(path: Path, now: datetime, *, code: str, name: str, password: str | None) -> str:
    return accounts.redeem(path, code, name, password, now)


def _fail(path: Path, now: datetime, *, name: str, peer: str, what: str) -> None:
    accounts.fail(path, name, peer, now, what=what)


def _rehash(path: Path, now: datetime, *, name: str, password: str) -> None:
    accounts.rehash(path, name, password)


def _set_password(path: Path, now: datetime, *, name: str, password: str, keep: str) -> None:
    # In this order: cut off between the two, nobody stays signed in with a password that was changed.
    sessions.end(path, name, now, by=name, but=keep)
    accounts.set_password(path, name, password, now, by=name)


def _seen(path: Path, now: datetime, *, key: str) -> None:
    sessions.seen(path, key, now)


def _end(path: Path, now: datetime, *, name: str, by: str, id: str | None = None, but: str | None = None) -> int:
    return sessions.end(path, name, now, by=by, id=id, but=but)


def _note(path: Path, now: datetime, *, who: str, did: str, facts: Mapping[str, Any]) -> None:
    audit.noted(path, now, who, did, facts)


# What an admin does to an account; the desk at the command line does the same.
MANAGED: Mapping[str, Deed] = {
    "add": accounts.add,
    "code": accounts.renew,
    "role": accounts.set_role,
    "wards": accounts.limit,
    "disable": accounts.disable,
    "enable": accounts.enable,
    "factor": second_factor.remove,
}
DEEDS: Mapping[str, Deed] = {
    "begin": _begin,
    "begin_half": _begin_half,
    "rotate": _rotate,
    "admit": _admit,
    "manage": _manage,
    "make_token": _make_token,
    "revoke_token": _revoke_token,
    "begin_factor": _begin_factor,
    "confirm_factor": _confirm_factor,
    "use_factor": _use_factor,
    "use_recovery": _use_recovery,
    "renew_recovery": _renew_recovery,
    "remove_factor": _remove_factor,
    "redeem": _redeem,
    "fail": _fail,
    "rehash": _rehash,
    "set_password": _set_password,
    "seen": _seen,
    "end": _end,
    "note": _note,
}


def do(path: Path, now: datetime, deed: str, facts: Mapping[str, Any]) -> Any:
    """What the deed gives, once it is durable.

    Raises Misasked in words for the person, StoreError when the disk refuses.
    """
    return DEEDS[deed](path, now, **facts)
