"""What systemd is told of a running town: ready, well, and in a sentence how it stands (sd_notify)."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

# A board that is older means that the line hangs: systemd is told nothing more and starts all anew.
STALE_S = 60.0


def notify(words: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Say it to systemd; False where nobody listens."""
    address = environment.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.connect(f"\0{address[1:]}" if address.startswith("@") else address)
        line.sendall(words.encode())
        return True
    return False


class Herald:
    """Tells systemd that the town is ready once its board is published and its port open, and then that it is well."""

    def __init__(
        self, board: Path, address: tuple[str, int], environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._board, self._address, self._environment, self._clock = board, address, environment, clock
        self._began, self._ready, self._told_at = clock(), False, 0.0
        watchdog = environment.get("WATCHDOG_USEC", "")
        self._every = int(watchdog) / 3e6 if watchdog.isdigit() else STALE_S / 3

    def look(self) -> None:
        """Once in a moment: tell what there is to tell."""
        if not self._environment.get("NOTIFY_SOCKET") or self._clock() - self._told_at < self._pause():
            return
        self._told_at = self._clock()
        age = self._age()
        if not self._ready and age is not None and age < STALE_S and self._answers():
            self._ready = True
            self._say("READY=1\nSTATUS=The board is published and answers.")
        elif self._ready and age is not None and age < STALE_S:
            self._say("WATCHDOG=1")
        elif self._ready:
            told = "no board" if age is None else f"no new board for {age:.0f} seconds"
            self._say(f"STATUS=The line gives {told}; systemd will start everything anew.")

    def stopping(self) -> None:
        """It ends because it was told to."""
        self._say("STOPPING=1")

    def _pause(self) -> float:
        return self._every if self._ready else 1.0

    def _say(self, words: str) -> None:
        notify(words, self._environment)

    def _age(self) -> float | None:
        """How old the board is; None where this life has published none."""
        try:
            written = self._board.stat().st_mtime
        except OSError:
            return None
        return self._clock() - written if written >= self._began else None

    def _answers(self) -> bool:
        host, port = self._address
        with suppress(OSError), socket.create_connection(("127.0.0.1" if host == "0.0.0.0" else host, port), 1):
            return True
        return False
