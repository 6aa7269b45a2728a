"""Tokens of machines and screens, for those who look after them: made, listed and revoked; plain forms."""

import asyncio
from collections.abc import Mapping
from typing import Any

from components import glass, plain
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import Form, read_own, redirect
from components.tongue import N_, _
from components.tongue import said as translated
from components.visitor import current
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people.account_room import GOOD_FOR_DAYS, AccountRoom
from pipelines.engine.people.roles import Forbidden

SCOPES = {
    "ingest": N_("A device or program that sends rows"),
    "read": N_("A program that reads what is not public"),
    "wall": N_("A screen on a wall"),
}
STATES = (N_("in use"), N_("expired"), N_("revoked"))
DID = {"revoke": N_("The token is revoked; whoever still sends it is refused.")}


class TokensPage:
    """The address of the tokens."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"tokens": plain.by_method(self._ask, self._sent)}

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        did = query(scope).get("did", "")
        await self._show(scope, send, said=_(DID[did]) if did in DID else "")

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            secret = await _does(form)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await self._show(scope, send, words=translated(error.words), status=status)
        if secret is None:
            return await answer(scope, send, 303, b"", redirect(glass.href("tokens", did=form.one("do"))))
        return await self._show(scope, send, secret=secret, made=form.one("scope"))

    async def _show(self, scope: Scope, send: Send, *, status: int = 200, **given: str) -> None:
        defaults = {"said": "", "words": "", "secret": "", "made": ""}
        await plain.give(scope, send, await asyncio.to_thread(page, {**defaults, **given}), status)


def page(given: Mapping[str, str]) -> bytes:
    """The whole page; to those who may not make tokens it says who may."""
    actor, town = current().actor, glass.town()
    if not actor.may("settings"):
        return plain.document(_("Tokens"), plain.content("people_closed.html", title=_("Tokens")))
    now = town.now()
    more: dict[str, Any] = {
        "known": [(token, token.state(now)) for token in AccountRoom(town.porter).tokens(actor)],
        "scopes": {key: _(words) for key, words in SCOPES.items()}, "days": GOOD_FOR_DAYS, "feeds": _pushed(),
    }  # fmt: skip
    return plain.document(_("Tokens"), plain.content("tokens.html", **given, **more))


async def _does(form: Form) -> str | None:
    """Do what was asked; the secret of a token that was made.

    Raises Misasked, Forbidden.
    """
    actor, room, name = current().actor, AccountRoom(glass.town().porter), form.one("name").strip()
    actor.check("settings")
    if form.one("do") == "revoke":
        await room.revoke_token(actor, name)
        return None
    if form.one("do") != "make":
        raise Misasked(_("This action is unknown. Load the page again."))
    feeds = [feed for feed in form.every("feed") if feed] if form.one("scope") == "ingest" else []
    for feed in feeds:
        one_of("feed that is pushed by HTTP", feed, _pushed())
    days = int(form.one("days")) if form.one("days").isdigit() else 0
    return await room.make_token(actor, name, form.one("scope"), days, feeds)


def _pushed() -> list[str]:
    """The feeds that devices push to."""
    return [feed.name for feed in glass.town().settings.feeds.values() if feed.origin == "http_push"]
