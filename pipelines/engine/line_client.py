"""The way from another process of the town to its line: where they meet, and what the line answers there."""

import hashlib
import os
import socket
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from pipelines.engine.settings import Settings

LONGEST_PATH = 100
# So many pushes of one web process are with the line at once; more wait a little and are then told to come again.
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=32)
PATIENCE_S, POOL_S, LONGEST_REPLAY_S = 60.0, 5.0, 600.0


def run_folder(settings: Settings) -> Path:
    """Where the processes of one town meet: the published board and the local socket."""
    return settings.store / "run"


def socket_path(settings: Settings, process: str = "line") -> Path:
    """The socket of a process; a short one in the temporary folder where the town's path is too long for a socket."""
    path = (run_folder(settings) / f"{process}.sock").resolve()
    if len(str(path)) <= LONGEST_PATH:
        return path
    mark = hashlib.blake2b(str(path).encode(), digest_size=8).hexdigest()
    return Path(tempfile.gettempdir()) / f"townboard-{mark}-{process}.sock"


def private_socket(path: Path) -> socket.socket:
    """A socket at this path that this user alone may speak to; what a killed process left there is taken away."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)
    return made


class LineClient:
    """How another process of the same town hands payloads to the line."""

    def __init__(self, settings: Settings) -> None:
        self._path = str(socket_path(settings))
        self._client: httpx.AsyncClient | None = None

    async def take(
        self, feed: str, payload: bytes, form: str | None = None, table: str | None = None
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Status, answer and headers of the line.

        Raises httpx.TransportError when the line does not run.
        """
        query = {"feed": feed, **({"format": form} if form else {}), **({"table": table} if table else {})}
        answer = await self._asked().post("http://line/take", params=query, content=payload)
        return answer.status_code, answer.json(), answer.headers

    async def replay(self, wish: Mapping[str, Any]) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """The same for quarantined rows to be taken in once more."""
        answer = await self._asked().post("http://line/replay", json=dict(wish), timeout=LONGEST_REPLAY_S)
        return answer.status_code, answer.json(), answer.headers

    async def act(
        self, ids: Sequence[str], action: str, who: str, wanted: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """The same for something that `who` does to alarms (see alarms.desk.Deed)."""
        asked = {"ids": list(ids), "action": action, "who": who, "wanted": wanted}
        answer = await self._asked().post("http://line/alarms", json=asked)
        return answer.status_code, answer.json(), answer.headers

    async def try_channel(self, channel: str, address: str) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """The same for a test message by a channel."""
        answer = await self._asked().post("http://line/channel", json={"channel": channel, "address": address})
        return answer.status_code, answer.json(), answer.headers

    async def set_rule(self, id: str, facts: Mapping[str, Any] | None) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """The same for an alarm rule that somebody set; None ends it."""
        answer = await self._asked().post("http://line/rules", json={"id": id, "facts": facts})
        return answer.status_code, answer.json(), answer.headers

    async def filing(self, deed: str, facts: Mapping[str, Any]) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """The same for a deed of the filing desk (see filing.desk.Desk)."""
        answer = await self._asked().post("http://line/filing", json={"deed": deed, "facts": dict(facts)})
        return answer.status_code, answer.json(), answer.headers

    async def note_use(self, token: str) -> None:
        """Have it written down that a token was used.

        Raises httpx.TransportError when the line does not run.
        """
        await self._asked().post("http://line/used", params={"token": token})

    async def people(self, deed: str, facts: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and answer of the line to a deed of people (see people.deeds).

        Raises httpx.TransportError when the line does not run.
        """
        answer = await self._asked().post("http://line/people", json={"deed": deed, "facts": dict(facts)})
        return answer.status_code, answer.json()

    async def close(self) -> None:
        """End the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _asked(self) -> httpx.AsyncClient:
        if self._client is None:
            transport = httpx.AsyncHTTPTransport(uds=self._path, limits=LIMITS)
            self._client = httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(PATIENCE_S, pool=POOL_S))
        return self._client


def alive(settings: Settings) -> bool:
    """Whether a line runs for this town."""
    return told(settings) is not None


def told(settings: Settings) -> dict[str, Any] | None:
    """What the line says of itself (see Intake.shown); None when none runs."""
    try:
        answer = ask(settings, "GET", "/alive", 5)
    except httpx.TransportError:
        return None
    return answer.json() if answer is not None and answer.status_code == httpx.codes.OK else None


def ask(settings: Settings, method: str, path: str, patience_s: float, **more: Any) -> httpx.Response | None:
    """The line's answer; None where there is no socket."""
    if not socket_path(settings).exists():
        return None
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket_path(settings))), timeout=patience_s) as client:
        return client.request(method, f"http://line{path}", **more)
