"""A network cable between browser and server that can be pulled: what is sent then is lost, and nobody is told."""

import socket
import threading
from contextlib import suppress


class Cable:
    """Forwards TCP from an address of its own to a port; while pulled, bytes vanish and open connections say nothing."""

    def __init__(self, port: int) -> None:
        self._to, self._plugged = port, threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = [self._door]
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        self._plugged.set()
        threading.Thread(target=self._answer, daemon=True).start()

    def pull(self) -> None:
        self._plugged.clear()

    def plug(self) -> None:
        """Connected again; what was open when it was pulled stays dead, as after a router's restart."""
        dead, self._ends = self._ends[1:], self._ends[:1]
        self._plugged.set()
        for end in dead:
            _end(end)

    def close(self) -> None:
        for end in self._ends:
            _end(end)

    def _answer(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._door.accept()
                self._ends.append(near)
                if self._plugged.is_set():
                    far = socket.create_connection(("127.0.0.1", self._to))
                    self._ends.append(far)
                    for one, other in ((near, far), (far, near)):
                        threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while piece := one.recv(65536):
                if self._plugged.is_set():
                    other.sendall(piece)
            _end(other)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
