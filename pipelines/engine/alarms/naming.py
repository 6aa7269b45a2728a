"""Who an alarm is about, in the words of the register."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import polars as pl

from pipelines.engine.alarms.record import Alarm
from pipelines.engine.alarms.watched import Watch
from pipelines.engine.registers import Registers

FEED_RULE = "feed_silent"
Priority = Literal["critical", "high", "medium", "low"]
# What may ail the store: title and priority.
STORE_ALARMS: dict[str, tuple[str, Priority]] = {
    "disk_refuses": ("The disk takes nothing more", "critical"),
    "disk_low": ("The disk is nearly full", "high"),
    "files_damaged": ("Stored readings are damaged", "high"),
    "backup_late": ("The town has no recent backup", "medium"),
    "delivery_fails": ("Messages about alarms do not go out", "high"),
}


class Naming:
    """Names of assets, their wards, and the sensors that one cannot tell apart by their asset."""

    def __init__(self, registers: Registers) -> None:
        self.wards = {ward: name or ward for ward, name in registers.wards.select("ward", "name").iter_rows()}
        names = registers.assets.select("asset", "name", "ward").iter_rows()
        self.assets = {asset: (name or asset, ward) for asset, name, ward in names}
        # Phases of a transformer, inlets of an area: their alarms name the sensor, or they would all read the same.
        alike = registers.sensors.filter(pl.len().over("asset", "quantity") > 1)
        self._alike = set(alike["sensor"])

    def of_condition(self, watch: Watch, value: float, limit: float | None, at: datetime) -> Alarm:
        """The alarm of a rule that rings."""
        rule = watch.rule
        return Alarm(
            id=watch.key, rule=rule.name, title=rule.title, domain=watch.domain, priority=rule.priority, since=at,
            value=None if rule.equals else value, limit=limit, unit=watch.unit,
            decimals=watch.decimals, instruction=rule.instruction,
            **self.place(watch.area, watch.key.partition("|")[2]),
        )  # fmt: skip

    def of_silence(self, asset: str, domain: str, title: str, words: str, at: datetime) -> Alarm:
        """The alarm of an asset from which nothing comes."""
        return Alarm(
            id=f"sensor_silent|{asset}", rule="sensor_silent", title=title, domain=domain, priority="medium", since=at,
            instruction=words, **self.place(f"asset:{asset}", asset),
        )  # fmt: skip

    def of_feed(self, name: str, feed: Mapping[str, Any], at: datetime) -> Alarm:
        """The alarm of a feed that is silent or failing."""
        return Alarm(
            id=f"{FEED_RULE}|{name}", rule=FEED_RULE, title=f"No data from {feed['title']}", priority="high", since=at,
            domain=feed["domains"][0] if feed["domains"] else "feeds", area=f"feed:{name}",
            instruction=f"{feed['words']} Call whoever runs this feed; nothing needs restarting here. See Feeds.",
        )  # fmt: skip

    def of_store(self, name: str, words: str, at: datetime) -> Alarm:
        """The alarm of something that ails the store."""
        title, priority = STORE_ALARMS[name]
        return Alarm(
            id=f"{name}|store", rule=name, title=title, domain="feeds", priority=priority, area="town", since=at,
            instruction=words,
        )  # fmt: skip

    def place(self, area: str, thing: str) -> dict[str, Any]:
        """Area, asset, its name, and ward."""
        level, _, name = area.partition(":")
        if level != "asset":
            label, ward = None, name if level == "ward" else None
            return {"area": area, "asset": None, "asset_name": label or _member(level, name), "ward": ward}
        label, ward = self.assets.get(name, (name, None))
        if thing in self._alike:
            label = f"{label} ({thing})"
        return {"area": area, "asset": name, "asset_name": label, "ward": ward}


def _member(level: str, name: str) -> str | None:
    """The name of a member of a level that no register knows, such as a route."""
    return None if level in ("town", "ward") else name
