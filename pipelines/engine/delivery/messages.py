"""What a message says: what, where, since when, value against limit, what to do, and where to look; plain sentences."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pipelines.engine.delivery.notice import Notice
from pipelines.engine.figures import spoken
from pipelines.engine.model import PRIORITIES

MOST_LISTED = 10
# One text message of GSM 03.38; longer ones are sent in parts, which cost each.
SMS_CHARACTERS = 160
ELLIPSIS = "..."


@dataclass(frozen=True)
class Message:
    """A text to send: `short` fits one SMS."""

    subject: str
    body: str
    short: str


@dataclass(frozen=True)
class Speaker:
    """Says things for one town: its name, its clock, and the address of its board."""

    town: str
    zone: str
    link: str

    def group(self, firing: Sequence[Notice], ended: Sequence[Notice], now: datetime) -> Message:
        """The message of a group: what fires, the most urgent first, then what is over."""
        urgent = sorted(firing, key=_urgency)
        if not urgent:
            first = ended[0]
            subject = f"Back to normal: {first.title}, {first.where}{_more(len(ended) - 1)}"
        else:
            first = urgent[0]
            subject = f"{first.priority.upper()}: {first.title}, {first.where}{_more(len(urgent) - 1)}"
        parts = [self._listed(urgent, now), self._over(ended)]
        return self._message(subject, [part for part in parts if part], first)

    def summary(self, flood: str, firing: Sequence[Notice], ended: Sequence[Notice], now: datetime) -> Message:
        """The message of a flood: how many by priority, the most urgent, what is over; `flood`: the board's words."""
        urgent = sorted(firing, key=_urgency)
        found = Counter(one.priority for one in urgent)
        counts = [f"{found[name]} {name}" for name in PRIORITIES if found[name]] or [f"{len(ended)} back to normal"]
        first = [*urgent, *ended][0]
        subject = f"{'ALARM FLOOD' if flood else 'Alarm flood over'}: {', '.join(counts)}; {first.title}, {first.where}"
        parts = [flood or "The alarm flood is over.", self._listed(urgent, now), self._over(ended)]
        return self._message(subject, [part for part in parts if part], first)

    def unanswered(self, waiting: Sequence[Notice], now: datetime) -> Message:
        """The message of an escalation: nobody has taken these up; the most urgent first."""
        urgent = sorted(waiting, key=_urgency)
        first, since = urgent[0], min(one.waits_since or one.since for one in urgent)
        subject = f"NOT ACKNOWLEDGED for {_span(now - since)}: {first.title}, {first.where}{_more(len(urgent) - 1)}"
        return self._message(subject, [self._listed(urgent, now)], first)

    def trial(self, channel: str, now: datetime) -> Message:
        """The message of a test button."""
        body = f"This is a test of the channel {channel}, sent at {self.clock(now)}. Nothing needs to be done."
        return Message(f"{self.town}: test of {channel}", body, f"{self.town}: {body}"[:SMS_CHARACTERS])

    def alive(self, now: datetime) -> Message:
        """The sign of life of the dead man's switch: whoever waits for it in vain knows that the board is dead."""
        body = f"The board of {self.town} is alive at {self.clock(now)}. Raise an alarm when this stops coming."
        return Message(f"{self.town}: alive", body, body[:SMS_CHARACTERS])

    def told(self, notice: Notice, now: datetime) -> str:
        """One alarm in sentences."""
        lines = [f"{notice.title}, {notice.where}.", self._since(notice, now)]
        if notice.value is not None and notice.limit is not None:
            value, limit = (spoken(one, notice.decimals, notice.unit) for one in (notice.value, notice.limit))
            lines.append(f"Value {value}, limit {limit}.")
        if notice.consequences:
            lines.append(f"It explains {notice.consequences} further alarm{'s' * (notice.consequences > 1)}.")
        if notice.acknowledged:
            lines.append(f"{notice.owner} has it in hand." if notice.owner else "It is acknowledged.")
        if notice.instruction:
            lines.append(f"What to do: {notice.instruction}")
        return "\n".join(lines)

    def clock(self, at: datetime) -> str:
        """An instant on the town's clock."""
        local = at.astimezone(ZoneInfo(self.zone))
        return f"{local:%H:%M} on {local.day} {local:%B} ({local:%Z})"

    def _since(self, notice: Notice, now: datetime) -> str:
        return f"Since {self.clock(notice.since)}, {_span(now - notice.since)} ago. Priority {notice.priority}."

    def _listed(self, firing: Sequence[Notice], now: datetime) -> str:
        told = [self.told(one, now) for one in firing[:MOST_LISTED]]
        left = len(firing) - len(told)
        if left:
            told.append(f"And {left} more, all on the board.")
        return "\n\n".join(told)

    def _over(self, ended: Sequence[Notice]) -> str:
        lines = [
            f"Back to normal since {self.clock(one.ended_at or one.since)}: {one.title}, {one.where}."
            for one in ended[:MOST_LISTED]
        ]
        left = len(ended) - len(lines)
        return "\n".join([*lines, *([f"And {left} more back to normal."] if left else [])])

    def _message(self, subject: str, parts: Sequence[str], first: Notice) -> Message:
        link = f"{self.link.rstrip('/')}/alarms" if self.link else ""
        body = "\n\n".join([*parts, *([f"The board: {link}"] if link else [])])
        short = f"{self.town}: {subject}."
        if first.instruction and first.firing:
            short = f"{short} {first.instruction}"
        return Message(f"{self.town}: {subject}", body, _cut(short))


def _urgency(one: Notice) -> tuple[int, datetime]:
    return PRIORITIES.index(one.priority), one.since


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _cut(text: str) -> str:
    return text if len(text) <= SMS_CHARACTERS else text[: SMS_CHARACTERS - len(ELLIPSIS)].rstrip() + ELLIPSIS


def _span(length: timedelta) -> str:
    minutes = max(0, int(length.total_seconds() // 60))
    if minutes < 120:
        return f"{minutes} min"
    hours, days = minutes // 60, minutes // 1440
    return f"{hours} h" if hours < 48 else f"{days} days"
