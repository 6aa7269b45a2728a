"""A porter whose line answers at once in this process, on a clock that tests move."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.engine.asking import Misasked
from pipelines.engine.people import accounts
from pipelines.engine.people.deeds import do
from pipelines.engine.people.porter import Porter
from pipelines.engine.people.sessions import Visit
from tests.engine import small_town

NOW = small_town.NOON
PASSWORD = "rain over the old fort"


class Line:
    """Does what the line's local socket does, without one; `asked` is what travelled."""

    def __init__(self, path: Path, clock: Callable[[], datetime]) -> None:
        self.path, self.clock = path, clock
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def people(self, deed: str, facts: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append((deed, facts))
        try:
            return 200, {"gave": do(self.path, self.clock(), deed, facts)}
        except Misasked as mistake:
            return mistake.status, {"detail": mistake.words}


class Doorstep:
    """Accounts in a file of their own, and somebody who rings."""

    def __init__(self, folder: Path) -> None:
        self.path, self.now = folder / "state.sqlite", NOW
        self.line = Line(self.path, lambda: self.now)
        self.porter = Porter(self.path, self.line, lambda: self.now)  # type: ignore[arg-type]
        # A thread of its own: while a browser is open, Playwright's event loop holds the one of the tests.
        self._thread, self._loop = ThreadPoolExecutor(1), asyncio.Runner()

    def later(self, span: timedelta) -> None:
        self.now += span
        self.porter.visitors.look_again()

    def add(self, name: str, role: str, password: str = PASSWORD) -> str:
        """An account whose person has chosen a password; the secret of the session that began by it."""
        return self.redeem(accounts.add(self.path, name, role, self.now, by="console"), password=password)

    def redeem(self, code: str, name: str = "", password: str = PASSWORD, before: str = "") -> str:
        asked = self.porter.redeem(code, name, password, peer="10.0.0.1", agent="test", before=before)
        return self.wait_for(asked)

    def sign_in(self, name: str, password: str = PASSWORD, *, peer: str = "10.0.0.1", before: str = "") -> str:
        return self.wait_for(self.porter.sign_in(name, password, peer=peer, agent="test", before=before))

    def visit(self, secret: str) -> Visit:
        return self.porter.visit(secret)

    def wait_for(self, asked: Coroutine[Any, Any, Any]) -> Any:
        return self._thread.submit(self._loop.run, asked).result()

    def close(self) -> None:
        self._thread.submit(self._loop.close).result()
        self._thread.shutdown()
