"""The postman: each channel by itself, some of its letters at once, and each noted when the other side has it."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pipelines.engine.delivery import outbox
from pipelines.engine.delivery.channels import MOST_HANDS, Channel, Sender, sender
from pipelines.engine.delivery.outbox import Letter
from pipelines.engine.errors import SourceDown
from pipelines.engine.state_delivery import Post

log = logging.getLogger("townboard")


class Postman:
    """The letters of a town that wait, and the connections of its channels."""

    def __init__(self, channels: Mapping[str, Channel], post: Post) -> None:
        self._channels, self._post = channels, post
        self._letters = {letter.id: letter for letter in post.waiting()}
        self._senders: dict[str, Sender] = {}
        self._lock = threading.Lock()
        self._hands = ThreadPoolExecutor(MOST_HANDS, "postman")
        self._ending = False

    def take(self, letters: Iterable[Letter]) -> None:
        """These wait from now on; they are durable already."""
        with self._lock:
            self._letters |= {letter.id: letter for letter in letters}

    @property
    def channels(self) -> set[str]:
        """The channels of all letters that wait."""
        with self._lock:
            return {letter.channel for letter in self._letters.values()}

    def waiting(self, now: datetime) -> set[str]:
        """The channels that have something to send now."""
        return {letter.channel for letter in self._due(now)}

    def send(self, clock: Callable[[], datetime], channel: str | None = None) -> int | None:
        """Hand over what is due, the oldest first, until nothing is; gives how many were taken, None when none was due.

        So many as a channel takes at once are noted in one commit.
        """
        taken, found = 0, False
        while not self._ending and (due := self._due(clock(), channel)):
            found = True
            name = due[0].channel
            own = [letter for letter in due if letter.channel == name]
            tried = self._handed(self._sender(name), own, clock)
            self._post.keep({}, tried)
            with self._lock:
                for letter in tried:
                    self._letters[letter.id] = letter
                    if not letter.open:
                        del self._letters[letter.id]
            taken += sum(letter.sent_at is not None for letter in tried)
        return taken if found else None

    def hand(self, channel: str, letter: Letter) -> None:
        """Hand over one letter now.

        Raises KeyError for a channel that there is none of; SourceDown in words when it was not taken.
        """
        self._sender(self._channels[channel].name).send(letter.parcel)

    def troubles(self, now: datetime) -> dict[str, str]:
        """Channel -> what ails it, for channels that take nothing."""
        with self._lock:
            waiting = list(self._letters.values())
        return outbox.troubles(waiting, now)

    def close(self) -> None:
        """End the connections of every channel."""
        self._ending = True
        self._hands.shutdown()
        for one in self._senders.values():
            one.close()

    def _due(self, now: datetime, channel: str | None = None) -> list[Letter]:
        with self._lock:
            waiting = list(self._letters.values())
        return [
            one for one in waiting if one.next_at is not None and one.next_at <= now and channel in (None, one.channel)
        ]

    def _handed(self, sender: Sender, due: Sequence[Letter], clock: Callable[[], datetime]) -> list[Letter]:
        """The first letters of those that are due, after a try; what is said of one group stays in its order."""
        lots: list[list[Letter]] = [[] for _ in range(sender.hands)]
        for letter in due[: sender.at_once]:
            lots[hash(letter.facts.get("sent_for")) % sender.hands].append(letter)
        if sender.hands == 1:
            return _tried(sender, lots[0], clock)
        working = [self._hands.submit(_tried, sender, lot, clock) for lot in lots if lot]
        return [letter for work in working for letter in work.result()]

    def _sender(self, name: str) -> Sender:
        with self._lock:
            if name not in self._senders:
                known = self._channels.get(name)
                self._senders[name] = sender(known) if known else Sender(_gone(name))
            return self._senders[name]


def _tried(sender: Sender, letters: Sequence[Letter], clock: Callable[[], datetime]) -> list[Letter]:
    """Each letter after a try."""
    return [_after_a_try(sender, letter, clock) for letter in letters]


def _after_a_try(sender: Sender, letter: Letter, clock: Callable[[], datetime]) -> Letter:
    try:
        sender.send(letter.parcel)
    except SourceDown as down:
        log.warning("a message to %s was not taken: %s", letter.receiver, down)
        return letter.refused(clock(), str(down))
    return letter.taken(clock())


def _gone(name: str) -> Callable[..., None]:
    def send(_: object) -> None:
        raise SourceDown(f"the channel {name} was taken out of town.toml")

    return send
