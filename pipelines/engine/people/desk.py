"""`app.py user`: accounts made, listed, changed and ended by hand; and the code for the first one."""

import getpass
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.engine.errors import StoreError
from pipelines.engine.people import accounts, audit, sessions
from pipelines.engine.settings import Settings
from pipelines.engine.tokens import path_of

HEADINGS = ("name", "role", "made", "signed in last", "open sessions", "state")
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
    path, by, name = path_of(settings.store), at_the_machine(), asked.get("name", "")
    match asked["action"]:
        case "list":
            _show(path, now)
        case "audit":
            return _show_audit(path)
        case "add":
            _tell(name, asked["role"], accounts.add(path, name, asked["role"], now, by=by))
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
            print(f"`{name}` has the role {asked['role']} now.")
    return 0


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
    opened = [
        one.name for one in sessions.listed(path) if one.open(now) and one.created_at >= known[one.name].valid_from
    ]
    rows = [
        (
            one.name,
            one.role,
            _day(one.created_at),
            _day(one.signed_in_at) or "never",
            str(opened.count(name)),
            one.state,
        )
        for name, one in known.items()
    ]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)]
    for row in (HEADINGS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _show_audit(path: Path) -> int:
    """Print the audit log as CSV, and beside it whether it fits together; 1 when it does not."""
    log = audit.entries(path)
    sys.stdout.write(audit.as_csv(log))
    sys.stdout.flush()
    wrong = audit.tampering(log)
    head = (
        f"{len(log)} entries, each fits the one before; the last hash is {log[-1].hash}." if log else "No entries yet."
    )
    print(wrong or head, file=sys.stderr)
    return 1 if wrong else 0


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
