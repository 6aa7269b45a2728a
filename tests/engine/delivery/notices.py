"""Alarms as delivery sees them, made for tests, and a clock of minutes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pipelines.engine.delivery.notice import Notice

NOON = datetime(2026, 6, 17, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def firing(name: str, since: float = 0, priority: str = "high", **more: object) -> Notice:
    labels = {"alarm": "pressure_low", "domain": "water", "priority": priority, "area": f"asset:{name}", "ward": "W07"}
    made = Notice(
        id=f"pressure_low|{name}", labels=labels, title="Pressure is low", where=f"{name}, W07", since=at(since),
        waits_since=at(since), value=6.2, limit=7.0, unit="m", instruction="Open valve V-7.",
    )  # fmt: skip
    return replace(made, **more)


def over(notice: Notice, minutes: float) -> Notice:
    return replace(notice, ended_at=at(minutes), waits_since=None)
