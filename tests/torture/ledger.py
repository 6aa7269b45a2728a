"""The torture's own book: what was sent, what was acknowledged, what must be in quarantine; held against the store."""

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pipelines.engine.store import Store
from pipelines.engine.tables import ENGINE_TABLES
from tests.torture.town import Row

Key = tuple[str, datetime]


@dataclass
class Ledger:
    """Rows by sender's word: `sent` at least once, `kept` once acknowledged; `excused` rows lay in a damaged file."""

    sent: dict[Key, float] = field(default_factory=dict)
    kept: set[Key] = field(default_factory=set)
    poison: set[bytes] = field(default_factory=set)
    excused: set[Key] = field(default_factory=set)
    events: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    slowest: dict[str, float] = field(default_factory=dict)
    away: dict[str, list[float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def sending(self, rows: Iterable[Row]) -> None:
        """These rows go out now, perhaps not for the first time."""
        with self._lock:
            self.sent.update(((sensor, at), value) for sensor, at, value in rows)

    def acknowledged(self, rows: Iterable[Row], by: str) -> None:
        """Somebody has told the sender that these rows are safe."""
        with self._lock:
            fresh = {(sensor, at) for sensor, at, _ in rows} - self.kept
            self.kept |= fresh
            self.events[f"acknowledged by {by}"] += len(fresh)

    def set_aside(self, originals: Iterable[bytes]) -> None:
        """These bytes were answered as refused: they must stand in quarantine."""
        with self._lock:
            self.poison.update(originals)

    def count(self, what: str, number: int = 1) -> None:
        """Something happened."""
        with self._lock:
            self.events[what] += number

    def complain(self, words: str) -> None:
        """Something that must never happen has happened."""
        with self._lock:
            self.complaints.append(words)

    def took(self, what: str, seconds: float) -> None:
        """How long something took."""
        with self._lock:
            self.slowest[what] = max(seconds, self.slowest.get(what, 0.0))

    def restarted(self, name: str, why: str, seconds: float) -> None:
        """How long a process was away until it served again."""
        self.took(f"{name} after {why}", seconds)
        with self._lock:
            self.away.setdefault(name, []).append(seconds)

    def told_away(self) -> str:
        """How long the processes were away, in words."""
        parts = []
        for name, took in sorted(self.away.items()):
            ordered = sorted(took)
            half, most = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
            parts.append(f"{name} {len(took)} times, half within {half:.1f} s, 95 of 100 within {most:.1f} s")
        return "; ".join(parts)


def held_against(ledger: Ledger, folder: Path, counted: Mapping[str, float]) -> list[str]:
    """In words, what is wrong with the store at the end; `counted` is the ledger that /metrics shows."""
    stored, twice, originals = stored_in(folder)
    kept = ledger.kept - ledger.excused
    lost = sorted(key for key in kept if key not in stored)
    wrong = [key for key in kept if key in stored and stored[key] != ledger.sent[key]]
    invented = [key for key in stored if key not in ledger.sent]
    missing = ledger.poison - originals
    words = list(ledger.complaints)
    for found, what in (
        (lost, "acknowledged rows are lost"),
        (wrong, "rows have another value than was sent"),
        (invented, "rows were never sent"),
        (missing, "refused payloads are not in quarantine byte for byte"),
    ):
        if found:
            words.append(f"{len(found)} {what}, such as {list(found)[:3]}")
    if twice:
        words.append(f"{twice} rows stand twice in the store")
    if not ledger.excused and counted["stored"] != len(stored):
        words.append(f"/metrics counts {counted['stored']:.0f} rows as stored, the store has {len(stored)}")
    return words


def stored_in(folder: Path) -> tuple[dict[Key, float], int, set[bytes]]:
    """Readings as a reader finds them now, how many of them stand twice, and the quarantine's originals."""
    store = Store(folder / "store", ENGINE_TABLES)
    store.open()
    names = {number: sensor for sensor, number in store.rows("series", columns=["sensor", "series"]).iter_rows()}
    rows = store.rows("readings", columns=["series", "observed_at", "value"])
    found = {(names[series], at): value for series, at, value in rows.iter_rows()}
    originals = set(store.rows("quarantine", columns=["original"])["original"].to_list())
    return found, rows.height - len(found), originals


def adds_up(counted: Mapping[str, float]) -> bool:
    """The identity that always holds."""
    came = counted["received"] if "received" in counted else counted["decoded"]
    return came == counted["stored"] + counted["duplicate"] + counted["quarantined"]
