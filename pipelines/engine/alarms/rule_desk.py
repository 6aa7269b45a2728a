"""The town's own alarm rules from outside the line: listed, tried on the past, set and ended."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from pipelines.engine.alarms.backtest import SAMPLES, Firing, firings, in_words, report
from pipelines.engine.alarms.conditions import Limit
from pipelines.engine.alarms.own_rules import OwnRule, Vocabulary
from pipelines.engine.alarms.performance import Stretch
from pipelines.engine.alarms.rules import limit_of
from pipelines.engine.asking import Misasked
from pipelines.engine.people.roles import Actor
from pipelines.engine.state_alarms import read, read_rules

if TYPE_CHECKING:
    from pipelines.engine.town import Town

TRIED = timedelta(days=30)
# So many sensors are replayed together: a month of minutes of each fits into memory.
TOGETHER = 50
Told = tuple[int, dict[str, Any], Mapping[str, str]]


class RuleDesk:
    """Own rules of one town."""

    def __init__(self, town: "Town") -> None:
        self._town, self._state = town, town.settings.store / "state.sqlite"
        self.vocabulary = Vocabulary(town.settings, town.registers)

    def rules(self, actor: Actor) -> list[dict[str, Any]]:
        """The rules that people set: their fields, id and sentence.

        Raises Forbidden.
        """
        actor.check("read")
        return [self._told(own) for own in self.kept()]

    def kept(self) -> list[OwnRule]:
        """The rules as they are kept."""
        return [OwnRule(**facts) for facts in read_rules(self._state)]

    def _told(self, own: OwnRule) -> dict[str, Any]:
        resting = not self.vocabulary.knows(own)
        return {"id": own.id, **own.told(), "sentence": self.vocabulary.sentence(own), "resting": resting}

    def backtest(self, wanted: Any, actor: Actor) -> dict[str, Any]:
        """What a rule would have rung in the last 30 days, and what that adds to the room's load.

        Shape: rule, report (backtest.report), words.
        Raises Forbidden, Misasked.
        """
        actor.check_everywhere("operate")
        own = self.vocabulary.read(wanted, actor.signature)
        told = self._tried(own)
        return {"rule": self._told(own), "report": told, "words": in_words(told)}

    async def set(self, wanted: Any, tried: Mapping[str, Any], actor: Actor) -> Told:
        """Keep a rule whose backtest was `tried`; status, answer and headers of the line.

        Raises Forbidden; Misasked (409) when it takes the room above its budget and no reason is given.
        """
        actor.check_everywhere("operate")
        own = self.vocabulary.read(wanted, actor.signature)
        if not tried["report"]["within_budget"] and not own.reason:
            raise Misasked(f"{tried['words']} Raise the limit or the minutes, or say in `reason` why it must be.", 409)
        return await self._town.line.set_rule(own.id, own.told())

    async def end(self, id: str, actor: Actor) -> Told:
        """End a rule.

        Raises Forbidden; Misasked (404) when there is none.
        """
        actor.check_everywhere("operate")
        known = [own.id for own in self.kept()]
        if id not in known:
            raise Misasked(f"There is no own rule `{id[:80]}`. Known are: {', '.join(known) or 'none'}.", 404)
        return await self._town.line.set_rule(id, None)

    def _tried(self, own: OwnRule) -> dict[str, Any]:
        now = self._town.now()
        stretch = Stretch(now - TRIED, now)
        found: list[Firing] = []
        for samples, limits in self._past(own, stretch.start, now):
            found += firings(samples.cast(SAMPLES), limits)
        # The rule's own alarms of the past would count twice.
        log = read(self._state, stretch.start, now)
        called = [one.noted_at for one in log if one.annunciated and one.facts.get("rule") != own.id]
        return report(found, called, stretch)

    def _past(self, own: OwnRule, start: datetime, end: datetime) -> Iterator[tuple[pl.DataFrame, dict[str, Limit]]]:
        """The samples of what a rule watches, in portions, with the limit over each thing."""
        rule = self.vocabulary.rule(own)
        if own.watches in self.vocabulary.kpis:
            own_level = pl.col("area").str.split(":").list.first() == rule.level
            rows = self._town.history(own.watches, [own.area] if own.area else None, start, end)
            rows = rows.filter(own_level).select(thing="area", at="end", value="value")
            yield rows, dict.fromkeys(rows["thing"].unique(), limit_of(rule))
            return
        sensors = self._town.sensors().filter(pl.col("quantity") == own.watches)
        level, _, name = own.area.partition(":")
        sensors = sensors.filter(pl.col(level) == name) if own.area else sensors
        quantity = self.vocabulary.quantities[own.watches]
        for part in sensors.iter_slices(TOGETHER):
            limits = {
                sensor: limit_of(rule, quantity, low, high)
                for sensor, low, high in part.select("sensor", "low", "high").iter_rows()
            }
            rows = self._town.readings(list(limits), start, end)
            yield rows.select(thing="sensor", at="observed_at", value="value"), limits
