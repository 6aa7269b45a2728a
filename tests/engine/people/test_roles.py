"""The table of rights: each role by each right, and the words of a refusal."""

import pytest

from pipelines.engine.people.roles import RIGHTS, ROLES, VISITOR, Actor, Forbidden, person, program

# Issue 7, item 1: viewer, operator, council, clerk (settings), admin; rows are sent by machines only.
EXPECTED = {
    "viewer": "read",
    "council": "read",
    "operator": "read operate",
    "clerk": "read operate settings",
    "admin": "read operate settings admin",
}


@pytest.mark.parametrize("right", RIGHTS)
@pytest.mark.parametrize("role", ROLES)
def test_role_has_exactly_the_rights_of_the_table(role: str, right: str) -> None:
    assert person("asha", role).may(right) == (right in EXPECTED[role].split())


def test_visitor_may_nothing_and_is_told_to_sign_in() -> None:
    for right in RIGHTS:
        with pytest.raises(Forbidden, match="sign in") as refused:
            VISITOR.check(right)
        assert not refused.value.known


@pytest.mark.parametrize(
    ("actor", "words"),
    [
        (person("asha", "viewer"), "`asha` has the role viewer"),
        (program("scada", frozenset({"ingest"})), "`token scada`"),
    ],
)
def test_refusal_names_who_and_what_would_be_needed(actor: Actor, words: str) -> None:
    with pytest.raises(Forbidden, match=words) as refused:
        actor.check("operate")
    assert refused.value.known
    assert "(operator, clerk, admin)" in refused.value.words
