"""uvicorn's protocol with limits: how long and how large the head of a request may be, how many connections of one
address.
"""

import asyncio
import logging
from collections import Counter
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from pipelines.engine.api.access import loopback
from pipelines.engine.people.plan import Access

log = logging.getLogger("townboard")
# A head comes in one or two packets; whoever takes longer holds a connection open for its own sake.
HEAD_S, MOST_BYTES = 20.0, 64 << 10
FULL = "Your address holds too many connections here. Close some, then try again."


class PatientProtocol(HttpToolsProtocol):
    """Hangs up on whoever does not finish the head of a request in time, sends one without end, or holds too many
    connections.
    """

    # So many connections one address may hold, and how many each that is bounded holds.
    most: ClassVar[int] = Access.connections_per_address
    held: ClassVar[Counter[str]] = Counter()
    _ends: asyncio.TimerHandle | None = None
    _read = 0
    # The size of what is being read, of which a head may be any part.
    _piece = 0
    _counted = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        if peer and not self._speaks_for_others(peer):
            self._counted = peer
            self.held[peer] += 1
            if self.held[peer] > self.most:
                return self._turn_away(peer)
        self._wait()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._done()
        if self._counted:
            self.held[self._counted] -= 1
            if not self.held[self._counted]:
                del self.held[self._counted]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._piece = len(data)
        if self._ends is not None:
            self._read += len(data)
            if self._read > MOST_BYTES and not self._head_is_in(data):
                return self._hang_up(431, "Its head is too large.")
        super().data_received(data)
        return None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()
        self._read = min(self._piece, MOST_BYTES)

    def on_headers_complete(self) -> None:
        self._done()
        super().on_headers_complete()

    def _speaks_for_others(self, peer: str) -> bool:
        """Whether it is this machine or a proxy that uvicorn was told to believe: many people stand behind each."""
        told = self.config.forwarded_allow_ips
        trusted = told.split(",") if isinstance(told, str) else told or []
        return loopback(peer) or any(_covers(one.strip(), peer) for one in trusted)

    def _turn_away(self, peer: str) -> None:
        if self.held[peer] == self.most + 1:
            log.warning("%s holds %s connections: further ones are refused until it closes some", peer, self.most)
        self._say(503, FULL)

    def _head_is_in(self, data: bytes) -> bool:
        """Whether the head ends in these bytes; what follows it is body."""
        return b"\r\n\r\n" in data and self._read - len(data) <= MOST_BYTES

    def _wait(self) -> None:
        self._done()
        self._read = 0
        self._ends = self.loop.call_later(HEAD_S, self._hang_up, 408, "Its head did not come in time.")

    def _done(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _hang_up(self, status: int, words: str) -> None:
        self._done()
        if self.transport.is_closing():
            return
        if not self._read:
            # Browsers open connections ahead of need; nothing was asked on this one.
            self.transport.close()
            return
        log.warning("a request from %s was refused: %s", self.client[0] if self.client else "somebody", words)
        self._say(status, words)

    def _say(self, status: int, words: str) -> None:
        head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(words)
        self.transport.write(STATUS_LINE[status] + head + words.encode())
        self.transport.close()


def bounded(most: int) -> type[PatientProtocol]:
    """The protocol for a town in which one address may hold so many connections."""
    return type("BoundedProtocol", (PatientProtocol,), {"most": most, "held": Counter()})


def _covers(told: str, peer: str) -> bool:
    """Whether an address is what was named: any, one, or of a network."""
    if told in ("*", peer):
        return True
    try:
        return ip_address(peer) in ip_network(told, strict=False)
    except ValueError:
        return False
