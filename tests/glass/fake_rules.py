"""Rules and messages of a made-up town: the real desks, on what a test puts there; the line keeps it in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any

import polars as pl

from pipelines.engine.alarms.own_rules import OwnRule
from pipelines.engine.alarms.rule_desk import RuleDesk
from pipelines.engine.delivery.channels import Channel
from pipelines.engine.delivery.outbox import Letter
from pipelines.engine.delivery.plan import Plan, Receiver
from pipelines.engine.delivery.room import PostRoom, frame
from pipelines.engine.delivery.rota import DAYS, Rota, Shift
from pipelines.engine.delivery.routes import Route
from pipelines.engine.people.roles import Actor

PLAN = Plan(
    root=Route(key="r", receiver="control_room"),
    receivers={name: Receiver(name=name, roles=("operator",)) for name in ("control_room", "water_crew")},
    channels={"sms": Channel(name="sms", kind="sms_spool"), "chat": Channel(name="chat", kind="webhook", url="x://y")},
)
ROTA = Rota((Shift("operator", "Asha Rao", frozenset(DAYS), time(0), time(0)),), frozenset(), {}, "Asia/Kolkata")


class FakeLine:
    """Keeps rules and takes test messages, except by the channel `chat`, which nobody answers."""

    def __init__(self) -> None:
        self.rules: dict[str, Mapping[str, Any]] = {}
        self.tests: list[tuple[str, str]] = []

    async def set_rule(self, id: str, facts: Mapping[str, Any] | None) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        if facts is None:
            del self.rules[id]
        else:
            self.rules[id] = facts
        return 200, {}, {}

    async def try_channel(self, channel: str, address: str) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        self.tests.append((channel, address))
        if channel != "sms":
            return 503, {"detail": f"the channel {channel} does not answer (ConnectError)."}, {}
        return 200, {"sent": True}, {}


class FakeRules(RuleDesk):
    def __init__(self, town: Any, line: FakeLine) -> None:
        super().__init__(town)
        self._kept = line.rules

    def kept(self) -> list[OwnRule]:
        return [OwnRule(**facts) for facts in self._kept.values()]


class FakePost(PostRoom):
    """Three messages: sent, waiting after tries, given up."""

    def messages(self, actor: Actor) -> pl.DataFrame:
        actor.check_everywhere("operate")
        now = datetime.now(UTC)
        common: dict[str, Any] = {
            "channel": "sms",
            "address": "+911",
            "receiver": "control_room",
            "body": "",
            "short": "",
        }
        sent, waiting, lost = (
            Letter(id=name, made_at=now - timedelta(minutes=age), subject=f"Nadipur: {name}", **common)
            for name, age in (("sent one", 3), ("waiting one", 4), ("lost one", 4000))
        )
        words = "the channel sms does not answer"
        return frame([sent.taken(now), waiting.refused(now, words), lost.refused(now, words)])


def furnish(town: Any, kpis: list[Any]) -> None:
    """Give a made-up town what rules and messages need."""
    town.line = FakeLine()
    town.settings.domains, town.settings.kpis, town.settings.delivery = town.domains, kpis, PLAN
    quantities = {quantity.name: quantity for domain in town.domains for quantity in domain.quantities}
    town.registers = SimpleNamespace(
        references={}, quantities=quantities, wards=town.wards(), assets=town.assets(), rota=ROTA
    )
    town.rules = FakeRules(town, town.line)
    town.post = FakePost(town.settings, town.line, town.registers)
