"""The town that this web process shows and the address it is shown at; bound once, before the pages are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from pipelines.engine.town import Town

EMPTY: dict[str, Any] = {
    "seq": 0,
    "built_at": None,
    "town": {},
    "kpis": {},
    "feeds": {},
    "assets": {},
    "alarms": [],
    "jobs": [],
    "ledger": {},
}


@dataclass
class _Bound:
    town: Town | None = None
    prefix: str = "/"
    times: int = 0


_bound = _Bound()


def bind(town: Town, prefix: str) -> None:
    """Show this town from now on, at addresses that begin with `prefix` (with a slash at both ends)."""
    _bound.town, _bound.prefix, _bound.times = town, prefix, _bound.times + 1


def binding() -> int:
    """Which binding this is: what was kept from an earlier town is not shown for this one."""
    return _bound.times


def town() -> Town:
    """The town that is shown.

    Raises RuntimeError before `bind`.
    """
    if _bound.town is None:
        raise RuntimeError("no town is bound: call components.glass.bind before the pages are read")
    return _bound.town


def is_demo() -> bool:
    """Whether the town is made up for a demonstration."""
    return bool(state()["town"].get("demo"))


def state() -> dict[str, Any]:
    """The newest published state, or an empty one when nothing was ever published."""
    snapshot = town().board()
    return snapshot.state if snapshot else EMPTY


def href(path: str, **query: object) -> str:
    """The address of a page or an API call under the prefix; None and empty values are left out."""
    kept = {key.rstrip("_"): value for key, value in query.items() if value not in (None, "")}
    return _bound.prefix + path.lstrip("/") + (f"?{urlencode(kept, safe=':,')}" if kept else "")
