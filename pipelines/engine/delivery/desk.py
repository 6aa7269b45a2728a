"""The delivery of a town: each second, what is due is made durable; the postman sends it and notes it as sent."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipelines.engine.delivery import outbox
from pipelines.engine.delivery.alertmanager import Alertmanager
from pipelines.engine.delivery.flooding import Flooding
from pipelines.engine.delivery.grouping import Grouping, Telling, Told
from pipelines.engine.delivery.messages import Message, Speaker
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.outbox import Letter
from pipelines.engine.delivery.plan import Plan
from pipelines.engine.delivery.postman import Postman
from pipelines.engine.delivery.rota import Address, Rota
from pipelines.engine.delivery.routes import direct
from pipelines.engine.state_delivery import Post

ALIVE = "alive"
TIDY_EVERY = timedelta(hours=1)
# What nobody answers is told of together, at most so often to one receiver.
ESCALATES_EVERY = timedelta(minutes=1)


@dataclass
class Look:
    """What one look makes: letters, what they tell, and the groups that are still to be told of."""

    letters: list[Letter] = field(default_factory=list)
    news: dict[str, Told] = field(default_factory=dict)
    said: list[Telling] = field(default_factory=list)
    untold: list[Telling] = field(default_factory=list)
    summed: list[str] = field(default_factory=list)
    escalated: list[str] = field(default_factory=list)

    def tell(self, tellings: Sequence[Telling], letters: Sequence[Letter]) -> bool:
        """These letters tell of these groups; without a letter (nobody is on duty) they stay untold."""
        if not letters:
            self.untold += tellings
            return False
        self.letters += letters
        self.said += tellings
        self.news |= {telling.key: telling.news for telling in tellings}
        return True


class Delivery:
    """Tells people of alarms. `look` is called each second with all alarms; `send` works off the outbox."""

    def __init__(self, plan: Plan, rota: Rota, speaker: Speaker, post: Post) -> None:
        self.plan, self._rota, self._speaker, self._post = plan, rota, speaker, post
        self._grouping = Grouping(plan.root, post.told(), direct(plan.root, plan.receivers))
        self._flooding = Flooding()
        self._escalated_at: dict[str, datetime] = {}
        self._postman = Postman(plan.channels, post)
        self._manager = Alertmanager(plan.alertmanager) if plan.alertmanager else None
        self._alive_at: datetime | None = None
        self._tidied_at: datetime | None = None
        self.unreachable: dict[str, str] = {}

    def look(self, notices: Iterable[Notice], now: datetime, flood: str = "") -> int:
        """Put what is due into the outbox, durable when this returns; gives how many letters were made.

        `flood`: the board's sentence about an alarm flood, empty when there is none.
        What nobody is on duty for stays due. When the disk takes nothing, its error is raised and the same is due with
        the next look.
        """
        known = list(notices)
        moment = now.astimezone(ZoneInfo(self._speaker.zone)).time()
        tellings = self._grouping.due(known, now, lambda notice: self._is_held(notice, moment))
        made = self._made(tellings, known, flood, now)
        try:
            self._keep(made)
        except Exception:
            self._grouping.again(tellings, now)
            raise
        self._grouping.again(made.untold, now)
        for telling in made.said:
            self._grouping.keep(telling)
        self._grouping.told |= made.news
        self._flooding.keep(made.summed, flood, now)
        self._escalated_at |= dict.fromkeys(made.escalated, now)
        self._tidy(now)
        return len(made.letters)

    def _made(self, tellings: Sequence[Telling], known: Sequence[Notice], flood: str, now: datetime) -> Look:
        """The letters of what is due: group by group, as a flood's summary, and of what nobody answers."""
        sifted = self._flooding.sift(tellings, self._grouping.told, flood, now)
        made = Look(untold=list(sifted.waiting))
        receivers = dict.fromkeys(telling.route.receiver for telling in tellings)
        self.unreachable = {}
        reached = {name: self._addresses(name, now) for name in receivers}
        for telling in sifted.alone:
            made.tell([telling], self._told(telling, reached[telling.route.receiver], now))
        for name, own in sifted.summed.items():
            if made.tell(own, self._summed(name, own, reached[name], flood=flood, now=now)):
                made.summed.append(name)
        for name, waits in self._unanswered(known, now).items():
            if letters := self._escalated(name, list(waits.values()), now):
                made.letters += letters
                made.news |= {key: Told(frozenset({one.id}), frozenset(), now) for key, one in waits.items()}
                made.escalated.append(name)
        return made

    def sign_of_life(self, now: datetime) -> int:
        """Tell the dead man's switch that the board is alive, when that is due; gives how many letters were made."""
        last = self._alive_at
        if self.plan.alive is None or (last is not None and now - last < self.plan.alive_every):
            return 0
        reached = self._addresses(self.plan.alive, now)
        made = outbox.letters(ALIVE, self.plan.alive, self._speaker.alive(now), reached, now)
        self._keep(Look(letters=made))
        self._alive_at = now if made else None
        return len(made)

    def hand_out(self, receiver: str, message: Message, files: Sequence[str], now: datetime) -> int:
        """Send a receiver a message with files; gives how many letters were made, durable when this returns."""
        reached = self._addresses(receiver, now)
        made = outbox.letters(f"file {message.subject}", receiver, message, reached, now, files=list(files))
        self._keep(Look(letters=made))
        return len(made)

    def hand_over(self, notices: Iterable[Notice], now: datetime) -> int | None:
        """Say to the town's Alertmanager what is to be said; gives how many alerts, None when there was nothing.

        Raises SourceDown in words when it did not take them.
        """
        return self._manager.say(notices, self.plan.link, now) if self._manager else None

    def close(self) -> None:
        """End the connections of every channel."""
        self._postman.close()
        if self._manager:
            self._manager.close()

    def test(self, channel: str, address: str, now: datetime) -> None:
        """Send a test message by a channel at once.

        Raises KeyError for a channel that there is none of; SourceDown in words when it was not taken.
        """
        message = self._speaker.trial(channel, now)
        (letter,) = outbox.letters(f"test {channel}", "test", message, [(channel, address)], now)
        self._postman.hand(channel, letter)
        self._post.keep({}, [letter.taken(now)])

    def send(self, clock: Callable[[], datetime], channel: str | None = None) -> int | None:
        """Hand over what waits, by one channel or by each; gives how many letters were taken, None when none was due.

        What a kill leaves unnoted is handed over again under the same name.
        """
        return self._postman.send(clock, channel)

    @property
    def channels(self) -> list[str]:
        """All channels by which something may have to be sent, those among them that town.toml names no more."""
        return sorted({*self.plan.channels, *self._postman.channels})

    def waiting(self, now: datetime) -> set[str]:
        """The channels that have something to send now."""
        return self._postman.waiting(now)

    def troubles(self, now: datetime) -> dict[str, str]:
        """Channel -> what ails it, for channels that take nothing, and receivers whom nobody can reach."""
        return {**self.unreachable, **self._postman.troubles(now)}

    def _told(self, telling: Telling, reached: Sequence[Address], now: datetime) -> list[Letter]:
        if not reached:
            return []
        message = self._speaker.group(telling.firing, telling.ended, now)
        return outbox.letters(
            telling.key, telling.route.receiver, message, reached, now,
            alarms=[one.id for one in telling.firing], ended=[one.id for one in telling.ended],
        )  # fmt: skip

    def _summed(
        self, receiver: str, tellings: Sequence[Telling], reached: Sequence[Address], *, flood: str, now: datetime
    ) -> list[Letter]:
        """The letters of a flood's summary."""
        if not reached:
            return []
        firing = {one.id: one for telling in tellings for one in telling.firing}
        ended = {one.id: one for telling in tellings for one in telling.ended}
        message = self._speaker.summary(flood, list(firing.values()), list(ended.values()), now)
        return outbox.letters("flood", receiver, message, reached, now, alarms=list(firing), ended=list(ended))

    def _unanswered(self, known: Sequence[Notice], now: datetime) -> dict[str, dict[str, Notice]]:
        """Receiver -> what it is to be told that nobody answers, by the key of the step."""
        found: dict[str, dict[str, Notice]] = {}
        for key, step, notice in (due for ladder in self.plan.ladders for due in ladder.due(known, now)):
            last = self._escalated_at.get(step.receiver)
            if key not in self._grouping.told and (last is None or now - last >= ESCALATES_EVERY):
                found.setdefault(step.receiver, {})[key] = notice
        return found

    def _escalated(self, receiver: str, waits: Sequence[Notice], now: datetime) -> list[Letter]:
        reached = self._addresses(receiver, now)
        message = self._speaker.unanswered(waits, now)
        alarms = [one.id for one in waits]
        return outbox.letters(f"ladder {receiver}", receiver, message, reached, now, alarms=alarms)

    def _addresses(self, name: str, now: datetime) -> list[Address]:
        """How a receiver is reached now; nobody who is, is a trouble."""
        receiver = self.plan.receivers[name]
        found = [*receiver.to, *(at for role in receiver.roles for at in self._rota.addresses(role, now))]
        if not found:
            roles = ", ".join(receiver.roles) or "nobody"
            self.unreachable[name] = (
                f"nobody is on duty for {name} ({roles}), so nobody was told; whoever comes on duty will be. Write "
                "into reference/rota.csv who is, or give the receiver an address of its own in town.toml."
            )
        return list(dict.fromkeys(found))

    def _keep(self, made: Look) -> None:
        if made.news or made.letters:
            self._post.keep(made.news, made.letters)
            self._postman.take(made.letters)

    def _is_held(self, notice: Notice, clock: time) -> bool:
        return any(quiet.holds(notice.priority, clock) for quiet in self.plan.quiet)

    def _tidy(self, now: datetime) -> None:
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            self._tidied_at = now
            self._post.forget(self._grouping.forget(now), now)
