"""The books: received = stored + duplicate + quarantined, for each feed and in all, from arrivals that are durable."""

from collections.abc import Iterable, Mapping

# `decoded` is what was received, in rows; `corrected` is a part of `stored`.
COUNTERS = ("decoded", "stored", "duplicate", "corrected", "quarantined")
OUTCOMES = ("stored", "duplicate", "quarantined")
Counts = Mapping[str, int]


def total(feeds: Iterable[Counts]) -> dict[str, int]:
    """The sums of all feeds."""
    every = list(feeds)
    return {name: sum(counts[name] for counts in every) for name in COUNTERS}


def unaccounted(counts: Counts) -> int:
    """Rows that were received and of which nothing is known: always 0."""
    return counts["decoded"] - sum(counts[name] for name in OUTCOMES)


def added(counts: Counts, arrival: Mapping[str, int | None]) -> dict[str, int]:
    """The counts with one arrival more; a new dict, so that whoever reads meanwhile sees all of it or nothing."""
    return {
        **counts,
        **{name: counts[name] + (arrival[name] or 0) for name in COUNTERS},
        "payloads": counts["payloads"] + 1,
    }
