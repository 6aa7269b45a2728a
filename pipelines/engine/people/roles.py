"""Roles and rights as one table, and the actor whose name stands under every action."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Right = Literal["ingest", "read", "operate", "settings", "admin"]
RIGHTS: Mapping[str, str] = {
    "ingest": "send rows",
    "read": "see what is not public",
    "operate": "act on alarms and on quarantined rows",
    "settings": "do the work of a clerk",
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
# These can be limited to wards; who makes accounts or tokens answers for the whole town.
LIMITABLE = ("viewer", "council", "operator")


@dataclass(frozen=True)
class May:
    """What can be done with a right (None: by everybody); `by_ward`: a limited account does it in its wards."""

    words: str
    right: Right | None
    by_ward: bool = False


# What belongs to no ward and is open to limited accounts all the same, as the matrix says it.
LIMITED = {"Read the alarm rules that people set": "yes", "Open the wall without a token of its own": "yes"}
# What a role means in practice; docs/access.md shows it as a table, and a test holds both together.
MATRIX = (
    May("Look at the board: figures, maps, charts, alarms without names, exports, API, residents' page", None),
    May("See who did what to an alarm, its history, incidents, and how the alarm system does", "read", True),
    May("See which sensors' clocks are off", "read", True),
    May("See the shift log, its sheet, rows set aside (personal ones withheld), gateways and devices", "read"),
    May("Read the alarm rules that people set", "read"),
    May("Open the wall without a token of its own", "read"),
    May("Acknowledge, shelve, assign, comment, take out of service, reset an alarm", "operate", True),
    May("See filed requests with what is personal in them, enter them, bring them to another state", "operate", True),
    May("Write the shift log, hand over", "operate"),
    May("Set, try and end alarm rules", "operate"),
    May("See messages that were sent, who is on duty; test a channel", "operate"),
    May("See the bytes of rows set aside, take them in again", "operate"),
    May("Make, list and revoke tokens of machines and screens", "settings"),
    May("Have what is personal of a request forgotten", "settings"),
    May("Make, limit, disable accounts; give codes and roles; take a second factor away", "admin"),
    May("See and end everybody's sessions; read, check and export the audit log", "admin"),
)


class Forbidden(Exception):
    """An actor may not do this; `known` says whether it is known who asks (then signing in again changes nothing)."""

    def __init__(self, words: str, *, known: bool) -> None:
        super().__init__(words)
        self.words, self.known = words, known


@dataclass(frozen=True)
class Actor:
    """Somebody who asks or acts: a person by account name, a program by its token, or a visitor without a name.

    `wards`: what is not public is seen and done in these alone; None: in the whole town.
    """

    name: str = ""
    kind: Literal["visitor", "person", "program"] = "visitor"
    role: str | None = None
    rights: frozenset[str] = frozenset()
    wards: frozenset[str] | None = None

    @property
    def signature(self) -> str:
        """The name under an action: `asha`, or `token scada` for a program."""
        return f"token {self.name}" if self.kind == "program" else self.name

    def may(self, right: str) -> bool:
        """Whether it has this right."""
        return right in self.rights

    def in_reach(self, ward: str | None) -> bool:
        """Whether what lies in this ward (None: what belongs to no ward) is theirs."""
        return self.wards is None or ward in self.wards

    def may_everywhere(self, right: str) -> bool:
        """Whether it has this right for what belongs to no single ward."""
        return self.wards is None and self.may(right)

    def check_everywhere(self, right: str) -> None:
        """Nothing, when it has this right for the whole town.

        Raises Forbidden.
        """
        self.check(right)
        if self.wards is not None:
            where = ", ".join(sorted(self.wards))
            words = f"`{self.signature}` is limited to {where}; to {RIGHTS[right]} here takes the whole town."
            raise Forbidden(f"{words} Ask whoever looks after Townboard.", known=True)

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
# The board where it counts for everybody.
ITSELF = Actor("Townboard", "program", None, frozenset({"read"}))
# Whoever works on the town's own machine could open the files themselves.
AT_THE_MACHINE = Actor("console", "program", None, frozenset({"read", "admin"}))


def person(name: str, role: str, wards: Collection[str] = ()) -> Actor:
    """Somebody who signed in; `wards`: those that the account is limited to."""
    return Actor(name, "person", role, frozenset(ROLES[role]), frozenset(wards) if wards else None)


def program(name: str, scopes: frozenset[str]) -> Actor:
    """A machine that showed its token; `scopes` with all that they include."""
    return Actor(name, "program", None, scopes)
