"""What earlier messages said that a later one needs: when an uplink was first seen, which names its aliases have."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
import polars as pl

REPORTS_KEPT = 50_000
BIRTHS_KEPT = 2
Report = tuple[str, str, str]


@dataclass(frozen=True)
class Birth:
    """What a Sparkplug node or device said when it came online: its metrics by alias, their types by name.

    `at` is the node's clock, `heard_at` ours.
    """

    at: datetime
    heard_at: datetime
    bd_seq: int | None
    names: Mapping[int, str] = field(default_factory=dict)
    types: Mapping[str, int] = field(default_factory=dict)


class Known:
    """A bounded memory of landed rows. It holds nothing that the tables do not hold: a start recalls it from there."""

    def __init__(self) -> None:
        self._reports: OrderedDict[Report, datetime] = OrderedDict()
        self._births: dict[str, list[Birth]] = {}
        self._offline: dict[str, int | None] = {}
        self._lock = threading.Lock()

    def learn(self, landed: Mapping[str, pl.DataFrame]) -> None:
        """Take note of rows of device_reports and edge_states."""
        with self._lock:
            if "device_reports" in landed:
                self._learn_reports(landed["device_reports"])
            if "edge_states" in landed:
                self._learn_states(landed["edge_states"])

    def seen_at(self, device: str, event: str, report: str) -> datetime | None:
        """The instant under which this report of a device has landed, if it has."""
        return self._reports.get((device, event, report))

    def birth(self, edge: str, at: datetime) -> Birth | None:
        """The birth by which a message of this instant is to be read.

        A message from before every known birth (its own was missed, it is replayed) is read by the oldest.
        """
        births = self._births.get(edge, [])
        before = [birth for birth in births if birth.at <= at]
        return before[-1] if before else births[0] if births else None

    def newest_birth(self, edge: str) -> Birth | None:
        """The birth that counts now."""
        births = self._births.get(edge)
        return births[-1] if births else None

    def offline(self, edge: str, bd_seq: int | None) -> bool:
        """Whether the newest that was heard of it is this death."""
        return edge in self._offline and self._offline[edge] == bd_seq

    def _learn_reports(self, rows: pl.DataFrame) -> None:
        # A Sparkplug node numbers its messages within its session; it has no ids that come twice.
        named = rows.filter(pl.col("counter_wraps").is_null())
        for device, event, report, at in named.select("device", "event", "report", "observed_at").iter_rows():
            self._reports[device, event, report] = at
            self._reports.move_to_end((device, event, report))
        while len(self._reports) > REPORTS_KEPT:
            self._reports.popitem(last=False)

    def _learn_states(self, rows: pl.DataFrame) -> None:
        columns = ("edge", "state", "observed_at", "bd_seq", "born_at", "metrics")
        for edge, state, heard_at, bd_seq, born_at, metrics in rows.select(columns).iter_rows():
            if state == "offline":
                self._offline[edge] = bd_seq
                continue
            self._offline.pop(edge, None)
            listed = orjson.loads(metrics or "[]")
            names = {alias: name for alias, name, _ in listed if alias is not None}
            birth = Birth(born_at or heard_at, heard_at, bd_seq, names, {name: kind for _, name, kind in listed})
            others = [other for other in self._births.get(edge, []) if other.at != birth.at]
            self._births[edge] = sorted([*others, birth], key=lambda one: one.at)[-BIRTHS_KEPT:]
