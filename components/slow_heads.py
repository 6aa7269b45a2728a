"""uvicorn's protocol with a limit on how long, and how large, the head of a request may be."""

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

log = logging.getLogger("townboard")
# A head comes in one or two packets; whoever takes longer holds a connection open for its own sake.
HEAD_S, MOST_BYTES = 20.0, 64 << 10


class PatientProtocol(HttpToolsProtocol):
    """Hangs up on whoever does not finish the head of a request in time, or sends one without end."""

    _ends: asyncio.TimerHandle | None = None
    _read = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ends is not None:
            self._read += len(data)
            if self._read > MOST_BYTES and not self._head_is_in(data):
                return self._hang_up(431, "Its head is too large.")
        super().data_received(data)
        return None

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._wait()
        self._read = 1

    def on_headers_complete(self) -> None:
        self._done()
        super().on_headers_complete()

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
        head = b"content-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(words)
        self.transport.write(STATUS_LINE[status] + head + words.encode())
        self.transport.close()
