"""What people do to alarms: acknowledge, shelve, assign, comment and the rest; checked, noted, and told back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pipelines.engine.alarms.book import Book
from pipelines.engine.alarms.lifecycle import Event, Illegal, State, legal
from pipelines.engine.alarms.record import Alarm
from pipelines.engine.asking import Misasked, instant, one_of

# Longer than a shift pattern nobody remembers why: an alarm that is not wanted for longer is taken out of service.
LONGEST_SHELVED = timedelta(days=7)
LONGEST_TEXT = 1_000
MOST_AT_ONCE = 1_000
FIELDS: Mapping[str, tuple[str, ...]] = {
    "acknowledge": ("owner", "review_at", "comment"),
    "shelve": ("reason", "until"),
    "unshelve": ("reason",),
    "assign": ("owner", "review_at"),
    "comment": ("comment",),
    "out-of-service": ("reason", "until"),
    "return-to-service": ("reason",),
    "reset": ("reason",),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "shelve": ("reason", "until"),
    "assign": ("owner",),
    "comment": ("comment",),
    "out-of-service": ("reason",),
}
INSTANTS = ("until", "review_at")


@dataclass(frozen=True)
class Deed:
    """What somebody does to an alarm; `who` is the person or machine that signed in."""

    action: str
    who: str
    reason: str = ""
    comment: str = ""
    owner: str | None = None
    until: datetime | None = None
    review_at: datetime | None = None

    @classmethod
    def of(cls, action: str, who: str, wanted: Any, now: datetime) -> "Deed":
        """The deed that a JSON body describes.

        Raises Misasked: an unknown action or field, one that is missing, or a time that does not lie ahead.
        """
        one_of("action", action, FIELDS, 404)
        wanted = {} if wanted is None else wanted
        if not isinstance(wanted, dict):
            raise Misasked('Send a JSON object, for example {"reason": "pump is being changed"}.')
        for name in wanted:
            one_of("field", name, FIELDS[action])
        found = {name: _field(name, value, now) for name, value in wanted.items() if value not in (None, "")}
        for name in NEEDED.get(action, ()):
            if name not in found:
                raise Misasked(f"`{name}` is missing. {_WHY[name]}")
        if action == "shelve" and found["until"] - now > LONGEST_SHELVED:
            raise Misasked(
                f"An alarm is shelved for at most {LONGEST_SHELVED.days} days. Give an earlier `until`, or take it out "
                "of service."
            )
        return cls(action, who, **found)


_WHY = {
    "reason": "Say in a sentence why, for whoever comes after you.",
    "until": "A shelving always ends by itself: give a time such as 2026-11-23T18:00:00Z.",
    "owner": "Name who sees to it.",
    "comment": "Write what is to be said.",
}


def _field(name: str, value: Any, now: datetime) -> Any:
    if not isinstance(value, str):
        raise Misasked(f"`{name}` must be a text.")
    text = value.strip()
    if len(text) > LONGEST_TEXT:
        raise Misasked(f"`{name}` has {len(text)} characters; {LONGEST_TEXT} are allowed.")
    if name not in INSTANTS:
        return text
    at = instant(text, name)
    if at <= now:
        raise Misasked(f"`{name}` ({text}) lies in the past; give a time that lies ahead.")
    return at


def do(book: Book, id: str, deed: Deed, now: datetime) -> Alarm:
    """The alarm after a deed, which is noted but not on disk yet.

    Raises Illegal (409) naming what is possible, Misasked (404) when there is no such alarm.
    """
    alarm = book.alarms.get(id)
    if alarm is None:
        raise Misasked(f"There is no alarm `{id[:80]}`; `id` stands in /api/v1/alarms.", 404)
    after = replace(DEEDS[deed.action](book, alarm, deed, now), done_at=now)
    book.refresh(after)
    return after


def _acknowledge(book: Book, alarm: Alarm, deed: Deed, now: datetime) -> Alarm:
    return book.happen(
        alarm.id, Event.ACKNOWLEDGE, now, who=deed.who, why=deed.comment, acknowledged_by=deed.who, acknowledged_at=now,
        owner=deed.owner or alarm.owner, review_at=deed.review_at, comment=deed.comment or alarm.comment,
    )  # fmt: skip


def _put_aside(event: Event) -> Callable[[Book, Alarm, Deed, datetime], Alarm]:
    def work(book: Book, alarm: Alarm, deed: Deed, now: datetime) -> Alarm:
        return book.happen(
            alarm.id, event, now, who=deed.who, why=deed.reason, until=deed.until, by=deed.who, reason=deed.reason
        )

    return work


def _take_back(event: Event) -> Callable[[Book, Alarm, Deed, datetime], Alarm]:
    def work(book: Book, alarm: Alarm, deed: Deed, now: datetime) -> Alarm:
        return book.happen(alarm.id, event, now, who=deed.who, why=deed.reason, by=None, reason=None, announced=False)

    return work


def _assign(book: Book, alarm: Alarm, deed: Deed, now: datetime) -> Alarm:
    if alarm.state is State.NORMAL:
        raise Misasked("This alarm is back to normal; there is nothing to see to.", 409)
    after = replace(alarm, owner=deed.owner, review_at=deed.review_at or alarm.review_at)
    return book.change(after, "assign", now, who=deed.who, why=f"to {deed.owner}")


def _comment(book: Book, alarm: Alarm, deed: Deed, now: datetime) -> Alarm:
    return book.change(replace(alarm, comment=deed.comment), "comment", now, who=deed.who, why=deed.comment)


DEEDS: Mapping[str, Callable[[Book, Alarm, Deed, datetime], Alarm]] = {
    "acknowledge": _acknowledge,
    "shelve": _put_aside(Event.SHELVE),
    "unshelve": _take_back(Event.UNSHELVE),
    "assign": _assign,
    "comment": _comment,
    "out-of-service": _put_aside(Event.REMOVE),
    "return-to-service": _take_back(Event.RESTORE),
    "reset": _take_back(Event.RESET),
}


def refusal(id: str, error: Misasked, state: State | None) -> dict[str, Any]:
    """A refused deed in words and in the names of what is possible."""
    possible = list(error.legal) if isinstance(error, Illegal) else list(legal(state)) if state else []
    return {"id": id, "status": error.status, "detail": error.words, "state": state, "legal": possible}
