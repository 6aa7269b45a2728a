"""What explains an alarm: a cause above it in the topology, a time out of service, the first minutes after a start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.engine.alarms.lifecycle import Event, State
from pipelines.engine.alarms.record import LOGIC, REGISTER, Alarm
from pipelines.engine.model import PRIORITIES, AlarmRule
from pipelines.engine.registers import Registers

# After an absence what rings at once is looked at when the feeds had time to come.
SETTLING = timedelta(minutes=1)
STARTING = "start"
# Away for longer than this, the line knows too little of what happened meanwhile.
AWAY = timedelta(minutes=10)

# What is done with an alarm that something explains: the event, who does it, why, and the alarm that is the cause.
Aside = tuple[Event, str, str, str | None]


@dataclass(frozen=True)
class Topology:
    """What stands above each asset (itself first), which assets lie in a ward, and what is out of service when."""

    above: Mapping[str, tuple[str, ...]]
    absences: tuple[tuple[str, datetime, datetime | None, str], ...]
    rules: Mapping[str, AlarmRule]

    @classmethod
    def of(cls, registers: Registers, rules: Iterable[AlarmRule]) -> "Topology":
        """The topology that the registers declare."""
        above: dict[str, list[str]] = {asset: [asset] for asset in registers.assets["asset"]}
        for asset, on in registers.relies.select("asset", "on").iter_rows():
            above[asset].append(on)
        absent = registers.references["out_of_service"].select("thing", "from", "to", "reason").iter_rows()
        return cls(
            {asset: tuple(names) for asset, names in above.items()},
            tuple((thing, start, end, why or "out of service") for thing, start, end, why in absent),
            {rule.name: rule for rule in rules},
        )

    def absent(self, now: datetime) -> dict[str, str]:
        """Sensors and assets that are out of service, and why."""
        return {thing: why for thing, start, end, why in self.absences if start <= now and (end is None or now < end)}


@dataclass(frozen=True)
class Causes:
    """What explains alarms at one moment.

    `down`: asset -> the alarm that takes it down; `groups`: alarm -> the one that tells of many like it; `struck`:
    (domain, ward) -> the cause of an alarm there; `absent`: thing -> why.
    """

    topology: Topology
    down: Mapping[str, Alarm]
    groups: Mapping[str, Alarm]
    struck: Mapping[tuple[str, str], Alarm]
    absent: Mapping[str, str]
    settles_at: datetime | None
    now: datetime

    def of(self, alarm: Alarm) -> Aside | None:
        """What is to be done with an alarm that something explains; None when it stands for itself."""
        things = (alarm.id.partition("|")[2], *self.topology.above.get(alarm.asset or "", ()))
        why = next((self.absent[thing] for thing in things if thing in self.absent), None)
        if why is not None:
            return Event.REMOVE, REGISTER, why, None
        cause = self.cause(alarm)
        if cause is not None:
            return Event.SUPPRESS, LOGIC, f"{cause.title}: {cause.asset_name or cause.area}", cause.id
        if self._starts(alarm):
            return Event.SUPPRESS, LOGIC, "the line has just started", STARTING
        return None

    def cause(self, alarm: Alarm) -> Alarm | None:
        """The alarm, the furthest up, that takes down what this one stands on; never one that is less urgent."""
        rule = self.topology.rules.get(alarm.rule)
        if rule is not None and rule.stands_alone:
            return None
        group = self.groups.get(alarm.id)
        if alarm.asset is None and alarm.ward is not None:
            group = self.struck.get((alarm.domain, alarm.ward))
        above = (self.down[asset] for asset in self.topology.above.get(alarm.asset or "", ()) if asset in self.down)
        found = [one for one in (group, *above) if one is not None and self._explains(one, alarm)]
        return max(found, key=self._reach, default=None)

    def _explains(self, cause: Alarm, alarm: Alarm) -> bool:
        """Not where each would explain the other, as in a ring of feeders: both would be hidden."""
        own = self.topology.rules.get(alarm.rule)
        mutual = own is not None and own.takes_down and alarm.asset in self.topology.above.get(cause.asset or "", ())
        return cause.id != alarm.id and not mutual and not urgent(alarm, cause)

    def _reach(self, cause: Alarm) -> tuple[int, str]:
        """The cause with the fewest above it is the root of the others."""
        return -len(self.topology.above.get(cause.asset or "", ())), cause.id

    def _starts(self, alarm: Alarm) -> bool:
        rule = self.topology.rules.get(alarm.rule)
        early = self.settles_at is not None and self.now < self.settles_at
        return early and rule is not None and not rule.stands_alone and alarm.priority != PRIORITIES[0]


def urgent(alarm: Alarm, than: Alarm) -> bool:
    """Whether an alarm is more urgent than another."""
    return PRIORITIES.index(alarm.priority) < PRIORITIES.index(than.priority)


def takes_down(rules: Mapping[str, AlarmRule], alarms: Iterable[Alarm], now: datetime) -> dict[str, Alarm]:
    """Asset -> the alarm that takes it down: it stands, or has returned within its recovery."""
    down: dict[str, Alarm] = {}
    for alarm in alarms:
        rule = rules.get(alarm.rule)
        if rule is None or not rule.takes_down or not alarm.asset or alarm.state is State.OUT_OF_SERVICE:
            continue
        recovering = alarm.returned_at is not None and now - alarm.returned_at < rule.recovery
        if alarm.standing.active or recovering:
            down[alarm.asset] = alarm
    return down


def consequences(alarms: Iterable[Alarm]) -> dict[str, list[Alarm]]:
    """Cause -> the alarms that it explains, the most urgent first."""
    under: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        if alarm.state is State.SUPPRESSED and alarm.cause:
            under.setdefault(alarm.cause, []).append(alarm)
    for found in under.values():
        found.sort(key=lambda alarm: (PRIORITIES.index(alarm.priority), alarm.since, alarm.id))
    return under


def struck(under: Mapping[str, list[Alarm]], causes: Mapping[str, Alarm]) -> dict[tuple[str, str], Alarm]:
    """(domain, ward) -> the cause that takes assets of the domain down there."""
    return {
        (alarm.domain, alarm.ward): causes[cause]
        for cause, alarms in under.items()
        for alarm in alarms
        if cause in causes and alarm.asset and alarm.ward
    }
