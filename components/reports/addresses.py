"""Reports by address: made by a niced child, one at a time, and kept for an hour for whoever asks next."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from components import glass, tongue
from components.address import ward_names
from components.asgi import App, Headers, Receive, Scope, Send, answer, query
from components.forms import redirect
from components.plain import read_only
from components.reports.period import Period, asked
from components.tongue import _
from components.visitor import current
from pipelines.engine.asking import Misasked
from pipelines.engine.line_client import run_folder
from pipelines.engine.settings.outgoing import REPORTS
from pipelines.engine.supervise import NICE, command

# Late data corrects a month after it is over: an hour later the report is made anew.
KEPT_S = 3600.0
LONGEST_S = 120.0
MOST_WAITING = 8
MEDIA = {"pdf": b"application/pdf", "csv": b"text/csv; charset=utf-8; header=present"}
WORDS: Headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]


class Reports:
    """The council pack for everybody, the operations sheet for those who may see what is not public."""

    def __init__(self) -> None:
        self.addresses: Mapping[str, App] = {
            "council/report": read_only(self._council), "shift/report": read_only(self._operations)
        }  # fmt: skip
        self._turn, self._waiting = asyncio.Lock(), 0

    async def _council(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._give(scope, send, "council")

    async def _operations(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not current().actor.may_everywhere("read"):
            return await answer(scope, send, 401, _("Sign in to see this.").encode(), WORDS)
        await self._give(scope, send, "operations")

    async def _give(self, scope: Scope, send: Send, kind: str) -> None:
        wanted, town = query(scope), glass.town()
        form, ward = wanted.get("format", "pdf"), wanted.get("ward", "")
        try:
            period = asked(REPORTS[kind], wanted.get("of") or None, town.now(), town.zone)
        except Misasked as mistake:
            return await answer(scope, send, 422, tongue.said(mistake.words).encode(), WORDS)
        if form not in MEDIA or (ward and ward not in ward_names()):
            return await answer(scope, send, 404, _("There is no such report.").encode(), WORDS)
        if "of" not in wanted:
            here = glass.href(scope["path"].removeprefix(glass.href("")), of=period.label, ward=ward, format=form)
            return await answer(scope, send, 303, b"", redirect(here))
        if self._waiting >= MOST_WAITING:
            words = _("Several reports are being made at this moment. Try again in a minute.")
            return await answer(scope, send, 429, words.encode(), [*WORDS, (b"retry-after", b"60")])
        made = await self._made(kind, period, ward, form)
        if made is None:
            words = _("The report could not be made. The log of the web process says why.")
            return await answer(scope, send, 503, words.encode(), [*WORDS, (b"retry-after", b"60")])
        name = f'inline; filename="{made.name}"'.encode()
        kept = [(b"cache-control", b"no-cache"), (b"content-disposition", name)]
        await answer(
            scope, send, 200, await asyncio.to_thread(made.read_bytes), [(b"content-type", MEDIA[form]), *kept]
        )

    async def _made(self, kind: str, period: Period, ward: str, form: str) -> Path | None:
        """The file, made now unless it was a moment ago; None when that failed."""
        folder = run_folder(glass.town().settings) / "reports"
        code = tongue.current().code
        stem = "_".join(filter(None, [kind, period.label, ward, code]))
        wanted = folder / f"{stem}.{form}"
        self._waiting += 1
        try:
            async with self._turn:
                if await asyncio.to_thread(_is_fresh, wanted, glass.town().now().timestamp()):
                    return wanted
                return wanted if await _make(kind, period, ward, folder / f"{stem}.pdf") and wanted.exists() else None
        finally:
            self._waiting -= 1


def _is_fresh(path: Path, now: float) -> bool:
    """Whether the file stands and is no older than an hour; what is older goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.iterdir():
        if now - old.stat().st_mtime > KEPT_S:
            old.unlink(missing_ok=True)
    return path.exists()


async def _make(kind: str, period: Period, ward: str, output: Path) -> bool:
    """Have a child make a report in the current language; whether it did."""
    of_ward = ["--ward", ward] if ward else []
    asks = [kind, "--of", period.label, "--language", tongue.current().code, *of_ward, "-o", str(output)]
    child = await asyncio.create_subprocess_exec(
        *command(glass.town().settings.folder, "report"), *asks, preexec_fn=lambda: os.nice(NICE)
    )
    try:
        return await asyncio.wait_for(child.wait(), LONGEST_S) == 0
    except TimeoutError:
        child.kill()
        await child.wait()
        return False
