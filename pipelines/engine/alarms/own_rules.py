"""Rules that people set: a fill-in sentence, checked in words, as a rule like those that domains declare."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any

from pipelines.engine.asking import Misasked, one_of
from pipelines.engine.model import PRIORITIES, AlarmRule, Kpi, Quantity
from pipelines.engine.registers import Registers
from pipelines.engine.settings import Settings

PREFIX = "own_"
LONGEST_MINUTES, LONGEST_TEXT = 7 * 24 * 60, 500
EXAMPLE = (
    'For example {"name": "low at the hospital", "watches": "pressure_m", "area": "asset:P1", "side": "below", '
    '"limit": 12, "minutes": 5, "priority": "high", "tell": "water_crew", "instruction": "Open the second valve."}'
)


@dataclass(frozen=True, kw_only=True)
class OwnRule:
    """Tell `tell` when `watches` in `area` (empty: everywhere) is above or below `limit` for `minutes`.

    `tell` is a receiver beside those of the routes; empty: those alone.
    """

    name: str
    watches: str
    area: str = ""
    side: str
    limit: float
    minutes: float = 0.0
    priority: str = "medium"
    tell: str = ""
    instruction: str
    by: str = ""
    reason: str = ""

    @property
    def id(self) -> str:
        """The name of the rule among all rules."""
        return PREFIX + re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")

    def told(self) -> dict[str, Any]:
        """The rule as JSON remembers it."""
        return asdict(self)


class Vocabulary:
    """What a town's own rules may speak of."""

    def __init__(self, settings: Settings, registers: Registers) -> None:
        self._domains = {thing: d.name for d in settings.domains for thing in (*(q.name for q in d.quantities),
                                                                               *(k.id for k in d.kpis))}  # fmt: skip
        self.quantities: Mapping[str, Quantity] = registers.quantities
        self.kpis: Mapping[str, Kpi] = {kpi.id: kpi for kpi in settings.kpis}
        self.taken = {rule.name for domain in settings.domains for rule in domain.alarms}
        self.receivers = tuple(settings.delivery.receivers) if settings.delivery else ()
        self._wards = dict(registers.wards.select("ward", "name").iter_rows())
        self._assets = dict(registers.assets.select("asset", "name").iter_rows())

    def words(self) -> list[tuple[str, str, str, str]]:
        """What may be watched: domain, id, words, unit."""
        quantities = [(one.name, one.meaning or one.name, one.unit) for one in self.quantities.values()]
        kpis = [(one.id, one.title, one.unit) for one in self.kpis.values()]
        return [(self._domains[id], id, words, unit) for id, words, unit in (*kpis, *quantities)]

    def knows(self, own: OwnRule) -> bool:
        """Whether what it watches, and where, is still there."""
        level, _, name = own.area.partition(":")
        there = {"": {""}, "ward": set(self._wards), "asset": set(self._assets)}
        return own.watches in self._domains and name in there.get(level, set())

    def domain(self, watches: str) -> str:
        """The domain of a quantity or KPI."""
        return self._domains[watches]

    def read(self, wanted: Any, by: str) -> OwnRule:
        """The rule that a JSON object describes.

        Raises Misasked: what is missing, of the wrong kind, or not known here.
        """
        if not isinstance(wanted, dict):
            raise Misasked(f"Send a JSON object. {EXAMPLE}")
        known = [f.name for f in fields(OwnRule) if f.name != "by"]
        for name in wanted:
            one_of("field", name, known)
        found = {name: _text(name, wanted.get(name)) for name in ("name", "watches", "side", "instruction")}
        found |= {name: _text(name, wanted.get(name, ""), needed=False) for name in ("area", "reason", "tell")}
        self._tellable(found["tell"])
        one_of("quantity or KPI", found["watches"], self._domains)
        one_of("side", found["side"], ("above", "below"))
        priority = one_of("priority", wanted.get("priority", "medium"), PRIORITIES) or "medium"
        self._placed(found["watches"], found["area"])
        rule = OwnRule(**found, by=by, priority=priority, limit=_number("limit", wanted.get("limit")),
                       minutes=_number("minutes", wanted.get("minutes", 0), 0, LONGEST_MINUTES))  # fmt: skip
        if rule.id == PREFIX:
            raise Misasked(f"`name` needs letters or digits. {EXAMPLE}")
        return rule

    def _tellable(self, tell: str) -> None:
        if tell and not self.receivers:
            raise Misasked(
                "This town has no receivers. Leave `tell` empty (the alarm stands on the board), or have them declared "
                "in town.toml [delivery.receivers]."
            )
        one_of("receiver", tell or None, self.receivers)

    def _placed(self, watches: str, area: str) -> None:
        level, _, name = area.partition(":")
        if not area:
            return
        one_of("kind of area", level, ("ward", "asset"))
        one_of(level, name, self._wards if level == "ward" else self._assets)
        kpi = self.kpis.get(watches)
        if kpi is not None:
            one_of(f"level of {watches}", level, kpi.levels)

    def rule(self, own: OwnRule) -> AlarmRule:
        """The rule as the engine watches it. Its way back is the usual of its signal."""
        kpi = self.kpis.get(own.watches)
        level = own.area.partition(":")[0] or ("town" if kpi and "town" in kpi.levels else "")
        above, below = (own.limit if own.side == side else None for side in ("above", "below"))
        return AlarmRule(
            name=own.id, title=own.name, watches=own.watches, priority=own.priority,  # type: ignore[arg-type]
            instruction=own.instruction, level=level or (kpi.levels[0] if kpi else "asset"), only=own.area,
            above=above, below=below, on_delay=timedelta(minutes=own.minutes),
        )  # fmt: skip

    def sentence(self, own: OwnRule) -> str:
        """The rule as a sentence."""
        kpi, quantity = self.kpis.get(own.watches), self.quantities.get(own.watches)
        what, unit = (kpi.title, kpi.unit) if kpi else (quantity.meaning, quantity.unit) if quantity else ("", "")
        level, _, name = own.area.partition(":")
        place = (self._wards if level == "ward" else self._assets).get(name) or name
        where = f" in {place}" if own.area else " anywhere"
        lasting = f" for {own.minutes:g} minutes" if own.minutes else ""
        begin = f"Tell {own.tell} when" if own.tell else "Ring when"
        return f"{begin} `{what}`{where} is {own.side} {own.limit:g} {unit}{lasting}."


def in_use(kept: Iterable[Mapping[str, Any]], vocabulary: Vocabulary) -> list[tuple[str, AlarmRule]]:
    """The kept rules with their domains; one about what the town no longer has rests until it is back."""
    found = []
    for facts in kept:
        own = OwnRule(**facts)
        if vocabulary.knows(own):
            found.append((vocabulary.domain(own.watches), vocabulary.rule(own)))
    return found


def tells(kept: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Rule -> the receiver that it names."""
    return {own.id: own.tell for own in (OwnRule(**facts) for facts in kept) if own.tell}


def _text(name: str, value: Any, *, needed: bool = True) -> str:
    if not isinstance(value, str) or (needed and not value.strip()):
        raise Misasked(f"`{name}` must be a text{' that says something' if needed else ''}. {EXAMPLE}")
    if len(value) > LONGEST_TEXT:
        raise Misasked(f"`{name}` has {len(value)} characters; {LONGEST_TEXT} are allowed.")
    return value.strip()


def _number(name: str, value: Any, low: float = -1e12, high: float = 1e12) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise Misasked(f"`{name}` must be a number from {low:g} to {high:g}. {EXAMPLE}")
    return float(value)
