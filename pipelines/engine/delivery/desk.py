"""The delivery of a town: each second, what is due is made durable, then sent, then noted as sent."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from pipelines.engine.delivery import outbox
from pipelines.engine.delivery.alertmanager import Alertmanager
from pipelines.engine.delivery.channels import Channel, Sender, sender
from pipelines.engine.delivery.grouping import Grouping, Telling, Told
from pipelines.engine.delivery.messages import Message, Speaker
from pipelines.engine.delivery.notice import Notice
from pipelines.engine.delivery.outbox import Letter
from pipelines.engine.delivery.plan import Plan
from pipelines.engine.delivery.rota import Rota
from pipelines.engine.errors import SourceDown
from pipelines.engine.state_delivery import Post

log = logging.getLogger("townboard")
ALIVE = "alive"
TIDY_EVERY = timedelta(hours=1)
AT_ONCE = 32


class Delivery:
    """Tells people of alarms. `look` is called each second with all alarms; `send` works off the outbox."""

    def __init__(self, plan: Plan, rota: Rota, speaker: Speaker, post: Post) -> None:
        self.plan, self._rota, self._speaker, self._post = plan, rota, speaker, post
        self._grouping = Grouping(plan.root, post.told())
        self._senders: dict[str, Sender] = {}
        self._letters = {letter.id: letter for letter in post.waiting()}
        self._lock = threading.Lock()
        self._manager = Alertmanager(plan.alertmanager) if plan.alertmanager else None
        self._alive_at: datetime | None = None
        self._tidied_at: datetime | None = None
        self.unreachable: dict[str, str] = {}

    def look(self, notices: Iterable[Notice], now: datetime) -> int:
        """Put what is due into the outbox, durable when this returns; gives how many letters were made.

        When the disk takes nothing, its error is raised and the same is due with the next look.
        """
        known = list(notices)
        moment = now.astimezone(ZoneInfo(self._speaker.zone)).time()
        tellings = self._grouping.due(known, now, lambda notice: self._is_held(notice, moment))
        news = {telling.key: telling.news for telling in tellings}
        made = [letter for telling in tellings for letter in self._told(telling, now)]
        for key, step, notice in (found for ladder in self.plan.ladders for found in ladder.due(known, now)):
            if key not in self._grouping.told and key not in news:
                news[key] = Told(frozenset({notice.id}), frozenset(), now)
                message = self._speaker.unanswered(notice, now)
                made += self._letters_to(step.receiver, key, message, now, alarms=[notice.id])
        try:
            self._keep(news, made)
        except Exception:
            self._grouping.again(tellings, now)
            raise
        for telling in tellings:
            self._grouping.keep(telling)
        self._grouping.told |= news
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
