"""What a town decides about signing in: who needs a second factor, how much one address may ask, its own sign-in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.engine.people.roles import ROLES


@dataclass(frozen=True, kw_only=True)
class OpenId:
    """A sign-in that the town has already: where it is, what we are called there, and which role whom gets.

    `roles`: a value of the claim `role_claim` -> role here; `back`: the address of this board's signin/openid/back as
    people's browsers reach it.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    title: str
    back: str
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    role_claim: str = "groups"
    roles: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Access:
    """How people come in. `second_factor_from`: the least role that needs one; None: nobody needs, all may have it."""

    second_factor_from: str | None = None
    requests_per_minute: int = 1_200
    connections_per_address: int = 512
    openid: OpenId | None = None

    def needs_second_factor(self, role: str) -> bool:
        """Whether somebody of this role has to have a second factor."""
        order = list(ROLES)
        least = self.second_factor_from
        return least is not None and order.index(role) >= order.index(least)
