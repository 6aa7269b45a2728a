"""Many conditions at once: limits with deadband and delays, held against samples as arrays (catalogue AL-09)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).min
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_ROOM = 64


@dataclass(frozen=True)
class Limit:
    """What is normal: from `low` to `high` (infinite where there is none), the way back by `deadband`, the delays."""

    low: float = -np.inf
    high: float = np.inf
    deadband: float = 0.0
    on_delay: timedelta = timedelta(0)
    off_delay: timedelta = timedelta(0)


@dataclass(frozen=True)
class Turn:
    """One condition that changed sides: its row, whether it is active now, and the sample that turned it."""

    row: int
    active: bool
    at: datetime
    value: float


class Conditions:
    """The conditions of a town by row: where each stands, and since when its value has been on its way over.

    What is not known changes nothing: only a sample newer than the last one does.
    """

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.rows: dict[str, int] = {}
        self._low, self._high, self._deadband = (np.empty(FIRST_ROOM) for _ in range(3))
        self._on, self._off = (np.empty(FIRST_ROOM, np.int64) for _ in range(2))
        self.active = np.zeros(FIRST_ROOM, np.bool_)
        self.leaning, self.seen = (np.full(FIRST_ROOM, NEVER) for _ in range(2))
        self.value = np.full(FIRST_ROOM, np.nan)

    def add(self, key: str, limit: Limit) -> int:
        """The row of a new condition, inactive and never seen; a known key keeps its row and takes the new limit."""
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = len(self.keys)
            self.keys.append(key)
            self._make_room()
        self._low[row], self._high[row], self._deadband[row] = limit.low, limit.high, limit.deadband
        self._on[row], self._off[row] = limit.on_delay // MICROSECOND, limit.off_delay // MICROSECOND
        return row

    def _make_room(self) -> None:
        if len(self.keys) <= self.active.size:
            return
        for name, fill in (("_low", 0.0), ("_high", 0.0), ("_deadband", 0.0), ("_on", 0), ("_off", 0),
                           ("active", False), ("leaning", NEVER), ("seen", NEVER), ("value", np.nan)):  # fmt: skip
            old = getattr(self, name)
            setattr(self, name, np.concatenate([old, np.full(old.size, fill, old.dtype)]))

    def hold(self, rows: Stamps, values: Numbers, at: Stamps) -> tuple[list[Turn], Stamps]:
        """Hold samples, in order of time within a row, against their limits.

        Gives the conditions that changed sides, and the rows whose state or way there is another than before.
        Shape: three arrays alike, `at` in microseconds since 1970; a row may come several times.
        Source: ISA-18.2, EEMUA 191 (catalogue AL-09).
        """
        newer = (at > self.seen[rows]) & ~np.isnan(values)
        rows, values, at = rows[newer], values[newer], at[newer]
        turns: list[Turn] = []
        moved: list[Stamps] = []
        for part in rounds(rows):
            turned, changed = self._once(rows[part], values[part], at[part])
            turns += turned
            moved.append(changed)
        return turns, np.unique(np.concatenate(moved)) if moved else rows

    def _once(self, rows: Stamps, values: Numbers, at: Stamps) -> tuple[list[Turn], Stamps]:
        """The same for samples of as many different rows."""
        excess = np.maximum(values - self._high[rows], self._low[rows] - values)
        active, before = self.active[rows], self.leaning[rows]
        leans = np.where(active, excess < -self._deadband[rows], excess > 0)
        since = np.where(leans, np.where(before == NEVER, at, before), NEVER)
        flips = leans & (at - since >= np.where(active, self._off[rows], self._on[rows]))
        since[flips] = NEVER
        self.active[rows], self.leaning[rows] = active ^ flips, since
        self.seen[rows], self.value[rows] = at, values
        turned = [
            Turn(int(row), bool(self.active[row]), instant(int(stamp)), float(value))
            for row, stamp, value in zip(rows[flips], at[flips], values[flips], strict=True)
        ]
        return turned, rows[flips | (since != before)]

    def beyond(self, row: int, value: float) -> float:
        """The side of the band that a value is beyond."""
        return float(self._high[row] if value > self._high[row] else self._low[row])

    def told(self, row: int) -> dict[str, Any]:
        """Where a condition stands, to be remembered."""
        leaning, seen = int(self.leaning[row]), int(self.seen[row])
        return {
            "active": bool(self.active[row]),
            "leaning_since": instant(leaning).isoformat() if leaning != NEVER else None,
            "seen_at": instant(seen).isoformat() if seen != NEVER else None,
        }

    def recall(self, row: int, told: Mapping[str, Any]) -> None:
        """Take up where a condition stood."""
        self.active[row] = told["active"]
        self.leaning[row] = stamp(told["leaning_since"])
        self.seen[row] = stamp(told["seen_at"])


def rounds(rows: Stamps) -> list[Any]:
    """Selections that name every row at most once each, in order: the first samples, the second ones, and so on."""
    if not rows.size:
        return []
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, ordered.size])
    place = np.arange(ordered.size) - np.repeat(starts, lengths)
    most = int(lengths.max())
    if most == 1:
        return [slice(None)]
    by_place = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[by_place], np.arange(most + 1))
    return [order[by_place[edges[n] : edges[n + 1]]] for n in range(most)]


def instant(microseconds: int) -> datetime:
    """The instant of a stamp."""
    return EPOCH + timedelta(microseconds=microseconds)


def stamp(at: datetime | str | None) -> int:
    """The stamp of an instant or of its text; NEVER for none."""
    if at is None:
        return int(NEVER)
    return ((datetime.fromisoformat(at) if isinstance(at, str) else at) - EPOCH) // MICROSECOND


def timeline(values: Sequence[float], stamps: Iterable[datetime], limit: Limit) -> list[bool]:
    """Whether the condition is active after each sample of a series."""
    conditions, flags = Conditions(), []
    row = np.array([conditions.add("", limit)])
    for value, at in zip(values, stamps, strict=True):
        conditions.hold(row, np.array([value], float), np.array([stamp(at)]))
        flags.append(bool(conditions.active[0]))
    return flags
