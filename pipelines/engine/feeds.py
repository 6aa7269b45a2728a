"""How each feed does: its counters, its last arrival, its completeness, and one sentence about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.engine.covered import Covered
from pipelines.engine.decode import fills
from pipelines.engine.judge import LATE_INTERVALS, STALE_INTERVALS
from pipelines.engine.ledger import COUNTERS, added, total
from pipelines.engine.settings import Feed
from pipelines.engine.store import Store

HOURS = 24


@dataclass
class FeedState:
    """Counters since the beginning and what was last heard."""

    feed: Feed
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys((*COUNTERS, "payloads"), 0))
    last_landed_at: datetime | None = None
    last_fault_at: datetime | None = None
    last_fault: str = ""
    listening_since: datetime | None = None

    def state(self, now: datetime) -> str:
        """live, late, silent, failing or waiting (nothing ever came)."""
        if self.last_fault_at and (self.last_landed_at is None or self.last_fault_at > self.last_landed_at):
            overdue = self.last_landed_at is None or self._missing(now) > self.feed.every * STALE_INTERVALS
            return "failing" if overdue else "late"
        if self.last_landed_at is None:
            return "waiting"
        if not self.feed.declared:
            return "live"
        if self._missing(now) > self.feed.every * STALE_INTERVALS:
            return "silent"
        return "late" if now - self.last_landed_at > self.feed.every * LATE_INTERVALS + timedelta(seconds=5) else "live"

    def _missing(self, now: datetime) -> timedelta:
        """How long nothing was heard of the feed while somebody listened: after a start it gets its time to come."""
        since = [at for at in (self.last_landed_at, self.listening_since) if at is not None]
        return now - max(since) if since else timedelta(0)

    def words(self, now: datetime) -> str:
        """One sentence for the clerk."""
        state, every = self.state(now), spoken(self.feed.every)
        if state == "waiting":
            return "Nothing has come from this feed yet."
        if state == "failing":
            return f"The last attempt failed: {self.last_fault}"
        assert self.last_landed_at is not None
        age = spoken(now - self.last_landed_at)
        if state in ("late", "silent"):
            fault = self.last_fault if self.last_fault_at and self.last_fault_at > self.last_landed_at else ""
            return f"Nothing usable for {age} (it should come every {every}). {fault}".rstrip()
        return f"Comes every {every} as it should."


class Feeds:
    """The states of all feeds, kept up to date by what lands."""

    def __init__(self, feeds: Mapping[str, Feed], store: Store) -> None:
        self.states = {name: FeedState(feed) for name, feed in feeds.items()}
        self._store = store
        self.covered = Covered(store.covered_spans(), {name: feed.every for name, feed in feeds.items()})
        self._strips: dict[str, list[float | None]] = {}
        self._strips_at: datetime | None = None
        for row in store.sums("arrivals", COUNTERS, "feed").iter_rows(named=True):
            if row["feed"] in self.states:
                self.states[row["feed"]].counts = {name: row[name] or 0 for name in (*COUNTERS, "payloads")}

    def restore(self, now: datetime) -> None:
        """Take the last arrivals of the past days from the store; from now on somebody listens."""
        for state in self.states.values():
            state.listening_since = now
        slowest = max((state.feed.every for state in self.states.values()), default=timedelta(0))
        reach = max(timedelta(days=8), slowest * (STALE_INTERVALS + 1))
        recent = self._store.rows("arrivals", now - reach, now + timedelta(minutes=1))
        for row in recent.iter_rows(named=True):
            if row["feed"] in self.states:
                self.heard(row["feed"], row["observed_at"], row["outcome"], row["words"])

    def heard(self, name: str, at: datetime, outcome: str, words: str | None) -> None:
        """Note an arrival or a failed attempt."""
        state = self.states[name]
        if outcome == "landed":
            state.last_landed_at = max(at, state.last_landed_at or at)
        else:
            state.last_fault_at, state.last_fault = at, words or ""

    def count(self, rows: pl.DataFrame) -> None:
        """Add arrival rows that have just landed."""
        self.covered.add(rows)
        for row in rows.iter_rows(named=True):
            state = self.states.get(row["feed"])
            if state is not None:
                state.counts = added(state.counts, row)
                self.heard(row["feed"], row["observed_at"], row["outcome"], row["words"])

    def ledger(self) -> dict[str, int]:
        """Sums over all feeds: decoded = stored + duplicate + quarantined."""
        return total(state.counts for state in self.states.values())

    def shown(self, now: datetime) -> dict[str, dict[str, Any]]:
        """Every feed as the snapshot carries it."""
        strips = self._completeness(now)
        return {
            name: _shown(state, strips.get(name, [None] * HOURS), now)
            for name, state in self.states.items()
            if state.feed.declared or state.counts["payloads"]
        }

    def _completeness(self, now: datetime) -> dict[str, list[float | None]]:
        """The 24-hour strips, computed anew once a minute."""
        if self._strips_at is None or now - self._strips_at >= timedelta(minutes=1):
            start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=HOURS - 1)
            self._strips = {feed: self.covered.completeness(feed, start, HOURS, now) for feed in self.states}
            self._strips_at = now
        return self._strips


def _shown(state: FeedState, strip: list[float | None], now: datetime) -> dict[str, Any]:
    known = [share for share in strip if share is not None]
    return {
        "feed": state.feed.name,
        "title": state.feed.title,
        "domains": list(state.feed.domains),
        "declared": state.feed.declared,
        "state": state.state(now),
        "words": state.words(now),
        "last_arrival": state.last_landed_at.isoformat() if state.last_landed_at else None,
        "every_s": state.feed.every.total_seconds(),
        "completeness": round(sum(known) / len(known), 4) if known else None,
        "strip": [round(share, 3) if share is not None else None for share in strip],
        **state.counts,
    }


def spoken(span: timedelta) -> str:
    """A duration in words: 30 seconds, 14 minutes, 3 hours, 2 days."""
    seconds = int(span.total_seconds())
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size * 2 or (seconds >= size and seconds % size == 0):
            number = seconds // size
            return f"{number} {word}{'s' if number != 1 else ''}"
    return f"{seconds} seconds"


def of_tables(feeds: Iterable[Feed]) -> dict[str, frozenset[str]]:
    """Table name -> the feeds that fill it."""
    found: dict[str, set[str]] = {}
    for feed in feeds:
        for table in fills(feed.format, feed.table):
            found.setdefault(table, set()).add(feed.name)
    return {table: frozenset(names) for table, names in found.items()}
