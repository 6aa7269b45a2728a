"""Signing in and out for the web process: looks at the password here, has the line write down what came of it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.local import LineClient
from pipelines.engine.people import accounts, audit, passwords, sessions
from pipelines.engine.people.accounts import Account, Code, digest, plain
from pipelines.engine.people.patience import Patience
from pipelines.engine.people.sessions import Session, Visit, Visitors

log = logging.getLogger("townboard")
# So many people wait for their password to be looked at (a tenth of a second each); more are told to come again.
MOST_WAITING = 20
WRONG = "Name and password do not belong together. Check both; the name is written in small letters."
NO_LINE = "The line does not run at the moment, so nobody can sign in. Try again in a few seconds."


class Porter:
    """One per web process. One password is looked at at a time: hashing takes 64 MB and both cores."""

    def __init__(self, path: Path, line: LineClient, clock: Callable[[], datetime]) -> None:
        self._path, self._line, self._clock = path, line, clock
        # Browsers send cookies to every port of a machine: two towns on one must not sign each other's people out.
        self.cookie = f"townboard-{digest(str(path.resolve()))[:8]}"
        self.visitors = Visitors(path)
        self._turn, self._waiting, self._wrong = asyncio.Lock(), 0, Patience(clock)

    def secret_in(self, cookies: str) -> str:
        """The session secret among the cookies of a request, empty when there is none."""
        found = (part.strip().partition("=") for part in cookies.split(";"))
        return next((value for name, _, value in found if name == self.cookie), "")

    def visit(self, secret: str) -> Visit:
        """Who comes with this session secret; a visitor where it is none, or where nobody can look."""
        try:
            return self.visitors.visit(secret, self._clock()) if secret else Visit()
        except StoreError as error:
            log.warning("sessions cannot be read, everybody is a visitor: %s", error)
            return Visit()

    async def note_seen(self, visit: Visit) -> None:
        """Have it written down that a session is used; not knowing it harms nobody."""
        if visit.session is not None and self.visitors.unnoted(visit.session, self._clock()):
            with contextlib.suppress(Misasked):
                await self._told("seen", key=visit.session.digest)

    async def sign_in(self, name: str, password: str, *, peer: str, agent: str, before: str) -> str:
        """The secret of a new session.

        Raises Misasked, with the same words whether name or password is wrong.
        """
        self._slow_down(peer)
        if self._waiting >= MOST_WAITING:
            raise Misasked("Too many people are signing in at this moment. Try again in half a minute.", 429)
        self._waiting += 1
        try:
            async with self._turn:
                name = await self._checked(name.strip().lower(), password, peer)
        finally:
            self._waiting -= 1
        return await self._begun(name, peer, agent, before)

    async def _checked(self, name: str, password: str, peer: str) -> str:
        """The name, when the password is its own and nobody has to wait."""
        self._slow_down(peer)
        # Not what is remembered: the wrong password of a moment ago counts.
        account = (await asyncio.to_thread(accounts.listed, self._path)).get(name)
        if account is not None:
            self._patient(account, peer)
        usable = account is not None and account.disabled_at is None
        kept = account.password if account is not None and usable else None
        if not await asyncio.to_thread(passwords.right, kept, password):
            self._wrong.noted(peer)
            if account is not None:
                await self._told("fail", name=name, peer=peer)
            raise Misasked(WRONG, 403)
        if kept and passwords.outdated(kept):
            await self._told("rehash", name=name, password=await asyncio.to_thread(passwords.rehashed, password))
        return name

    def _patient(self, account: Account, peer: str) -> None:
        left = accounts.wait(account, peer, self._clock())
        if left > timedelta(0):
            minutes = -(-left.total_seconds() // 60)
            when = f"in {minutes:.0f} minutes" if minutes > 1 else "in a minute"
            words = f"Too many wrong passwords. Try again {when}, or ask an admin for a one-time code."
            raise Misasked(words, 429)

    def _slow_down(self, peer: str) -> None:
        """Nothing, unless too much was wrong from this address of late, whatever name it was for."""
        if seconds := self._wrong.left(peer):
            raise Misasked(f"Too many wrong tries came from this address. Try again in {seconds} s.", 429)

    def code(self, typed: str, peer: str) -> Code:
        """What a one-time code opens.

        Raises Misasked when it opens nothing (any more), StoreError when nobody can look.
        """
        self._slow_down(peer)
        key, now = digest(plain(typed)), self._clock()
        for code in accounts.codes(self._path):
            if code.digest == key and code.expires_at > now:
                return code
        self._wrong.noted(peer)
        raise Misasked(accounts.SPENT, 403)

    async def redeem(self, typed: str, name: str, password: str, *, peer: str, agent: str, before: str) -> str:
        """The secret of a new session, for a code and (unless the code enters by itself) the password chosen with it.

        Raises Misasked: the code opens nothing, the name or password will not do.
        """
        code = await asyncio.to_thread(self.code, typed, peer)
        name = code.name or name.strip().lower()
        accounts.fit(name)
        kept = None if code.enters else await self._hashed(password, name)
        owner = await self._told("redeem", code=code.digest, name=name, password=kept)
        return await self._begun(str(owner), peer, agent, before)

    async def change_password(self, visit: Visit, old: str, new: str, *, peer: str) -> None:
        """Keep a new password; every other session of the account ends.

        Raises Misasked when the old one is wrong or the new one will not do.
        """
        session = _open(visit)
        async with self._turn:
            await self._checked(session.name, old, peer)
        kept = await self._hashed(new, session.name)
        await self._told("set_password", name=session.name, password=kept, keep=session.id)
        self.visitors.look_again()

    async def end(self, visit: Visit, name: str, *, id: str | None = None, but: str | None = None) -> int:
        """End a session of this account, or all but one; one's own, or with the right `admin` anybody's.

        Raises Forbidden, Misasked.
        """
        if name != _open(visit).name:
            visit.actor.check("admin")
        ended = await self._told("end", name=name, by=visit.actor.name, id=id, but=but)
        self.visitors.look_again()
        return int(ended)

    def sessions(self, visit: Visit) -> list[Session]:
        """The sessions that are open: one's own, and with the right `admin` everybody's; the newest used first."""
        own, now = _open(visit).name, self._clock()
        everybody = visit.actor.may("admin")
        known = self.visitors.accounts
        found = [
            one for one in sessions.listed(self._path)
            if one.open(now) and (everybody or one.name == own) and one.created_at >= known[one.name].valid_from
        ]  # fmt: skip
        return sorted(found, key=lambda one: (one.name != own, one.name, -one.seen_at.timestamp()))

    def audit_log(self, visit: Visit) -> str:
        """The audit log as CSV.

        Raises Forbidden, StoreError.
        """
        visit.actor.check("admin")
        return audit.as_csv(audit.entries(self._path))

    async def _hashed(self, password: str, name: str) -> str:
        return await asyncio.to_thread(passwords.hashed, password, (name, "townboard"))

    async def _begun(self, name: str, peer: str, agent: str, before: str) -> str:
        made = sessions.secret()
        old = digest(before) if before else None
        await self._told("begin", key=digest(made), name=name, agent=agent, peer=peer, before=old)
        self.visitors.look_again()
        return made

    async def _told(self, deed: str, **facts: Any) -> Any:
        """What the line answers to a deed.

        Raises Misasked with the line's words, also when no line runs.
        """
        try:
            status, told = await self._line.people(deed, facts)
        except (httpx.TransportError, ValueError) as error:
            raise Misasked(NO_LINE, 503) from error
        if status != httpx.codes.OK:
            raise Misasked(str(told.get("detail", NO_LINE)), status)
        return told["gave"]


def _open(visit: Visit) -> Session:
    """The session of a visit.

    Raises Misasked when it has none.
    """
    if visit.session is None:
        raise Misasked("Sign in first.", 401)
    return visit.session
