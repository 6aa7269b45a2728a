"""What a password may be, and how it is kept."""

import re

import pytest
from argon2 import PasswordHasher

from pipelines.engine.asking import Misasked
from pipelines.engine.people import passwords


def test_kept_is_argon2id_with_the_parameters_of_rfc_9106() -> None:
    # RFC 9106, section 4, second recommended option: t=3, p=4, m=2^16 KiB; a salt of 128 bits, a tag of 256.
    kept = passwords.hashed("rain over the old fort")
    head = re.match(r"\$argon2id\$v=19\$m=65536,t=3,p=4\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})\Z", kept)
    assert head is not None
    assert not passwords.outdated(kept)
    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


def test_nobodys_password_is_hashed_like_a_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = passwords.hashed("rain over the old fort")
    passwords._nobodys.cache_clear()
    passwords.right(None, "the first also makes what the others are held against")
    looked_at: list[str] = []

    class Watched(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            looked_at.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Watched())
    assert not passwords.right(kept, "rain over the new fort")
    assert not passwords.right(None, "rain over the new fort")
    assert [one.split("$")[1:4] for one in looked_at] == [["argon2id", "v=19", "m=65536,t=3,p=4"]] * 2


def test_only_the_password_itself_is_right(quick: None) -> None:
    kept = passwords.hashed("Rain over the old fort")
    assert passwords.right(kept, "Rain over the old fort")
    for wrong in ("rain over the old fort", "Rain over the old fort ", "Rain over the old for", "", "x" * 100_000):
        assert not passwords.right(kept, wrong)
    assert not passwords.right(None, "the account is none, but the time it takes to say so must be the same")
    assert not passwords.right("garbled", "Rain over the old fort")


def test_same_letters_typed_on_another_keyboard_are_the_same(quick: None) -> None:
    assert passwords.right(passwords.hashed("Häuser am alten Fluß"), "Ha\u0308user am alten Fluß")


def test_long_passwords_are_kept_whole(quick: None) -> None:
    long = "four score and seven years ago our fathers brought forth on this continent, a new nation"
    assert len(long) > passwords.READ
    assert not passwords.right(passwords.hashed(long), long[: passwords.READ])


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short one", "12 to 128 characters; this one has 9"),
        ("x" * 129, "12 to 128 characters; this one has 129"),
        ("passwordpassword", "easily guessed"),
        ("qwertyuiop12", "easily guessed"),
        ("nadipur12345", "easily guessed"),
        ("asha.raoasha.rao", "easily guessed"),
    ],
)
def test_short_and_common_passwords_are_refused_in_words(quick: None, password: str, words: str) -> None:
    with pytest.raises(Misasked, match=words):
        passwords.hashed(password, ("Asha.Rao", "Nadipur"))


def test_no_kinds_of_characters_are_demanded(quick: None) -> None:
    assert passwords.right(passwords.hashed("mango kettle orbit lantern"), "mango kettle orbit lantern")
    assert passwords.right(passwords.hashed("नदी के पार पुराना किला"), "नदी के पार पुराना किला")
