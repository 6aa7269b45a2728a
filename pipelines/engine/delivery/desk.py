"""The delivery of a town: each second, what is due is made durable, then sent, then noted as sent."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipelines.engine.delivery import outbox
from pipelines.engine.delivery.alertmanager import Alertmanager
from pipelines.engine.delivery.channels import Channel, Sender, sender
from pipelines.engine.delivery.flooding import Flooding
from pipelines.engine.delivery.grouping import Grouping, Telling, Told
from pipelines.engine.delivery.messages import Message, Speaker
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.outbox import Letter
from pipelines.engine.delivery.plan import Plan
from pipelines.engine.delivery.rota import Rota
from pipelines.engine.delivery.routes import direct
from pipelines.engine.errors import SourceDown
from pipelines.engine.state_delivery import Post

log = logging.getLogger("townboard")
ALIVE = "alive"
TIDY_EVERY = timedelta(hours=1)
AT_ONCE = 32
# What nobody answers is told of together, at most so often to one receiver.
ESCALATES_EVERY = timedelta(minutes=1)


class Delivery:
    """Tells people of alarms. `look` is called each second with all alarms; `send` works off the outbox."""

    def __init__(self, plan: Plan, rota: Rota, speaker: Speaker, post: Post) -> None:
        self.plan, self._rota, self._speaker, self._post = plan, rota, speaker, post
        self._grouping = Grouping(plan.root, post.told(), direct(plan.root, plan.receivers))
        self._flooding = Flooding()
        self._escalated_at: dict[str, datetime] = {}
        self._senders: dict[str, Sender] = {}
        self._letters = {letter.id: letter for letter in post.waiting()}
        self._lock = threading.Lock()
        self._manager = Alertmanager(plan.alertmanager) if plan.alertmanager else None
        self._alive_at: datetime | None = None
        self._tidied_at: datetime | None = None
        self.unreachable: dict[str, str] = {}

    def look(self, notices: Iterable[Notice], now: datetime, flood: str = "") -> int:
        """Put what is due into the outbox, durable when this returns; gives how many letters were made.

        `flood`: the board's sentence about an alarm flood, empty when there is none.
        When the disk takes nothing, its error is raised and the same is due with the next look.
        """
        known = list(notices)
        moment = now.astimezone(ZoneInfo(self._speaker.zone)).time()
        tellings = self._grouping.due(known, now, lambda notice: self._is_held(notice, moment))
        sifted = self._flooding.sift(tellings, self._grouping.told, flood, now)
        said = [*sifted.alone, *(telling for own in sifted.summed.values() for telling in own)]
        news = {telling.key: telling.news for telling in said}
        made = [letter for telling in sifted.alone for letter in self._told(telling, now)]
        made += [letter for name, own in sifted.summed.items() for letter in self._summed(name, own, flood, now)]
        unanswered = self._unanswered(known, now)
        for name, waits in unanswered.items():
            news |= {key: Told(frozenset({one.id}), frozenset(), now) for key, one in waits.items()}
            made += self._escalated(name, list(waits.values()), now)
        try:
            self._keep(news, made)
        except Exception:
            self._grouping.again(tellings, now)
            raise
        self._grouping.again(sifted.waiting, now)
        for telling in said:
            self._grouping.keep(telling)
        self._grouping.told |= news
        self._flooding.keep(sifted.summed, flood, now)
        self._escalated_at |= dict.fromkeys(unanswered, now)
        self._tidy(now)
        return len(made)

    def sign_of_life(self, now: datetime) -> int:
        """Tell the dead man's switch that the board is alive, when that is due; gives how many letters were made."""
        last = self._alive_at
        if self.plan.alive is None or (last is not None and now - last < self.plan.alive_every):
            return 0
        made = self._letters_to(self.plan.alive, ALIVE, self._speaker.alive(now), now)
        self._keep({}, made)
        self._alive_at = now
        return len(made)

    def hand_over(self, notices: Iterable[Notice], now: datetime) -> int | None:
        """Say to the town's Alertmanager what is to be said; gives how many alerts, None when there was nothing.

        Raises SourceDown in words when it did not take them.
        """
        return self._manager.say(notices, self.plan.link, now) if self._manager else None

    def close(self) -> None:
        """End the connections of every channel."""
        for one in self._senders.values():
            one.close()
        if self._manager:
            self._manager.close()

    def test(self, channel: str, address: str, now: datetime) -> None:
        """Send a test message by a channel at once.

        Raises KeyError for a channel that there is none of; SourceDown in words when it was not taken.
        """
        message = self._speaker.trial(channel, now)
        (letter,) = outbox.letters(f"test {channel}", "test", message, [(channel, address)], now)
        self._sender(self.plan.channels[channel]).send(letter.parcel)
        self._post.keep({}, [letter.taken(now)])

    def send(self, clock: Callable[[], datetime]) -> int | None:
        """Hand over what waits, the oldest first; gives how many letters were taken, None when none was due.

        So many at a time are noted in one commit: what a kill leaves unnoted is handed over again under the same name.
        """
        with self._lock:
            due = [one for one in self._letters.values() if one.next_at is not None and one.next_at <= clock()]
        if not due:
            return None
        taken = 0
        for start in range(0, len(due), AT_ONCE):
            tried = [self._tried(letter, clock) for letter in due[start : start + AT_ONCE]]
            self._post.keep({}, tried)
            with self._lock:
                for letter in tried:
                    self._letters[letter.id] = letter
                    if not letter.open:
                        del self._letters[letter.id]
            taken += sum(letter.sent_at is not None for letter in tried)
        return taken

    def troubles(self, now: datetime) -> dict[str, str]:
        """Channel -> what ails it, for channels that take nothing, and receivers whom nobody can reach."""
        with self._lock:
            waiting = list(self._letters.values())
        return {**self.unreachable, **outbox.troubles(waiting, now)}

    def _tried(self, letter: Letter, clock: Callable[[], datetime]) -> Letter:
        """The letter after a try."""
        try:
            channel = self.plan.channels.get(letter.channel)
            if channel is None:
                raise SourceDown(f"the channel {letter.channel} was taken out of town.toml")
            self._sender(channel).send(letter.parcel)
        except SourceDown as down:
            log.warning("a message to %s was not taken: %s", letter.receiver, down)
            return letter.refused(clock(), str(down))
        return letter.taken(clock())

    def _sender(self, channel: Channel) -> Sender:
        if channel.name not in self._senders:
            self._senders[channel.name] = sender(channel)
        return self._senders[channel.name]

    def _told(self, telling: Telling, now: datetime) -> list[Letter]:
        message = self._speaker.group(telling.firing, telling.ended, now)
        return self._letters_to(
            telling.route.receiver, telling.key, message, now,
            alarms=[one.id for one in telling.firing], ended=[one.id for one in telling.ended],
        )  # fmt: skip

    def _summed(self, receiver: str, tellings: Sequence[Telling], flood: str, now: datetime) -> list[Letter]:
        """The letters of a flood's summary."""
        firing = {one.id: one for telling in tellings for one in telling.firing}
        ended = {one.id: one for telling in tellings for one in telling.ended}
        message = self._speaker.summary(flood, list(firing.values()), list(ended.values()), now)
        return self._letters_to(receiver, "flood", message, now, alarms=list(firing), ended=list(ended))

    def _unanswered(self, known: Sequence[Notice], now: datetime) -> dict[str, dict[str, Notice]]:
        """Receiver -> what it is to be told that nobody answers, by the key of the step."""
        found: dict[str, dict[str, Notice]] = {}
        for key, step, notice in (due for ladder in self.plan.ladders for due in ladder.due(known, now)):
            last = self._escalated_at.get(step.receiver)
            if key not in self._grouping.told and (last is None or now - last >= ESCALATES_EVERY):
                found.setdefault(step.receiver, {})[key] = notice
        return found

    def _escalated(self, receiver: str, waits: Sequence[Notice], now: datetime) -> list[Letter]:
        message = self._speaker.unanswered(waits, now)
        return self._letters_to(receiver, f"ladder {receiver}", message, now, alarms=[one.id for one in waits])

    def _letters_to(self, name: str, key: str, message: Message, now: datetime, **facts: Sequence[str]) -> list[Letter]:
        receiver = self.plan.receivers[name]
        addresses = [*receiver.to, *(at for role in receiver.roles for at in self._rota.addresses(role, now))]
        if addresses:
            self.unreachable.pop(name, None)
        else:
            roles = ", ".join(receiver.roles) or "nobody"
            self.unreachable[name] = (
                f"nobody is on duty for {name} ({roles}), so nobody was told. Write into reference/rota.csv who is, or "
                "give the receiver an address of its own in town.toml."
            )
        return outbox.letters(key, name, message, list(dict.fromkeys(addresses)), now, **facts)

    def _keep(self, news: Mapping[str, Told], made: Sequence[Letter]) -> None:
        if not news and not made:
            return
        self._post.keep(news, made)
        with self._lock:
            self._letters |= {letter.id: letter for letter in made}

    def _is_held(self, notice: Notice, clock: time) -> bool:
        return any(quiet.holds(notice.priority, clock) for quiet in self.plan.quiet)

    def _tidy(self, now: datetime) -> None:
        if self._tidied_at is None or now - self._tidied_at >= TIDY_EVERY:
            self._tidied_at = now
            self._post.forget(self._grouping.forget(now), now)
