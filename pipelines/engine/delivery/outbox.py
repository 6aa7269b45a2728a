"""The outbox: every message is durable before it is sent, tried until it is taken, and never made twice."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pipelines.engine.delivery.channels import Parcel
from pipelines.engine.delivery.messages import Message

FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=5), timedelta(minutes=5)
# A message that nobody took for so long is given up: it would only tell of the past.
GIVEN_UP = timedelta(days=2)
# A channel that has refused for so long is a trouble of its own.
TROUBLE = timedelta(minutes=2)
KEEP_SENT = timedelta(days=31)


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message to one address by one channel, and how often it was tried."""

    id: str
    made_at: datetime
    channel: str
    address: str
    receiver: str
    subject: str
    body: str
    short: str
    facts: dict[str, Any] = field(default_factory=dict)
    tries: int = 0
    next_at: datetime | None = None
    sent_at: datetime | None = None
    words: str = ""

    @property
    def parcel(self) -> Parcel:
        """What the channel is handed."""
        return Parcel(self.id, self.made_at, self.address, self.subject, self.body, self.short, self.facts)

    @property
    def open(self) -> bool:
        """Whether it still has to be sent."""
        return self.next_at is not None

    def taken(self, now: datetime) -> "Letter":
        """The letter that the channel has taken."""
        return replace(self, tries=self.tries + 1, sent_at=now, next_at=None, words="")

    def refused(self, now: datetime, words: str) -> "Letter":
        """The letter after a try that failed: it waits longer each time, and is given up when it is old."""
        wait = min(FIRST_RETRY * 2**self.tries, LONGEST_RETRY)
        late = now + wait - self.made_at > GIVEN_UP
        return replace(self, tries=self.tries + 1, next_at=None if late else now + wait, words=words)


def letters(
    key: str, receiver: str, message: Message, addresses: Sequence[tuple[str, str]], now: datetime, **facts: Any
) -> list[Letter]:
    """A letter for each address; the same key, address and moment give the same ids, so that none is made twice."""
    made = []
    for channel, address in addresses:
        name = "\n".join((key, receiver, channel, address, now.isoformat()))
        made.append(
            Letter(
                id=hashlib.sha256(name.encode()).hexdigest()[:24], made_at=now, channel=channel, address=address,
                receiver=receiver, subject=message.subject, body=message.body, short=message.short,
                facts={"receiver": receiver, "sent_for": key, **facts}, next_at=now,
            )
        )  # fmt: skip
    return made


def troubles(waiting: Sequence[Letter], now: datetime) -> dict[str, str]:
    """Channel -> what ails it in words, for those that have refused a message for a while."""
    found: dict[str, str] = {}
    for letter in waiting:
        if letter.tries and now - letter.made_at > TROUBLE:
            found.setdefault(letter.channel, letter.words)
    return found
