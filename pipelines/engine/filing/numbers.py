"""Tracking numbers that nobody can guess, and the keys of forms that make posting twice harmless."""

import hashlib
import hmac
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# Crockford's letters: none that is taken for another when it is read out or written down.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LIKE = str.maketrans({"O": "0", "I": "1", "L": "1"})
DRAWN, GROUP = 11, 4
# A prime below the number of letters: one wrong letter or two exchanged ones never give the same last letter.
CHECKED_BY = 31
# Nobody fills a form in less; whoever takes longer than this is given a new one with all that was typed.
SOONEST, LATEST = timedelta(seconds=3), timedelta(hours=12)


def number(secret: bytes, key: str) -> str:
    """The number that a form's key always gives: 55 bits that cannot be told without the town's secret."""
    drawn = int.from_bytes(_mac(secret, f"number {key}")[:7]) >> 1
    return _written([(drawn >> (5 * place)) & 31 for place in range(DRAWN)])


def fresh() -> str:
    """A key for what comes without one."""
    return secrets.token_hex(16)


def tidy(typed: str) -> str | None:
    """A number as it is kept, from how people type it, in the digits of any script; None when it is none of ours."""
    plain = "".join(str(unicodedata.digit(letter, letter)) for letter in typed)
    letters = [letter for letter in plain.upper().translate(LIKE) if letter.isalnum()]
    if len(letters) != DRAWN + 1 or any(letter not in ALPHABET for letter in letters):
        return None
    written = _written([ALPHABET.index(letter) for letter in letters[:-1]])
    return written if written[-1] == letters[-1] else None


def _written(values: list[int]) -> str:
    check = sum((place + 1) * value for place, value in enumerate(values)) % CHECKED_BY
    letters = "".join(ALPHABET[value] for value in (*values, check))
    return "-".join(letters[start : start + GROUP] for start in range(0, len(letters), GROUP))


@dataclass(frozen=True)
class FormKey:
    """When a form was handed out, and its key; `sound`: it is one of ours."""

    text: str
    issued_at: datetime
    sound: bool

    def hurried(self, now: datetime) -> bool:
        """Whether it comes back sooner than anybody could have filled it in."""
        return now - self.issued_at < SOONEST

    def outdated(self, now: datetime) -> bool:
        """Whether it is too old, or none of ours."""
        return not self.sound or now - self.issued_at > LATEST or self.issued_at - now > SOONEST


def issue(secret: bytes, now: datetime) -> str:
    """The key of a form that is handed out now."""
    body = f"{int(now.timestamp()):x}.{secrets.token_urlsafe(12)}"
    return f"{body}.{_seal(secret, body)}"


def read(secret: bytes, text: str) -> FormKey:
    """The key that came back with a form."""
    body, _, seal = text[:100].rpartition(".")
    sound = hmac.compare_digest(seal.encode(), _seal(secret, body).encode())
    seconds = int(body.partition(".")[0], 16) if sound else 0
    return FormKey(text[:100], datetime.fromtimestamp(seconds, UTC), sound)


def _seal(secret: bytes, body: str) -> str:
    return _mac(secret, f"form {body}").hex()[:24]


def _mac(secret: bytes, text: str) -> bytes:
    return hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).digest()
