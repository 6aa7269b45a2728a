"""Roles and rights as one table, and the actor whose name stands under every action."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Right = Literal["ingest", "read", "operate", "settings", "admin"]
RIGHTS: Mapping[str, str] = {
    "ingest": "send rows",
    "read": "see what is not public",
    "operate": "act on alarms and on quarantined rows",
    "settings": "change what a clerk edits",
    "admin": "look after accounts and read the audit log",
}
# Least first; what each may do. Machines have scopes of the same names instead of a role.
ROLES: Mapping[str, tuple[str, ...]] = {
    "viewer": ("read",),
    "council": ("read",),
    "operator": ("read", "operate"),
    "clerk": ("read", "operate", "settings"),
    "admin": ("read", "operate", "settings", "admin"),
}


class Forbidden(Exception):
    """An actor may not do this; `known` says whether it is known who asks (then signing in again changes nothing)."""

    def __init__(self, words: str, *, known: bool) -> None:
        super().__init__(words)
        self.words, self.known = words, known


@dataclass(frozen=True)
class Actor:
    """Somebody who asks or acts: a person by account name, a program by its token, or a visitor without a name."""

    name: str = ""
    kind: Literal["visitor", "person", "program"] = "visitor"
    role: str | None = None
    rights: frozenset[str] = frozenset()

    @property
    def signature(self) -> str:
        """The name under an action: `asha`, or `token scada` for a program."""
        return f"token {self.name}" if self.kind == "program" else self.name

    def may(self, right: str) -> bool:
        """Whether it has this right."""
        return right in self.rights

    def check(self, right: str) -> None:
        """Nothing, when it has this right.

        Raises Forbidden.
        """
        if self.may(right):
            return
        if self.kind == "visitor":
            raise Forbidden(f"To {RIGHTS[right]}, sign in.", known=False)
        has = f"the role {self.role}" if self.role else "its scopes"
        able = ", ".join(role for role, rights in ROLES.items() if right in rights) or "a token with that scope"
        words = f"`{self.signature}` has {has}; to {RIGHTS[right]} needs the right `{right}` ({able})."
        raise Forbidden(f"{words} Ask whoever looks after Townboard.", known=True)


VISITOR = Actor()
# The board where it counts for everybody, and whoever works on the town's own machine.
ITSELF = Actor("Townboard", "program", None, frozenset({"read"}))


def person(name: str, role: str) -> Actor:
    """Somebody who signed in."""
    return Actor(name, "person", role, frozenset(ROLES[role]))


def program(name: str, scopes: frozenset[str]) -> Actor:
    """A machine that showed its token; `scopes` with all that they include."""
    return Actor(name, "program", None, scopes)
