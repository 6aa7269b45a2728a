"""Who is on duty: the rota of roles by weekday, holiday and date, and how each person is reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl

from pipelines.engine.model import Column, Reference

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"
ROTA = Reference(
    name="rota",
    meaning="Who is on duty in which role and when; a row of a date goes before holiday, holiday before weekday.",
    key=("role", "person", "days", "from"),
    columns=(
        Column(name="role", meaning="Role that routes and ladders name, for example operator.", required=True),
        Column(name="person", meaning="Person as in contacts.csv.", required=True),
        Column(
            name="days",
            required=True,
            meaning="mon to sun, with - for a span and spaces between several, holiday, or dates such as 2026-12-24.",
        ),
        Column(name="from", meaning="Begin of the shift on the town's clock, for example 06:00; empty = midnight."),
        Column(name="to", meaning="End of the shift; at or before its begin = on the next day; empty = midnight."),
    ),
)
CONTACTS = Reference(
    name="contacts",
    meaning="How each person is reached; a person may have several rows.",
    key=("person", "channel", "address"),
    columns=(
        Column(name="person", meaning="Name as in rota.csv.", required=True),
        Column(name="channel", meaning="Channel of town.toml [delivery.channels].", required=True),
        Column(
            name="address", meaning="Number or mail address; empty where the channel has one of its own.", personal=True
        ),
    ),
)
Address = tuple[str, str]


@dataclass(frozen=True)
class Shift:
    """One row of the rota, read."""

    role: str
    person: str
    days: frozenset[str]
    begins: time
    ends: time

    def holds(self, moment: datetime, holidays: frozenset[date]) -> int:
        """How specific the row is at this moment of the town's clock: 0 not at all, 1 weekday, 2 holiday, 3 date."""
        clock = moment.time()
        overnight = self.ends <= self.begins
        if self.begins <= clock and (overnight or clock < self.ends):
            return self._fits(moment.date(), holidays)
        return self._fits(moment.date() - timedelta(days=1), holidays) if overnight and clock < self.ends else 0

    def _fits(self, day: date, holidays: frozenset[date]) -> int:
        if day.isoformat() in self.days:
            return 3
        if day in holidays and HOLIDAY in self.days:
            return 2
        return int(DAYS[day.weekday()] in self.days)


@dataclass(frozen=True)
class Rota:
    """The shifts of a town and the addresses of its people."""

    shifts: Sequence[Shift]
    holidays: frozenset[date]
    contacts: Mapping[str, tuple[Address, ...]]
    zone: str

    def on_duty(self, role: str, now: datetime) -> tuple[str, ...]:
        """Who has this role now: those of the most specific rows."""
        moment = now.astimezone(ZoneInfo(self.zone))
        rows = [(shift.holds(moment, self.holidays), shift.person) for shift in self.shifts if shift.role == role]
        best = max((rank for rank, _ in rows), default=0)
        return tuple(dict.fromkeys(person for rank, person in rows if rank == best and best))

    def addresses(self, role: str, now: datetime) -> tuple[Address, ...]:
        """How those on duty in this role are reached: channel and address."""
        return tuple(dict.fromkeys(at for person in self.on_duty(role, now) for at in self.contacts.get(person, ())))


def read(references: Mapping[str, pl.DataFrame], zone: str, channels: Sequence[str], mistakes: list[str]) -> Rota:
    """The rota of the town's reference tables; what is wrong in them is added to `mistakes` in words."""
    shifts = [one for row in references["rota"].iter_rows() if (one := _shift(row, mistakes))]
    contacts: dict[str, list[Address]] = {}
    for person, channel, address in references["contacts"].select("person", "channel", "address").iter_rows():
        if channel not in channels:
            known = ", ".join(sorted(channels)) or "none yet"
            mistakes.append(
                f"reference/contacts.csv, {person}: the channel {channel!r} is not in town.toml [delivery.channels]. "
                f"Known are: {known}."
            )
        contacts.setdefault(person, []).append((channel, address or ""))
    for person in dict.fromkeys(shift.person for shift in shifts):
        if person not in contacts:
            mistakes.append(
                f"reference/rota.csv: {person} is on duty, but has no row in reference/contacts.csv, so nobody can be "
                "reached. Write there by which channel and at which number or address."
            )
    days = frozenset(references["holidays"]["day"].drop_nulls())
    return Rota(shifts, days, {person: tuple(rows) for person, rows in contacts.items()}, zone)


def _shift(row: tuple[str, ...], mistakes: list[str]) -> Shift | None:
    role, person, days, begins, ends = row[:5]
    try:
        return Shift(role, person, _days(days), _time(begins), _time(ends))
    except ValueError as error:
        mistakes.append(f"reference/rota.csv, {role} {person}: {error}.")
        return None


def _days(text: str) -> frozenset[str]:
    found: list[str] = []
    for word in text.lower().replace(",", " ").split():
        first, dash, last = word.partition("-")
        if word == HOLIDAY or word in DAYS:
            found.append(word)
        elif dash and first in DAYS and last in DAYS:
            start, end = DAYS.index(first), DAYS.index(last)
            found += [DAYS[(start + step) % 7] for step in range((end - start) % 7 + 1)]
        else:
            found.append(_date(word))
    return frozenset(found)


def _date(word: str) -> str:
    try:
        return date.fromisoformat(word).isoformat()
    except ValueError as error:
        raise ValueError(f"{word!r} is no day; write mon to sun, mon-fri, holiday or 2026-12-24") from error


def _time(text: str | None) -> time:
    try:
        return time.fromisoformat(text) if text else time(0)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time; write for example 06:00") from error
