"""What hours of a screen that nobody touches have shown: its ledger, and what of it may not be."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

# A page has taken what it takes after ten minutes; what it has more after two hours is a leak.
SETTLED_MIN, WHOLE_MIN, MOST_GROWTH = 10.0, 120.0, 1.10
# A process fills what it remembers of the last hours first; below so many MB growth is told and not judged.
FILLED_MIN, LEAST_MB, QUARTERS = 120.0, 10.0, 4
# Looks that one figure is the median of: garbage and a busy machine make single ones differ.
TOGETHER = 3
# Seconds after which a page no longer says that it is live: nothing heard, nothing made; and the second of its clock.
UNHEARD_S, UNMADE_S, CLOCK_S = 10.0, 30.0, 2.0


@dataclass(frozen=True)
class Screen:
    """A page at one moment, its garbage taken away: MB of heap, nodes, listeners; and what it did since the last look.

    Unit: seconds that the main thread worked; long tasks, and the longest in ms.
    """

    heap: float
    nodes: int
    listeners: int
    busy_s: float
    long: int
    longest_ms: float


@dataclass(frozen=True)
class Look:
    """Pages and processes (MB each) after so many minutes."""

    minute: float
    screens: Mapping[str, Screen]
    memory: Mapping[str, float]


@dataclass
class Ledger:
    """All looks, and what was wrong with what pages said of themselves."""

    looks: list[Look] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """What may not be, in words; nothing when all is well."""
        return [*self.wrong, *self._heaps(), *self._processes()]

    def _heaps(self) -> list[str]:
        found = []
        for page in self.looks[-1].screens if self.looks else ():
            early = self._around(SETTLED_MIN, lambda look, page=page: look.screens[page].heap)
            for minute in sorted({WHOLE_MIN, self.looks[-1].minute}):
                late = self._until(minute, lambda look, page=page: look.screens[page].heap)
                if early and late and late > early * MOST_GROWTH:
                    found.append(
                        f"{page}: the heap grew from {early:.1f} MB after {SETTLED_MIN:g} minutes to {late:.1f} MB "
                        f"after {minute:.0f}: {late / early:.2f} of it, at most {MOST_GROWTH} are allowed"
                    )
        return found

    def _processes(self) -> list[str]:
        looks = [look for look in self.looks if look.minute >= self._filled()]
        names = dict.fromkeys(name for look in looks for name in look.memory)
        return [
            f"{name}: its memory grows steadily, from {grown[0]:.0f} to {grown[1]:.0f} MB"
            for name in names
            if (grown := steady_growth([look.memory[name] for look in looks if name in look.memory]))
        ]

    def _filled(self) -> float:
        """The minute from which processes are judged; of a short run the last two thirds."""
        return min(FILLED_MIN, self.looks[-1].minute / 3) if self.looks else 0.0

    def _around(self, minute: float, what: Callable[[Look], float]) -> float | None:
        values = [what(look) for look in self.looks if look.minute >= minute][:TOGETHER]
        return statistics.median(values) if len(values) == TOGETHER else None

    def _until(self, minute: float, what: Callable[[Look], float]) -> float | None:
        """The figure of the last looks before a minute that was reached, when they are none of the first ones."""
        looks = [look for look in self.looks if SETTLED_MIN <= look.minute <= minute]
        reached = bool(self.looks) and self.looks[-1].minute >= minute
        values = [what(look) for look in looks[-TOGETHER:]]
        return statistics.median(values) if reached and len(looks) >= 2 * TOGETHER else None


def steady_growth(values: Sequence[float]) -> tuple[float, float] | None:
    """First and last quarter's MB when each quarter has more than the one before and all grew beyond the bound."""
    size = len(values) // QUARTERS
    if size < TOGETHER:
        return None
    middles = [statistics.median(values[n * size : (n + 1) * size]) for n in range(QUARTERS)]
    rises = all(before < after for before, after in pairwise(middles))
    first, last = middles[0], middles[-1]
    return (first, last) if rises and last > first * MOST_GROWTH and last - first > LEAST_MB else None


def falsely_live(built: float, newest: float, now: float) -> str | None:
    """Why a page that says it is live is not: seconds since the epoch of what it shows, of what there is, and now."""
    if now - built > UNMADE_S + CLOCK_S:
        return f"said it is live with figures {now - built:.0f} s old"
    if newest - built > UNHEARD_S + CLOCK_S:
        return f"said it is live {newest - built:.0f} s behind the board"
    return None


def row(look: Look) -> str:
    """One line of the ledger."""
    screens = "".join(
        f"  {page} {one.heap:.1f} MB {one.nodes:,} nodes {one.listeners} listeners {one.busy_s:.1f} s busy "
        f"{one.long} long ({one.longest_ms:.0f} ms)"
        for page, one in look.screens.items()
    )
    memory = " ".join(f"{name} {size:.0f}" for name, size in sorted(look.memory.items()))
    return f"{look.minute:7.1f} min{screens}  MB: {memory}"
