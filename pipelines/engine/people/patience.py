"""How often one address may be wrong: counted in memory, the longest quiet addresses forgotten."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

WINDOW = timedelta(minutes=1)
# So many wrong tokens, codes or passwords a minute are answered to one address.
MOST_WRONG = 20
MOST_ADDRESSES = 1_000


class Patience:
    """Wrong attempts by address; `most` of them (MOST_WRONG unless told otherwise) in a minute are answered."""

    def __init__(self, clock: Callable[[], datetime], most: int | None = None) -> None:
        self._clock, self._most = clock, most
        self._seen: OrderedDict[str, tuple[datetime, int]] = OrderedDict()

    def noted(self, peer: str) -> int:
        """Count one more from this address; seconds that it has to wait, 0 when it is told at once."""
        left = self.left(peer)
        since, count = self._standing(peer)
        self._seen.pop(peer, None)
        self._seen[peer] = since, count + 1
        if len(self._seen) > MOST_ADDRESSES:
            self._seen.popitem(last=False)
        return left

    def left(self, peer: str) -> int:
        """Seconds that this address has to wait before it is told anything more."""
        since, count = self._standing(peer)
        return (
            0 if count < (self._most or MOST_WRONG) else max(1, round((since + WINDOW - self._clock()).total_seconds()))
        )

    def _standing(self, peer: str) -> tuple[datetime, int]:
        now = self._clock()
        since, count = self._seen.get(peer, (now, 0))
        return (since, count) if timedelta(0) <= now - since < WINDOW else (now, 0)
