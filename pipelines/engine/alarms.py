"""Alarms: declared conditions over the register of sensors and areas, with deadband and delays, and the plain list."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from pipelines.engine.judge import STALE_INTERVALS
from pipelines.engine.model import PRIORITIES, AlarmRule
from pipelines.engine.quality.collapse import SILENT_RULE, collapsed
from pipelines.engine.settings import Settings
from pipelines.engine.state import State

if TYPE_CHECKING:
    from pipelines.engine.kpis import Kpis
    from pipelines.engine.registers import Registers

# How long an alarm that returned to normal stays on the list.
REMEMBER = timedelta(hours=24)
# What may ail the store: title and priority.
STORE_ALARMS: dict[str, tuple[str, Literal["critical", "high"]]] = {
    "disk_refuses": ("The disk takes nothing more", "critical"),
    "disk_low": ("The disk is nearly full", "high"),
    "files_damaged": ("Stored readings are damaged", "high"),
}


@dataclass(frozen=True)
class Limit:
    """A limit with its deadband and delays. `sign` +1: rings above; -1: rings below."""

    limit: float
    sign: int
    deadband: float
    on_delay: timedelta
    off_delay: timedelta

    @classmethod
    def of(cls, rule: AlarmRule) -> "Limit":
        """The limit that a rule declares."""
        sign = 1 if rule.above is not None else -1
        limit = rule.above if rule.above is not None else rule.below
        assert limit is not None
        return cls(limit, sign, rule.deadband, rule.on_delay, rule.off_delay)


@dataclass(frozen=True)
class Condition:
    """Where one condition stands: active or not, and since when the value has been on its way to the other side."""

    active: bool = False
    leaning_since: datetime | None = None
    seen_at: datetime | None = None


def step(condition: Condition, limit: Limit, value: float, at: datetime) -> Condition:
    """The condition after a sample: on when beyond the limit for on_delay, off when past the deadband for off_delay.

    Time is counted between sample stamps and restarts whenever the lean breaks; a sample not newer than the last
    changes nothing.
    Source: ISA-18.2, EEMUA 191 (catalogue AL-09).
    """
    if condition.seen_at is not None and at <= condition.seen_at:
        return condition
    excess = (value - limit.limit) * limit.sign
    leans = excess < -limit.deadband if condition.active else excess > 0
    if not leans:
        return Condition(condition.active, None, at)
    since = condition.leaning_since or at
    delay = limit.off_delay if condition.active else limit.on_delay
    if at - since >= delay:
        return Condition(not condition.active, None, at)
    return Condition(condition.active, since, at)


@dataclass(frozen=True)
class Alarm:
    """One alarm as people see it on the list."""

    id: str
    rule: str
    title: str
    domain: str
    priority: str
    area: str
    asset: str | None
    asset_name: str | None
    ward: str | None
    state: str
    since: str
    returned_at: str | None
    value: float | None
    limit: float | None
    unit: str
    instruction: str


class Alarms:
    """The conditions of a town and the alarms that stand or have lately returned; states survive a restart."""

    def __init__(self, settings: Settings, registers: "Registers", state: State) -> None:
        self._settings, self._state = settings, state
        self._rules = [(domain.name, rule, Limit.of(rule)) for domain in settings.domains for rule in domain.alarms]
        self._kpis = {kpi.id: kpi for kpi in settings.kpis}
        self._quantities = registers.quantities
        names = registers.assets.select("asset", "name", "ward").iter_rows()
        self._assets = {asset: (name or asset, ward) for asset, name, ward in names}
        self._every = dict(registers.sensors.select("sensor", "every_s").iter_rows())
        # Phases of a transformer, inlets of an area: their alarms name the sensor, or they would all read the same.
        alike = registers.sensors.filter(pl.len().over("asset", "quantity") > 1)
        self._alike = set(alike["sensor"])
        kept = {key: raw for key, raw in state.alarms().items() if self._watched(key)}
        self.conditions = {key: _condition(raw["condition"]) for key, raw in kept.items()}
        self.alarms = {key: Alarm(**raw["alarm"]) for key, raw in kept.items() if raw.get("alarm")}
        self._feed_of: dict[str, str | None] = {}
        self._changed: dict[str, dict[str, Any]] = {}
        self._log: list[tuple[datetime, str, str, float | None]] = []

    def _watched(self, key: str) -> bool:
        """Whether anybody still looks at this: a rule, feed or sensor taken away must not leave its alarm standing."""
        name, _, thing = key.partition("|")
        if name in STORE_ALARMS:
            return True
        if name == "feed_silent":
            return thing in self._settings.feeds
        if name == SILENT_RULE:
            return thing in self._assets
        watches = next((rule.watches for _, rule, _ in self._rules if rule.name == name), None)
        return watches is not None and (watches in self._kpis or thing in self._every)

    def watch(self, samples: pl.DataFrame, kpis: "Kpis", feeds: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
        """Hold every condition against what is known now; the unknown changes nothing: silence never clears an alarm.

        Shape: samples has sensor, asset, quantity, every_s, observed_at, value (null = unusable), each sensor's newest
        among them; feeds as on the snapshot.
        """
        by_quantity: dict[str, list[tuple[str, str, datetime, float]]] = {}
        for quantity, sensor, asset, at, value in self._telling(samples, now).iter_rows():
            by_quantity.setdefault(quantity, []).append((sensor, asset, at, value))
        for domain, rule, limit in self._rules:
            if rule.watches in self._kpis:
                self._watch_kpi(domain, rule, limit, kpis, now)
            else:
                unit = self._quantities[rule.watches].unit
                for sensor, asset, at, value in by_quantity.get(rule.watches, ()):
                    self._hold(f"{rule.name}|{sensor}", domain, rule, limit, value, at, f"asset:{asset}", unit, now)
        self._watch_feeds(feeds, now)
        self._forget(now)
        self._keep()

    def _telling(self, samples: pl.DataFrame, now: datetime) -> pl.DataFrame:
        """The good samples, in order, of watched sensors whose newest sample still says something about now."""
        watched = list({rule.watches for _, rule, _ in self._rules})
        age = pl.lit(now) - pl.col("observed_at").max().over("sensor")
        fresh = age.dt.total_seconds() <= STALE_INTERVALS * pl.col("every_s")
        rows = samples.filter(pl.col("quantity").is_in(watched)).filter(fresh).filter(pl.col("value").is_not_null())
        return rows.sort("observed_at").select("quantity", "sensor", "asset", "observed_at", "value")

    def listed(self) -> list[dict[str, Any]]:
        """The plain list: active first, by priority, oldest first; then those that returned."""
        rank = {name: place for place, name in enumerate(PRIORITIES)}
        titles = {name: feed.title for name, feed in self._settings.feeds.items()}
        shown = collapsed(list(self.alarms.values()), self._feed_of, titles)
        rows = sorted(shown, key=lambda a: (a.state != "active", rank[a.priority], a.since))
        return [asdict(row) for row in rows]

    def worst_by_asset(self) -> dict[str, str]:
        """Asset -> the highest priority of its active alarms."""
        worst: dict[str, str] = {}
        for alarm in self.alarms.values():
            if alarm.state == "active" and alarm.asset:
                known = worst.get(alarm.asset, "low")
                worst[alarm.asset] = min(known, alarm.priority, key=PRIORITIES.index)
        return worst

    def _watch_kpi(self, domain: str, rule: AlarmRule, limit: Limit, kpis: "Kpis", now: datetime) -> None:
        kpi = self._kpis[rule.watches]
        values = kpis.works[rule.watches].current.filter(pl.col("value").is_not_null())
        for area, value, as_of in values.select("area", "value", "as_of").iter_rows():
            level = area.partition(":")[0]
            fresh = (
                as_of is None or (now - as_of) <= timedelta(hours=1) or kpi.window.step not in ("quarter_hour", "hour")
            )
            if level == rule.level and fresh:
                self._hold(f"{rule.name}|{area}", domain, rule, limit, value, now, area, kpi.unit, now)

    def _hold(
        self,
        key: str,
        domain: str,
        rule: AlarmRule,
        limit: Limit,
        value: float,
        at: datetime,
        area: str,
        unit: str,
        now: datetime,
    ) -> None:
        before = self.conditions.get(key, Condition())
        after = step(before, limit, value, at)
        if after == before:
            return
        self.conditions[key] = after
        if after.active and not before.active:
            self._raise(key, domain, rule, area, value, limit.limit, unit, at)
        elif before.active and not after.active:
            self._return(key, value, at)
        elif after.active and key in self.alarms:
            self.alarms[key] = replace(self.alarms[key], value=value)
        if (after.active, after.leaning_since) != (before.active, before.leaning_since):
            self._note(key)

    def _raise(
        self,
        key: str,
        domain: str,
        rule: AlarmRule,
        area: str,
        value: float | None,
        limit: float | None,
        unit: str,
        at: datetime,
    ) -> None:
        level, _, name = area.partition(":")
        asset = name if level == "asset" else None
        label, ward = self._assets.get(name, (name, None)) if asset else (None, name if level == "ward" else None)
        sensor = key.partition("|")[2]
        if sensor in self._alike:
            label = f"{label} ({sensor})"
        self.alarms[key] = Alarm(
            key, rule.name, rule.title, domain, rule.priority, area, asset, label, ward, "active", at.isoformat(), None,
            value, limit, unit, rule.instruction,
        )  # fmt: skip
        self._log.append((at, key, "active", value))

    def _return(self, key: str, value: float | None, at: datetime) -> None:
        if key in self.alarms:
            self.alarms[key] = replace(self.alarms[key], state="returned", returned_at=at.isoformat(), value=value)
            self._log.append((at, key, "returned", value))

    @property
    def silent_assets(self) -> set[str]:
        """Assets whose silence is on the list."""
        return {alarm.asset for alarm in self.alarms.values() if alarm.rule == SILENT_RULE and alarm.asset}

    def hear(self, silence: pl.DataFrame, now: datetime) -> None:
        """Sensors that say nothing are an alarm of their asset; who is only unknown neither rings nor clears one.

        Shape: asset, domain, feed, down (null = nobody can tell), title, words.
        """
        self._feed_of = dict(silence.select("asset", "feed").iter_rows())
        for asset, domain, _, down, title, words in silence.drop_nulls("down").iter_rows():
            key = f"{SILENT_RULE}|{asset}"
            before, known = self.conditions.get(key, Condition()), self.alarms.get(key)
            if down and before.active and known and known.title != title:
                self.alarms[key] = replace(known, title=title, instruction=words)
            elif down == before.active:
                continue
            self.conditions[key] = Condition(active=down, seen_at=now)
            if down and not before.active:
                self._raise(key, domain, _silent_rule(title, words), f"asset:{asset}", None, None, "", now)
            elif not down:
                self._return(key, None, now)
            self._note(key)

    def mind(self, troubles: Mapping[str, str], now: datetime) -> None:
        """What ails the store (disk.troubles) is an alarm of the whole town."""
        for name, (title, priority) in STORE_ALARMS.items():
            key, words = f"{name}|store", troubles.get(name)
            if bool(words) == self.conditions.get(key, Condition()).active:
                continue
            self.conditions[key] = Condition(active=bool(words), seen_at=now)
            if words:
                rule = AlarmRule(
                    name=name, title=title, watches="arrivals", priority=priority, above=0, instruction=words
                )
                self._raise(key, "feeds", rule, "town", None, None, "", now)
            else:
                self._return(key, None, now)
            self._note(key)

    def _watch_feeds(self, feeds: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
        """A feed that is silent or failing is an alarm of its own."""
        for name, feed in feeds.items():
            key, down = f"feed_silent|{name}", feed["declared"] and feed["state"] in ("silent", "failing")
            before = self.conditions.get(key, Condition())
            if down == before.active:
                continue
            self.conditions[key] = Condition(active=down, seen_at=now)
            if down:
                rule = _feed_rule(feed)
                domain = feed["domains"][0] if feed["domains"] else "feeds"
                self._raise(key, domain, rule, f"feed:{name}", None, None, "", now)
            else:
                self._return(key, None, now)
            self._note(key)

    def _forget(self, now: datetime) -> None:
        gone = [
            key
            for key, alarm in self.alarms.items()
            if alarm.returned_at and now - datetime.fromisoformat(alarm.returned_at) > REMEMBER
        ]
        for key in gone:
            del self.alarms[key]
            self._note(key)

    def _note(self, key: str) -> None:
        condition, alarm = self.conditions[key], self.alarms.get(key)
        self._changed[key] = {
            "condition": {
                "active": condition.active,
                "leaning_since": _text(condition.leaning_since),
                "seen_at": _text(condition.seen_at),
            },
            "alarm": asdict(alarm) if alarm else None,
        }

    def _keep(self) -> None:
        if self._changed or self._log:
            self._state.keep_alarms(self._changed, self._log)
            self._changed, self._log = {}, []


def _silent_rule(title: str, words: str) -> AlarmRule:
    return AlarmRule(name=SILENT_RULE, title=title, watches="readings", priority="medium", above=0, instruction=words)


def _feed_rule(feed: Mapping[str, Any]) -> AlarmRule:
    return AlarmRule(
        name="feed_silent",
        title=f"No data from {feed['title']}",
        watches="arrivals",
        priority="high",
        above=0,
        level="feed",
        instruction=f"{feed['words']} Call whoever runs this feed; nothing needs restarting here. See Feeds.",
    )


def _condition(raw: Mapping[str, Any]) -> Condition:
    return Condition(raw["active"], _instant(raw["leaning_since"]), _instant(raw["seen_at"]))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def timeline(values: Sequence[float], stamps: Iterable[datetime], limit: Limit) -> list[bool]:
    """Whether the condition is active after each sample of a series."""
    condition, flags = Condition(), []
    for value, at in zip(values, stamps, strict=True):
        condition = step(condition, limit, value, at)
        flags.append(condition.active)
    return flags
