"""`app.py user`: accounts made, listed, changed and ended by hand; and the code for the first one."""

import getpass
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.engine import registers
from pipelines.engine.asking import one_of
from pipelines.engine.errors import StoreError
from pipelines.engine.forms import streamed
from pipelines.engine.people import accounts, audit, second_factor, sessions
from pipelines.engine.settings import Settings
from pipelines.engine.spans import of_frame
from pipelines.engine.tokens import path_of

HEADINGS = ("name", "role", "wards", "made", "signed in last", "open sessions", "second factor", "state")
SESSION_HEADINGS = ("name", "session", "since", "last used", "from", "browser")
HOURS = accounts.CODE_GOOD_FOR.total_seconds() / 3600


def at_the_machine() -> str:
    """The name under what is done by hand: whoever is signed in to this computer."""
    try:
        return f"console {getpass.getuser()}"
    except (KeyError, OSError):
        return "console"


def run(settings: Settings, asked: Mapping[str, Any], now: datetime) -> int:
    """Do what was asked by `app.py user`; the exit status.

    Raises Misasked.
    """
    path, by, name = path_of(settings.store), at_the_machine(), asked.get("name") or ""
    match asked["action"]:
        case "list":
            _show(path, now)
        case "audit":
            return _show_audit(path)
        case "sessions":
            _show_sessions(path, name, now)
        case "end":
            ended = sessions.end(path, name, now, by=by, id=asked.get("session"))
            print(f"{ended} session{'s' if ended != 1 else ''} of `{name}` ended.")
        case "add":
            wards = known_wards(settings, asked["ward"])
            _tell(name, asked["role"], accounts.add(path, name, asked["role"], now, by=by, wards=wards))
        case "code":
            code = accounts.renew(path, name, now, by=by)
            _tell(name, accounts.listed(path)[name].role, code)
        case "disable":
            accounts.disable(path, name, now, by=by)
            print(f"The account `{name}` is disabled; its sessions ended.")
        case "enable":
            accounts.enable(path, name, now, by=by)
            print(f"`{name}` can sign in again.")
        case "role":
            accounts.set_role(path, name, asked["role"], now, by=by)
            print(f"`{name}` has the role {asked['role']} now; it signs in anew.")
        case "wards":
            wards = known_wards(settings, asked["ward"])
            accounts.limit(path, name, wards, now, by=by)
            print(f"`{name}` is for {', '.join(wards) or 'the whole town'} now; it signs in anew.")
        case "second-factor":
            ended = sessions.end(path, name, now, by=by)
            gone = second_factor.remove(path, name, now, by=by)
            words = "is taken away" if gone else "was none"
            print(f"The second factor of `{name}` {words}; {ended} sessions ended. A new one is set up at sign-in.")
    return 0


def known_wards(settings: Settings, wards: Sequence[str]) -> tuple[str, ...]:
    """These wards, when the register has them all.

    Raises Misasked.
    """
    register = registers.load(settings).wards["ward"].to_list() if wards else []
    for ward in wards:
        one_of("ward", ward, register)
    return tuple(dict.fromkeys(wards))


def _tell(name: str, role: str, code: str) -> None:
    """The code alone goes to standard output, so that a script can take it; the words beside it."""
    print(f"`{name}` ({role}) opens the board, chooses Sign in, then One-time code, and types this:", file=sys.stderr)
    print(code, flush=True)
    print(
        f"It is shown this once, works once and for {HOURS:.0f} hours; a password is chosen with it.", file=sys.stderr
    )


def _show(path: Path, now: datetime) -> None:
    """Print every account."""
    known = accounts.listed(path)
    if not known:
        print("There is no account yet. Make one: python app.py user add NAME --role admin")
        return
    opened = [one.name for one in sessions.listed(path) if sessions.counts(one, known, now)]
    secured = second_factor.having(path)
    rows = [
        (
            one.name,
            one.role,
            ", ".join(one.wards) or "all",
            _day(one.created_at),
            _day(one.signed_in_at) or "never",
            str(opened.count(name)),
            "yes" if name in secured else "no",
            one.state if one.subject is None else f"{one.state}, by the town's own sign-in",
        )
        for name, one in known.items()
    ]
    _print(HEADINGS, rows)


def _show_sessions(path: Path, name: str, now: datetime) -> None:
    """Print the sessions that are open: of one account, or of all."""
    known = accounts.listed(path)
    if name:
        one_of("account", name, known)
    found = [one for one in sessions.listed(path) if one.name == (name or one.name)]
    rows = [
        (one.name, one.id, _day(one.created_at), _day(one.seen_at), one.peer or "unknown", one.agent[:60])
        for one in found
        if sessions.counts(one, known, now)
    ]
    if not rows:
        print("Nobody is signed in.")
        return
    _print(SESSION_HEADINGS, rows)


def _print(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_audit(path: Path) -> int:
    """Print the audit log as CSV, and beside it whether it fits together; 1 when it does not."""
    log = audit.entries(path)
    wanted = of_frame("audit", audit.frame(log), audit.COLUMNS)
    for piece in streamed(wanted, wanted.frames(), "csv"):
        sys.stdout.write(piece.decode())
    sys.stdout.flush()
    found = audit.judged(log)
    print(found["words"], file=sys.stderr)
    return 0 if found["sound"] else 1


def invite(store: Path, now: datetime) -> str | None:
    """What the first start says about making the first account; None when an admin has one."""
    try:
        code = accounts.first(path_of(store), now)
    except StoreError as error:
        return f"Nobody can be let in at the moment: {error}"
    if code is None:
        return None
    return (
        "No admin has an account yet. Open the board, choose Sign in, then One-time code, and make yours with this\n"
        f"code (it works once and for {HOURS:.0f} hours; a restart gives a new one):  {code}"
    )


def _day(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z" if at else ""
