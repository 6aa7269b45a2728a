"""The residents' form at /public/file: filled in and sent without a script, never kept by a cache, typed words kept."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from components import filing_page, glass, plain, uploads
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import redirect
from components.visitor import peer
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.nearby import Alike
from pipelines.engine.filing.posted import Posted
from pipelines.engine.filing.report import Report

UNSURE, APART = "", "apart"
# What people never see and programs fill in.
TRAP = "website"


class Filing:
    """The addresses of filing."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            "public/file": plain.by_method(self._ask, self._sent),
            "public/filed": plain.read_only(self._filed),
        }

    async def _ask(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._show(scope, send, Posted({"ward": [query(scope).get("ward", "")]}))

    async def _sent(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = Posted()
        with uploads.ROOM.hold() as hold:
            try:
                sent = await uploads.read(scope, receive, hold)
                number, alike = await _taken(sent, peer(scope))
            except Misasked as mistake:
                return await self._show(scope, send, sent, mistake)
        if alike is not None:
            return await self._show(scope, send, sent, alike=alike)
        return await answer(scope, send, 303, b"", redirect(glass.href("public/filed", number=number)))

    async def _show(
        self, scope: Scope, send: Send, sent: Posted, mistake: Misasked | None = None, alike: Alike | None = None
    ) -> None:
        """The form with all that was typed, and what is wrong with it or known of the same."""
        body = await asyncio.to_thread(filing_page.form, sent, mistake, alike)
        status = mistake.status if mistake else 200
        retry = [(b"retry-after", b"600")] if status in (429, 503) else []
        await plain.give(scope, send, body, status, retry)

    async def _filed(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await asyncio.to_thread(filing_page.filed, query(scope).get("number", ""))
        await plain.give(scope, send, body)


async def _taken(sent: Posted, address: str) -> tuple[str, Alike | None]:
    """The number that was given; or nothing yet, and who else has reported the same.

    Raises Faulty, Misasked.
    """
    room = glass.town().filing
    room.check_form(sent.one("key"), sent.one(TRAP), address)
    choice = sent.one("join")
    report = replace(reported(sent), joins=choice if choice not in (UNSURE, APART) else "")
    if not report.description and not report.joins:
        raise Faulty("description", "missing")
    sound = room.check(report)
    if choice == UNSURE:
        try:
            alike = await asyncio.to_thread(room.alike, sound)
        except StoreError:
            # The hint is a courtesy: nobody must come again for want of it.
            alike = None
        if alike is not None:
            return "", alike
    made = await room.file(sound, key=sent.one("key"), files=sent.files)
    if not made["again"]:
        room.gate.passed(address)
    return str(made["number"]), None


def reported(sent: Posted) -> Report:
    """What the fields say."""
    return Report(
        service=sent.one("service"), ward=sent.one("ward"), place=sent.one("place"), name=sent.one("name"),
        description=sent.one("description"), phone=sent.one("phone"), email=sent.one("email"),
    )  # fmt: skip
