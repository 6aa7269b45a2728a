"""Accounts and tokens from outside the line: listed for those who look after them, and changed by the line."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pipelines.engine import tokens
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people import accounts, second_factor, sessions
from pipelines.engine.people.accounts import Account
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.roles import Actor
from pipelines.engine.tokens import Token

# A token that people make on a page ends; who wants one without end makes it at the machine.
GOOD_FOR_DAYS = (30, 90, 365, 730)
SCOPES_ON_PAGES = ("ingest", "read", "wall")
OWN = "This is your own account. Another admin does that, or whoever works at the machine: python app.py user"


@dataclass(frozen=True)
class Known:
    """An account as an admin sees it."""

    account: Account
    open_sessions: int
    second_factor: bool


class AccountRoom:
    """What admins do to accounts, and clerks to tokens."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    def listed(self, actor: Actor) -> list[Known]:
        """Every account by name.

        Raises Forbidden, StoreError.
        """
        actor.check("admin")
        path, now = self._porter.path, self._porter.clock()
        known, secured = accounts.listed(path), second_factor.having(path)
        open_now = [one.name for one in sessions.listed(path) if sessions.counts(one, known, now)]
        return [Known(one, open_now.count(name), name in secured) for name, one in known.items()]

    async def change(self, actor: Actor, what: str, name: str, **facts: Any) -> str | None:
        """One thing (deeds.MANAGED) done to an account; the one-time code where one was made.

        Raises Forbidden; Misasked, also for what would lock its own admin out.
        """
        actor.check("admin")
        if name == actor.name and what in ("role", "disable", "factor"):
            raise Misasked(OWN, 409)
        gave = await self._porter.told("manage", by=actor.signature, what=what, name=name, facts=facts)
        self._porter.visitors.look_again()
        return gave if isinstance(gave, str) else None

    def tokens(self, actor: Actor) -> list[Token]:
        """Every token that was ever made; never a secret.

        Raises Forbidden, StoreError.
        """
        actor.check("settings")
        return tokens.listed(self._porter.path)

    async def make_token(self, actor: Actor, name: str, scope: str, days: int, feeds: Sequence[str] = ()) -> str:
        """The secret of a new token, shown this once.

        Raises Forbidden, Misasked.
        """
        actor.check("settings")
        one_of("scope", scope, SCOPES_ON_PAGES)
        if days not in GOOD_FOR_DAYS:
            raise Misasked(f"Choose one of {', '.join(map(str, GOOD_FOR_DAYS))} days.")
        until = self._porter.clock() + timedelta(days=days)
        facts = {"name": name, "scopes": [scope], "feeds": list(feeds), "expires_at": until.isoformat()}
        return str(await self._porter.told("make_token", by=actor.signature, **facts))

    async def revoke_token(self, actor: Actor, name: str) -> None:
        """End a token.

        Raises Forbidden, Misasked.
        """
        actor.check("settings")
        await asyncio.to_thread(self._known, name)
        await self._porter.told("revoke_token", by=actor.signature, name=name)

    def _known(self, name: str) -> None:
        one_of("token", name, [token.name for token in tokens.listed(self._porter.path)], 404)
