"""Alarms: conditions over the register, what explains them, their lifecycle, and what people do; one beat at a time."""

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.alarms import desk, listing
from pipelines.engine.alarms.book import Book
from pipelines.engine.alarms.desk import Deed
from pipelines.engine.alarms.flood import Flood
from pipelines.engine.alarms.lifecycle import Event
from pipelines.engine.alarms.naming import FEED_RULE, STORE_ALARMS, Naming
from pipelines.engine.alarms.own_rules import Vocabulary, in_use, tells
from pipelines.engine.alarms.performance import TEN_MINUTES
from pipelines.engine.alarms.record import PROCESS, Alarm, Transition
from pipelines.engine.alarms.silences import MOST_APART, SILENT_RULE, by_feed, group_id, told_as_one
from pipelines.engine.alarms.suppression import (
    AWAY,
    SETTLING,
    Causes,
    Topology,
    consequences,
    struck,
    takes_down,
)
from pipelines.engine.alarms.sweep import Sweep
from pipelines.engine.alarms.watched import Bands, Watched
from pipelines.engine.asking import Misasked
from pipelines.engine.settings import Settings
from pipelines.engine.state_alarms import read

if TYPE_CHECKING:
    from pipelines.engine.alarms.conditions import Turn
    from pipelines.engine.kpis import Kpis
    from pipelines.engine.registers import Registers
    from pipelines.engine.state import State as Kept

log = logging.getLogger("townboard")
CURSOR = "_alarms"
# How often it is written down that somebody watches.
NOTE_EVERY = timedelta(minutes=1)
Happening = Alarm | tuple[str, datetime, float | None]


class Alarms:
    """The alarms of a town. `watch` ends a beat; what people do comes between, from other threads."""

    def __init__(self, settings: Settings, registers: "Registers", state: "Kept", now: datetime) -> None:
        """After a long absence what rings within the first minutes waits for the feeds to come."""
        self._settings, self._registers, self._kept = settings, registers, state
        self.lock = threading.RLock()
        self.names = Naming(registers)
        self._use_rules()
        self._flags: dict[str, dict[str, Any]] = {}
        known = {key: raw for key, raw in state.alarms().items() if self._recall(key, raw["condition"])}
        alarms = {key: Alarm.recalled(raw["alarm"]) for key, raw in known.items() if raw.get("alarm")}
        self.book = Book(state, alarms, {name: rule.latching for name, rule in self.topology.rules.items()})
        self._happenings: list[Happening] = []
        self._events: list[tuple[str, pl.DataFrame]] = []
        self._feed_of: dict[str, str | None] = {}
        self._times = {table.name: table.time for domain in settings.domains for table in domain.tables}
        before = state.cursor(CURSOR).get("watched_at")
        away = before is not None and now - datetime.fromisoformat(before) > AWAY
        self._settles_at = now + SETTLING if away else None
        self._noted_at: datetime | None = None
        self.expected: Callable[[datetime], pl.DataFrame] = Bands(settings.store, self.watched.deviations).at
        self.flood = Flood(read(state.path, now - TEN_MINUTES))
        self.listeners: list[Callable[[list[Transition], datetime], None]] = []

    def _use_rules(self) -> None:
        """Watch what the domains declare and what people have set."""
        kept, vocabulary = self._kept.own_rules(), Vocabulary(self._settings, self._registers)
        own, self.tells = in_use(kept, vocabulary), tells(kept)
        declared = [rule for domain in self._settings.domains for rule in domain.alarms]
        self.watched = Watched(self._settings, self._registers, own)
        self.topology = Topology.of(self._registers, [*declared, *(rule for _, rule in own)])

    def set_rule(self, id: str, facts: Mapping[str, Any] | None) -> None:
        """Keep a rule of the town's own and watch it from now on; None ends it, and its alarms leave the list.

        Raises OSError when the disk takes nothing.
        """
        with self.lock:
            self._kept.keep_own_rule(id, facts)
            before = self.watched.conditions
            self._use_rules()
            for key, row in before.rows.items():
                self.watched.recall(key, before.told(row))
            rows = self.watched.conditions.rows
            self.book.drop(key for key in before.rows if key.startswith(f"{id}|") and key not in rows)

    def _recall(self, key: str, told: Mapping[str, Any]) -> bool:
        """Whether anybody still looks at this: a rule, feed or sensor taken away must not leave its alarm standing."""
        name, _, thing = key.partition("|")
        feed = thing.removeprefix("feed:")
        of_engine = (
            name in STORE_ALARMS
            or (name == FEED_RULE and thing in self._settings.feeds)
            or (name == SILENT_RULE and (thing in self.names.assets or feed in self._settings.feeds))
        )
        if of_engine:
            self._flags[key] = dict(told)
        return of_engine or self.watched.recall(key, told)

    # what a beat brings -------------------------------------------------------------------------------------------

    def mind(self, troubles: Mapping[str, str], now: datetime) -> None:
        """What ails the store (disk.troubles) is an alarm of the whole town."""
        for name in STORE_ALARMS:
            self._flag(self.names.of_store(name, troubles.get(name, ""), now), name in troubles, now)

    def hear(self, silence: pl.DataFrame, now: datetime) -> None:
        """Sensors that say nothing are an alarm of their asset; who is only unknown neither rings nor clears one.

        Shape: asset, domain, feed, down (null = nobody can tell), title, words.
        """
        self._feed_of = dict(silence.select("asset", "feed").iter_rows())
        for asset, domain, _, down, title, words in silence.drop_nulls("down").iter_rows():
            self._flag(self.names.of_silence(asset, domain, title, words, now), down, now)
        self._hear_groups(now)

    def _hear_groups(self, now: datetime) -> None:
        silent = by_feed(self._silent_now(), self._feed_of)
        known = {key.partition("|feed:")[2] for key, flag in self._flags.items() if "|feed:" in key and flag["active"]}
        for feed in {*silent, *known}:
            assets = silent.get(feed, [])
            names = [self.names.assets[asset][0] for asset in assets]
            domains = self._settings.feeds[feed].domains or ("feeds",)
            alarm = told_as_one(feed, self._settings.feeds[feed].title, domains[0], names, now)
            self._flag(alarm, bool(assets) and (feed in known or len(assets) > MOST_APART), now)

    def _silent_now(self) -> list[str]:
        start = f"{SILENT_RULE}|"
        active = (key.removeprefix(start) for key, flag in self._flags.items() if flag["active"] and start in key)
        return [asset for asset in active if asset in self.names.assets]

    def land(self, table: str, rows: pl.DataFrame) -> None:
        """Take note of rows of an event table that some rule watches."""
        if table in self.watched.tables:
            with self.lock:
                self._events.append((table, rows))

    def watch(self, samples: pl.DataFrame, kpis: "Kpis", feeds: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
        """Hold every condition against what is known now; the unknown changes nothing: silence never clears an alarm.

        Shape: samples has sensor, every_s, observed_at, value (null = unusable), each sensor's newest among them;
        feeds as on the snapshot.
        """
        with self.lock:
            for name, feed in feeds.items():
                down = feed["declared"] and feed["state"] in ("silent", "failing")
                self._flag(self.names.of_feed(name, feed, now), down, now)
            self._turned(self.watched.readings(samples, self.expected(now), now))
            self._turned(self.watched.kpis(kpis, now))
            events, self._events = self._events, []
            for table, rows in events:
                self._turned(self.watched.events(table, rows, self._times[table] or ""))
            self._apply(now)
            Sweep(self.book, self._causes(now), now).all()
            self._refresh_values()
            self.book.forget(now)
            self._keep(now)
            self.flood.look(now)
            self._note_presence(now)

    def _note_presence(self, now: datetime) -> None:
        """Write down that somebody watches."""
        if self._noted_at is None or now - self._noted_at >= NOTE_EVERY:
            self._kept.keep_cursor(CURSOR, {"watched_at": now.isoformat()})
            self._noted_at = now

    def _flag(self, alarm: Alarm, down: bool, now: datetime) -> None:
        """The condition of an alarm that is true or not, without a number."""
        before = self._flags.get(alarm.id, {}).get("active", False)
        if down and before and alarm.id in self.book.alarms:
            known = self.book.alarms[alarm.id]
            self.book.refresh(replace(known, title=alarm.title, instruction=alarm.instruction))
        if down == before:
            return
        self._flags[alarm.id] = {"active": down, "leaning_since": None, "seen_at": now.isoformat()}
        self._happenings.append(alarm if down else (alarm.id, now, None))
        self.book.touch(alarm.id)

    def _turned(self, outcome: tuple[list["Turn"], Any]) -> None:
        turns, moved = outcome
        for row in moved.tolist():
            self.book.touch(self.watched.conditions.keys[row])
        for turn in turns:
            watch, limit = self.watched.watches[turn.row], self.watched.limit(turn.row, turn.value)
            if turn.active:
                self._happenings.append(self.names.of_condition(watch, turn.value, limit, turn.at))
            else:
                self._happenings.append((watch.key, turn.at, turn.value))

    # what becomes of it -------------------------------------------------------------------------------------------

    def _apply(self, now: datetime) -> None:
        """Ring and clear: first what takes others down, then what stands on it, then areas."""
        happenings, self._happenings = self._happenings, []
        for stage in range(3):
            own = [one for one in happenings if self._stage(one) == stage]
            causes = self._causes(now) if own else None
            for one in own:
                if isinstance(one, Alarm):
                    assert causes is not None
                    self.book.rise(one, now, who=PROCESS, aside=causes.of(one))
                else:
                    self._clear(*one, now)

    def _stage(self, one: Happening) -> int:
        id = one.id if isinstance(one, Alarm) else one[0]
        name, _, thing = id.partition("|")
        rule = self.topology.rules.get(name)
        if (rule is not None and rule.takes_down) or thing.startswith("feed:"):
            return 0
        return 2 if rule is not None and rule.level == "ward" else 1

    def _clear(self, id: str, at: datetime, value: float | None, now: datetime) -> None:
        alarm = self.book.alarms.get(id)
        if alarm is not None and alarm.standing.active:
            self.book.happen(id, Event.RETURN, now, who=PROCESS, at=at, returned_at=at, value=value)

    def _causes(self, now: datetime) -> Causes:
        alarms = self.book.alarms
        down = takes_down(self.topology.rules, alarms.values(), now)
        by_id = {alarm.id: alarm for alarm in down.values()}
        groups: dict[str, Alarm] = {}
        for feed, assets in by_feed(self._silent_now(), self._feed_of).items():
            group = alarms.get(group_id(feed))
            if group is not None and group.standing.active:
                groups |= {f"{SILENT_RULE}|{asset}": group for asset in assets}
        under = consequences(alarms.values())
        return Causes(
            self.topology, down, groups, struck(under, by_id), self.topology.absent(now), self._settles_at, now
        )

    def _refresh_values(self) -> None:
        rows, values = self.watched.conditions.rows, self.watched.conditions.value
        for id, alarm in list(self.book.alarms.items()):
            if alarm.standing.active and alarm.value is not None and id in rows:
                value = float(values[rows[id]])
                if not math.isnan(value) and value != alarm.value:
                    self.book.refresh(replace(alarm, value=value))

    def _keep(self, now: datetime) -> None:
        try:
            happened = self.book.keep(self._condition)
        except OSError as error:
            # A disk that refuses must not darken the board: what happened is kept with the next beat.
            log.warning("what happened to alarms was not kept: %s", error)
            return
        self._tell(happened, now)

    def _tell(self, happened: list[Transition], now: datetime) -> None:
        self.flood.hear(happened, now)
        for listener in self.listeners if happened else ():
            listener(happened, now)

    def _condition(self, id: str) -> Mapping[str, Any] | None:
        row = self.watched.conditions.rows.get(id)
        return self._flags.get(id) if row is None else self.watched.conditions.told(row)

    # what people see and do -----------------------------------------------------------------------------------------

    def act(self, ids: Sequence[str], deed: Deed, now: datetime) -> dict[str, list[dict[str, Any]]]:
        """Do one thing to some alarms; on disk when this returns. Each is done or refused by itself.

        Shape: done has rows as on the list, refused has id, status, detail, state, legal.
        Raises OSError when the disk takes nothing; nothing was done then.
        """
        with self.lock:
            before, noted = dict(self.book.alarms), self.book.noted
            done, refused = [], []
            for id in dict.fromkeys(ids):
                try:
                    done.append(desk.do(self.book, id, deed, now).id)
                except Misasked as error:
                    known = self.book.alarms.get(id)
                    refused.append(desk.refusal(id, error, known.state if known else None))
            try:
                happened = self.book.keep(self._condition)
            except OSError:
                self.book.undo(before, noted)
                raise
            self._tell(happened, now)
            rows = {row["id"]: row for row in listing.rows(self.book.alarms.values())} if done else {}
            return {"done": [rows[id] for id in done], "refused": refused}

    @property
    def silent_assets(self) -> set[str]:
        """Assets whose silence is on the list."""
        return {alarm.asset for alarm in self.book.alarms.values() if alarm.rule == SILENT_RULE and alarm.asset}

    def listed(self) -> list[dict[str, Any]]:
        """The alarm list as the board shows it to everybody."""
        with self.lock:
            return listing.public(self.book.alarms.values())

    def summary(self, now: datetime) -> dict[str, Any]:
        """The list in short: floods, what calls by priority, shelvings that end soon (shape: Flood.told)."""
        with self.lock:
            return self.flood.told(self.book.alarms.values(), now)

    def worst_by_asset(self) -> dict[str, str]:
        """Asset -> the highest priority of the alarms that are true of it, those that a cause explains among them."""
        with self.lock:
            return listing.worst_by_asset(self.book.alarms.values())
