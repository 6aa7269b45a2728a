"""The second factor: six digits that change every half minute (RFC 6238), and codes for when the phone is lost."""

import hmac
import secrets
import sqlite3
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyotp
import segno

from pipelines.engine.asking import Misasked
from pipelines.engine.people import audit, sealing, sessions
from pipelines.engine.people.accounts import ALPHABET, digest, plain
from pipelines.engine.state_file import changing, read_all, sealed, unsealed, without_what_was

# RFC 6238, 5.2: half a minute, and one step either way for clocks that differ.
STEP_S, DRIFT = 30, 1
RECOVERY_CODES, RECOVERY_LENGTH = 10, 10
WRONG = "This code is not right. Type the six digits that the app shows now; the phone's clock must be right."
USED = "This code was used already. Wait for the next one; that is half a minute at most."


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What is kept for one account; `confirmed_at` None: begun, not yet in use. `step`: the last that was used.

    `secret` stands there where it was opened to be computed with; on disk it is `kept` sealed.
    """

    secret: str = field(default="", repr=False)
    kept: str = field(default="", repr=False)
    confirmed_at: datetime | None = None
    step: int = 0
    recovery: tuple[str, ...] = field(default=(), repr=False)


def of(path: Path, name: str) -> Factor | None:
    """The second factor of an account, its secret opened, or what was begun of it; None when it has none.

    Raises StoreError when it cannot be read.
    """
    found = [unsealed(facts) for _, facts in read_all(path, "factors", "name, facts", "name = ?", [name])]
    if not found:
        return None
    factor = _factor(found[0])
    # What was damaged, or no key opens, stays in use and fits no code: a recovery code does, or an admin takes it away.
    return replace(factor, secret=sealing.unseal(path, name, factor.kept) or pyotp.random_base32())


def opens(path: Path, name: str) -> bool:
    """Whether the secret of an account can be computed with here.

    Raises StoreError when it cannot be read.
    """
    return any(
        sealing.unseal(path, name, _factor(unsealed(facts)).kept) is not None
        for _, facts in read_all(path, "factors", "name, facts", "name = ?", [name])
    )


def having(path: Path) -> set[str]:
    """The accounts that have a second factor in use."""
    rows = read_all(path, "factors", "name, facts")
    return {name for name, facts in rows if _factor(unsealed(facts)).confirmed_at is not None}


def step_of(factor: Factor, typed: str, now: datetime) -> int | None:
    """The half minute whose code this is; None when it is none of now."""
    totp, at = pyotp.TOTP(factor.secret, interval=STEP_S), int(now.timestamp()) // STEP_S
    # Keyboards of many scripts have digits of their own.
    digits = "".join(str(unicodedata.digit(letter)) for letter in typed[:20] if letter.isdecimal())
    steps = [at + drift for drift in range(-DRIFT, DRIFT + 1)]
    right = [step for step in steps if hmac.compare_digest(totp.generate_otp(step), digits)]
    return right[0] if right else None


def recovery_of(factor: Factor, typed: str) -> str | None:
    """What is kept of this recovery code; None when it is none of those left."""
    key = digest(plain(typed))
    return next((kept for kept in factor.recovery if hmac.compare_digest(kept, key)), None)


def fresh_codes() -> list[str]:
    """New recovery codes, as people write them down."""
    half = RECOVERY_LENGTH // 2
    made = ["".join(secrets.choice(ALPHABET) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)]
    return [f"{code[:half]}-{code[half:]}" for code in made]


def address(factor: Factor, name: str, town: str) -> str:
    """The otpauth address that an app reads from the square."""
    return pyotp.TOTP(factor.secret, interval=STEP_S).provisioning_uri(name=name, issuer_name=f"Townboard {town}")


def square(text: str) -> str:
    """A QR code as SVG for the middle of a page; dark on light whatever the theme, or no phone reads it."""
    made = segno.make(text, error="m", micro=False)
    return str(made.svg_inline(scale=5, border=4, dark="#000", light="#fff", svgclass="qr", lineclass=None))


# changes: each is one commit, with its entry in the audit log ---------------------------------------------------------


def begin(path: Path, name: str, secret: str) -> None:
    """Keep what an app is to be given; in use only once its person has typed a code of it.

    Raises Misasked when one is in use already.
    """
    with changing(path) as db:
        if (known := _known(db, name)) and known.confirmed_at is not None:
            raise Misasked("A second factor is in use already. Take it away first, then set up the new one.")
        _keep(db, name, Factor(kept=sealing.seal(path, name, secret)))


def confirm(path: Path, name: str, step: int, recovery: Sequence[str], now: datetime, *, but: str = "") -> None:
    """Use the second factor that was begun from now on, with these recovery codes (their digests).

    Sessions that were opened without it end, all `but` the one in which it was set up.
    Raises Misasked when none was begun, or one is in use already.
    """
    with changing(path) as db:
        known = _known(db, name)
        if known is None or known.confirmed_at is not None:
            raise Misasked("Nothing was begun here. Begin to set up the second factor once more.")
        _keep(db, name, replace(known, confirmed_at=now, step=step, recovery=tuple(recovery)))
        audit.note(db, now, name, "second factor set up")
        sessions.end_within(db, name, now, by=name, but=but)


def use(path: Path, name: str, step: int) -> None:
    """Use up a code, so that it opens nothing a second time.

    Raises Misasked when it, or a later one, was used already.
    """
    with changing(path) as db:
        known = _known(db, name)
        if known is None or step <= known.step:
            raise Misasked(USED, 403)
        _keep(db, name, replace(known, step=step))


def use_recovery(path: Path, name: str, key: str, now: datetime) -> int:
    """Use up a recovery code (its digest); how many are left.

    Raises Misasked when it was used already.
    """
    with changing(path) as db:
        known = _known(db, name)
        if known is None or key not in known.recovery:
            raise Misasked(USED, 403)
        left = tuple(one for one in known.recovery if one != key)
        _keep(db, name, replace(known, recovery=left))
        audit.note(db, now, name, "recovery code used", {"left": len(left)})
        return len(left)


def renew(path: Path, name: str, recovery: Sequence[str], now: datetime) -> None:
    """Keep other recovery codes (their digests) in place of those before.

    Raises Misasked when there is no second factor in use.
    """
    with changing(path) as db:
        known = _known(db, name)
        if known is None or known.confirmed_at is None:
            raise Misasked("There is no second factor in use.")
        _keep(db, name, replace(known, recovery=tuple(recovery)))
        audit.note(db, now, name, "recovery codes renewed")


def remove(path: Path, name: str, now: datetime, *, by: str, but: str = "") -> bool:
    """Take a second factor away, with which all sessions end `but` one; whether there was one."""
    with changing(path) as db:
        gone = db.execute("DELETE FROM factors WHERE name = ?", [name]).rowcount > 0
        if gone:
            audit.note(db, now, by, "second factor taken away", {"name": name})
            sessions.end_within(db, name, now, by=by, but=but)
        return gone


def seal_all(path: Path) -> None:
    """Seal the secrets that an earlier version kept as they are; nothing of them stays in the file."""
    with changing(path) as db:
        for name, text in db.execute("SELECT name, facts FROM factors").fetchall():
            facts = unsealed(text) or {}
            if "secret" in facts:
                facts["sealed"] = sealing.seal(path, name, facts.pop("secret"))
                db.execute("REPLACE INTO factors VALUES (?, ?)", [name, sealed(facts)])
    without_what_was(path)


def _known(db: sqlite3.Connection, name: str) -> Factor | None:
    row = db.execute("SELECT facts FROM factors WHERE name = ?", [name]).fetchone()
    return _factor(unsealed(row[0])) if row else None


def _keep(db: sqlite3.Connection, name: str, factor: Factor) -> None:
    at = factor.confirmed_at
    facts = {
        "sealed": factor.kept, "confirmed_at": at.isoformat() if at else None, "step": factor.step,
        "recovery": list(factor.recovery),
    }  # fmt: skip
    db.execute("REPLACE INTO factors VALUES (?, ?)", [name, sealed(facts)])


def _factor(facts: Mapping[str, Any] | None) -> Factor:
    facts = facts or {"confirmed_at": "1970-01-01T00:00:00+00:00", "recovery": ()}
    at = facts["confirmed_at"]
    return Factor(
        kept=facts.get("sealed", ""),
        confirmed_at=datetime.fromisoformat(at) if at else None,
        step=facts.get("step", 0),
        recovery=tuple(facts["recovery"]),
    )
