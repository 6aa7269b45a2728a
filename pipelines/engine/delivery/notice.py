"""One alarm as delivery sees it: the labels that routes ask for, what a message tells, and where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

LABELS = ("alarm", "domain", "priority", "area", "ward", "asset", "tell")


@dataclass(frozen=True, kw_only=True)
class Notice:
    """An alarm to tell of. `ended_at` is null while it fires; `muted` is shelved, suppressed or out of service."""

    id: str
    labels: Mapping[str, str]
    title: str
    where: str
    since: datetime
    waits_since: datetime | None = None
    ended_at: datetime | None = None
    muted: bool = False
    acknowledged: bool = False
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    decimals: int | None = None
    instruction: str = ""
    consequences: int = 0
    owner: str | None = None
    done_at: datetime | None = None

    @property
    def firing(self) -> bool:
        """Whether it stands and nothing keeps it from being told."""
        return self.ended_at is None and not self.muted

    @property
    def priority(self) -> str:
        """How urgent it is."""
        return self.labels["priority"]
