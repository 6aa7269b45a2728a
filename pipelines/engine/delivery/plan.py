"""All that a town has declared of delivery: receivers, channels, routes, ladders, quiet hours, and who else is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time, timedelta

from pipelines.engine.delivery.cap import Warnings
from pipelines.engine.delivery.channels import Channel
from pipelines.engine.delivery.ladder import Ladder, Unattended
from pipelines.engine.delivery.routes import Route


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Who is told: the roles of the rota, and addresses that are always the same."""

    name: str
    roles: tuple[str, ...] = ()
    to: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """Hours of the town's clock in which these priorities wait."""

    begins: time
    ends: time
    priorities: tuple[str, ...]

    def holds(self, priority: str, clock: time) -> bool:
        """Whether alarms of this priority wait at this time of day."""
        if priority not in self.priorities:
            return False
        if self.begins <= self.ends:
            return self.begins <= clock < self.ends
        return clock >= self.begins or clock < self.ends


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that a town has declared of delivery."""

    root: Route
    receivers: Mapping[str, Receiver]
    channels: Mapping[str, Channel]
    ladders: tuple[Ladder | Unattended, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    alive: str | None = None
    alive_every: timedelta = timedelta(minutes=5)
    alertmanager: str = ""
    warnings: Warnings | None = None
    link: str = ""
