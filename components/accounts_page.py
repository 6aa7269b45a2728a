"""Accounts, for those who look after them: made, limited, given codes and roles, ended; plain forms."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from components import glass, plain
from components.address import ward_names
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import Form, read_own, redirect
from components.tongue import N_, _
from components.tongue import said as translated
from components.visitor import current
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people.account_room import AccountRoom
from pipelines.engine.people.roles import LIMITABLE, ROLES, Forbidden

Deed = Callable[[Form], Awaitable[str | None]]
# Kept where `_` finds them: what an account says of itself.
STATES = (N_("in use"), N_("disabled"), N_("waiting"))
DID = {
    "role": N_("The role is changed; its person signs in anew."), "wards": N_("The wards are changed."),
    "disable": N_("The account is disabled; its sessions have ended."), "enable": N_("The account is open again."),
    "factor": N_("The second factor is taken away; a new one is set up at sign-in."),
}  # fmt: skip


class AccountsPage:
    """The address of the accounts."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {"accounts": plain.by_method(self._ask, self._sent)}

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        did = query(scope).get("did", "")
        await self._show(scope, send, said=_(DID[did]) if did in DID else "")

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            code = await _does(form)
        except (Misasked, Forbidden) as error:
            status = error.status if isinstance(error, Misasked) else 403
            return await self._show(scope, send, words=translated(error.words), status=status)
        if code is None:
            return await answer(scope, send, 303, b"", redirect(glass.href("accounts", did=form.one("do"))))
        return await self._show(scope, send, code=code, whose=form.one("name").strip().lower())

    async def _show(self, scope: Scope, send: Send, *, status: int = 200, **given: str) -> None:
        defaults = {"said": "", "words": "", "code": "", "whose": ""}
        await plain.give(scope, send, await asyncio.to_thread(page, {**defaults, **given}), status)


def page(given: Mapping[str, str]) -> bytes:
    """The whole page; to everybody but an admin it says who may."""
    actor = current().actor
    if not actor.may("admin"):
        return plain.document(_("Accounts"), plain.content("people_closed.html", title=_("Accounts")))
    more: dict[str, Any] = {
        "known": AccountRoom(glass.town().porter).listed(actor), "roles": list(ROLES), "wards": ward_names(),
        "limitable": LIMITABLE,
    }  # fmt: skip
    return plain.document(_("Accounts"), plain.content("accounts.html", **given, **more))


async def _does(form: Form) -> str | None:
    """Do what was asked; the one-time code, where one was made.

    Raises Misasked, Forbidden.
    """
    actor = current().actor
    actor.check("admin")
    room, what, name = AccountRoom(glass.town().porter), form.one("do"), form.one("name").strip().lower()
    wards = [ward for ward in form.every("ward") if ward]
    for ward in wards:
        one_of("ward", ward, ward_names())
    facts: dict[str, dict[str, Any]] = {
        "add": {"role": form.one("role"), "wards": wards}, "role": {"role": form.one("role")},
        "wards": {"wards": wards}, "code": {}, "disable": {}, "enable": {}, "factor": {},
    }  # fmt: skip
    if what not in facts:
        raise Misasked(_("This action is unknown. Load the page again."))
    return await room.change(actor, what, name, **facts[what])
