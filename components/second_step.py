"""The second factor's pages: typed at sign-in, set up step by step, renewed and taken away; without scripts."""

import asyncio
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from components import glass, plain
from components.asgi import App, Headers, Receive, Scope, Send, answer, query
from components.forms import Form, read_on_the_way, redirect, within
from components.tongue import _
from components.tongue import said as translated
from components.visitor import agent, cookie, current, peer
from pipelines.engine.asking import Misasked
from pipelines.engine.people import second_factor
from pipelines.engine.people.factor_door import Entered, FactorDoor


class SecondStep:
    """Both ways to the second factor: on the way in, and from one's own account."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.addresses: Mapping[str, App] = {
            "signin/second": plain.by_method(self._at_the_door, self._sent),
            "account/second": plain.by_method(self._inside, self._sent),
        }

    async def _at_the_door(self, scope: Scope, receive: Receive, send: Send) -> None:
        if current().half is None:
            return await answer(scope, send, 303, b"", redirect(glass.href("signin")))
        return await self._show(scope, send)

    async def _inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        if current().session is None:
            place = glass.href("signin", next=glass.href("account/second"))
            return await answer(scope, send, 303, b"", redirect(place))
        return await self._show(scope, send)

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = Form()
        try:
            form = await read_on_the_way(scope, receive)
            if form.one("do") not in DEEDS:
                raise Misasked(_("This action is unknown. Load the page again."))
            await DEEDS[form.one("do")](self, scope, send, form)
        except Misasked as mistake:
            if current().session is None and current().half is None:
                return await answer(scope, send, 303, b"", redirect(glass.href("signin")))
            await self._show(scope, send, mistake, form.one("next"))

    async def _pass(self, scope: Scope, send: Send, form: Form) -> None:
        entered = await self._door.pass_by(current(), form.one("code"), peer=peer(scope), agent=agent(scope))
        wanted = within(form.one("next"), self.prefix)
        few = entered.left is not None
        place = glass.href("account/second", left=entered.left) if few else wanted
        await answer(scope, send, 303, b"", redirect(place, cookie(scope, entered.secret)))

    async def _begin(self, scope: Scope, send: Send, form: Form) -> None:
        await self._door.begin(current())
        here = "account/second" if current().session else "signin/second"
        wanted = within(form.one("next"), self.prefix)
        place = glass.href(here, next=wanted if current().half else None)
        await answer(scope, send, 303, b"", redirect(place))

    async def _confirm(self, scope: Scope, send: Send, form: Form) -> None:
        entered = await self._door.confirm(current(), form.one("code"), peer=peer(scope), agent=agent(scope))
        await self._codes(scope, send, entered, form.one("next"))

    async def _renew(self, scope: Scope, send: Send, form: Form) -> None:
        codes = await self._door.renew(current(), form.one("code"), peer=peer(scope))
        await self._codes(scope, send, Entered("", codes), "")

    async def _remove(self, scope: Scope, send: Send, form: Form) -> None:
        secret = await self._door.remove(current(), form.one("code"), peer=peer(scope))
        await answer(scope, send, 303, b"", [*redirect(glass.href("account/second")), cookie(scope, secret)])

    async def _codes(self, scope: Scope, send: Send, entered: Entered, place: str) -> None:
        """The recovery codes, this once."""
        wanted = within(place, self.prefix) if current().half else glass.href("account/second")
        given = {"codes": entered.codes, "next": wanted}
        body = await asyncio.to_thread(
            lambda: plain.document(_("Recovery codes"), plain.content("recovery_codes.html", **given))
        )
        more: Headers = [cookie(scope, entered.secret)] if entered.secret else []
        await plain.give(scope, send, body, 200, more)

    async def _show(self, scope: Scope, send: Send, mistake: Misasked | None = None, place: str = "") -> None:
        factor = await asyncio.to_thread(self._door.of, current())
        person = current().session or current().half
        stage = "none" if factor is None else "in use" if factor.confirmed_at else "begun"
        asked = query(scope)
        given: dict[str, Any] = {
            "stage": stage, "words": translated(mistake.words) if mistake else "", "square": "", "secret": "",
            "next": within(place or asked.get("next", ""), self.prefix), "half": current().half is not None,
            "left": asked.get("left", "") if asked.get("left", "").isdigit() else "",
            "needed": glass.town().porter.access.needs_second_factor(current().actor.role or "viewer"),
        }  # fmt: skip
        if factor is not None and person is not None and stage == "begun":
            text = second_factor.address(factor, person.name, glass.town().name)
            letters = factor.secret
            given["square"] = Markup(second_factor.square(text))
            given["secret"] = " ".join(letters[at : at + 4] for at in range(0, len(letters), 4))
        body = await asyncio.to_thread(
            lambda: plain.document(_("Second factor"), plain.content("second_factor.html", **given))
        )
        retry: Headers = [(b"retry-after", b"60")] if mistake and mistake.status == 429 else []
        await plain.give(scope, send, body, mistake.status if mistake else 200, retry)

    @property
    def _door(self) -> FactorDoor:
        return FactorDoor(glass.town().porter)


DEEDS = {
    "code": SecondStep._pass,
    "begin": SecondStep._begin,
    "confirm": SecondStep._confirm,
    "renew": SecondStep._renew,
    "remove": SecondStep._remove,
}
