"""How long each process was away after it was killed: looked at from outside, until it serves again."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.torture import load
from tests.torture.ledger import Ledger

LOOK_S = 0.1
# Whoever is not back by then would need a hand.
HAND_S = 120.0
# Restart to serving: what is promised to a town, on whose machine nobody else takes the processors.
PROMISED_S = 5.0
OTHERS_AT_MOST = 0.1


@dataclass(frozen=True)
class Outage:
    """Since when something is away, why, and how long that may take."""

    since: load.Moment
    why: str
    promised_s: float


class Outages(threading.Thread):
    """Watches what has been struck until it serves again. `serves`: process -> whether it answers now."""

    def __init__(self, serves: Mapping[str, Callable[[], bool]], ledger: Ledger) -> None:
        super().__init__(name="outages", daemon=True)
        self._serves, self._ledger = serves, ledger
        self._away: dict[str, Outage] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()

    def struck(self, name: str, why: str, promised_s: float = PROMISED_S) -> None:
        """It was killed just now, or is kept from its work until now."""
        with self._lock:
            self._away[name] = Outage(load.now(), why, promised_s)

    def away(self, *names: str) -> bool:
        """Whether any of these (or of all) is not back yet."""
        with self._lock:
            return any(name in self._away for name in names or self._serves)

    def steady(self) -> None:
        """Wait until all serve."""
        while self.away() and not self._ending.wait(LOOK_S):
            continue

    def run(self) -> None:
        """Look until told to end."""
        while not self._ending.wait(LOOK_S):
            with self._lock:
                away = dict(self._away)
            for name, outage in away.items():
                back = self._serves[name]()
                if back or time.monotonic() - outage.since.at_s > HAND_S:
                    self._over(name, outage, back=back)

    def _over(self, name: str, outage: Outage, *, back: bool) -> None:
        with self._lock:
            if self._away.get(name) is not outage:
                return
            del self._away[name]
        if not back:
            self._ledger.complain(f"the {name} does not serve two minutes after {outage.why}: a hand would be needed")
            return
        until = load.now()
        took, others = until.at_s - outage.since.at_s, outage.since.others_share(until)
        self._ledger.restarted(name, outage.why, took)
        if took <= outage.promised_s:
            return
        words = f"restarts slower than {outage.promised_s:g} s"
        if others > OTHERS_AT_MOST:
            self._ledger.count(f"{words} while others had a tenth of the machine or more")
        else:
            self._ledger.complain(
                f"the {name} was away for {took:.1f} s after {outage.why} and had the machine to itself"
            )

    def end(self) -> None:
        """Look no more."""
        self._ending.set()
