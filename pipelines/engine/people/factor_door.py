"""The second step of signing in for the web process: a code of the phone, a recovery code, or setting both up."""

import asyncio
from dataclasses import dataclass

import pyotp

from pipelines.engine.asking import Misasked
from pipelines.engine.people import accounts, second_factor
from pipelines.engine.people.accounts import digest, plain
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.second_factor import Factor
from pipelines.engine.people.sessions import Session, Visit


@dataclass(frozen=True)
class Entered:
    """What became of a right code: the secret of the session, recovery codes to write down, and how many are left."""

    secret: str
    codes: tuple[str, ...] = ()
    left: int | None = None


class FactorDoor:
    """Looks at second factors; what came of it is written down by the line."""

    def __init__(self, porter: Porter) -> None:
        self._porter = porter

    def of(self, visit: Visit) -> Factor | None:
        """The second factor of whoever is on the way in or signed in.

        Raises Misasked when nobody is, StoreError.
        """
        return second_factor.of(self._porter.path, whose(visit).name)

    async def pass_by(self, visit: Visit, typed: str, *, peer: str, agent: str) -> Entered:
        """A session for whoever is half in and types a code of the phone, or a recovery code.

        Raises Misasked: the code is wrong or was used already, too many were wrong, or the time is over.
        """
        session = _half(visit)
        self._porter.slow_down(peer)
        account = (await asyncio.to_thread(accounts.listed, self._porter.path)).get(session.name)
        if account is None:
            raise Misasked(LATE, 401)
        self._porter.patient(account, peer)
        left = await self._used(session.name, typed, peer)
        secret = await self._porter.whole(session.name, peer=peer, agent=agent, before=session.digest)
        return Entered(secret, left=left)

    async def begin(self, visit: Visit) -> None:
        """Make what the app is to be given.

        Raises Misasked when a second factor is in use already.
        """
        await self._porter.told("begin_factor", name=whose(visit).name, secret=pyotp.random_base32())

    async def confirm(self, visit: Visit, typed: str, *, peer: str, agent: str) -> Entered:
        """The second factor is in use once a code of it was typed; the session goes on under a new secret.

        Raises Misasked: nothing was begun, or the code is not right.
        """
        session, factor = whose(visit), await asyncio.to_thread(self.of, visit)
        if factor is None or factor.confirmed_at is not None:
            raise Misasked("Nothing was begun here. Begin to set up the second factor once more.")
        self._porter.slow_down(peer)
        step = second_factor.step_of(factor, typed, self._porter.clock())
        if step is None:
            await self._porter.count_wrong(None, peer, "code of a new second factor")
            raise Misasked(second_factor.WRONG, 403)
        codes = second_factor.fresh_codes()
        kept = [digest(plain(code)) for code in codes]
        await self._porter.told("confirm_factor", name=session.name, step=step, recovery=kept, keep=session.id)
        if visit.session is not None:
            return Entered(await self._porter.rotated(session), tuple(codes))
        secret = await self._porter.whole(session.name, peer=peer, agent=agent, before=session.digest)
        return Entered(secret, tuple(codes))

    async def renew(self, visit: Visit, typed: str, *, peer: str) -> tuple[str, ...]:
        """New recovery codes, for whoever shows a code of the phone.

        Raises Misasked.
        """
        session = _whole(visit)
        await self._proven(session, typed, peer)
        codes = second_factor.fresh_codes()
        kept = [digest(plain(code)) for code in codes]
        await self._porter.told("renew_recovery", name=session.name, recovery=kept)
        return tuple(codes)

    async def remove(self, visit: Visit, typed: str, *, peer: str) -> str:
        """Take the second factor away, for whoever shows a code of it; where the town asks for one, not at all.

        Every other session of the account ends; this one goes on under the new secret that is given.

        Raises Misasked.
        """
        session = _whole(visit)
        if self._porter.access.needs_second_factor(visit.actor.role or "viewer"):
            raise Misasked(NEEDED, 403)
        await self._proven(session, typed, peer)
        await self._porter.told("remove_factor", name=session.name, by=session.name, keep=session.id)
        return await self._porter.rotated(session)

    async def _proven(self, session: Session, typed: str, peer: str) -> None:
        """Nothing, when it is a code of somebody signed in that was never used."""
        self._porter.slow_down(peer)
        account = (await asyncio.to_thread(accounts.listed, self._porter.path))[session.name]
        self._porter.patient(account, peer)
        await self._used(session.name, typed, peer)

    async def _used(self, name: str, typed: str, peer: str) -> int | None:
        """A code used up; how many recovery codes are left when it was one of them."""
        factor = await asyncio.to_thread(second_factor.of, self._porter.path, name)
        if factor is None or factor.confirmed_at is None:
            raise Misasked("There is no second factor in use.")
        step = second_factor.step_of(factor, typed, self._porter.clock())
        key = second_factor.recovery_of(factor, typed) if step is None else None
        if step is None and key is None:
            await self._porter.count_wrong(name, peer, "code of the second factor")
            raise Misasked(second_factor.WRONG, 403)
        try:
            if key is not None:
                return int(await self._porter.told("use_recovery", name=name, key=key))
            await self._porter.told("use_factor", name=name, step=step)
        except Misasked as refused:
            if refused.status == 403:
                await self._porter.count_wrong(name, peer, "code of the second factor")
            raise
        return None


LATE = "The time for the second step is over. Sign in once more."
NEEDED = (
    "Your role needs a second factor in this town; whoever looks after Townboard can take it away to set it up anew."
)


def whose(visit: Visit) -> Session:
    """The session of a visit, open or half open.

    Raises Misasked when it has neither.
    """
    session = visit.session or visit.half
    if session is None:
        raise Misasked(LATE, 401)
    return session


def _half(visit: Visit) -> Session:
    if visit.half is None:
        raise Misasked(LATE, 401)
    return visit.half


def _whole(visit: Visit) -> Session:
    if visit.session is None:
        raise Misasked("Sign in first.", 401)
    return visit.session
