"""The time that each feed's landed payloads cover, kept as joined spans, and the share of a window they cover."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from pipelines.engine.model import INSTANT
from pipelines.engine.timed import micros

Instants = npt.NDArray[np.int64]
SHARE = pl.Schema({"window": INSTANT, "coverage": pl.Float64(), "as_of": INSTANT})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Spans:
    """Spans of time in order and apart from each other: microseconds since 1970, `came` the newest instant in each."""

    low: Instants
    high: Instants
    came: Instants

    def since(self, low: int) -> "Spans":
        """The spans that end after `low`."""
        first = int(np.searchsorted(self.high, low, side="right"))
        return Spans(self.low[first:], self.high[first:], self.came[first:])


def joined(low: Instants, high: Instants, came: Instants) -> Spans:
    """Spans in any order, with overlapping and touching ones made one."""
    if not low.size:
        return Spans(low, high, came)
    order = np.argsort(low, kind="stable")
    low, reach = low[order], np.maximum.accumulate(high[order])
    opens = np.flatnonzero(np.concatenate(([True], low[1:] > reach[:-1])))
    ends = np.concatenate((opens[1:], [low.size])) - 1
    return Spans(low[opens], reach[ends], np.maximum.reduceat(came[order], opens))


class Covered:
    """The spans of time that each feed's landed payloads cover, overlapping ones joined into one."""

    def __init__(self, spans: pl.DataFrame, every: Mapping[str, timedelta]) -> None:
        """Shape: feed, low, high. `every`: how often each feed comes; until the next is due, nothing is missing."""
        self._every = {feed: pace // timedelta(microseconds=1) for feed, pace in every.items()}
        self._spans: dict[str, Spans] = {}
        self._take(np.array(spans["feed"].to_list(), np.str_), micros(spans["low"]), micros(spans["high"]))

    def add(self, arrivals: pl.DataFrame) -> None:
        """Take in arrival rows that have just landed."""
        landed = np.array([outcome == "landed" for outcome in arrivals["outcome"].to_list()], bool)
        if landed.any():
            feeds = np.array(arrivals["feed"].to_list())[landed]
            self._take(feeds, *(micros(arrivals[name])[landed] for name in ("covers_from", "observed_at")))

    def _take(self, feeds: npt.NDArray[np.str_], low: Instants, high: Instants) -> None:
        """A few spans come with every batch: done without the thread pool, which the KPIs of a beat may keep busy."""
        for feed in np.unique(feeds).tolist():
            own = feeds == feed
            known = self._spans.get(feed)
            if known is None:
                self._spans[feed] = joined(low[own], high[own], high[own])
            else:
                self._spans[feed] = _appended(known, low[own], high[own])

    def of(self, feeds: Collection[str], since: int = NEVER) -> Spans:
        """The spans that any of these feeds covers and that end after `since`; each feed's last one until it is due."""
        parts = []
        for feed in feeds:
            known = self._spans.get(feed)
            if known is not None and known.low.size:
                high = known.high.copy()
                high[-1] += self._every.get(feed, 0)
                parts.append(Spans(known.low, high, known.high).since(since))
        if len(parts) == 1:
            return parts[0]
        none = np.empty(0, np.int64)
        columns = ([none, *(getattr(part, name) for part in parts)] for name in ("low", "high", "came"))
        return joined(*(np.concatenate(column) for column in columns))

    def share(self, feeds: Collection[str], windows: pl.DataFrame) -> pl.DataFrame:
        """The share of each window's elapsed time that these feeds cover.

        Shape: windows has window and as_of; gives window, coverage, as_of (newest covered instant), in the same order.
        """
        shares, newest = self.shares(feeds, windows)
        return pl.DataFrame({"window": windows["window"], "coverage": shares, "as_of": newest}, schema=SHARE)

    def shares(self, feeds: Collection[str], windows: pl.DataFrame) -> tuple[list[float | None], list[datetime | None]]:
        """As `share`, as two lists."""
        start, end = micros(windows["window"]), micros(windows["as_of"])
        spans = self.of(feeds, int(start.min(initial=0)))
        first = np.searchsorted(spans.high, start, side="right")
        after = np.maximum(np.searchsorted(spans.low, end, side="left"), first)
        elapsed = end - start
        seconds = _overlap(spans, first, after, start, end)
        shares = [min(s / e, 1.0) if e > 0 else None for s, e in zip(seconds.tolist(), elapsed.tolist(), strict=True)]
        came = ((int(spans.came[b - 1]) if b > a else None) for a, b in zip(first, after, strict=True))
        return shares, [None if micros is None else EPOCH + timedelta(microseconds=micros) for micros in came]

    def completeness(self, feed: str, start: datetime, hours: int, now: datetime) -> list[float | None]:
        """Covered share of each hour from `start` on, oldest first; null for hours before anything came."""
        starts = [start + timedelta(hours=n) for n in range(hours)]
        grid = pl.DataFrame({"window": starts}, schema={"window": INSTANT}).with_columns(
            as_of=pl.min_horizontal(pl.col("window") + pl.duration(hours=1), pl.lit(now).dt.cast_time_unit("us"))
        )
        shares = self.share([feed], grid)["coverage"].to_list()
        spans = self.of([feed])
        first = int(spans.low[0]) if spans.low.size else None
        ends = micros(grid["window"]) + 3_600_000_000
        return [share if first is not None and end > first else None for share, end in zip(shares, ends, strict=True)]


def _appended(known: Spans, low: Instants, high: Instants) -> Spans:
    """The spans with new ones added: only what lies near them is joined anew."""
    first = int(np.searchsorted(known.high, low.min(), side="left"))
    tail = joined(
        np.concatenate((known.low[first:], low)),
        np.concatenate((known.high[first:], high)),
        np.concatenate((known.came[first:], high)),
    )
    old = (known.low[:first], known.high[:first], known.came[:first])
    fresh = (tail.low, tail.high, tail.came)
    return Spans(*(np.concatenate(pair) for pair in zip(old, fresh, strict=True)))


def _overlap(spans: Spans, first: Instants, after: Instants, start: Instants, end: Instants) -> Instants:
    """Microseconds of [start, end) inside the spans number `first` to `after` (not included)."""
    if not spans.low.size:
        return np.zeros_like(start)
    sums = np.concatenate(([0], np.cumsum(spans.high - spans.low)))
    before = np.maximum(start - spans.low[np.minimum(first, spans.low.size - 1)], 0)
    beyond = np.maximum(spans.high[np.maximum(after - 1, 0)] - end, 0)
    return np.where(after > first, sums[after] - sums[first] - before - beyond, 0)
