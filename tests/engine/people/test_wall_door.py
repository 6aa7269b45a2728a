"""The door to the wall: whom it lets in, with which token, and until when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.engine import token_desk, tokens
from pipelines.engine.asking import Misasked
from pipelines.engine.people.patience import MOST_WRONG
from pipelines.engine.people.roles import VISITOR, person
from pipelines.engine.people.wall_door import WallDoor
from tests.engine.small_town import NOON


class Street:
    """A town's store, its clock, and its wall's door."""

    def __init__(self, folder: Path) -> None:
        self.store, self.now = folder, NOON
        self.path = tokens.path_of(folder)

    def door(self, *, open_wall: bool = False) -> WallDoor:
        settings = SimpleNamespace(store=self.store, open_wall=open_wall)
        return WallDoor(settings, None, lambda: self.now)  # type: ignore[arg-type]


@pytest.fixture
def street(tmp_path: Path) -> Street:
    return Street(tmp_path)


def test_the_wall_is_closed_to_a_screen_without_a_token(street: Street) -> None:
    with pytest.raises(Misasked, match="token add NAME --scope wall") as refused:
        street.door().admitted(VISITOR, "", "10.0.0.9")
    assert refused.value.status == 403


def test_the_wall_is_open_to_all_where_the_town_says_so(street: Street) -> None:
    assert street.door(open_wall=True).admitted(VISITOR, "", "10.0.0.9") is None


def test_whoever_is_signed_in_may_look(street: Street) -> None:
    assert street.door().admitted(person("asha", "viewer"), "", "10.0.0.9") is None


def test_a_token_opens_the_wall_until_it_ends_and_stands_hashed(street: Street) -> None:
    secret = tokens.add(street.path, "lobby", ["wall"], NOON, expires_at=NOON + timedelta(days=2))
    found = street.door().admitted(VISITOR, secret, "10.0.0.9")
    assert found is not None and found.name == "lobby"
    assert secret.encode() not in street.path.read_bytes()
    street.now = NOON + timedelta(days=2)
    with pytest.raises(Misasked, match="`lobby` ended at"):
        street.door().admitted(VISITOR, secret, "10.0.0.9")


def test_a_revoked_token_opens_nothing(street: Street) -> None:
    secret = tokens.add(street.path, "lobby", ["wall"], NOON)
    tokens.revoke(street.path, "lobby", NOON)
    with pytest.raises(Misasked, match="`lobby` was revoked"):
        street.door().admitted(VISITOR, secret, "10.0.0.9")


@pytest.mark.parametrize("scope", ["ingest", "read", "admin"])
def test_tokens_for_other_things_do_not_open_it(street: Street, scope: str) -> None:
    secret = tokens.add(street.path, "scada", [scope], NOON)
    with pytest.raises(Misasked, match="`scada` is not for the wall"):
        street.door().admitted(VISITOR, secret, "10.0.0.9")


def test_a_wall_token_may_do_nothing_else(street: Street) -> None:
    tokens.add(street.path, "lobby", ["wall"], NOON)
    (token,) = tokens.listed(street.path)
    assert [scope for scope in tokens.SCOPES if token.may(scope)] == ["wall"]


def test_guesses_from_one_address_are_slowed_down(street: Street) -> None:
    door = street.door()
    statuses = []
    for guess in range(MOST_WRONG + 1):
        with pytest.raises(Misasked) as refused:
            door.right(f"townboard_{guess}", "10.0.0.9")
        statuses.append(refused.value.status)
    assert statuses == [403] * MOST_WRONG + [429]


@pytest.mark.parametrize(("asked", "ends"), [(None, NOON + timedelta(days=365)), ("7d", NOON + timedelta(days=7))])
def test_a_wall_token_made_by_hand_always_ends(
    street: Street, capsys: pytest.CaptureFixture[str], asked: str | None, ends: datetime
) -> None:
    settings = SimpleNamespace(store=street.store, feeds={})
    made: Callable[..., int] = token_desk.add
    assert made(settings, "lobby", ["wall"], [], asked, NOON) == 0
    (token,) = tokens.listed(street.path)
    assert token.expires_at == ends
    said = capsys.readouterr()
    assert street.door().admitted(VISITOR, said.out.strip(), "10.0.0.9") == token
    assert "/wall?token=" in said.err
