"""The way to the town's own sign-in and back."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict
from http.cookies import CookieError, SimpleCookie

from components import glass, plain
from components.asgi import App, Receive, Scope, Send, answer, header, query
from components.forms import redirect, within
from components.tongue import _
from components.tongue import said as translated
from components.visitor import agent, cookie, peer, secret_in
from pipelines.engine.asking import Misasked
from pipelines.engine.people.accounts import digest
from pipelines.engine.people.openid import Asked, OpenIdDesk, enter

# So long somebody may take to sign in there.
KEPT_S = 600
NONE = "This town has no sign-in of its own. Sign in with a password."


class OpenIdDoor:
    """Both addresses; the desk is made when the first person comes."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._desk: OpenIdDesk | None = None
        self.addresses: Mapping[str, App] = {
            "signin/openid": plain.read_only(self._go),
            "signin/openid/back": plain.read_only(self._back),
        }

    async def _go(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By a link: browsers hold a form's way to another site against `form-action`."""
        try:
            address, asked = await self._ready().way_there()
        except Misasked as mistake:
            return await self._refused(scope, send, mistake)
        kept = {**asdict(asked), "next": within(query(scope).get("next", ""), self.prefix)}
        await answer(scope, send, 303, b"", redirect(address, self._remember(scope, kept)))

    async def _back(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = self._remembered(scope)
        try:
            asked = Asked(kept["state"], kept["nonce"], kept["verifier"]) if kept else None
            claims = await self._ready().vouched(asked, query(scope))
            before = secret_in(scope)
            secret = await enter(
                glass.town().porter, claims, peer=peer(scope), agent=agent(scope),
                before=digest(before) if before else None,
            )  # fmt: skip
        except Misasked as mistake:
            return await self._refused(scope, send, mistake)
        place = within(kept.get("next", ""), self.prefix)
        await answer(scope, send, 303, b"", redirect(place, cookie(scope, secret), self._remember(scope, {})))

    async def _refused(self, scope: Scope, send: Send, mistake: Misasked) -> None:
        plan = glass.town().porter.access.openid
        given = {
            "name": "", "next": self.prefix, "words": translated(mistake.words), "elsewhere": plan and plan.title,
            "demo": glass.is_demo(),
        }  # fmt: skip
        body = plain.document(_("Sign in"), plain.content("signin.html", **given))
        await plain.give(scope, send, body, mistake.status, [self._remember(scope, {})])

    def _ready(self) -> OpenIdDesk:
        plan = glass.town().porter.access.openid
        if plan is None:
            raise Misasked(NONE, 404)
        if self._desk is None or self._desk.plan != plan:
            self._desk = OpenIdDesk(plan)
        return self._desk

    def _remember(self, scope: Scope, kept: Mapping[str, str]) -> tuple[bytes, bytes]:
        """What the browser brings back; `Lax`, since it comes back from another site."""
        text = base64.urlsafe_b64encode(json.dumps(kept).encode()).decode() if kept else ""
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        path, age = glass.href("signin/openid"), KEPT_S if kept else 0
        return b"set-cookie", f"{_name()}={text}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}".encode()

    def _remembered(self, scope: Scope) -> dict[str, str]:
        try:
            found = SimpleCookie(header(scope, b"cookie").decode("latin-1")).get(_name())
            told = json.loads(base64.urlsafe_b64decode(found.value)) if found else {}
        except (CookieError, ValueError):
            return {}
        good = isinstance(told, dict) and all(isinstance(told.get(key), str) for key in ("state", "nonce", "verifier"))
        return told if good else {}


def _name() -> str:
    return f"{glass.town().porter.cookie}-openid"
