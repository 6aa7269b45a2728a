"""Incidents: alarms of one cause, or of one matter, ward and hour, with complaints about them; made from the log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.engine.alarms.record import Transition
from pipelines.engine.model import AlarmRule

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Complaint:
    """What a resident reported: its number, what about in the service's words, where and when."""

    id: str
    about: str
    ward: str | None
    at: datetime


@dataclass(frozen=True)
class Episode:
    """One alarm from its rise until it was over: `ended_at` is when the condition ended, None while it lasts."""

    alarm: str
    rule: str
    ward: str | None
    domain: str
    started_at: datetime
    ended_at: datetime | None = None
    cause: str | None = None
    log: tuple[Transition, ...] = ()


@dataclass
class Incident:
    """Alarms that stand for themselves, what follows from them, and complaints of the same matter."""

    alarms: list[Episode]
    consequences: list[Episode] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The first alarm and its instant: the same however often the incident is put together."""
        return f"{self.alarms[0].alarm}@{self.started_at:%Y%m%dT%H%M%SZ}"

    @property
    def episodes(self) -> list[Episode]:
        """All alarms of it."""
        return [*self.alarms, *self.consequences]

    @property
    def started_at(self) -> datetime:
        """When its first alarm rose."""
        return self.alarms[0].started_at

    @property
    def ended_at(self) -> datetime | None:
        """When the last of its alarms was back to normal; None while one lasts."""
        ends = [episode.ended_at for episode in self.episodes]
        return None if None in ends else max(end for end in ends if end is not None)

    @property
    def wards(self) -> list[str]:
        """The wards it touches."""
        return sorted({episode.ward for episode in self.episodes if episode.ward})


def episodes(log: Iterable[Transition]) -> list[Episode]:
    """The episodes of all alarms, by their beginning. The log is in order."""
    running: dict[str, Episode] = {}
    found: list[Episode] = []
    for one in log:
        known = running.get(one.alarm)
        if one.event == "rise" and (known is None or (known.ended_at and one.before == "normal")):
            found += [known] if known else []
            known = Episode(one.alarm, str(one.facts.get("rule", "")), one.facts.get("ward"),
                            str(one.facts.get("domain", "")), one.at)  # fmt: skip
        if known is not None:
            running[one.alarm] = _continued(known, one)
    return sorted([*found, *running.values()], key=lambda episode: (episode.started_at, episode.alarm))


def _continued(episode: Episode, one: Transition) -> Episode:
    ended = {"rise": None, "return": one.at}.get(one.event, episode.ended_at)
    cause = None if one.event == "release" and episode.ended_at is None else one.facts.get("cause") or episode.cause
    return replace(episode, ended_at=ended, cause=cause, log=(*episode.log, one))


def incidents(
    log: Iterable[Transition], complaints: Iterable[Complaint], rules: Mapping[str, AlarmRule], now: datetime
) -> list[Incident]:
    """The incidents of a log, newest first: what is more than one alarm, or has a complaint.

    Complaints join the incident of their matter and ward that began nearest to them: from an hour before it to an
    hour after its end.
    """
    found: list[Incident] = []
    whole = episodes(log)
    for episode in (one for one in whole if one.cause is None):
        alike = next((one for one in reversed(found) if _alike(one, episode, rules)), None)
        if alike is not None:
            alike.alarms.append(episode)
        else:
            found.append(Incident([episode]))
    for episode in (one for one in whole if one.cause is not None):
        root = next((one for one in reversed(found) if _explains(one, episode)), None)
        if root is not None:
            root.consequences.append(episode)
    for complaint in sorted(complaints, key=lambda one: (one.at, one.id)):
        fitting = [one for one in found if _fits(one, complaint, rules, now)]
        if fitting:
            nearest = min(fitting, key=lambda one: abs(one.started_at - complaint.at))
            nearest.complaints.append(complaint)
    return [one for one in reversed(found) if len(one.episodes) + len(one.complaints) > 1]


def _matters(names: Iterable[str], rules: Mapping[str, AlarmRule]) -> set[str]:
    return {matter for name in names if name in rules for matter in rules[name].matters}


def _alike(incident: Incident, episode: Episode, rules: Mapping[str, AlarmRule]) -> bool:
    """The same matter, ward and hour."""
    same = _matters([incident.alarms[0].rule], rules) & _matters([episode.rule], rules)
    near = episode.started_at - incident.started_at < HOUR
    return bool(same) and episode.ward is not None and episode.ward == incident.alarms[0].ward and near


def _explains(incident: Incident, episode: Episode) -> bool:
    causes = {one.alarm for one in incident.alarms}
    end = incident.alarms[0].ended_at
    within = episode.started_at >= incident.started_at - HOUR and (end is None or episode.started_at <= end + HOUR)
    return episode.cause in causes and within


def _fits(incident: Incident, complaint: Complaint, rules: Mapping[str, AlarmRule], now: datetime) -> bool:
    about = complaint.about.lower()
    matters = _matters([episode.rule for episode in incident.episodes], rules)
    end = incident.ended_at or now
    timely = incident.started_at - HOUR <= complaint.at <= end + HOUR
    return timely and complaint.ward in incident.wards and any(matter in about for matter in matters)


def timeline(incident: Incident, rules: Mapping[str, AlarmRule]) -> list[dict[str, Any]]:
    """What happened, oldest first.

    Shape: at, what (an event of the lifecycle, follow or complaint), who, words.
    """
    told = [
        {"at": one.at, "what": one.event, "who": one.who, "words": _said(episode, one, rules)}
        for episode in incident.alarms
        for one in episode.log
    ]
    if incident.consequences:
        first, number = min(one.started_at for one in incident.consequences), len(incident.consequences)
        words = f"{number} more alarm{'s follow' if number > 1 else ' follows'} from it"
        told.append({"at": first, "what": "follow", "who": "suppression", "words": words})
    told += [
        {"at": one.at, "what": "complaint", "who": "resident", "words": f"Complaint {one.id}: {one.about}"}
        for one in incident.complaints
    ]
    return sorted(told, key=lambda entry: entry["at"])


def _said(episode: Episode, one: Transition, rules: Mapping[str, AlarmRule]) -> str:
    rule = rules.get(episode.rule)
    return f"{rule.title if rule else episode.rule}: {one.event}" + (f" ({one.why})" if one.why else "")


@dataclass(frozen=True)
class Place:
    """How a town says where and when: ward -> name, and its time zone."""

    wards: Mapping[str, str]
    zone: str

    def clock(self, at: datetime, now: datetime) -> str:
        """The instant on the town's clock, with its day when that is another."""
        own, today = (one.astimezone(ZoneInfo(self.zone)) for one in (at, now))
        return f"{own:%H:%M}" if own.date() == today.date() else f"{own:%H:%M on %d %B}"


def answer(incident: Incident, rules: Mapping[str, AlarmRule], place: Place, now: datetime) -> str:
    """The honest answer for a resident: what, where, since when, what is being done, and when there is more to say."""
    what = _noticed(incident, rules)
    where = " and ".join(place.wards.get(ward, ward) for ward in incident.wards)
    since = f"{what}{f' in {where}' if where else ''} since {place.clock(incident.started_at, now)}."
    if incident.ended_at is not None:
        return f"{since} It has been back to normal since {place.clock(incident.ended_at, now)}."
    seen = next((one for one in _deeds(incident) if one.event == "acknowledge"), None)
    if seen is None:
        told = f"The control room was told at {place.clock(incident.started_at, now)} and has not confirmed it yet."
        return f"{since} {told} Ask again within the hour."
    due = [datetime.fromisoformat(one.facts["review_at"]) for one in _deeds(incident) if "review_at" in one.facts]
    following = next((at for at in reversed(due) if at > now), None)
    more = f"There is more to say by {place.clock(following, now)}." if following else "Ask again within the hour."
    return f"{since} The control room has been working on it since {place.clock(seen.noted_at, now)}. {more}"


def _deeds(incident: Incident) -> Sequence[Transition]:
    return [one for episode in incident.alarms for one in episode.log]


def _noticed(incident: Incident, rules: Mapping[str, AlarmRule]) -> str:
    """What residents notice: of the cause, or of what follows from it; each once."""
    own = [rules[one.rule] for one in incident.episodes if one.rule in rules]
    words = dict.fromkeys(rule.resident for rule in own if rule.resident)
    if not words:
        return own[0].title if own else "Something is out of order"
    first, *rest = words
    return " and ".join([first, *(text[0].lower() + text[1:] for text in rest)])
