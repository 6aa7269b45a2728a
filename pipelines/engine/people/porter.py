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
from pipelines.engine.line_client import LineClient
from pipelines.engine.people import accounts, audit, passwords, second_factor, sessions
from pipelines.engine.people.accounts import Account, Code, digest, plain
from pipelines.engine.people.audit import Entry
from pipelines.engine.people.patience import Patience
from pipelines.engine.people.plan import Access
from pipelines.engine.people.roles import Actor
from pipelines.engine.people.sessions import Session, Visit, Visitors

log = logging.getLogger("townboard")
# So many people wait for their password to be looked at (a tenth of a second each); more are told to come again.
MOST_WAITING = 20
WRONG = "Name and password do not belong together. Check both; the name is written in small letters."
NO_LINE = "The line does not run at the moment, so nobody can sign in. Try again in a few seconds."


class Porter:
    """One per web process. One password is looked at at a time: hashing takes 64 MB and both cores."""

    def __init__(
        self, path: Path, line: LineClient, clock: Callable[[], datetime], access: Access | None = None
    ) -> None:
        self.path, self._line, self.clock, self.access = path, line, clock, access or Access()
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
            return self.visitors.visit(secret, self.clock()) if secret else Visit()
        except StoreError as error:
            log.warning("sessions cannot be read, everybody is a visitor: %s", error)
            return Visit()

    async def note_seen(self, visit: Visit) -> None:
        """Have it written down that a session is used; not knowing it harms nobody."""
        if visit.session is not None and self.visitors.unnoted(visit.session, self.clock()):
            with contextlib.suppress(Misasked):
                await self.told("seen", key=visit.session.digest)

    async def sign_in(self, name: str, password: str, *, peer: str, agent: str, before: str) -> str:
        """The secret of a new session; of half a one, where a second factor has yet to come.

        Raises Misasked, with the same words whether name or password is wrong.
        """
        self.slow_down(peer)
        if self._waiting >= MOST_WAITING:
            raise Misasked("Too many people are signing in at this moment. Try again in half a minute.", 429)
        self._waiting += 1
        try:
            async with self._turn:
                name = await self._checked(name.strip().lower(), password, peer)
        finally:
            self._waiting -= 1
        return await self.begun(name, peer=peer, agent=agent, before=before)

    async def _checked(self, name: str, password: str, peer: str) -> str:
        """The name, when the password is its own and nobody has to wait."""
        self.slow_down(peer)
        # Not what is remembered: the wrong password of a moment ago counts.
        account = (await asyncio.to_thread(accounts.listed, self.path)).get(name)
        if account is not None:
            self.patient(account, peer)
        usable = account is not None and account.disabled_at is None
        kept = account.password if account is not None and usable else None
        if not await asyncio.to_thread(passwords.right, kept, password):
            await self.count_wrong(name if account is not None else None, peer, "password")
            raise Misasked(WRONG, 403)
        if kept and passwords.outdated(kept):
            await self.told("rehash", name=name, password=await asyncio.to_thread(passwords.rehashed, password))
        return name

    async def count_wrong(self, name: str | None, peer: str, what: str) -> None:
        """Remember a wrong password or code, of this account and from this address."""
        log.warning("a wrong %s from %s for %s", what, peer or "an unknown address", name or "no account")
        self._wrong.noted(peer)
        if name is not None:
            await self.told("fail", name=name, peer=peer, what=what)

    def patient(self, account: Account, peer: str) -> None:
        """Nothing, unless too much was wrong for this account of late.

        Raises Misasked.
        """
        left = accounts.wait(account, peer, self.clock())
        if left > timedelta(0):
            minutes = -(-left.total_seconds() // 60)
            when = f"in {minutes:.0f} minutes" if minutes > 1 else "in a minute"
            words = f"Too many wrong passwords. Try again {when}, or ask an admin for a one-time code."
            raise Misasked(words, 429)

    def slow_down(self, peer: str) -> None:
        """Nothing, unless too much was wrong from this address of late, whatever name it was for."""
        if seconds := self._wrong.left(peer):
            raise Misasked(f"Too many wrong tries came from this address. Try again in {seconds} s.", 429)

    def code(self, typed: str, peer: str) -> Code:
        """What a one-time code opens.

        Raises Misasked when it opens nothing (any more), StoreError when nobody can look.
        """
        self.slow_down(peer)
        key, now = digest(plain(typed)), self.clock()
        for code in accounts.codes(self.path):
            if code.digest == key and code.expires_at > now:
                return code
        log.warning("a wrong one-time code from %s", peer or "an unknown address")
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
        owner = await self.told("redeem", code=code.digest, name=name, password=kept)
        if code.enters:
            return await self.whole(str(owner), peer=peer, agent=agent, before=_key(before))
        return await self.begun(str(owner), peer=peer, agent=agent, before=before)

    async def change_password(self, visit: Visit, old: str, new: str, *, peer: str) -> str:
        """Keep a new password; every other session of the account ends, and this one goes on under this new secret.

        Raises Misasked when the old one is wrong or the new one will not do.
        """
        session = opened(visit)
        async with self._turn:
            await self._checked(session.name, old, peer)
        kept = await self._hashed(new, session.name)
        await self.told("set_password", name=session.name, password=kept, keep=session.id)
        return await self.rotated(session)

    async def rotated(self, session: Session) -> str:
        """The new secret under which a session goes on.

        Raises Misasked when it has ended meanwhile.
        """
        made = sessions.secret()
        await self.told("rotate", old=session.digest, new=digest(made))
        self.visitors.look_again()
        return made

    async def right_password(self, name: str, password: str, peer: str) -> None:
        """Nothing, when it is this account's password, asked for once more before something weighty.

        Raises Misasked.
        """
        async with self._turn:
            await self._checked(name, password, peer)

    async def end(self, visit: Visit, name: str, *, id: str | None = None, but: str | None = None) -> int:
        """End a session of this account, or all but one; one's own, or with the right `admin` anybody's.

        Raises Forbidden, Misasked.
        """
        if name != opened(visit).name:
            visit.actor.check("admin")
        ended = await self.told("end", name=name, by=visit.actor.name, id=id, but=but)
        self.visitors.look_again()
        return int(ended)

    def sessions(self, visit: Visit) -> list[Session]:
        """The sessions that are open: one's own, and with the right `admin` everybody's; the newest used first."""
        own, now = opened(visit).name, self.clock()
        everybody = visit.actor.may("admin")
        known = self.visitors.accounts
        found = [
            one for one in sessions.listed(self.path)
            if (everybody or one.name == own) and sessions.counts(one, known, now)
        ]  # fmt: skip
        return sorted(found, key=lambda one: (one.name != own, one.name, -one.seen_at.timestamp()))

    def audit_log(self, actor: Actor) -> list[Entry]:
        """The audit log, oldest first; audit.tampering says whether it fits together.

        Raises Forbidden, StoreError.
        """
        actor.check("admin")
        return audit.entries(self.path)

    async def _hashed(self, password: str, name: str) -> str:
        return await asyncio.to_thread(passwords.hashed, password, (name, "townboard"))

    async def begun(self, name: str, *, peer: str, agent: str, before: str) -> str:
        """The secret of a session of somebody whose password was right: half a one where a second factor must come."""
        account = (await asyncio.to_thread(accounts.listed, self.path))[name]
        factor = await asyncio.to_thread(second_factor.of, self.path, name)
        in_use = factor is not None and factor.confirmed_at is not None
        if not in_use and not self.access.needs_second_factor(account.role):
            return await self.whole(name, peer=peer, agent=agent, before=_key(before))
        made = sessions.secret()
        await self.told("begin_half", key=digest(made), name=name, agent=agent, peer=peer, before=_key(before))
        self.visitors.look_again()
        return made

    async def whole(self, name: str, *, peer: str, agent: str, before: str | None) -> str:
        """The secret of a session that is open; the one that the browser had before (its digest) ends."""
        made = sessions.secret()
        await self.told("begin", key=digest(made), name=name, agent=agent, peer=peer, before=before)
        self.visitors.look_again()
        return made

    async def told(self, deed: str, **facts: Any) -> Any:
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


def _key(secret: str) -> str | None:
    return digest(secret) if secret else None


def opened(visit: Visit) -> Session:
    """The session of a visit.

    Raises Misasked when it has none.
    """
    if visit.session is None:
        raise Misasked("Sign in first.", 401)
    return visit.session
