"""Accounts, for those who look after them: made, limited, given codes and roles, ended; plain forms."""

from collections.abc import Mapping
from typing import Any

from components import glass, plain
from components.address import ward_names
from components.forms import Form
from components.once_page import OncePage
from components.tongue import N_, _
from components.visitor import current
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people.account_room import AccountRoom
from pipelines.engine.people.roles import LIMITABLE, ROLES

# Kept where `_` finds them: what an account says of itself.
STATES = (N_("in use"), N_("disabled"), N_("waiting"))
DID = {
    "role": N_("The role is changed; its person signs in anew."), "wards": N_("The wards are changed."),
    "disable": N_("The account is disabled; its sessions have ended."), "enable": N_("The account is open again."),
    "factor": N_("The second factor is taken away; a new one is set up at sign-in."),
}  # fmt: skip


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


async def _does(form: Form) -> Mapping[str, str] | None:
    """Do what was asked; the one-time code and whose it is, where one was made.

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
    code = await room.change(actor, what, name, **facts[what])
    return None if code is None else {"code": code, "whose": name}


PAGE = OncePage("accounts", page, _does, DID, ("code", "whose"))
