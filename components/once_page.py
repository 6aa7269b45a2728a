"""A page of what is looked after: it says what was done, and shows a secret that was made this once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from components import glass, plain
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import Form, read_own, redirect
from components.tongue import _
from components.tongue import said as translated
from pipelines.engine.asking import Misasked
from pipelines.engine.people.roles import Forbidden


@dataclass(frozen=True)
class OncePage:
    """One address: `page` writes it, `does` does what its form asks for and gives what is to be shown once.

    `did`: what is said after a change that makes nothing; `shows`: the names of what may be shown once.
    """

    address: str
    page: Callable[[Mapping[str, str]], bytes]
    does: Callable[[Form], Awaitable[Mapping[str, str] | None]]
    did: Mapping[str, str]
    shows: tuple[str, ...]

    @property
    def addresses(self) -> Mapping[str, App]:
        """Where it is."""
        return {self.address: plain.by_method(self._ask, self._sent)}

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        did = query(scope).get("did", "")
        await self._show(scope, send, {"said": _(self.did[did]) if did in self.did else ""})

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            made = await self.does(form)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await self._show(scope, send, {"words": translated(error.words)}, status)
        if made is None:
            return await answer(scope, send, 303, b"", redirect(glass.href(self.address, did=form.one("do"))))
        return await self._show(scope, send, made)

    async def _show(self, scope: Scope, send: Send, given: Mapping[str, str], status: int = 200) -> None:
        defaults = dict.fromkeys(("said", "words", *self.shows), "")
        await plain.give(scope, send, await asyncio.to_thread(self.page, {**defaults, **given}), status)
