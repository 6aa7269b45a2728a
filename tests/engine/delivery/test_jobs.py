"""The jobs of delivery: what rings is told at once, by a job for each channel, and what ails them is an alarm."""

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pipelines.engine.alarms.flood import Flood
from pipelines.engine.delivery import jobs as deliveries
from pipelines.engine.delivery.channels import Channel
from pipelines.engine.delivery.desk import Delivery
from pipelines.engine.delivery.messages import Speaker
from pipelines.engine.delivery.plan import Plan, Receiver
from pipelines.engine.delivery.rota import Rota
from pipelines.engine.delivery.routes import Route
from pipelines.engine.state import State
from pipelines.engine.state_delivery import Post
from tests.engine.delivery.notices import at, firing


def test_what_rings_calls_the_look_and_what_is_made_calls_its_channels(tmp_path: Path, monkeypatch: Any) -> None:
    state = State(tmp_path / "state.sqlite")
    channels = {name: Channel(name=name, kind="sms_spool", folder=tmp_path / name) for name in ("sms", "modem")}
    plan = Plan(
        root=Route(key="r", receiver="room", group_wait=timedelta(0)), channels=channels,
        receivers={"room": Receiver(name="room", to=(("sms", "+91"),)), "empty": Receiver(name="empty")}, alive="empty",
    )  # fmt: skip
    desk = Delivery(plan, Rota((), frozenset(), {}, "UTC"), Speaker("Nadipur", "UTC", ""), Post(state))
    flood, called, rung = Flood(()), list[str](), [firing("P1")]
    alarms: Any = SimpleNamespace(listeners=[], summary=lambda now: flood.told([], now))
    line: Any = SimpleNamespace(alarms=alarms, troubles={})
    monkeypatch.setattr(deliveries, "notices", lambda _: rung)

    def clock() -> datetime:
        return at(1)

    work = {job.name: job.work for job in deliveries.jobs(desk, line, clock, called.append)}
    assert sorted(work) == ["messages", "outbox modem", "outbox sms"]
    alarms.listeners[0]([], clock())
    assert called == ["messages"]
    assert work["messages"]() == 1
    assert called == ["messages", "outbox sms"]
    assert (work["outbox modem"](), work["outbox sms"](), work["outbox sms"]()) == (None, 1, None)
    assert "nobody is on duty for empty" in line.troubles["delivery_fails"]
    assert len(list((tmp_path / "sms").glob("*.sms"))) == 1
    desk.close()
    state.close()
