"""Many silent assets of one feed as one line of the alarm list."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.engine.alarms import Alarm

SILENT_RULE = "sensor_silent"
# More silent assets of one feed than this are told as one alarm.
MOST_APART = 5


def collapsed(alarms: Iterable["Alarm"], feed_of: Mapping[str, str | None], titles: Mapping[str, str]) -> list["Alarm"]:
    """The alarms, with those of many silent assets of one feed as one; the others unchanged and in order."""
    kept: list[Alarm] = []
    groups: dict[tuple[str | None, str], list[Alarm]] = {}
    for alarm in alarms:
        if alarm.rule == SILENT_RULE:
            groups.setdefault((feed_of.get(alarm.asset or ""), alarm.state), []).append(alarm)
        else:
            kept.append(alarm)
    for (feed, _), group in groups.items():
        kept += [_as_one(feed, group, titles)] if feed and len(group) > MOST_APART else group
    return kept


def _as_one(feed: str, group: list["Alarm"], titles: Mapping[str, str]) -> "Alarm":
    first = min(group, key=lambda alarm: alarm.since)
    names = ", ".join(alarm.asset_name or alarm.area for alarm in group[:5])
    return replace(
        first,
        id=f"{SILENT_RULE}|feed:{feed}",
        title=f"No readings from {len(group)} places of {titles.get(feed, feed)}",
        area=f"feed:{feed}",
        asset=None,
        asset_name=None,
        ward=None,
        returned_at=max((alarm.returned_at for alarm in group if alarm.returned_at), default=None),
        instruction=(
            f"Among them {names}. The feed itself comes: look for what they share (a gateway, a street, a battery "
            "date). Meant to be silent? Write them into out_of_service.csv."
        ),
    )
