"""Tokens of machines and screens, for those who look after them: made, listed and revoked; plain forms."""

from collections.abc import Mapping
from typing import Any

from components import glass, plain
from components.forms import Form
from components.once_page import OncePage
from components.tongue import N_, _
from components.visitor import current
from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.people.account_room import GOOD_FOR_DAYS, AccountRoom

SCOPES = {
    "ingest": N_("A device or program that sends rows"),
    "read": N_("A program that reads what is not public"),
    "wall": N_("A screen on a wall"),
}
STATES = (N_("in use"), N_("expired"), N_("revoked"))
DID = {"revoke": N_("The token is revoked; whoever still sends it is refused.")}


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


async def _does(form: Form) -> Mapping[str, str] | None:
    """Do what was asked; the secret of a token that was made, and what it is for.

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
    secret = await room.make_token(actor, name, form.one("scope"), days, feeds)
    return {"secret": secret, "made": form.one("scope")}


def _pushed() -> list[str]:
    """The feeds that devices push to."""
    return [feed.name for feed in glass.town().settings.feeds.values() if feed.origin == "http_push"]


PAGE = OncePage("tokens", page, _does, DID, ("secret", "made"))
