"""A socket read and written in large pieces: small packets cost one call to the system for many."""

import ssl
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

PIECE = 1 << 16
PUBACK = b"\x40\x02"
# How a socket that does not wait says that it would have to.
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SocketLike(Protocol):
    """What paho asks of a socket."""

    def recv(self, size: int, /) -> bytes: ...
    def send(self, data: bytes, /) -> int: ...
    def close(self) -> None: ...
    def fileno(self) -> int: ...
    def setblocking(self, flag: bool, /) -> None: ...


class Wire:
    """Stands between paho and its socket; used by one thread. What is sent leaves in order, at once if it can."""

    def __init__(self, socket: SocketLike) -> None:
        self._socket = socket
        self._come, self._at = b"", 0
        self._going = bytearray()
        # What the network said when it could not be read any more; paho keeps it to itself.
        self.broken: OSError | None = None

    def recv(self, size: int) -> bytes:
        """At most so many bytes; raises as the socket does when there are none."""
        if self._at == len(self._come):
            self._come, self._at = self._read(), 0
        piece = self._come[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def _read(self) -> bytes:
        try:
            return self._socket.recv(PIECE)
        except NOT_NOW:
            raise
        except OSError as error:
            self.broken = error
            raise

    def pending(self) -> int:
        """How much can be read without asking the network."""
        below = getattr(self._socket, "pending", None)
        return len(self._come) - self._at + (below() if below is not None else 0)

    def send(self, data: bytes) -> int:
        """Take all of it; what the network does not take yet leaves with a later `flush`.

        Raises OSError when the connection is gone.
        """
        self._going += data
        self.flush()
        return len(data)

    def acknowledge(self, mids: Iterable[int]) -> None:
        """Answer messages of QoS 1, all in one piece.

        Raises OSError when the connection is gone.
        """
        self.send(b"".join(PUBACK + mid.to_bytes(2) for mid in mids))

    def flush(self) -> None:
        """Send what still has to leave, as far as the network takes it.

        Raises OSError when the connection is gone.
        """
        with suppress(*NOT_NOW):
            while self._going:
                del self._going[: self._socket.send(bytes(self._going))]

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        """Whether reading waits."""
        self._socket.setblocking(flag)
