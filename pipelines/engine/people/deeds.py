"""What the web process has the line write down about people: each deed by name, as it travels over the local socket."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.engine.people import accounts, audit, sessions

Deed = Callable[..., Any]


def _begin(path: Path, now: datetime, *, key: str, name: str, agent: str, peer: str, before: str | None) -> None:
    sessions.begin(path, key, name, now, agent=agent, peer=peer, before=before)


def _redeem(path: Path, now: datetime, *, code: str, name: str, password: str | None) -> str:
    return accounts.redeem(path, code, name, password, now)


def _fail(path: Path, now: datetime, *, name: str, peer: str) -> None:
    accounts.fail(path, name, peer, now)


def _rehash(path: Path, now: datetime, *, name: str, password: str) -> None:
    accounts.rehash(path, name, password)


def _set_password(path: Path, now: datetime, *, name: str, password: str, keep: str) -> None:
    accounts.set_password(path, name, password, now, by=name)
    sessions.end(path, name, now, by=name, but=keep)


def _seen(path: Path, now: datetime, *, key: str) -> None:
    sessions.seen(path, key, now)


def _end(path: Path, now: datetime, *, name: str, by: str, id: str | None = None, but: str | None = None) -> int:
    return sessions.end(path, name, now, by=by, id=id, but=but)


def _note(path: Path, now: datetime, *, who: str, did: str, facts: Mapping[str, Any]) -> None:
    audit.noted(path, now, who, did, facts)


DEEDS: Mapping[str, Deed] = {
    "begin": _begin,
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
