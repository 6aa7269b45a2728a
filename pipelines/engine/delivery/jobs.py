"""The jobs of delivery on a running line: say what is due, send what waits, hand over to an Alertmanager."""

from collections.abc import Callable
from datetime import datetime, timedelta

from pipelines.engine.delivery.desk import Delivery
from pipelines.engine.delivery.messages import Speaker
from pipelines.engine.delivery.noticing import notices
from pipelines.engine.line import Line
from pipelines.engine.schedule import Job
from pipelines.engine.state_delivery import Post

EVERY = timedelta(seconds=1)
LOOK, SEND = "messages", "outbox {}"


def delivery(line: Line) -> Delivery | None:
    """The delivery of this town; None where it tells nobody."""
    plan = line.settings.delivery
    if plan is None:
        return None
    speaker = Speaker(line.settings.name, line.settings.zone, plan.link)
    return Delivery(plan, line.registers.rota, speaker, Post(line.state))


def jobs(desk: Delivery, line: Line, clock: Callable[[], datetime], soon: Callable[[str], None]) -> list[Job]:
    """What the schedule does for delivery; what rings and what was made to be sent lets no job wait for its second.

    Every channel has a job of its own: one that answers slowly holds up nobody else. `soon` runs a job now.
    """
    line.alarms.listeners.append(lambda happened, now: soon(LOOK))

    def say() -> int | None:
        now = clock()
        flood = line.alarms.summary(now)["words"]
        made = desk.look(notices(line.alarms), now, flood) + desk.sign_of_life(now)
        line.troubles["delivery_fails"] = "; ".join(f"{name}: {words}" for name, words in desk.troubles(now).items())
        for channel in desk.waiting(now) if made else ():
            soon(SEND.format(channel))
        return made or None

    def sends(channel: str) -> Job:
        why = f"send the messages that wait for {channel}"
        return Job(SEND.format(channel), EVERY, why, lambda: desk.send(clock, channel))

    found = [Job(LOOK, EVERY, "decide who is told of which alarm", say), *map(sends, desk.channels)]
    if desk.plan.alertmanager:
        found.append(
            Job("alertmanager", EVERY, "hand the alarms over", lambda: desk.hand_over(notices(line.alarms), clock()))
        )
    return found
