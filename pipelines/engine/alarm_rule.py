"""The vocabulary of alarms: what a domain may declare to be watched."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pipelines.engine.declaring import require

PRIORITIES = ("critical", "high", "medium", "low")


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """A condition that calls a person, over a quantity (per sensor), a KPI (per area of `level`) or an event table.

    `above` or `below` a limit, outside a band (both), or `equals` one of some values. `of` says what is held against
    the limit: the value, its change per hour (over at least `over`), or how far it lies outside the band expected for
    the hour. Of an event table `column` holds the value and `thing` names whose it is, a member of `level`.
    The alarm returns when the value is back by more than `deadband` for `off_delay`; what is None follows the
    quantity's signal. A `latching` alarm stands until a person resets it. While an alarm that `takes_down` stands and
    for its `recovery`, the alarms of what depends on its asset are its consequences, save those that `stands_alone`.
    `only` names the one ward or asset that it watches, such as ward:W1; empty: all.
    `instruction` says what the operator does, `resident` what people notice; `matters` are words in the names of the
    services that people then ask for.
    """

    name: str
    title: str
    watches: str
    priority: Literal["critical", "high", "medium", "low"]
    instruction: str
    above: float | None = None
    below: float | None = None
    equals: tuple[str | float | bool, ...] = ()
    of: Literal["value", "rate_per_hour", "deviation"] = "value"
    over: timedelta = timedelta(0)
    column: str = ""
    thing: str = ""
    level: str = "asset"
    only: str = ""
    deadband: float | None = None
    on_delay: timedelta | None = None
    off_delay: timedelta | None = None
    latching: bool = False
    takes_down: bool = False
    recovery: timedelta = timedelta(minutes=10)
    stands_alone: bool = False
    resident: str = ""
    matters: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where, limits = f"alarm {self.name}", [limit for limit in (self.below, self.above) if limit is not None]
        require(bool(limits) != bool(self.equals), f"{where}: give above, below or both, or else equals")
        require(limits == sorted(limits), f"{where}: a band lies from below up to above")
        require(self.of == "value" or not self.equals, f"{where}: equals judges the value itself")
        require(bool(self.column) == bool(self.thing), f"{where}: an event table needs column and thing")
        require((self.deadband or 0) >= 0, f"{where}: deadband is 0 or more")
        require(
            None in (self.below, self.above) or 2 * (self.deadband or 0) < limits[-1] - limits[0],
            f"{where}: the deadband leaves no way back into the band",
        )
        require(self.priority in PRIORITIES, f"{where}: priority is one of {', '.join(PRIORITIES)}")
