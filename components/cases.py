"""The office's pages of filed requests: the list, entering what came by phone or on paper, and one request whole."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from components import cases_page, filing, glass, plain, uploads
from components.asgi import App, Receive, Scope, Send, answer, query
from components.forms import read_own, redirect
from components.tongue import said as translated
from components.visitor import current
from pipelines.engine.asking import Misasked
from pipelines.engine.errors import StoreError
from pipelines.engine.filing.faults import Faulty
from pipelines.engine.filing.posted import Posted
from pipelines.engine.filing.report import CHANNELS
from pipelines.engine.people.roles import Forbidden

# Nothing may run in what somebody sent along, and only this board may show it.
SHUT = [
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]


class Cases:
    """The addresses of filed requests, for those who may act on them."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            "cases": plain.read_only(self._list),
            "cases/new": plain.by_method(self._new, self._enter),
            "cases/case": plain.by_method(self._case, self._do),
            "cases/picture": plain.read_only(self._picture),
        }

    async def _list(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = query(scope)
        body = await asyncio.to_thread(cases_page.listed, whole=asked.get("show") == "all")
        await plain.give(scope, send, body)

    # entering

    async def _new(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = query(scope)
        await self._entry(scope, send, Posted({"channel": [asked.get("channel", "")]}), number=asked.get("filed", ""))

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = Posted()
        with uploads.ROOM.hold() as hold:
            try:
                sent = await uploads.read_own(scope, receive, hold)
                number = await _entered(sent)
            except (Misasked, Forbidden, StoreError) as error:
                return await self._entry(scope, send, sent, mistake=_mistake(error))
        place = glass.href("cases/new", filed=number, channel=sent.one("channel"))
        return await answer(scope, send, 303, b"", redirect(place))

    async def _entry(
        self, scope: Scope, send: Send, sent: Posted, *, mistake: Misasked | None = None, number: str = ""
    ) -> None:
        body = await asyncio.to_thread(cases_page.entry, sent, mistake, number)
        await plain.give(scope, send, body, mistake.status if mistake else 200)

    # one request

    async def _case(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._show(scope, send, query(scope).get("number", ""), did=query(scope).get("did", ""))

    async def _do(self, scope: Scope, receive: Receive, send: Send) -> None:
        number = query(scope).get("number", "")
        room, actor, typed = glass.town().filing, current().actor, None
        try:
            typed = await read_own(scope, receive)
            if typed.one("do") == "erase":
                if not typed.one("sure"):
                    raise Misasked(cases_page.SURE)
                await room.erase(number, actor)
            else:
                await room.change(
                    number, actor, state=typed.one("state"), notes=typed.one("notes").strip(),
                    agency=typed.one("agency").strip(),
                )  # fmt: skip
        except (Misasked, Forbidden) as error:
            words = typed.one("notes") if typed else ""
            return await self._show(scope, send, number, mistake=_mistake(error), typed=words)
        did = "erase" if typed.one("do") == "erase" else "change"
        return await answer(scope, send, 303, b"", redirect(glass.href("cases/case", number=number, did=did)))

    async def _show(
        self, scope: Scope, send: Send, number: str, *, mistake: Misasked | None = None, typed: str = "", did: str = ""
    ) -> None:
        try:
            await glass.town().filing.note_look(number, current().actor)
            found, body = await asyncio.to_thread(cases_page.case, number, mistake=mistake, typed=typed, did=did)
        except StoreError as error:
            return await self._show_trouble(scope, send, error)
        await plain.give(scope, send, body, mistake.status if mistake else 200 if found else 404)

    async def _show_trouble(self, scope: Scope, send: Send, error: StoreError) -> None:
        body = await asyncio.to_thread(cases_page.trouble, translated(str(error)))
        await plain.give(scope, send, body, 503)

    async def _picture(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An attachment as it was drawn anew, for those who may see it."""
        asked = query(scope)
        try:
            found = await asyncio.to_thread(
                glass.town().filing.picture, asked.get("number", ""), asked.get("file", ""), current().actor
            )
        except Forbidden as error:
            return await answer(scope, send, 403 if error.known else 401, error.words.encode(), SHUT)
        if found is None:
            return await answer(scope, send, 404, b"", SHUT)
        picture, path = found
        ending = "pdf" if picture.kind.endswith("pdf") else "jpg"
        shown = b"attachment" if ending == "pdf" else b"inline"
        headers = [*SHUT, (b"content-type", picture.kind.encode()),
                   (b"content-disposition", b'%s; filename="attachment.%s"' % (shown, ending.encode()))]  # fmt: skip
        return await answer(scope, send, 200, await asyncio.to_thread(path.read_bytes), headers)


async def _entered(sent: Posted) -> str:
    """The number of what was entered.

    Raises Forbidden, Faulty, Misasked.
    """
    current().actor.check("operate")
    if sent.one("channel") not in CHANNELS:
        raise Faulty("channel", "unknown")
    received_at = _received(sent.one("received"))
    report = replace(filing.reported(sent), channel=sent.one("channel"), received_at=received_at)
    if not report.description:
        raise Faulty("description", "missing")
    made = await glass.town().filing.enter(report, current().actor, key=sent.one("key"), files=sent.files)
    return str(made["number"])


def _received(text: str) -> datetime | None:
    """When it was received, from the town's clock; None when nothing was written."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text.replace("T", " "))
        return (at if at.tzinfo else at.replace(tzinfo=ZoneInfo(glass.town().zone))).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Faulty("received", "form") from error


def _mistake(error: Misasked | Forbidden | StoreError) -> Misasked:
    if isinstance(error, Misasked):
        return error
    if isinstance(error, Forbidden):
        return Misasked(error.words, 403 if error.known else 401)
    return Misasked(str(error), 503)
