"""Passwords: long rather than odd, never guessable ones, kept as argon2id."""

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pipelines.engine.asking import Misasked

# OWASP ASVS 4.0.3, 2.1.1 and 2.1.2.
SHORTEST, LONGEST = 12, 128
# zxcvbn's scale ends at 4; 3 is "safely unguessable" with a slow hash. It reads no more than so many characters.
STRONG, READ = 3, 72
# argon2id with the parameters of RFC 9106, section 4, for little memory: 64 MiB, three passes.
HASHER = PasswordHasher()


def hashed(password: str, known: tuple[str, ...] = ()) -> str:
    """What is kept of a password. `known`: words that whoever guesses would try first, such as the account's name.

    Raises Misasked when it is too short, too long, or easily guessed.
    """
    # Its lists of words take 12 MB, and hardly any process ever sets a password.
    from zxcvbn import zxcvbn

    password = _same(password)
    if not SHORTEST <= len(password) <= LONGEST:
        raise Misasked(
            f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}. "
            "A short sentence is easy to remember and hard to guess; spaces and every script are fine."
        )
    guess = zxcvbn(password[:READ], [word.lower() for word in known if word])
    if guess["score"] < STRONG:
        why = guess["feedback"]["warning"]
        raise Misasked(
            f"This password is easily guessed{f' ({why.rstrip(chr(46))})' if why else ''}. "
            "Take a short sentence of your own, or four words that do not belong together."
        )
    return HASHER.hash(password)


def right(kept: str | None, password: str) -> bool:
    """Whether it is the password of which this was kept; as slow for an account that has none."""
    try:
        return HASHER.verify(kept or _nobodys(), _same(password[: LONGEST + 1])) and kept is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(kept: str) -> bool:
    """Whether it was hashed with other parameters than today's."""
    return HASHER.check_needs_rehash(kept)


def rehashed(password: str) -> str:
    """A password that is right, hashed anew."""
    return HASHER.hash(_same(password))


def _same(password: str) -> str:
    # The same letters typed on two keyboards may be different code points (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


@cache
def _nobodys() -> str:
    return HASHER.hash("the account is none, but the time it takes to say so must be the same")
