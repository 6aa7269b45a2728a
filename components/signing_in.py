"""Signing in and out, one-time codes, and a person's own account: plain forms that work without scripts."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from components import glass, plain
from components.asgi import App, Receive, Scope, Send, answer, header, query
from components.forms import Form, read, read_own, redirect, within
from components.tongue import _
from components.tongue import said as translated
from components.visitor import agent, cookie, current, peer, secret_in
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.extracts import audit_log
from pipelines.engine.forms import streamed
from pipelines.engine.people import audit
from pipelines.engine.people.accounts import Code
from pipelines.engine.people.factor_door import FactorDoor
from pipelines.engine.people.roles import Forbidden
from pipelines.engine.spans import ALWAYS

# How a browser calls itself, in a word or two: the first that is found.
BROWSERS = ("Edg", "OPR", "Firefox", "Chrome", "Safari", "curl")
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux")
SPOKEN = {"Edg": "Edge", "OPR": "Opera", "Mac OS": "Mac"}


class SigningIn:
    """The addresses of signing in, under the board's prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.addresses: Mapping[str, App] = {
            "signin": plain.by_method(self._ask, self._sign_in),
            "signin/code": plain.by_method(self._ask_code, self._redeem),
            "signout": plain.by_method(self._home, self._sign_out),
            "account": plain.by_method(self._account, self._change_password),
            "account/end": plain.by_method(self._home, self._end),
            "account/audit.csv": plain.by_method(self._audit, self._home),
        }

    # by password

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        place = query(scope).get("next", "") or _came_from(scope)
        await self._show(scope, send, "signin.html", _("Sign in"), next=within(place, self.prefix), **self._elsewhere())

    async def _sign_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        form = Form()
        try:
            form = await read(scope, receive)
            secret = await glass.town().porter.sign_in(
                form.one("name"), form.one("password"), peer=peer(scope), agent=agent(scope), before=secret_in(scope)
            )
        except Misasked as mistake:
            given = {"name": form.one("name")[:40], "next": within(form.one("next"), self.prefix)}
            more = {**given, **self._elsewhere()}
            return await self._show(scope, send, "signin.html", _("Sign in"), mistake=mistake, **more)
        return await self._enter(scope, send, secret, form.one("next"))

    def _elsewhere(self) -> dict[str, str]:
        """How the town's own sign-in is called, where it has one."""
        plan = glass.town().porter.access.openid
        return {"elsewhere": plan.title if plan else ""}

    async def _enter(self, scope: Scope, send: Send, secret: str, place: str) -> None:
        """To where somebody wanted to go, or first to the second factor where one has to come."""
        visit = await asyncio.to_thread(glass.town().porter.visit, secret)
        wanted = within(place, self.prefix)
        there = glass.href("signin/second", next=wanted) if visit.half else wanted
        await answer(scope, send, 303, b"", redirect(there, cookie(scope, secret)))

    # by one-time code

    async def _ask_code(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = {"code": query(scope).get("code", "")[:60], "next": within(query(scope).get("next", ""), self.prefix)}
        await self._show(scope, send, "code.html", _("One-time code"), **given)

    async def _redeem(self, scope: Scope, receive: Receive, send: Send) -> None:
        form, code = Form(), None
        porter = glass.town().porter
        try:
            form = await read(scope, receive)
            code = await asyncio.to_thread(porter.code, form.one("code"), peer(scope))
            if not code.enters and not form.one("password"):
                return await self._choose(scope, send, form, code)
            if not code.enters and form.one("password") != form.one("again"):
                raise Misasked(_("The two passwords are not the same. Type the new password twice."))
            secret = await porter.redeem(
                form.one("code"), form.one("name"), form.one("password"), peer=peer(scope), agent=agent(scope),
                before=secret_in(scope),
            )  # fmt: skip
        except (Misasked, StoreError) as error:
            mistake = error if isinstance(error, Misasked) else Misasked(str(error), 503)
            return await self._choose(scope, send, form, code, mistake)
        return await self._enter(scope, send, secret, form.one("next"))

    async def _choose(
        self, scope: Scope, send: Send, form: Form, code: Code | None, mistake: Misasked | None = None
    ) -> None:
        """The code's second step, where its person chooses a password; the first again when it opens nothing."""
        given = {"code": form.one("code")[:60], "next": within(form.one("next"), self.prefix), "mistake": mistake}
        if code is None or code.enters:
            return await self._show(scope, send, "code.html", _("One-time code"), **given)
        name = code.name or form.one("name")[:40]
        return await self._show(scope, send, "choose.html", _("Choose a password"), offered=code, name=name, **given)

    # one's own account

    async def _account(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._show_account(scope, send)

    async def _show_account(self, scope: Scope, send: Send, mistake: Misasked | None = None) -> None:
        visit = current()
        if visit.session is None:
            place = glass.href("signin", next=glass.href("account"))
            return await answer(scope, send, 303, b"", redirect(place))
        found = await asyncio.to_thread(glass.town().porter.sessions, visit)
        rows = [{"one": one, "device": device(one.agent), "own": one.digest == visit.session.digest} for one in found]
        did = {"password": _("The new password counts from now on; other sessions have ended."), "ended": _("Ended.")}
        said = did.get(query(scope).get("did", ""), "")
        factor = await asyncio.to_thread(FactorDoor(glass.town().porter).of, visit)
        chain = await asyncio.to_thread(_chain) if visit.actor.may("admin") else ""
        given = {"rows": rows, "said": said, "factor": factor is not None and factor.confirmed_at, "chain": chain}
        return await self._show(scope, send, "account.html", _("Your account"), mistake=mistake, **given)

    async def _change_password(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            if form.one("password") != form.one("again"):
                raise Misasked(_("The two passwords are not the same. Type the new password twice."))
            porter = glass.town().porter
            secret = await porter.change_password(current(), form.one("old"), form.one("password"), peer=peer(scope))
        except Misasked as mistake:
            return await self._show_account(scope, send, mistake)
        place = redirect(glass.href("account", did="password"), cookie(scope, secret))
        return await answer(scope, send, 303, b"", place)

    async def _end(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            form = await read_own(scope, receive)
            own = current().session
            others = own.id if own and form.one("which") == "others" else None
            id = None if others else form.one("which")
            await glass.town().porter.end(current(), form.one("name") or current().actor.name, id=id, but=others)
        except (Misasked, Forbidden) as error:
            mistake = error if isinstance(error, Misasked) else Misasked(error.words, 403)
            return await self._show_account(scope, send, mistake)
        return await answer(scope, send, 303, b"", redirect(glass.href("account", did="ended")))

    async def _sign_out(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await read_own(scope, receive)
            session = current().session
            assert session is not None
            await glass.town().porter.end(current(), session.name, id=session.id)
        except Misasked as mistake:
            if mistake.status != 401:
                return await self._show_account(scope, send, mistake)
        await answer(scope, send, 303, b"", redirect(self.prefix, cookie(scope, "")))

    async def _audit(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await asyncio.to_thread(_audit_csv)
        except Forbidden as error:
            kind = [(b"content-type", b"text/plain; charset=utf-8")]
            return await answer(scope, send, 403 if error.known else 401, error.words.encode(), kind)
        headers = [
            (b"content-type", b"text/csv; charset=utf-8"), (b"cache-control", b"no-store"),
            (b"content-disposition", b'attachment; filename="audit.csv"'), (b"x-content-type-options", b"nosniff"),
        ]  # fmt: skip
        return await answer(scope, send, 200, body, headers)

    async def _home(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, send, 303, b"", redirect(self.prefix))

    async def _show(
        self, scope: Scope, send: Send, template: str, title: str, *, mistake: Any = None, **given: Any
    ) -> None:
        """One of these pages, with what went wrong on it and that as its status."""
        words = translated(mistake.words) if mistake else ""
        defaults = {"name": "", "next": self.prefix, "code": "", "words": words, "demo": glass.is_demo()}
        body = await asyncio.to_thread(lambda: plain.document(title, plain.content(template, **{**defaults, **given})))
        retry = [(b"retry-after", b"60")] if mistake and mistake.status == 429 else []
        await plain.give(scope, send, body, mistake.status if mistake else 200, retry)


def _chain() -> str:
    """Whether the audit log fits together, in words."""
    return str(audit.judged(glass.town().porter.audit_log(current().actor))["words"])


def _audit_csv() -> bytes:
    found = audit_log(glass.town(), ALWAYS, current().actor)
    return b"".join(streamed(found, found.frames(), "csv"))


def device(agent: str) -> str:
    """A browser as people call it: "Firefox on Android"."""
    browser = next((SPOKEN.get(name, name) for name in BROWSERS if name in agent), "")
    system = next((SPOKEN.get(name, name) for name in SYSTEMS if name in agent), "")
    if browser and system:
        return _("{browser} on {system}", browser=browser, system=system)
    return browser or system or _("unknown device")


def _came_from(scope: Scope) -> str:
    """The page of this board that linked here."""
    parts = urlsplit(header(scope, b"referer").decode("latin-1"))
    if parts.netloc.encode("latin-1") != header(scope, b"host") or "/signin" in parts.path:
        return ""
    return parts.path + (f"?{parts.query}" if parts.query else "")
