"""Many silent assets of one feed as one alarm, of which theirs are consequences."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pipelines.engine.alarms.record import Alarm

SILENT_RULE = "sensor_silent"
# More silent assets of one feed than this are told as one alarm, until all of them are back.
MOST_APART = 5
NAMED = 5


def by_feed(silent: Iterable[str], feed_of: Mapping[str, str | None]) -> dict[str, list[str]]:
    """Feed -> its silent assets."""
    found: dict[str, list[str]] = {}
    for asset in silent:
        feed = feed_of.get(asset)
        if feed:
            found.setdefault(feed, []).append(asset)
    return found


def group_id(feed: str) -> str:
    """The id of the alarm that tells of a feed's silent assets."""
    return f"{SILENT_RULE}|feed:{feed}"


def told_as_one(feed: str, title: str, domain: str, names: Sequence[str], now: datetime) -> Alarm:
    """The alarm that tells of many silent assets of a feed."""
    return Alarm(
        id=group_id(feed), rule=SILENT_RULE, title=f"No readings from {len(names)} places of {title}", domain=domain,
        priority="medium", area=f"feed:{feed}", since=now,
        instruction=f"Among them {', '.join(names[:NAMED])}. The feed itself comes: look for what they share (a "
        "gateway, a street, a battery date). Meant to be silent? Write them into out_of_service.csv.",
    )  # fmt: skip
