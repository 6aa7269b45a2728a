"""While alarms flood the room: what is below critical is told as one summary for each receiver, not group by group."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.engine.delivery.grouping import Telling, Told
from pipelines.engine.delivery.routes import GROUP_INTERVAL


@dataclass(frozen=True)
class Sifted:
    """What is told now: groups that speak for themselves, summaries by receiver; the rest waits for the next one."""

    alone: Sequence[Telling]
    summed: dict[str, list[Telling]]
    waiting: Sequence[Telling]


class Flooding:
    """Who was told of a flood when. It lives in memory: a restart in a flood costs each receiver one more summary."""

    def __init__(self) -> None:
        self._summed_at: dict[str, datetime] = {}

    def sift(self, tellings: Sequence[Telling], known: Mapping[str, Told], flood: str, now: datetime) -> Sifted:
        """Tell apart what is due; `flood`: the board's sentence about it, empty when there is none (any more).

        The first summary goes at once, the next ones in the interval of a group, and one more after the flood.
        """
        alone, waiting, summed = [], [], dict[str, list[Telling]]()
        for telling in tellings:
            last = self._summed_at.get(telling.route.receiver)
            if not (flood or last) or _is_urgent(telling, known.get(telling.key, Told())):
                alone.append(telling)
            elif last is not None and now - last < GROUP_INTERVAL:
                waiting.append(telling)
            else:
                summed.setdefault(telling.route.receiver, []).append(telling)
        return Sifted(alone, summed, waiting)

    def keep(self, receivers: Iterable[str], flood: str, now: datetime) -> None:
        """It is durable that these were told."""
        if flood:
            self._summed_at |= dict.fromkeys(receivers, now)
            return
        self._summed_at = {name: at for name, at in self._summed_at.items() if now - at < GROUP_INTERVAL}


def _is_urgent(telling: Telling, told: Told) -> bool:
    """Whether something critical has begun that the receiver does not know of, or has ended."""
    began = any(one.priority == "critical" and one.id not in told.firing for one in telling.firing)
    return began or any(one.priority == "critical" for one in telling.ended)
